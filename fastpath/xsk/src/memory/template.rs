//! A port that costs next to nothing: what is measured with it is the graph.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use ze_graph::{Arena, Batch, FRAME_BYTES_MAX, Frame, FramePool, HEADROOM_BYTES, Port, QueueStats};
use ze_packet::PortId;

/// How much of a packet is written anew each time it is received: everything that a router changes.
const HEADER_BYTES: usize = 128;

/// A packet that is received again and again.
#[derive(Clone, Debug)]
pub struct Template {
    header: [u8; HEADER_BYTES],
    len: u16,
}

impl Template {
    /// A packet, of which the first 128 bytes are kept; the rest has no meaning to a router.
    pub fn new(packet: &[u8]) -> Self {
        let mut header = [0; HEADER_BYTES];
        let kept = packet.len().min(HEADER_BYTES);
        header[..kept].copy_from_slice(&packet[..kept]);
        Self { header, len: packet.len().min(FRAME_BYTES_MAX) as u16 }
    }
}

/// Looks at a packet that was sent.
pub type Sample = Box<dyn FnMut(&[u8]) + Send>;

/// A port that always has packets, made from templates in turn, and swallows what it sends. It neither allocates nor
/// calls the system.
pub struct TemplatePort {
    id: PortId,
    templates: Box<[Template]>,
    next: usize,
    /// Packets left to receive.
    remaining: u64,
    fill: Vec<Frame>,
    fill_frames: usize,
    completed: Vec<Frame>,
    /// Every so many packets one is shown; 0 for none.
    sample_every: u64,
    sample: Sample,
    sent: u64,
    stats: Arc<QueueStats>,
}

impl TemplatePort {
    /// A port that holds `fill_frames` frames to receive into, and sends up to as many before they are completed.
    ///
    /// # Panics
    /// When there is no template.
    pub fn new(id: PortId, templates: Vec<Template>, fill_frames: usize) -> Self {
        assert!(!templates.is_empty(), "a template port without templates");
        Self {
            id,
            templates: templates.into_boxed_slice(),
            next: 0,
            remaining: u64::MAX,
            fill: Vec::with_capacity(fill_frames),
            fill_frames,
            completed: Vec::with_capacity(fill_frames),
            sample_every: 0,
            sample: Box::new(|_| ()),
            sent: 0,
            stats: Arc::default(),
        }
    }

    /// Ends the supply after this many packets more.
    pub fn limit(&mut self, packets: u64) {
        self.remaining = packets;
    }

    /// Shows every `every`th packet that is sent, the first included.
    pub fn sample(&mut self, every: u64, sample: Sample) {
        self.sample_every = every;
        self.sample = sample;
    }
}

impl Port for TemplatePort {
    fn id(&self) -> PortId {
        self.id
    }

    fn receive(&mut self, arena: &Arena, batch: &mut Batch) -> usize {
        let count =
            batch.room().min(self.fill.len()).min(usize::try_from(self.remaining).unwrap_or(usize::MAX));
        let mut len_bytes = 0;
        for mut frame in self.fill.drain(self.fill.len() - count..) {
            let template = &self.templates[self.next];
            self.next = if self.next + 1 == self.templates.len() { 0 } else { self.next + 1 };
            arena.chunk_mut(&mut frame)[HEADROOM_BYTES..HEADROOM_BYTES + HEADER_BYTES]
                .copy_from_slice(&template.header);
            arena.meta_mut(&mut frame).received(self.id, HEADROOM_BYTES as u16, template.len);
            len_bytes += u64::from(template.len);
            let full = batch.push(frame);
            debug_assert!(full.is_ok(), "the batch has room for what was asked for");
        }
        self.remaining -= count as u64;
        self.stats.rx_packets.add(count as u64);
        self.stats.rx_bytes.add(len_bytes);
        count
    }

    fn transmit(&mut self, arena: &Arena, queue: &mut Vec<Frame>) -> usize {
        let count = queue.len().min(self.fill_frames - self.completed.len());
        if count < queue.len() {
            self.stats.tx_ring_full.add(1);
        }
        let mut len_bytes = 0;
        for frame in queue.drain(..count) {
            let packet = arena.packet(&frame);
            len_bytes += packet.len() as u64;
            if self.sample_every > 0 && self.sent.is_multiple_of(self.sample_every) {
                (self.sample)(packet);
            }
            self.sent += 1;
            self.completed.push(frame);
        }
        self.stats.tx_packets.add(count as u64);
        self.stats.tx_bytes.add(len_bytes);
        count
    }

    fn complete(&mut self, pool: &mut FramePool) -> usize {
        let count = self.completed.len();
        self.completed.drain(..).for_each(|frame| pool.give(frame));
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
            self.fill.push(frame);
            count += 1;
        }
        self.stats.fill_level.set(self.fill.len() as u64);
        count
    }

    fn wake(&mut self) {}

    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn held(&self) -> usize {
        self.fill.len() + self.completed.len()
    }

    fn stats(&self) -> Arc<QueueStats> {
        Arc::clone(&self.stats)
    }

    fn close(self: Box<Self>) -> Vec<Frame> {
        let Self { mut fill, completed, .. } = *self;
        fill.extend(completed);
        fill
    }
}
