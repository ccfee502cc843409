//! Receiving and sending without a socket: pages exchanged with the XDP program.
//!
//! A socket in copy mode costs, for each frame, a copy in, and on the way out a socket buffer, a copy and a walk through the
//! kernel's stack. The page that a frame came in is thrown away once it is copied. Here it carries another frame out:
//!
//! ```text
//!  device ─page─▶ XDP program ── copies the frame in ──▶ slots of its queue ──▶ receive ─▶ graph
//!                     │  ▲                                                                   │
//!                     │  └──── copies a frame out ◀──── slots of the worker's lane ◀──── transmit
//!                     └─page─▶ the device it leaves by (XDP_REDIRECT)
//! ```
//!
//! Nothing is allocated, and nobody makes a system call. It pays where pages come as fast as frames leave, so:
//!
//! - A queue is **off** at first: its frames come through its socket. A busy burst switches it **on**, if frames leave by
//!   devices that take pages; quiet times switch it off again.
//! - Frames are given to the lane only as far as pages have been seen coming (its *credit*); the others leave by the socket,
//!   before them. When no page has come for [`PATIENCE`], those that wait are **taken back**, and leave by the socket, too.
//! - The socket also wakes a worker that sleeps: the program sends a *bell* there, a frame that says nothing.
//! - Both sides may take what is in a slot of a lane: who sets its device to 0 has the frame.
//!
//! All of a worker's queues share its lane, and only its thread writes to it. Ring and socket are both looked at, the one
//! that holds older frames first. See ADR 0008.

mod memory;

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use std::time::Duration;

use ze_graph::{Arena, Batch, Frame, FramePool, HEADROOM_BYTES, RECEIVE_MAX, clock};
use ze_packet::{PortId, WorkerId};
use ze_redirect::{EXCHANGE_IFINDEX_MAX, EXCHANGE_SLOTS};

use memory::{IndexMap, Indices, SlotMap};

/// How long a frame waits when no page comes.
const PATIENCE: Duration = Duration::from_micros(100);
/// How long a frame waits although pages come. A busy worker may take longer than [`PATIENCE`] between two turns of the soft interrupt;
/// if that were too long, it would send by the socket, which takes longer still, and never find back.
const AGE_MAX: Duration = Duration::from_micros(500);
/// Frames received at once that switch a queue on.
const BUSY_FRAMES: usize = 32;
/// Frames received at once whose pages may be counted upon to be followed by as many.
const STREAM_FRAMES: usize = 16;
/// Receptions of fewer, one after the other, after which no pages are counted upon.
const TRICKLE_TIMES: u32 = 2;
/// Sleeps with less than a busy burst between them that switch a queue off.
const QUIET_SLEEPS: u32 = 16;
/// Frames that end a sleep in the middle of a stream; else one does. A worker that is woken for each turn of its device's soft
/// interrupt (64 frames) spends a third of its time on being woken.
const WAKE_FRAMES: u32 = 128;
/// Frames have recently been sent by a device that takes pages, if it is not longer ago than this.
const DEMAND: Duration = Duration::from_millis(100);
/// Frames without a page after which a queue is switched off, and for how long.
const UNPAID_MAX: usize = 4 * EXCHANGE_SLOTS as usize;
const REST: Duration = Duration::from_secs(1);
/// Frames of a queue that wait in its lane at most. All may leave in one turn of a soft interrupt, and a veth's other end has room
/// for 256.
const WAITING_MAX: usize = 192;
/// What the kernel lets a redirected frame have beside its device's MTU: a header with one tag (`xdp_ok_fwd_dev`).
const ONE_TAG_BYTES: usize = 14 + 4;
/// How the program's bell begins, and its length: it only ends a sleep.
pub(crate) const BELL_ADDRESS: [u8; 6] = *b"\x02zebel";
pub(crate) const BELL_BYTES: usize = 14;
/// Pages that are counted upon at most.
const CREDIT_MAX: u32 = EXCHANGE_SLOTS / 2;

/// `enum state` of the program.
const OFF: u32 = 0;
const AWAKE: u32 = 1;
const ASLEEP: u32 = 2;

/// By what workers send without their sockets: a lane for each. One for the process.
pub struct Lanes {
    maps: ze_redirect::Lanes,
    indices: IndexMap,
    slots: SlotMap,
    lanes: Vec<Lane>,
}

/// What a worker knows of its lane. Written by its thread only.
#[derive(Default)]
struct Lane {
    /// Pages that may be counted upon.
    credit: AtomicU32,
    /// When frames were last sent by a device that takes pages, cycles.
    demand: AtomicU64,
}

