//! The transmitting end: a port on AF_XDP, and a run of packets through its queues.

use std::sync::Arc;

use ze_graph::{Arena, BATCH_MAX, Batch, Frame, FramePool, HEADROOM_BYTES};
use ze_packet::PortId;
use ze_xsk::{Device, OpenedPort, PortReport, PortSpec, Umem, open_port};

use super::TrafficError;
use super::clock::now_ns;
use super::pace::{Pace, Rate, Stop};
use super::packets::Packets;
use super::signature::Signature;

/// Frames sent in one go: what one wake-up of the kernel sends in copy mode (TX_BATCH_SIZE of `net/xdp/xsk.c`).
const BURST: u64 = 32;
/// Frames for each queue to receive into: the generator's end receives next to nothing.
const FILL_FRAMES: u32 = 256;
/// Entries of a transmit ring.
const TRANSMIT_FRAMES: u32 = 1024;
/// Frames in the generator's hands for each queue. Few, so that they stay in the cache.
const FREE_FRAMES: u32 = 1024;

/// A port to send by. What it receives is counted and thrown away.
pub struct Generator {
    port: OpenedPort,
    arena: Arc<Arena>,
    pool: FramePool,
    /// By queue: written, and not yet taken by the ring.
    waiting: Vec<Vec<Frame>>,
    /// Frames that came back by the generator's device.
    pub returned: u64,
}

impl Generator {
    /// Opens all queues of a device of the network namespace that the calling thread is in.
    ///
    /// # Errors
    /// When the port can not be opened.
    pub fn open(device: &str) -> Result<Self, TrafficError> {
        let device = Device::by_name(device)?;
        let queues = device.rx_queues()?;
        let (arena, mut frames) = Arena::allocate(queues * (FILL_FRAMES + FREE_FRAMES), false)?;
        let (arena, all) = (Arc::new(arena), frames.len());
        let mut spec = PortSpec::new(PortId(0), device);
        (spec.fill_frames, spec.transmit_frames, spec.promiscuous) = (FILL_FRAMES, TRANSMIT_FRAMES, true);
        let port = open_port(spec, &Umem::new(Arc::clone(&arena)), &mut frames)?;
        let waiting = port.queues.iter().map(|_| Vec::with_capacity(FREE_FRAMES as usize)).collect();
        Ok(Self { port, arena, pool: FramePool::new(frames, all), waiting, returned: 0 })
    }

    /// What the port became.
    #[must_use]
    pub const fn report(&self) -> &PortReport {
        &self.port.report
    }

    /// How many queues it sends by.
    #[must_use]
    pub fn queues(&self) -> usize {
        self.port.queues.len()
    }

    /// A frame to be written, for a queue; false when none is free, or the queue is behind.
    #[inline]
    pub fn prepare(&mut self, queue: usize, write: impl FnOnce(&mut [u8]) -> usize) -> bool {
        if self.waiting[queue].len() >= BATCH_MAX {
            return false;
        }
        let Some(mut frame) = self.pool.take() else { return false };
        let (meta, chunk) = self.arena.parts_mut(&mut frame);
        let len_bytes = write(&mut chunk[HEADROOM_BYTES..]);
        (meta.data_offset, meta.len) = (HEADROOM_BYTES as u16, len_bytes as u16);
        self.waiting[queue].push(frame);
        true
    }

    /// Hands what was prepared to the kernel and takes back what it has sent. Returns how many the rings took.
    #[inline]
    pub fn push(&mut self) -> usize {
        let mut taken = 0;
        for (port, waiting) in self.port.queues.iter_mut().zip(&mut self.waiting) {
            taken += port.transmit(&self.arena, waiting);
            port.wake();
            port.complete(&mut self.pool);
        }
        taken
    }

    /// Empties the receive side.
    pub fn discard_received(&mut self) {
        let mut batch = Batch::new();
        for port in &mut self.port.queues {
            self.returned += port.receive(&self.arena, &mut batch) as u64;
            batch.drain(|frame| self.pool.give(frame));
            port.refill(&mut self.pool, 0);
        }
    }

    /// Frames that were given to the kernel and not completed, or wait for it.
    #[must_use]
    pub fn under_way(&self) -> usize {
        let sending = |port: &dyn ze_graph::Port| port.stats().tx_level.get() as usize;
        let waiting: usize = self.waiting.iter().map(Vec::len).sum();
        waiting + self.port.queues.iter().map(|port| sending(port.as_ref())).sum::<usize>()
    }

    /// Closes the port.
    pub fn close(self) {
        self.port.close();
    }
}

/// One run of packets.
pub struct Transmission<'a> {
    packets: &'a Packets,
    run: u16,
    pace: Pace,
    sequences: Vec<u32>,
    /// The next packet's number over all queues.
    number: u64,
    /// How many of those that are due had no room yet.
    owed: u64,
    started_ns: u64,
    /// When the last burst was handed over.
    ended_ns: u64,
    /// Packets that rings took.
    pub sent: u64,
}

impl<'a> Transmission<'a> {
    /// Begins now.
    #[must_use]
    pub fn start(packets: &'a Packets, run: u16, rate: Rate, stop: Stop, generator: &Generator) -> Self {
        let now_ns = now_ns();
        Self {
            packets,
            run,
            pace: Pace::start(rate, stop, now_ns),
            sequences: vec![0; generator.queues()],
            number: 0,
            owed: 0,
            started_ns: now_ns,
            ended_ns: now_ns,
            sent: 0,
        }
    }

    /// Sends what is due. False once everything was sent.
    #[inline]
    pub fn step(&mut self, generator: &mut Generator) -> bool {
        let now_ns = now_ns();
        self.owed += self.pace.due(now_ns, BURST.saturating_sub(self.owed));
        while self.owed > 0 && self.write(generator, now_ns as u32) {
            self.owed -= 1;
        }
        let taken = generator.push() as u64;
        if taken > 0 {
            self.sent += taken;
            self.ended_ns = now_ns;
        }
        !(self.pace.is_over(now_ns) && self.sent == self.number && self.owed == 0)
    }

    #[inline]
    fn write(&mut self, generator: &mut Generator, now_ns: u32) -> bool {
        // A flow keeps its queue, as with receive side scaling.
        let flow = self.number % self.packets.flows() as u64;
        let queue = (flow % self.sequences.len() as u64) as usize;
        let sequence = self.sequences[queue];
        let signature = Signature { run: self.run, stream: queue as u16, sequence, sent_at_ns: now_ns };
        let number = self.number;
        let prepared = generator.prepare(queue, |out| self.packets.write(number, signature, out));
        if prepared {
            self.number += 1;
            self.sequences[queue] = sequence.wrapping_add(1);
        }
        prepared
    }

    /// From the first packet to the last, nanoseconds.
    #[must_use]
    pub const fn elapsed_ns(&self) -> u64 {
        self.ended_ns - self.started_ns
    }

    /// How long the schedule had to be stretched because the generator was late.
    #[must_use]
    pub const fn slipped_ns(&self) -> u64 {
        self.pace.slipped_ns
    }

    /// Of that, how long the generator did not have its core.
    #[must_use]
    pub const fn away_ns(&self) -> u64 {
        self.pace.away_ns
    }
}
