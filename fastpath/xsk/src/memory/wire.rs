//! A port whose other end is a test.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ze_graph::{
    Arena, Batch, FRAME_BYTES_MAX, Frame, FramePool, HEADROOM_BYTES, Port, QueueStats, RECEIVE_MAX,
};
use ze_packet::PortId;

/// A port in memory. Behaves as an AF_XDP queue pair does, rings, fill and completion included, and does not allocate
/// once it is made.
pub struct MemoryPort {
    id: PortId,
    wire: Arc<Mutex<Wire>>,
    fill: VecDeque<Frame>,
    fill_frames: usize,
    /// Given for transmission, not on the wire yet.
    transmit: VecDeque<Frame>,
    transmit_frames: usize,
    completed: VecDeque<Frame>,
    stats: Arc<QueueStats>,
}

/// The other end of a [`MemoryPort`]: sends into it, and takes what it sent.
#[derive(Clone)]
pub struct MemoryWire {
    wire: Arc<Mutex<Wire>>,
}

/// What is between the two.
struct Wire {
    to_port: Slots,
    from_port: Slots,
    /// How many frames the wire takes from the port until they are taken off.
    room: usize,
    /// Frames that were sent are not completed.
    hold_completions: bool,
    wakes: u64,
}

/// A queue of packets in memory that was allocated once.
struct Slots {
    packets: Box<[[u8; FRAME_BYTES_MAX]]>,
    lens: Box<[usize]>,
    first: usize,
    count: usize,
}

impl MemoryPort {
    /// A port that keeps up to `fill_frames` frames to receive into and up to `transmit_frames` to be sent, and the
    /// wire at its other end, which holds as many packets each way.
    pub fn new(id: PortId, fill_frames: usize, transmit_frames: usize) -> (Self, MemoryWire) {
        let wire = Arc::new(Mutex::new(Wire {
            to_port: Slots::new(fill_frames),
            from_port: Slots::new(transmit_frames),
            room: usize::MAX,
            hold_completions: false,
            wakes: 0,
        }));
        let port = Self {
            id,
            wire: Arc::clone(&wire),
            fill: VecDeque::with_capacity(fill_frames),
            fill_frames,
            transmit: VecDeque::with_capacity(transmit_frames),
            transmit_frames,
            completed: VecDeque::with_capacity(transmit_frames),
            stats: Arc::default(),
        };
        (port, MemoryWire { wire })
    }
}

impl Port for MemoryPort {
    fn id(&self) -> PortId {
        self.id
    }

    fn receive(&mut self, arena: &Arena, batch: &mut Batch) -> usize {
        let mut wire = lock(&self.wire);
        let mut count = 0;
        while batch.room() > 0 && count < RECEIVE_MAX && !self.fill.is_empty() {
            let Some(packet) = wire.to_port.front() else { break };
            let Some(mut frame) = self.fill.pop_front() else { break };
            let len = packet.len();
            arena.chunk_mut(&mut frame)[HEADROOM_BYTES..HEADROOM_BYTES + len].copy_from_slice(packet);
            arena.meta_mut(&mut frame).received(self.id, HEADROOM_BYTES as u16, len as u16);
            wire.to_port.pop();
            self.stats.rx_bytes.add(len as u64);
            count += 1;
            if let Err(frame) = batch.push(frame) {
                // Not reached: there was room. If it were, the frame is not lost.
                self.fill.push_front(frame);
                break;
            }
        }
        self.stats.rx_packets.add(count as u64);
        count
    }

    fn transmit(&mut self, arena: &Arena, queue: &mut Vec<Frame>) -> usize {
        let wanted = queue.len();
        let held = self.transmit.len() + self.completed.len();
        let mut wire = lock(&self.wire);
        let room = wire.room.saturating_sub(wire.from_port.count).min(wire.from_port.free());
        let count = wanted.min(self.transmit_frames.saturating_sub(held)).min(room);
        if count < wanted {
            self.stats.tx_ring_full.add(1);
        }
        for frame in queue.drain(..count) {
            let packet = arena.packet(&frame);
            self.stats.tx_bytes.add(packet.len() as u64);
            wire.from_port.push(packet);
            self.transmit.push_back(frame);
        }
        self.stats.tx_packets.add(count as u64);
        count
    }