impl Lanes {
    /// Lanes for so many workers.
    ///
    /// # Errors
    /// When the kernel has no such maps, or they can not be mapped.
    pub fn new(workers: usize) -> std::io::Result<Self> {
        let maps = ze_redirect::Lanes::new(workers as u32).map_err(std::io::Error::other)?;
        let count = maps.count();
        Ok(Self {
            indices: IndexMap::map(maps.indices(), count)?,
            slots: SlotMap::map(maps.slots(), count)?,
            lanes: std::iter::repeat_with(Lane::default).take(count).collect(),
            maps,
        })
    }

    pub(crate) const fn count(&self) -> usize {
        self.lanes.len()
    }

    pub(crate) const fn maps(&self) -> &ze_redirect::Lanes {
        &self.maps
    }
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} lanes", self.lanes.len())
    }
}

/// The rings of a port's queues, in memory.
pub(crate) struct PortRings {
    indices: IndexMap,
    slots: SlotMap,
}

impl PortRings {
    pub(crate) fn map(exchange: &ze_redirect::Exchange, queues: u32) -> std::io::Result<Self> {
        Ok(Self {
            indices: IndexMap::map(exchange.indices(), queues as usize)?,
            slots: SlotMap::map(exchange.slots(), queues as usize)?,
        })
    }
}

/// Does a device take pages now? Told by the control thread.
#[derive(Debug)]
pub(crate) struct Takes {
    ifindex: u32,
    longest: usize,
    now: AtomicBool,
    /// For each lane, which queue of the port has something in it: its number and one, or 0.
    waiting: Box<[AtomicU32]>,
}

impl Takes {
    pub(crate) fn new(ifindex: u32, mtu: u32, lanes: usize) -> Self {
        Self {
            ifindex,
            longest: mtu as usize + ONE_TAG_BYTES,
            now: AtomicBool::new(false),
            waiting: std::iter::repeat_with(AtomicU32::default).take(lanes).collect(),
        }
    }

    pub(crate) fn tell(&self, targets: &HashSet<u32>) {
        // A slot has no room for more.
        let is_small = self.ifindex <= EXCHANGE_IFINDEX_MAX;
        self.now.store(is_small && targets.contains(&self.ifindex), Ordering::Relaxed);
    }

    fn now(&self) -> bool {
        self.now.load(Ordering::Relaxed)
    }
}

/// A frame in the lane.
struct Waiting {
    /// Its index there.
    index: u32,
    packet: Outgoing,
    /// When it was put there, cycles.
    since: u64,
}

/// One queue's part.
pub(crate) struct Exchange {
    lanes: Arc<Lanes>,
    rings: Arc<PortRings>,
    takes: Arc<Takes>,
    /// The lane of the worker that has the queue; none until it is known.
    lane: Option<usize>,
    queue: usize,
    is_on: bool,
    is_asleep: bool,
    /// The worker is woken for a number of frames only, or after a while.
    is_streaming: bool,
    /// Our index into the queue's ring.
    next: u32,
    /// The count of pages that the credit has been given for.
    pages: u32,
    trickles: u32,
    /// Frames received since a page was last counted.
    unpaid: usize,
    /// When it was given up for want of pages, cycles.
    given_up: Option<u64>,
    quiet: u32,
    /// Received at once at most since the last sleep.
    burst: usize,
    /// Free frames to receive into.
    stash: Vec<Frame>,
    /// What is in the lane, in order, with its index there.
    waiting: VecDeque<Waiting>,
    /// When a page last carried something of ours, cycles.
    moved: u64,
    patience: u64,
    age_max: u64,
    demand: u64,
    rest: u64,
}

/// A frame that is to be sent, and where in its chunk the packet lies.
pub(crate) struct Outgoing {
    pub(crate) frame: Frame,
    pub(crate) offset: u16,
    pub(crate) len: u16,
}

impl Exchange {
    pub(crate) fn new(lanes: Arc<Lanes>, rings: Arc<PortRings>, takes: Arc<Takes>, queue: u32) -> Self {
        let cycles = |time: Duration| (time.as_nanos() * u128::from(clock::hertz()) / 1_000_000_000) as u64;
        Self {
            lanes,
            rings,
            takes,
            lane: None,
            queue: queue as usize,
            is_on: false,
            is_asleep: false,
            is_streaming: false,
            next: 0,
            pages: 0,
            trickles: 0,
            unpaid: 0,
            given_up: None,
            quiet: 0,
            burst: 0,
            stash: Vec::with_capacity(RECEIVE_MAX),
            waiting: VecDeque::with_capacity(EXCHANGE_SLOTS as usize),
            moved: 0,
            patience: cycles(PATIENCE),
            age_max: cycles(AGE_MAX),
            demand: cycles(DEMAND),
            rest: cycles(REST),
        }
    }

