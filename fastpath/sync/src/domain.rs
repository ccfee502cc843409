//! The domain: who reads, what waits to be freed, and since when.

use std::{
    collections::VecDeque,
    fmt,
    time::{Duration, Instant},
};

use crossbeam_utils::CachePadded;

use crate::{
    primitives::{Arc, AtomicU64, Mutex, MutexGuard, Ordering, fence, yield_now},
    reader::Reader,
};

/// Most readers a domain takes: one for each worker, and no router has more cores than this for them.
/// (A model check explores every interleaving of every cell, so it gets few.)
pub const MAX_READERS: usize = if cfg!(loom) { 2 } else { 64 };

/// After so many retirements a domain tries by itself to free what it can, so that a writer that never
/// calls [`Domain::reclaim`] does not grow without bound while readers move.
pub const RECLAIM_EVERY: usize = 64;

/// A cell nobody owns. Larger than every epoch, so it never holds the writer back.
pub(crate) const FREE: u64 = u64::MAX;
/// A cell whose reader sleeps. Larger than every epoch as well.
pub(crate) const OFFLINE: u64 = u64::MAX - 1;

/// A set of readers, and the things they may still be looking at. A handle: clones are the same domain.
#[derive(Clone)]
pub struct Domain {
    shared: Arc<Shared>,
}

/// No reader can be added: [`MAX_READERS`] are registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no more than {MAX_READERS} readers can register with one domain")]
pub struct RegisterError;

/// Some reader did not pass in the time given; nothing was freed early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not every reader announced a quiescent state in the time given")]
pub struct SynchronizeTimeout;

/// A point in the writer's life: what was unpublished before it was drawn may be reused once
/// [`Domain::passed`] says so. For structures that recycle their own memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// What all handles and readers of a domain share.
pub(crate) struct Shared {
    /// The epoch as readers see it; written only when a grace period begins.
    pub(crate) epoch: CachePadded<AtomicU64>,
    /// For each reader: an epoch, [`OFFLINE`] or [`FREE`].
    pub(crate) cells: [CachePadded<AtomicU64>; MAX_READERS],
    limbo: Mutex<Limbo>,
}

/// The writer's side of a domain.
struct Limbo {
    /// The epoch; `Shared::epoch` is its published copy.
    epoch: u64,
    /// Every reader has passed this epoch, as far as the writer has looked.
    passed: u64,
    /// Oldest first, so tags never fall.
    retired: VecDeque<Retired>,
    since_reclaim: usize,
}

struct Retired {
    tag: u64,
    object: Box<dyn Retire>,
}

/// Anything that can be dropped on the writer's thread.
trait Retire: Send {}
impl<T: Send> Retire for T {}

/// Runs its function when it is dropped.
struct OnDrop<F: FnOnce() + Send>(Option<F>);

impl<F: FnOnce() + Send> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(function) = self.0.take() {
            function();
        }
    }
}

