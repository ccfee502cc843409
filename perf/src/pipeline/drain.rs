//! The port that packets leave by.

use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, PoisonError};

use ze_graph::{Arena, Batch, Frame, FramePool, Port, QueueStats};
use ze_packet::PortId;
use ze_xsk::{Template, TemplatePort};

/// Bytes that are kept of a sample: all that a template port writes anew for each packet.
pub(crate) const KEPT_BYTES: usize = 128;
/// Of so many packets one is kept. A prime, so that samples walk through every place of a batch and all traffic.
const SAMPLE_EVERY: usize = 4099;
/// Samples that are kept of one run.
const SAMPLES_MAX: usize = 4096;

/// The beginning of a packet that left.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    kept: [u8; KEPT_BYTES],
    len: u16,
}

impl Sample {
    /// Of this packet.
    #[must_use]
    pub(crate) fn of(packet: &[u8]) -> Self {
        let mut kept = [0; KEPT_BYTES];
        let count = packet.len().min(KEPT_BYTES);
        kept[..count].copy_from_slice(&packet[..count]);
        Self { kept, len: packet.len() as u16 }
    }

    /// How long the packet was.
    #[must_use]
    pub(crate) fn packet_len(&self) -> usize {
        self.len.into()
    }

    /// Its first bytes.
    #[must_use]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.kept[..self.packet_len().min(KEPT_BYTES)]
    }
}

/// Where samples are once the port is closed.
pub(crate) type Samples = Arc<Mutex<Vec<Sample>>>;

/// A template port without packets of its own. It keeps a sample of what it sends: by batch and not by packet, so that
/// it costs as good as nothing.
pub(crate) struct Drain {
    port: TemplatePort,
    /// Packets until the next sample.
    until: usize,
    kept: Vec<Sample>,
    samples: Samples,
}

impl Drain {
    /// Takes up to `batch` packets a round.
    #[must_use]
    pub(crate) fn new(id: PortId, batch: usize) -> Self {
        let mut port = TemplatePort::new(id, vec![Template::new(&[])], batch);
        port.limit(0);
        Self { port, until: 0, kept: Vec::with_capacity(SAMPLES_MAX), samples: Samples::default() }
    }

    /// Where the samples will be.
    #[must_use]
    pub(crate) fn samples(&self) -> Samples {
        Arc::clone(&self.samples)
    }

    #[cold]
    fn keep(&mut self, packet: &[u8]) {
        if self.kept.len() < SAMPLES_MAX {
            self.kept.push(Sample::of(packet));
        }
        self.until += SAMPLE_EVERY;
    }
}

impl Port for Drain {
    fn id(&self) -> PortId {
        self.port.id()
    }

    fn receive(&mut self, arena: &Arena, batch: &mut Batch) -> usize {
        self.port.receive(arena, batch)
    }

    fn transmit(&mut self, arena: &Arena, queue: &mut Vec<Frame>) -> usize {
        if let Some(frame) = queue.get(self.until) {
            self.keep(arena.packet(frame));
        }
        let count = self.port.transmit(arena, queue);
        self.until = self.until.saturating_sub(count);
        count
    }

    fn complete(&mut self, pool: &mut FramePool) -> usize {
        self.port.complete(pool)
    }

    fn refill(&mut self, pool: &mut FramePool, reserve: usize) -> usize {
        self.port.refill(pool, reserve)
    }

    fn wake(&mut self) {}

    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn held(&self) -> usize {
        self.port.held()
    }

    fn stats(&self) -> Arc<QueueStats> {
        self.port.stats()
    }

    fn close(self: Box<Self>) -> Vec<Frame> {
        let Self { port, kept, samples, .. } = *self;
        *samples.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        Box::new(port).close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_packet_and_then_every_so_many_are_kept() {
        let (arena, frames) = Arena::allocate(64, false).unwrap();
        let mut pool = FramePool::new(frames, 64);
        let mut drain = Drain::new(PortId(1), 16);
        let samples = drain.samples();
        let mut queue = Vec::new();
        for batch in 0..4000u16 {
            for place in 0..16 {
                let mut frame = pool.take().unwrap();
                arena.meta_mut(&mut frame).received(PortId(0), 256, 32);
                arena.packet_mut(&mut frame)[..2].copy_from_slice(&(batch * 16 + place).to_be_bytes());
                queue.push(frame);
            }
            assert_eq!((drain.transmit(&arena, &mut queue), drain.complete(&mut pool)), (16, 16));
        }
        assert_eq!(Box::new(drain).close().len() + pool.len(), 64);
        let samples = samples.lock().unwrap();
        let numbers: Vec<_> =
            samples.iter().map(|s| u16::from_be_bytes([s.bytes()[0], s.bytes()[1]])).collect();
        let expected: Vec<_> = (0..16).map(|n| (n * SAMPLE_EVERY) as u16).collect();
        assert_eq!(numbers, expected);
    }
}