    /// The worker that has the queue from now on.
    pub(crate) fn assign(&mut self, worker: WorkerId) {
        let lane = usize::from(worker.0);
        self.lane = (lane < self.lanes.lanes.len()).then_some(lane);
        if let Some(indices) = self.indices() {
            indices.facts.more.store(u32::from(worker.0), Ordering::Relaxed);
        }
    }

    pub(crate) const fn is_on(&self) -> bool {
        self.is_on
    }

    fn indices(&self) -> Option<&Indices> {
        self.rings.indices.get(self.queue)
    }

    fn lane(&self) -> Option<(usize, &Lane, &Indices)> {
        let at = self.lane?;
        Some((at, self.lanes.lanes.get(at)?, self.lanes.indices.get(at)?))
    }

    // ---- receiving -------------------------------------------------------------------------------------------

    /// Adds what waits in the ring to `batch`, as many as there are frames and room for. Returns packets and bytes.
    pub(crate) fn receive(
        &mut self,
        arena: &Arena,
        id: PortId,
        batch: &mut Batch,
        most: usize,
    ) -> (usize, usize) {
        let Some(indices) = self.rings.indices.get(self.queue) else { return (0, 0) };
        let wanted = self.ready().min(most).min(batch.room());
        let (mut count, mut len_bytes) = (0, 0);
        while count < wanted {
            let Some(mut frame) = self.stash.pop() else { break };
            let (meta, chunk) = arena.parts_mut(&mut frame);
            let len = self.rings.slots.read(self.queue, self.next, &mut chunk[HEADROOM_BYTES..]);
            meta.received(id, HEADROOM_BYTES as u16, len as u16);
            self.next = self.next.wrapping_add(1);
            count += 1;
            len_bytes += len;
            // There is room: `wanted` is the batch's.
            let full = batch.push(frame);
            debug_assert!(full.is_ok(), "the batch has room for what was asked for");
        }
        if count > 0 {
            indices.head.value.store(self.next, Ordering::Release);
            let pages = indices.tail.more.load(Ordering::Relaxed);
            self.count_upon(pages, count);
        }
        self.burst = self.burst.max(count);
        (count, len_bytes)
    }

    /// As many pages as have come will come again, if they come in a stream.
    fn count_upon(&mut self, pages: u32, received: usize) {
        let new = pages.wrapping_sub(std::mem::replace(&mut self.pages, pages));
        self.trickles = if received < STREAM_FRAMES { self.trickles.saturating_add(1) } else { 0 };
        let is_trickle = self.trickles >= TRICKLE_TIMES;
        let Some((_, lane, _)) = self.lane() else { return };
        let credit = lane.credit.load(Ordering::Relaxed);
        let credit = if is_trickle { 0 } else { credit.saturating_add(new).min(CREDIT_MAX) };
        lane.credit.store(credit, Ordering::Relaxed);
        self.unpaid = if new > 0 { 0 } else { self.unpaid + received };
        if self.unpaid > UNPAID_MAX {
            self.give_up();
        }
    }

    /// Frames come, and pages do not: the device's soft interrupt is on another CPU than the worker. The socket is better then,
    /// which needs one copy less.
    fn give_up(&mut self) {
        if let Some(indices) = self.indices() {
            indices.facts.value.store(OFF, Ordering::Relaxed);
        }
        (self.is_on, self.is_streaming, self.unpaid) = (false, false, 0);
        self.given_up = Some(clock::cycles());
    }

    /// So many frames came by the socket at once: if that is a busy burst, the next ones come by the ring.
    pub(crate) fn came_by_socket(&mut self, count: usize) {
        self.burst = self.burst.max(count);
        if count < BUSY_FRAMES || self.is_on {
            return;
        }
        let Some((_, lane, lane_indices)) = self.lane() else { return };
        let asked = lane.demand.load(Ordering::Relaxed);
        if asked == 0 || clock::cycles().wrapping_sub(asked) > self.demand {
            return;
        }
        if self.given_up.is_some_and(|at| clock::cycles().wrapping_sub(at) < self.rest) {
            return;
        }
        let Some(indices) = self.indices() else { return };
        let here = rustix::thread::sched_getcpu() as u32;
        if indices.tail.cpu.load(Ordering::Relaxed) == here {
            lane_indices.facts.value.store(here, Ordering::Relaxed);
            let pages = indices.tail.more.load(Ordering::Relaxed);
            indices.facts.value.store(AWAKE, Ordering::Release);
            (self.is_on, self.quiet, self.trickles, self.pages) = (true, 0, 0, pages);
            self.given_up = None;
        }
    }