impl Domain {
    /// A domain without readers.
    #[must_use]
    pub fn new() -> Self {
        let shared = Shared {
            epoch: CachePadded::new(AtomicU64::new(1)),
            cells: std::array::from_fn(|_| CachePadded::new(AtomicU64::new(FREE))),
            limbo: Mutex::new(Limbo { epoch: 1, passed: 1, retired: VecDeque::new(), since_reclaim: 0 }),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Adds a reader. Control side: a worker is handed the result. It starts offline and comes online
    /// with its first [`Reader::enter`], so a worker that is slow to start holds nothing back.
    ///
    /// # Errors
    /// When [`MAX_READERS`] are registered.
    pub fn register(&self) -> Result<Reader, RegisterError> {
        let free = |cell: &CachePadded<AtomicU64>| {
            cell.compare_exchange(FREE, OFFLINE, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        let index = self.shared.cells.iter().position(free).ok_or(RegisterError)?;
        Ok(Reader::new(Arc::clone(&self.shared), index))
    }

    /// Frees `object` once no reader can hold a reference to it. The caller has unpublished it before.
    ///
    /// Every [`RECLAIM_EVERY`]th call also does what [`reclaim`](Self::reclaim) does.
    pub fn retire<T: Send + 'static>(&self, object: Box<T>) {
        let mut limbo = self.limbo();
        let tag = limbo.epoch + 1;
        limbo.retired.push_back(Retired { tag, object });
        limbo.since_reclaim += 1;
        let due = limbo.since_reclaim >= RECLAIM_EVERY;
        drop(limbo);
        if due {
            self.reclaim();
        }
    }

    /// Calls `function` on the writer's side once no reader can hold what was unpublished before.
    pub fn retire_with<F: FnOnce() + Send + 'static>(&self, function: F) {
        self.retire(Box::new(OnDrop(Some(function))));
    }

    /// Frees what every reader has passed, and says how many objects that were. Does not wait.
    pub fn reclaim(&self) -> usize {
        let freed = self.take_passed();
        freed.len() // and the destructors run here, with the lock released: they may retire in turn
    }

    /// How many objects wait to be freed.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.limbo().retired.len()
    }

    /// Waits until no reader holds anything unpublished before this call, then reclaims.
    ///
    /// Never called by a thread that owns an online [`Reader`] of this domain: it would wait for itself.
    pub fn synchronize(&self) {
        let ticket = self.ticket();
        let mut patience = Patience::default();
        while !self.passed(ticket) {
            patience.wait();
        }
        self.reclaim();
    }

    /// As [`synchronize`](Self::synchronize), for no longer than `timeout`.
    ///
    /// # Errors
    /// When a reader has not passed by then. What is retired stays retired.
    pub fn synchronize_timeout(&self, timeout: Duration) -> Result<(), SynchronizeTimeout> {
        let ticket = self.ticket();
        let start = Instant::now();
        let mut patience = Patience::default();
        while !self.passed(ticket) {
            if start.elapsed() >= timeout {
                return Err(SynchronizeTimeout);
            }
            patience.wait();
        }
        self.reclaim();
        Ok(())
    }

    /// A ticket for everything this thread has unpublished so far. Costs the writer an uncontended
    /// lock, and readers nothing.
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        Ticket(self.limbo().epoch + 1)
    }

    /// Whether every reader has passed `ticket`. Begins a grace period if none covers it yet; does not
    /// wait.
    #[must_use]
    pub fn passed(&self, ticket: Ticket) -> bool {
        let mut limbo = self.limbo();
        if ticket.0 > limbo.passed {
            limbo.advance(ticket.0, &self.shared);
        }
        ticket.0 <= limbo.passed
    }

    /// Whether `other` is a handle of the same domain.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// The identity that guards are checked against.
    #[inline]
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    fn take_passed(&self) -> Vec<Box<dyn Retire>> {
        let mut limbo = self.limbo();
        limbo.since_reclaim = 0;
        let Some(newest) = limbo.retired.back().map(|retired| retired.tag) else { return Vec::new() };
        limbo.advance(newest, &self.shared);
        let passed = limbo.passed;
        let count = limbo.retired.partition_point(|retired| retired.tag <= passed);
        limbo.retired.drain(..count).map(|retired| retired.object).collect()
    }

    fn limbo(&self) -> MutexGuard<'_, Limbo> {
        // No user code runs under this lock, so a poisoned one still guards a consistent value.
        self.shared.limbo.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Limbo {
    /// Opens epoch `tag` if it is not open yet, then looks how far the readers are.
    fn advance(&mut self, tag: u64, shared: &Shared) {
        if tag > self.epoch {
            self.epoch = tag;
            // Release: a reader that sees this epoch sees everything unpublished before it.
            shared.epoch.store(tag, Ordering::Release);
        }
        // Pairs with the fence in `Reader::online`: either this thread sees that the reader is back, or
        // the reader sees what this thread has unpublished.
        fence(Ordering::SeqCst);
        // Acquire: what a reader did before it announced its state is over before anything is freed.
        let slowest = shared.cells.iter().map(|cell| cell.load(Ordering::Acquire)).min();
        self.passed = slowest.unwrap_or(self.epoch).min(self.epoch);
    }
}

/// Waits politely: yields first, then sleeps, because a reader may be seconds from its next batch.
#[derive(Default)]
struct Patience {
    rounds: u32,
}

impl Patience {
    /// So many yields before the first sleep: a worker's batch is over in microseconds.
    const YIELDS: u32 = 128;
    const SLEEP: Duration = Duration::from_micros(50);

    fn wait(&mut self) {
        self.rounds = self.rounds.saturating_add(1);
        if cfg!(loom) || self.rounds < Self::YIELDS {
            yield_now();
            return;
        }
        std::thread::sleep(Self::SLEEP);
    }
}

impl Default for Domain {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limbo = self.limbo();
        f.debug_struct("Domain").field("epoch", &limbo.epoch).field("pending", &limbo.retired.len()).finish()
    }
}