    fn complete(&mut self, pool: &mut FramePool) -> usize {
        let count = self.completed.len();
        self.completed.drain(..).for_each(|frame| pool.give(frame));
        self.stats.tx_level.set(self.transmit.len() as u64);
        count
    }

    fn refill(&mut self, pool: &mut FramePool, reserve: usize) -> usize {
        let missing = self.fill_frames - self.fill.len();
        let spare = pool.len().saturating_sub(reserve);
        if spare < missing {
            self.stats.fill_starved.add(1);
        }
        let mut count = 0;
        while count < missing.min(spare) {
            let Some(frame) = pool.take() else { break };
            self.fill.push_back(frame);
            count += 1;
        }
        self.stats.fill_level.set(self.fill.len() as u64);
        count
    }

    fn wake(&mut self) {
        if self.transmit.is_empty() {
            return;
        }
        self.stats.tx_wakes.add(1);
        let mut wire = lock(&self.wire);
        wire.wakes += 1;
        if !wire.hold_completions {
            self.completed.extend(self.transmit.drain(..));
        }
    }

    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn held(&self) -> usize {
        self.fill.len() + self.transmit.len() + self.completed.len()
    }

    fn stats(&self) -> Arc<QueueStats> {
        Arc::clone(&self.stats)
    }

    fn close(self: Box<Self>) -> Vec<Frame> {
        let Self { fill, transmit, completed, .. } = *self;
        fill.into_iter().chain(transmit).chain(completed).collect()
    }
}

impl MemoryWire {
    /// Sends a packet into the port. False when the queue towards it is full, or the packet is too long for a chunk.
    pub fn send(&self, packet: &[u8]) -> bool {
        lock(&self.wire).to_port.push(packet)
    }

    /// Takes the packets that the port sent, in order.
    pub fn take(&self) -> Vec<Vec<u8>> {
        let mut wire = lock(&self.wire);
        let mut packets = Vec::with_capacity(wire.from_port.count);
        while let Some(packet) = wire.from_port.front() {
            packets.push(packet.to_vec());
            wire.from_port.pop();
        }
        packets
    }

    /// Drops the packets that the port sent, without a copy. Returns how many.
    pub fn discard(&self) -> usize {
        let mut wire = lock(&self.wire);
        std::mem::take(&mut wire.from_port.count)
    }

    /// Packets on the way to the port.
    pub fn waiting(&self) -> usize {
        lock(&self.wire).to_port.count
    }

    /// From now on the wire takes only this many packets until they are taken off: a slow peer.
    pub fn limit(&self, packets: usize) {
        lock(&self.wire).room = packets;
    }

    /// Whether frames that were sent stay in the port's hands: a device that does not complete.
    pub fn hold_completions(&self, hold: bool) {
        lock(&self.wire).hold_completions = hold;
    }

    /// How often the port was woken with something to send.
    pub fn wakes(&self) -> u64 {
        lock(&self.wire).wakes
    }
}

impl Slots {
    fn new(count: usize) -> Self {
        let packets = vec![[0; FRAME_BYTES_MAX]; count].into_boxed_slice();
        Self { packets, lens: vec![0; count].into_boxed_slice(), first: 0, count: 0 }
    }

    fn free(&self) -> usize {
        self.packets.len() - self.count
    }

    fn push(&mut self, packet: &[u8]) -> bool {
        if self.free() == 0 || packet.len() > FRAME_BYTES_MAX {
            return false;
        }
        let at = (self.first + self.count) % self.packets.len();
        self.packets[at][..packet.len()].copy_from_slice(packet);
        self.lens[at] = packet.len();
        self.count += 1;
        true
    }

    fn front(&self) -> Option<&[u8]> {
        (self.count > 0).then(|| &self.packets[self.first][..self.lens[self.first]])
    }

    fn pop(&mut self) {
        if self.count > 0 {
            self.first = (self.first + 1) % self.packets.len();
            self.count -= 1;
        }
    }
}

fn lock(wire: &Mutex<Wire>) -> MutexGuard<'_, Wire> {
    wire.lock().unwrap_or_else(PoisonError::into_inner)
}