    /// Takes frames to receive into. Returns how many.
    pub(crate) fn refill(&mut self, pool: &mut FramePool, reserve: usize) -> usize {
        if !self.is_on && self.ready() == 0 {
            return 0;
        }
        let wanted = RECEIVE_MAX.saturating_sub(self.stash.len()).min(pool.len().saturating_sub(reserve));
        self.stash.extend(std::iter::from_fn(|| pool.take()).take(wanted));
        wanted
    }

    /// The worker is about to sleep: what comes from now on has to wake it.
    pub(crate) fn prepare_sleep(&mut self) {
        if !self.is_on {
            return;
        }
        let is_quiet = std::mem::take(&mut self.burst) < BUSY_FRAMES;
        self.quiet = if is_quiet { self.quiet + 1 } else { 0 };
        let Some((_, lane, _)) = self.lane() else { return };
        let is_asked = clock::cycles().wrapping_sub(lane.demand.load(Ordering::Relaxed)) <= self.demand;
        let state = if self.quiet >= QUIET_SLEEPS || !is_asked { OFF } else { ASLEEP };
        self.is_streaming = !is_quiet && state == ASLEEP;
        if let Some(indices) = self.indices() {
            indices.head.more.store(if self.is_streaming { WAKE_FRAMES } else { 1 }, Ordering::Relaxed);
            indices.facts.value.store(state, Ordering::Release);
        }
        // We say that we sleep, and look whether there is something (`is_waiting`); the program shows something, and then looks
        // whether we sleep. Without a full fence on either side both could miss the other's news.
        fence(Ordering::SeqCst);
        (self.is_on, self.is_asleep) = (state != OFF, state == ASLEEP);
    }

