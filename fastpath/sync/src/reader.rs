//! The reader's side: what a worker holds.

use std::{cell::Cell, fmt};

use crate::{
    domain::{FREE, OFFLINE, Shared},
    primitives::{Arc, AtomicU64, Ordering, fence},
};

/// A worker's membership in a [`Domain`](crate::Domain). Goes to the worker's thread and stays there.
///
/// Nothing here allocates, locks, frees or waits.
pub struct Reader {
    shared: Arc<Shared>,
    index: usize,
    /// A copy of "my cell is not OFFLINE". A `Cell`, so a reader cannot be shared by two threads: a
    /// second one coming online would announce a quiescent state for the first.
    online: Cell<bool>,
}

/// Proof that its reader is online. References loaded under a guard live as long as it does, and a
/// reader cannot announce a quiescent state while one exists:
///
/// ```compile_fail,E0502
/// # let domain = ze_sync::Domain::new();
/// # let slot = ze_sync::Slot::new(Some(Box::new(1)), &domain);
/// let mut reader = domain.register().unwrap();
/// let guard = reader.enter();
/// let value = slot.load(&guard);
/// reader.quiescent();
/// println!("{value:?}");
/// ```
#[derive(Clone, Copy)]
pub struct Guard<'r> {
    shared: &'r Shared,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>, index: usize) -> Self {
        Self { shared, index, online: Cell::new(false) }
    }

    /// Opens a batch. Costs one predicted branch; comes [`online`](Self::online) first if need be.
    #[inline]
    #[must_use]
    pub fn enter(&self) -> Guard<'_> {
        if !self.online.get() {
            self.come_online();
        }
        Guard { shared: &self.shared }
    }

    /// Announces that this reader holds no reference. One load, one store; call it once a batch.
    #[inline]
    pub fn quiescent(&mut self) {
        if self.online.get() {
            // Acquire: later loads see what was published before this epoch. Release: earlier reads are
            // over before the writer sees this value.
            let epoch = self.shared.epoch.load(Ordering::Acquire);
            self.cell().store(epoch, Ordering::Release);
        }
    }

    /// Announces that this reader holds nothing and will not for a while: before a sleep.
    pub fn offline(&mut self) {
        self.online.set(false);
        self.cell().store(OFFLINE, Ordering::Release);
    }

    /// Comes back from [`offline`](Self::offline). [`enter`](Self::enter) does so by itself.
    pub fn online(&mut self) {
        if !self.online.get() {
            self.come_online();
        }
    }

    /// Whether the writer waits for this reader.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.online.get()
    }

    #[cold]
    fn come_online(&self) {
        let epoch = self.shared.epoch.load(Ordering::Acquire);
        // Release: what this cell's reader read before it slept is over before the writer sees this epoch,
        // even if the writer never looked while it slept.
        self.cell().store(epoch, Ordering::Release);
        // Pairs with the fence in `Limbo::advance`: a writer that missed the store above has unpublished
        // before every load below.
        fence(Ordering::SeqCst);
        self.online.set(true);
    }

    #[inline]
    fn cell(&self) -> &AtomicU64 {
        // The index came from `Domain::register`, so the lookup cannot fail.
        &self.shared.cells[self.index]
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.cell().store(FREE, Ordering::Release);
    }
}

impl Guard<'_> {
    /// Whether this guard protects what is retired through the domain of `shared`.
    #[inline]
    pub(crate) fn protects(&self, shared: &Shared) -> bool {
        std::ptr::eq(self.shared, shared)
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("index", &self.index).field("online", &self.is_online()).finish()
    }
}

impl fmt::Debug for Guard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}
