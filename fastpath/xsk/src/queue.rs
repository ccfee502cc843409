//! One AF_XDP queue pair in the hands of one worker.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::xdp::{XdpDesc, XdpDescOptions};
use ze_graph::{Arena, Batch, CHUNK_BYTES, Frame, FramePool, Port, QueueStats, RECEIVE_MAX};
use ze_packet::PortId;

use crate::health::LastError;
use crate::ledger::Ledger;
use crate::mapping::Rings;
use crate::socket::{Socket, is_transient};
use crate::umem::wait_until_unbound;

const CHUNK: u64 = CHUNK_BYTES as u64;
/// An Ethernet header. The kernel takes shorter frames out of the ring and never completes them.
const FRAME_BYTES_MIN: usize = 14;
/// How many frames one wake-up sends in copy mode: TX_BATCH_SIZE of `net/xdp/xsk.c`.
const FRAMES_PER_WAKE: u32 = 32;

/// A bound socket, its rings and the frames that it holds.
pub(crate) struct XskQueue {
    // Rings before the socket: while one is mapped, closing the socket does not free the queue.
    rings: Rings,
    socket: Arc<Socket>,
    ledger: Ledger,
    /// Frames the kernel may receive into: in the fill ring, in its hands, or in the receive ring.
    receiving: u32,
    /// Frames given for transmission and not completed.
    sending: u32,
    /// Frames that the kernel would not have given back, on their way to the pool.
    unfit: Vec<Frame>,
    settings: Settings,
    stats: Arc<QueueStats>,
    last_error: Arc<LastError>,
}

/// What a queue pair is told when it is made.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) id: PortId,
    pub(crate) ifindex: u32,
    pub(crate) queue: u32,
    pub(crate) zero_copy: bool,
    /// Frames to keep on the receive side.
    pub(crate) fill_frames: u32,
    pub(crate) transmit_size: u32,
}

impl XskQueue {
    /// Takes over a bound socket whose fill ring already holds the addresses of `filled`.
    pub(crate) fn new(
        socket: Arc<Socket>,
        rings: Rings,
        filled: impl Iterator<Item = Frame>,
        chunks: u32,
        settings: Settings,
    ) -> Self {
        let mut ledger = Ledger::new(chunks);
        for frame in filled {
            ledger.give(frame);
        }
        Self {
            rings,
            socket,
            receiving: ledger.count() as u32,
            ledger,
            sending: 0,
            unfit: Vec::with_capacity(settings.transmit_size as usize),
            settings,
            stats: Arc::default(),
            last_error: Arc::default(),
        }
    }

    pub(crate) fn last_error(&self) -> Arc<LastError> {
        Arc::clone(&self.last_error)
    }

    /// The descriptor of a frame to be sent, or none if the kernel would swallow it.
    #[inline]
    fn describe(arena: &Arena, frame: &Frame) -> Option<(u16, u16)> {
        let meta = arena.meta(frame);
        let end = usize::from(meta.data_offset) + usize::from(meta.len);
        let fits = usize::from(meta.len) >= FRAME_BYTES_MIN && end <= CHUNK_BYTES;
        fits.then_some((meta.data_offset, meta.len))
    }

    fn wake_transmit(&mut self) {
        let mut left = self.rings.transmit.level();
        // In zero copy mode one call is enough for all. In copy mode each sends a few, until there is nothing left or
        // the device takes no more; the ring's size bounds the loop.
        let calls =
            if self.settings.zero_copy { 1 } else { self.settings.transmit_size / FRAMES_PER_WAKE + 1 };
        for _ in 0..calls {
            if left == 0 || !self.rings.transmit.needs_wakeup() {
                break;
            }
            self.stats.tx_wakes.add(1);
            if !self.noted(self.socket.wake_transmit()) {
                break;
            }
            let now_left = self.rings.transmit.level();
            if now_left >= left {
                break;
            }
            left = now_left;
        }
    }

    /// Remembers how a wake-up went. False when there is no point in another.
    fn noted(&self, done: rustix::io::Result<()>) -> bool {
        match done {
            Ok(()) => self.last_error.set(0),
            Err(why) if is_transient(why) => self.last_error.set(0),
            Err(why) => {
                self.stats.errors.add(1);
                self.last_error.set(why.raw_os_error());
                return false;
            }
        }
        true
    }

    fn close_and_return(self) -> Vec<Frame> {
        let Self { rings, socket, mut ledger, mut unfit, settings, .. } = self;
        drop(rings);
        wait_until_last(socket);
        if settings.zero_copy {
            wait_until_unbound(settings.ifindex, settings.queue);
        }
        unfit.extend(ledger.take_all());
        unfit
    }
}

impl Port for XskQueue {
    fn id(&self) -> PortId {
        self.settings.id
    }

