//! The port that packets come from.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use ze_graph::{Arena, Batch, Frame, FramePool, Port, QueueStats};
use ze_packet::PortId;
use ze_xsk::TemplatePort;

use super::meter::Meter;
use super::traffic::Traffic;

/// A template port whose packets get their own destinations, and that measures the loop which polls it.
pub(crate) struct Source {
    templates: TemplatePort,
    traffic: Arc<Traffic>,
    sizes: usize,
    /// Number of the next packet.
    next: usize,
    /// Its size.
    size_at: usize,
    received: u64,
    meter: Meter,
}

impl Source {
    /// Gives `batch` packets at a time until the meter has seen enough.
    #[must_use]
    pub(crate) fn new(id: PortId, traffic: Arc<Traffic>, batch: usize, meter: Meter) -> Self {
        let templates = traffic.templates();
        let sizes = templates.len();
        let templates = TemplatePort::new(id, templates, batch);
        Self { templates, traffic, sizes, next: 0, size_at: 0, received: 0, meter }
    }
}

impl Port for Source {
    fn id(&self) -> PortId {
        self.templates.id()
    }

    fn receive(&mut self, arena: &Arena, batch: &mut Batch) -> usize {
        if !self.meter.round(self.received) {
            return 0;
        }
        let there = batch.len();
        let count = self.templates.receive(arena, batch);
        for frame in batch.frames_mut().iter_mut().skip(there) {
            self.traffic.stamp(self.next, self.size_at, arena.chunk_mut(frame));
            self.next = if self.next + 1 == self.traffic.len() { 0 } else { self.next + 1 };
            self.size_at = if self.size_at + 1 == self.sizes { 0 } else { self.size_at + 1 };
        }
        self.received += count as u64;
        count
    }

    fn transmit(&mut self, arena: &Arena, queue: &mut Vec<Frame>) -> usize {
        self.templates.transmit(arena, queue)
    }

    fn complete(&mut self, pool: &mut FramePool) -> usize {
        self.templates.complete(pool)
    }

    fn refill(&mut self, pool: &mut FramePool, reserve: usize) -> usize {
        self.templates.refill(pool, reserve)
    }

    fn wake(&mut self) {}

    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn held(&self) -> usize {
        self.templates.held()
    }

    fn stats(&self) -> Arc<QueueStats> {
        self.templates.stats()
    }

    fn close(self: Box<Self>) -> Vec<Frame> {
        let Self { templates, meter, .. } = *self;
        meter.end();
        Box::new(templates).close()
    }
}