    /// The worker is awake: frames need not wake it.
    pub(crate) fn wake_up(&mut self) {
        if std::mem::take(&mut self.is_asleep)
            && let Some(indices) = self.indices()
        {
            // The program may have done it.
            let _ = indices.facts.value.compare_exchange(ASLEEP, AWAKE, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Frames in the ring.
    pub(crate) fn ready(&self) -> usize {
        // Acquire: what the program has shown is there.
        let tail = self.indices().map_or(self.next, |indices| indices.tail.value.load(Ordering::Acquire));
        tail.wrapping_sub(self.next).min(EXCHANGE_SLOTS) as usize
    }

    /// Is there something that nothing will wake us for?
    pub(crate) fn is_waiting(&self) -> bool {
        self.is_streaming || self.ready() > 0 || !self.waiting.is_empty()
    }

    // ---- sending ---------------------------------------------------------------------------------------------

    /// How many of so many frames may be given to the lane.
    pub(crate) fn room(&self, count: usize) -> usize {
        if !self.takes.now() || self.is_behind() {
            return 0;
        }
        let Some((_, lane, indices)) = self.lane() else { return 0 };
        if count >= STREAM_FRAMES {
            lane.demand.store(clock::cycles(), Ordering::Relaxed);
        }
        let used = indices.tail.value.load(Ordering::Relaxed);
        // Acquire: the program has read the slots that we are going to overwrite.
        let used = used.wrapping_sub(indices.head.value.load(Ordering::Acquire));
        let counted_upon = lane.credit.load(Ordering::Relaxed);
        let room = EXCHANGE_SLOTS.saturating_sub(used).min(counted_upon) as usize;
        count.min(room).min(WAITING_MAX.saturating_sub(self.waiting.len()))
    }

    /// The longest frame that the device takes in a page, bytes.
    pub(crate) fn longest(&self) -> usize {
        self.takes.longest
    }

    /// Puts frames into the lane; [`Exchange::room`] has just said that they fit. Returns how many.
    pub(crate) fn send(&mut self, arena: &Arena, packets: impl Iterator<Item = Outgoing>) -> usize {
        let Self { lanes, lane, waiting, takes, .. } = self;
        let Some((at, lane)) = lane.and_then(|at| Some((at, lanes.lanes.get(at)?))) else { return 0 };
        let Some(indices) = lanes.indices.get(at) else { return 0 };
        let first = indices.tail.value.load(Ordering::Relaxed);
        let mut index = first;
        let since = clock::cycles();
        for packet in packets {
            lanes.slots.write(at, index, arena.packet(&packet.frame), takes.ifindex);
            waiting.push_back(Waiting { index, packet, since });
            index = index.wrapping_add(1);
        }
        let count = index.wrapping_sub(first);
        indices.tail.value.store(index, Ordering::Release);
        let credit = lane.credit.load(Ordering::Relaxed);
        lane.credit.store(credit.saturating_sub(count), Ordering::Relaxed);
        self.show_waiting();
        count as usize
    }

    /// The frames that pages have carried away.
    pub(crate) fn carried(&mut self, mut give: impl FnMut(Frame)) -> usize {
        if self.waiting.is_empty() {
            return 0;
        }
        let Some((_, _, indices)) = self.lane() else { return 0 };
        let head = indices.head.value.load(Ordering::Acquire);
        let mut count = 0;
        while self.waiting.front().is_some_and(|first| has_passed(head, first.index)) {
            self.waiting.pop_front().into_iter().for_each(|first| give(first.packet.frame));
            count += 1;
        }
        if count > 0 {
            self.moved = clock::cycles();
            self.show_waiting();
        }
        count
    }

    /// Other queues of the same port and worker must not overtake what waits here.
    fn show_waiting(&self) {
        if let Some(shown) = self.lane.and_then(|lane| self.takes.waiting.get(lane)) {
            let others = if self.waiting.is_empty() { 0 } else { self.queue as u32 + 1 };
            let was = shown.load(Ordering::Relaxed);
            if others != 0 || was == self.queue as u32 + 1 {
                shown.store(others, Ordering::Relaxed);
            }
        }
    }

    /// Does another queue of the same port and worker have something in the lane?
    pub(crate) fn is_behind(&self) -> bool {
        let shown = self.lane.and_then(|lane| self.takes.waiting.get(lane));
        shown.is_some_and(|shown| ![0, self.queue as u32 + 1].contains(&shown.load(Ordering::Relaxed)))
    }

    /// Does anything wait in the lane?
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Has something waited too long?
    pub(crate) fn is_stale(&self) -> bool {
        let Some(first) = self.waiting.front() else { return false };
        let now = clock::cycles();
        let age = now.wrapping_sub(first.since);
        age > self.age_max || age.min(now.wrapping_sub(self.moved)) > self.patience
    }

    /// No page came: none is counted upon.
    pub(crate) fn forget_credit(&self) {
        if let Some((_, lane, _)) = self.lane() {
            lane.credit.store(0, Ordering::Relaxed);
        }
    }

    /// Takes the oldest frame back that waits in the lane. The error is one that a page has carried away meanwhile.
    pub(crate) fn take_back(&mut self) -> Option<Result<Outgoing, Outgoing>> {
        let Waiting { index, packet, .. } = self.waiting.pop_front()?;
        self.show_waiting();
        let is_ours = self.lane().is_some_and(|(lane, _, indices)| {
            // Acquire: a slot that has been passed may be another frame's already.
            let head = indices.head.value.load(Ordering::Acquire);
            !has_passed(head, index) && self.lanes.slots.take_back(lane, index)
        });
        Some(if is_ours { Ok(packet) } else { Err(packet) })
    }

    // ----------------------------------------------------------------------------------------------------------

    /// Frames in here.
    pub(crate) fn held(&self) -> usize {
        self.stash.len() + self.waiting.len()
    }

    /// Ends it, and returns its frames. What waits in the lane does not leave any more.
    pub(crate) fn close(mut self) -> Vec<Frame> {
        if let Some(indices) = self.indices() {
            indices.facts.value.store(OFF, Ordering::Relaxed);
        }
        let mut frames = std::mem::take(&mut self.stash);
        while let Some(Ok(packet) | Err(packet)) = self.take_back() {
            frames.push(packet.frame);
        }
        frames
    }
}

/// Has the program passed an index of the lane? What we take back we forget at once, so then it has left.
fn has_passed(head: u32, index: u32) -> bool {
    head.wrapping_sub(index).cast_signed() > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_whose_index_no_slot_can_name_is_sent_to_by_the_socket() {
        for (ifindex, takes) in [(EXCHANGE_IFINDEX_MAX, true), (EXCHANGE_IFINDEX_MAX + 1, false)] {
            let told = Takes::new(ifindex, 1500, 1);
            told.tell(&HashSet::from([ifindex]));
            assert_eq!(told.now(), takes, "{ifindex}");
        }
    }
}
