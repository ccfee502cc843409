//! The graph's last exits: transmit queues, the free pool, and the rings to other workers.

use std::sync::Arc;

use rtrb::{Consumer, Producer};
use ze_fib::PortKind;
use ze_graph::{Arena, Batch, Cx, DropReason, Frame, FramePool, Port, Sink, WorkerCounters};
use ze_packet::{PortId, WorkerId};

use crate::bell::Bell;
use crate::handle::HANDOFF_MAX;

/// Frames that may wait for room in one port's transmit ring. Beyond it they are dropped with a reason.
pub const TX_QUEUE_MAX: usize = 512;

/// A frame on its way to another worker.
#[derive(Debug)]
pub enum Handoff {
    /// To be sent by a port that the other worker owns; its metadata says which.
    Transmit(Frame),
    /// A free frame, from a worker that has many to one that has few.
    Return(Frame),
}

/// The rings between this worker and one other.
pub(crate) struct Neighbor {
    worker: WorkerId,
    bell: Arc<Bell>,
    to: Producer<Handoff>,
    from: Consumer<Handoff>,
    /// Was it given something since its bell was looked at?
    is_given: bool,
}

impl Neighbor {
    pub(crate) const fn new(
        worker: WorkerId,
        bell: Arc<Bell>,
        to: Producer<Handoff>,
        from: Consumer<Handoff>,
    ) -> Self {
        Self { worker, bell, to, from, is_given: false }
    }
}

/// How frames leave by one port.
enum Way {
    /// This worker has a queue pair of the port.
    Own { frames: Vec<Frame>, kind: PortKind },
    /// Another worker has.
    Remote(WorkerId),
}

/// Transmit queues by port, the free pool, and the other workers.
pub(crate) struct Outlets {
    pub(crate) pool: FramePool,
    ways: Vec<Option<Way>>,
    waiting: usize,
    neighbors: Vec<Neighbor>,
}

impl Outlets {
    pub(crate) fn new(pool: FramePool, ports_max: usize, neighbors: Vec<Neighbor>) -> Self {
        let ways = std::iter::repeat_with(|| None).take(ports_max).collect();
        Self { pool, ways, waiting: 0, neighbors }
    }

    /// Frames leave by this worker's own queue pair from now on. `frames` was allocated by the control thread, and comes back
    /// if the worker has another queue pair of the port already: they have one queue together.
    pub(crate) fn open(&mut self, port: PortId, kind: PortKind, frames: Vec<Frame>) -> Option<Vec<Frame>> {
        match self.ways.get_mut(port.index()) {
            Some(Some(Way::Own { .. })) | None => Some(frames),
            Some(way) => {
                *way = Some(Way::Own { frames, kind });
                None
            }
        }
    }

    /// Frames leave by another worker.
    pub(crate) fn open_remote(&mut self, port: PortId, worker: WorkerId) {
        if let Some(way) = self.ways.get_mut(port.index()) {
            *way = Some(Way::Remote(worker));
        }
    }

    /// The port is gone: what waits for it is dropped; the queue's memory goes back to the control thread.
    pub(crate) fn close(
        &mut self,
        port: PortId,
        arena: &Arena,
        counters: &WorkerCounters,
    ) -> Option<Vec<Frame>> {
        let Some(Way::Own { mut frames, .. }) = self.ways.get_mut(port.index())?.take() else {
            return None;
        };
        self.waiting -= frames.len();
        for frame in frames.drain(..) {
            counters.dropped(arena.meta(&frame).rx_port, DropReason::PortGone);
            self.pool.give(frame);
        }
        Some(frames)
    }

    /// Has another worker handed something over that was not taken yet?
    pub(crate) fn has_arrivals(&self) -> bool {
        self.neighbors.iter().any(|neighbor| !neighbor.from.is_empty())
    }

    /// Wakes those that were handed something and sleep.
    pub(crate) fn ring_neighbors(&mut self) {
        for neighbor in &mut self.neighbors {
            if std::mem::take(&mut neighbor.is_given) {
                neighbor.bell.ring_if_heard();
            }
        }
    }

    /// Takes what another worker handed over. Returns how many frames came.
    pub(crate) fn take_over(&mut self, arena: &Arena, counters: &WorkerCounters, most: usize) -> usize {
        let mut count = 0;
        for at in 0..self.neighbors.len() {
            for _ in 0..most {
                let Some(Ok(handoff)) = self.neighbors.get_mut(at).map(|n| n.from.pop()) else { break };
                match handoff {
                    Handoff::Return(frame) => self.pool.give(frame),
                    Handoff::Transmit(frame) => {
                        counters.law.handoff_in.add(1);
                        count += 1;
                        self.send(frame, arena, counters);
                    }
                }
            }
        }
        count
    }

