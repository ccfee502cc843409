//! One AF_XDP queue pair in the hands of one worker.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::xdp::{XdpDesc, XdpDescOptions};
use ze_graph::{Arena, Batch, CHUNK_BYTES, Frame, FramePool, Port, QueueStats, RECEIVE_MAX};
use ze_packet::{PortId, WorkerId};

use crate::exchange::{BELL_ADDRESS, BELL_BYTES, Exchange, Outgoing};
use crate::health::LastError;
use crate::ledger::Ledger;
use crate::mapping::Rings;
use crate::socket::{Socket, is_transient};
use crate::umem::wait_until_unbound;

const CHUNK: u64 = CHUNK_BYTES as u64;
/// An Ethernet header. The kernel takes shorter frames out of the ring and never completes them.
const FRAME_BYTES_MIN: usize = 14;
/// How many frames may wait behind those that wait for pages, before all go by the socket.
const BACKLOG_MAX: usize = 128;
/// Fewer are not worth a system call as long as others leave in pages.
const FEW_FRAMES: usize = 16;
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
    /// Frames that the kernel would not give back, on their way to the pool: it would have swallowed them, or a page has
    /// carried their bytes away.
    unfit: Vec<Frame>,
    /// The way beside the socket, in copy mode.
    exchange: Option<Exchange>,
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
        exchange: Option<Exchange>,
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
            exchange,
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

    fn receive_by_socket(&mut self, arena: &Arena, batch: &mut Batch, most: usize) -> usize {
        let wanted = batch.room().min(most) as u32;
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
            if self.exchange.is_some() && is_bell(arena, &frame, offset, received.len) {
                self.receiving -= 1;
                self.unfit.push(frame);
                continue;
            }
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

    /// Adds what came without the socket.
    fn receive_exchanged(&mut self, arena: &Arena, batch: &mut Batch, most: usize) -> usize {
        let Some(exchange) = &mut self.exchange else { return 0 };
        let (count, len_bytes) = exchange.receive(arena, self.settings.id, batch, most);
        self.stats.rx_packets.add(count as u64);
        self.stats.rx_bytes.add(len_bytes as u64);
        self.stats.rx_exchanged.add(count as u64);
        count
    }

    /// Gives so many of the first to the transmit ring, or as many as there is room for.
    fn transmit_by_socket(&mut self, arena: &Arena, queue: &mut Vec<Frame>, most: usize) -> usize {
        let wanted = u32::try_from(most).unwrap_or(u32::MAX);
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
            self.enter(frame, offset, len);
            given += 1;
            len_bytes += u64::from(len);
        }
        self.rings.transmit.publish();
        self.sending += given;
        self.stats.tx_packets.add(u64::from(given));
        self.stats.tx_bytes.add(len_bytes);
        count as usize
    }

    /// Writes a frame's descriptor into the transmit ring. Nobody sees it before that is published.
    #[inline]
    fn enter(&mut self, frame: Frame, offset: u16, len: u16) {
        let addr = u64::from(self.ledger.give(frame)) * CHUNK + u64::from(offset);
        self.rings.transmit.write(XdpDesc { addr, len: u32::from(len), options: XdpDescOptions::empty() });
    }

    /// Sends what is in the transmit ring. Has all of it left?
    fn is_socket_empty(&mut self) -> bool {
        if self.sending > 0 && self.rings.transmit.level() > 0 {
            self.wake_transmit();
            return self.rings.transmit.level() == 0;
        }
        true
    }

    fn has_waiting(&self) -> bool {
        self.exchange.as_ref().is_some_and(Exchange::has_waiting)
    }

    /// Gives so many of the first to pages that are to come.
    fn transmit_by_pages(&mut self, arena: &Arena, queue: &mut Vec<Frame>, count: usize) -> usize {
        let Some(exchange) = self.exchange.as_mut().filter(|_| count > 0) else { return 0 };
        let (unfit, stats) = (&mut self.unfit, &self.stats);
        let mut len_bytes = 0;
        let fit = queue.drain(..count).filter_map(|frame| match Self::describe(arena, &frame) {
            Some((offset, len)) => {
                len_bytes += u64::from(len);
                Some(Outgoing { frame, offset, len })
            }
            None => {
                stats.errors.add(1);
                unfit.push(frame);
                None
            }
        });
        let given = exchange.send(arena, fit);
        self.stats.tx_packets.add(given as u64);
        self.stats.tx_bytes.add(len_bytes);
        count
    }

    /// Puts what waits for pages into the transmit ring instead, in order, as far as there is room.
    fn take_back(&mut self) {
        let Some(exchange) = &mut self.exchange else { return };
        if !exchange.has_waiting() {
            return;
        }
        exchange.forget_credit();
        while self.rings.transmit.free(1) > 0
            && let Some(taken) = self.exchange.as_mut().and_then(Exchange::take_back)
        {
            match taken {
                Ok(Outgoing { frame, offset, len }) => {
                    self.enter(frame, offset, len);
                    self.sending += 1;
                    self.stats.tx_taken_back.add(1);
                }
                Err(Outgoing { frame, .. }) => {
                    self.stats.tx_carried.add(1);
                    self.unfit.push(frame);
                }
            }
        }
        self.rings.transmit.publish();
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
        let Self { rings, socket, mut ledger, mut unfit, settings, exchange, .. } = self;
        unfit.extend(exchange.into_iter().flat_map(Exchange::close));
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

    fn assign(&mut self, worker: WorkerId) {
        if let Some(exchange) = &mut self.exchange {
            exchange.assign(worker);
        }
    }

    fn receive(&mut self, arena: &Arena, batch: &mut Batch) -> usize {
        let Some(exchange) = &mut self.exchange else {
            return self.receive_by_socket(arena, batch, RECEIVE_MAX);
        };
        exchange.wake_up();
        let is_on = exchange.is_on();
        // What was switched over to last has the younger frames.
        if is_on {
            let by_socket = self.receive_by_socket(arena, batch, RECEIVE_MAX);
            return by_socket + self.receive_exchanged(arena, batch, RECEIVE_MAX - by_socket);
        }
        let exchanged = self.receive_exchanged(arena, batch, RECEIVE_MAX);
        if self.exchange.as_ref().is_some_and(|exchange| exchange.ready() > 0) {
            return exchanged;
        }
        let by_socket = self.receive_by_socket(arena, batch, RECEIVE_MAX - exchanged);
        if let Some(exchange) = &mut self.exchange {
            exchange.came_by_socket(by_socket);
        }
        exchanged + by_socket
    }

    fn transmit(&mut self, arena: &Arena, queue: &mut Vec<Frame>) -> usize {
        let all = queue.len();
        let Some(exchange) = self.exchange.as_ref().filter(|_| all > 0) else {
            return self.transmit_by_socket(arena, queue, all);
        };
        if exchange.is_behind() {
            return 0;
        }
        let mut by_pages = exchange.room(all);
        let longest = exchange.longest();
        if by_pages > 0 && queue.iter().any(|frame| usize::from(arena.meta(frame).len) > longest) {
            by_pages = 0;
        }
        let mut sent = 0;
        if exchange.has_waiting() && all - by_pages > BACKLOG_MAX {
            self.take_back();
            by_pages = 0;
        }
        // A few wait for the next time, when they are the oldest: a system call for each frame that is one too many costs more.
        let is_few = by_pages > 0 && all - by_pages < FEW_FRAMES;
        if !self.has_waiting() && !is_few {
            // Those for which there will be no pages, before the others.
            let by_socket = all - by_pages;
            sent = self.transmit_by_socket(arena, queue, by_socket);
            if sent < by_socket {
                return sent;
            }
        }
        // What the socket has must be gone before a page can carry what is younger.
        if by_pages > 0 && !self.is_socket_empty() {
            return sent;
        }
        sent + self.transmit_by_pages(arena, queue, by_pages)
    }

    fn complete(&mut self, pool: &mut FramePool) -> usize {
        let mut returned = self.unfit.len();
        self.unfit.drain(..).for_each(|frame| pool.give(frame));
        if let Some(exchange) = &mut self.exchange {
            let carried = exchange.carried(|frame| pool.give(frame));
            self.stats.tx_carried.add(carried as u64);
            returned += carried;
        }
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
        let stashed = self.exchange.as_mut().map_or(0, |exchange| exchange.refill(pool, reserve));
        // What is out is known without a look at the ring, whose lines belong to the kernel.
        let missing = self.settings.fill_frames.saturating_sub(self.receiving);
        if missing == 0 {
            return stashed;
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
        given as usize + stashed
    }

    fn wake(&mut self) {
        if self.exchange.as_ref().is_some_and(Exchange::is_stale) {
            self.take_back();
        }
        if self.sending > 0 {
            self.wake_transmit();
        }
        if self.rings.fill.needs_wakeup() {
            self.stats.rx_wakes.add(1);
            self.noted(self.socket.wake_receive());
        }
    }

    fn retire(&mut self) {
        while let Some(Ok(packet) | Err(packet)) = self.exchange.as_mut().and_then(Exchange::take_back) {
            self.unfit.push(packet.frame);
        }
    }

    fn prepare_sleep(&mut self) {
        if let Some(exchange) = &mut self.exchange {
            exchange.prepare_sleep();
        }
    }

    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    fn is_waiting(&mut self) -> bool {
        self.exchange.as_ref().is_some_and(Exchange::is_waiting)
            || self.receiving < self.settings.fill_frames / 2
            || (self.sending > 0 && self.rings.transmit.level() > 0)
    }

    fn held(&self) -> usize {
        let exchanged = self.exchange.as_ref().map_or(0, Exchange::held);
        self.ledger.count() + self.unfit.len() + exchanged
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

/// Is it the frame by which the XDP program ends a sleep?
fn is_bell(arena: &Arena, frame: &Frame, offset: u16, len: u32) -> bool {
    let start = usize::from(offset);
    len as usize == BELL_BYTES && arena.chunk(frame).get(start..start + 6) == Some(&BELL_ADDRESS[..])
}