    fn receive(&mut self, arena: &Arena, batch: &mut Batch) -> usize {
        let wanted = batch.room().min(RECEIVE_MAX) as u32;
        let count = self.rings.receive.ready(wanted).min(wanted);
        if count == 0 {
            return 0;
        }
        let mut taken = 0;
        let mut len_bytes = 0;
        for _ in 0..count {
            let Some(received) = self.rings.receive.read() else { break };
            let Some(mut frame) = self.ledger.take(received.addr / CHUNK) else {
                self.stats.errors.add(1);
                continue;
            };
            // The kernel says where in the chunk the packet lies; drivers differ in the headroom they leave.
            let offset = (received.addr % CHUNK) as u16;
            // The whole batch is asked for here; by the time the first node runs, its first packets have come.
            arena.prefetch(&frame, usize::from(offset));
            arena.meta_mut(&mut frame).received(self.settings.id, offset, received.len as u16);
            taken += 1;
            len_bytes += u64::from(received.len);
            // There is room: `wanted` is the batch's.
            let full = batch.push(frame);
            debug_assert!(full.is_ok(), "the batch has room for what was asked for");
        }
        self.rings.receive.release();
        self.receiving -= taken;
        self.stats.rx_packets.add(u64::from(taken));
        self.stats.rx_bytes.add(len_bytes);
        taken as usize
    }

    fn transmit(&mut self, arena: &Arena, queue: &mut Vec<Frame>) -> usize {
        let wanted = u32::try_from(queue.len()).unwrap_or(u32::MAX);
        if wanted == 0 {
            return 0;
        }
        let count = self.rings.transmit.free(wanted).min(wanted);
        if count < wanted {
            self.stats.tx_ring_full.add(1);
        }
        let mut len_bytes = 0;
        let mut given = 0;
        for frame in queue.drain(..count as usize) {
            let Some((offset, len)) = Self::describe(arena, &frame) else {
                self.stats.errors.add(1);
                self.unfit.push(frame);
                continue;
            };
            let addr = u64::from(self.ledger.give(frame)) * CHUNK + u64::from(offset);
            self.rings.transmit.write(XdpDesc {
                addr,
                len: u32::from(len),
                options: XdpDescOptions::empty(),
            });
            given += 1;
            len_bytes += u64::from(len);
        }
        self.rings.transmit.publish();
        self.sending += given;
        self.stats.tx_packets.add(u64::from(given));
        self.stats.tx_bytes.add(len_bytes);
        count as usize
    }

    fn complete(&mut self, pool: &mut FramePool) -> usize {
        let mut returned = self.unfit.len();
        self.unfit.drain(..).for_each(|frame| pool.give(frame));
        if self.sending > 0 && self.rings.completion.ready(self.sending) > 0 {
            while let Some(address) = self.rings.completion.read() {
                match self.ledger.take(address / CHUNK) {
                    Some(frame) => {
                        pool.give(frame);
                        self.sending = self.sending.saturating_sub(1);
                        returned += 1;
                    }
                    None => self.stats.errors.add(1),
                }
            }
            self.rings.completion.release();
        }
        self.stats.tx_level.set(u64::from(self.sending));
        returned
    }

    fn refill(&mut self, pool: &mut FramePool, reserve: usize) -> usize {
        // What is out is known without a look at the ring, whose lines belong to the kernel.
        let missing = self.settings.fill_frames.saturating_sub(self.receiving);
        if missing == 0 {
            return 0;
        }
        let spare = u32::try_from(pool.len().saturating_sub(reserve)).unwrap_or(u32::MAX);
        if spare < missing {
            self.stats.fill_starved.add(1);
        }
        let wanted = missing.min(spare);
        let count = self.rings.fill.free(wanted).min(wanted);
        let mut given = 0;
        while given < count {
            let Some(frame) = pool.take() else { break };
            self.rings.fill.write(u64::from(self.ledger.give(frame)) * CHUNK);
            given += 1;
        }
        if given > 0 {
            self.rings.fill.publish();
        }
        self.receiving += given;
        self.stats.fill_level.set(u64::from(self.receiving));
        given as usize
    }

    fn wake(&mut self) {
        if self.sending > 0 {
            self.wake_transmit();
        }
        if self.rings.fill.needs_wakeup() {
            self.stats.rx_wakes.add(1);
            self.noted(self.socket.wake_receive());
        }
    }

    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    fn is_waiting(&mut self) -> bool {
        self.receiving < self.settings.fill_frames / 2
            || (self.sending > 0 && self.rings.transmit.level() > 0)
    }

    fn held(&self) -> usize {
        self.ledger.count() + self.unfit.len()
    }

    fn stats(&self) -> Arc<QueueStats> {
        Arc::clone(&self.stats)
    }

    fn close(self: Box<Self>) -> Vec<Frame> {
        self.close_and_return()
    }
}

/// Closes the socket for certain. A monitor that looks at this moment holds it for some microseconds.
fn wait_until_last(mut socket: Arc<Socket>) {
    let deadline = Instant::now() + Duration::from_secs(1);
    loop {
        match Arc::try_unwrap(socket) {
            Ok(last) => return drop(last),
            Err(shared) if Instant::now() > deadline => return drop(shared),
            Err(shared) => socket = shared,
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}