    /// Gives waiting frames to a port's transmit ring and counts what it took.
    pub(crate) fn flush(&mut self, port: &mut dyn Port, arena: &Arena, counters: &WorkerCounters) -> usize {
        let Some(Some(Way::Own { frames, kind })) = self.ways.get_mut(port.id().index()) else {
            return 0;
        };
        if frames.is_empty() {
            return 0;
        }
        let sent = port.transmit(arena, frames);
        self.waiting -= sent;
        let term = match kind {
            PortKind::Network => &counters.law.tx,
            PortKind::Representor(_) => &counters.law.punt,
        };
        term.add(sent as u64);
        sent
    }

    /// Frames that wait for room in transmit rings.
    pub(crate) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Gives free frames to a worker that has fewer than half of ours, if we have more than `share`.
    pub(crate) fn balance(&mut self, share: usize, free_of: impl Fn(WorkerId) -> usize) {
        for at in 0..self.neighbors.len() {
            let Some(neighbor) = self.neighbors.get_mut(at) else { return };
            if self.pool.len() <= share || free_of(neighbor.worker) * 2 >= self.pool.len() {
                continue;
            }
            // Half of the ring stays for packets: who sleeps takes nothing out.
            let room = neighbor.to.slots().saturating_sub(HANDOFF_MAX / 2);
            for _ in 0..(self.pool.len() - share).min(room) {
                let Some(frame) = self.pool.take() else { break };
                neighbor.is_given = true;
                if let Err(rtrb::PushError::Full(Handoff::Return(frame) | Handoff::Transmit(frame))) =
                    neighbor.to.push(Handoff::Return(frame))
                {
                    self.pool.give(frame);
                    break;
                }
            }
        }
    }

    #[inline]
    fn send(&mut self, frame: Frame, arena: &Arena, counters: &WorkerCounters) {
        let meta = arena.meta(&frame);
        let (rx_port, tx_port) = (meta.rx_port, meta.tx_port);
        let reason = match self.ways.get_mut(tx_port.index()) {
            Some(Some(Way::Own { frames, .. })) => {
                if frames.len() < TX_QUEUE_MAX {
                    frames.push(frame);
                    self.waiting += 1;
                    return;
                }
                DropReason::TxRingFull
            }
            Some(Some(Way::Remote(worker))) => {
                let worker = *worker;
                return self.hand_over(frame, worker, rx_port, counters);
            }
            Some(None) | None => DropReason::PortGone,
        };
        counters.dropped(rx_port, reason);
        self.pool.give(frame);
    }

    fn hand_over(&mut self, frame: Frame, worker: WorkerId, rx_port: PortId, counters: &WorkerCounters) {
        let frame = match self.neighbors.iter_mut().find(|n| n.worker == worker) {
            Some(neighbor) => match neighbor.to.push(Handoff::Transmit(frame)) {
                Ok(()) => {
                    neighbor.is_given = true;
                    counters.law.handoff_out.add(1);
                    return;
                }
                Err(rtrb::PushError::Full(Handoff::Transmit(frame) | Handoff::Return(frame))) => {
                    neighbor.is_given = true;
                    frame
                }
            },
            None => frame,
        };
        counters.dropped(rx_port, DropReason::HandoffFull);
        self.pool.give(frame);
    }
}

impl Sink for Outlets {
    #[inline]
    fn transmit(&mut self, cx: &Cx<'_>, batch: &mut Batch) {
        // Most batches leave by one port: its queue is found once for all of them.
        if let Some(port) = common_port(cx.arena, batch)
            && let Some(Some(Way::Own { frames, .. })) = self.ways.get_mut(port.index())
            && frames.len() + batch.len() <= TX_QUEUE_MAX
        {
            self.waiting += batch.len();
            return batch.drain(|frame| frames.push(frame));
        }
        batch.drain(|frame| self.send(frame, cx.arena, cx.counters));
    }

    #[inline]
    fn free(&mut self, batch: &mut Batch) {
        batch.drain(|frame| self.pool.give(frame));
    }

    #[inline]
    fn take(&mut self) -> Option<Frame> {
        self.pool.take()
    }
}

/// The port that all frames of a batch leave by, if it is one.
#[inline]
fn common_port(arena: &Arena, batch: &Batch) -> Option<PortId> {
    let (first, rest) = batch.frames().split_first()?;
    let port = arena.meta(first).tx_port;
    rest.iter().all(|frame| arena.meta(frame).tx_port == port).then_some(port)
}
