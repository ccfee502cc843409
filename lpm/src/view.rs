//! The readers' side.

use std::{
    fmt,
    hint::select_unpredictable,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use ze_sync::{Guard, Slot};

use crate::{
    engine::Engine,
    entry::Entry,
    family::{Family, Rest},
    leaf,
    prefix::Value,
    words::Words,
};

/// What a table publishes: one generation of its words.
pub(crate) struct Published {
    pub(crate) words: Arc<Words>,
    pub(crate) root_level: u8,
}

/// Access to a table for readers. Clone it freely; it stays valid when the writer is gone, with the last
/// routes it had.
pub struct LpmReader<F: Family> {
    slot: Arc<Slot<Published>>,
    engine: Engine,
    family: std::marker::PhantomData<F>,
}

/// A table under a guard: make one a batch. It sees updates as they happen, until the table is built anew; each
/// answer is what some version of the table said since the view was taken.
pub struct View<'g, F: Family> {
    pub(crate) words: &'g [AtomicU64],
    pub(crate) root_level: u8,
    engine: Engine,
    family: std::marker::PhantomData<F>,
}

impl<F: Family> LpmReader<F> {
    pub(crate) fn new(slot: Arc<Slot<Published>>) -> Self {
        Self { slot, engine: Engine::best(), family: std::marker::PhantomData }
    }

    /// The same access, with another engine than the best one.
    #[must_use]
    pub fn with_engine(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }

    /// The table for one batch.
    ///
    /// # Panics
    /// When the guard is not of the domain that the table was made with.
    #[inline]
    #[must_use]
    pub fn view<'g>(&self, guard: &'g Guard<'_>) -> View<'g, F> {
        let Some(table) = self.slot.load(guard) else {
            unreachable!("a table is published from its first moment on")
        };
        View {
            words: &table.words,
            root_level: table.root_level,
            engine: self.engine,
            family: std::marker::PhantomData,
        }
    }
}

impl<F: Family> View<'_, F> {
    /// The value of the longest route over `addr`; 0 when there is none.
    #[inline]
    #[must_use]
    pub fn lookup(&self, addr: F::Addr) -> u32 {
        let (index, bits) = F::root_of(self.root_level, addr);
        // Acquire here and below: a block is read after the word that leads to it.
        let mut entry = Entry(self.words[index].load(Ordering::Acquire));
        let mut rest = F::rest(addr, bits);
        while entry.is_branch() {
            entry = Entry(self.words[entry.branch_index(rest.next_slot())].load(Ordering::Acquire));
        }
        if entry.is_direct() {
            return entry.value();
        }
        leaf::value(self.words, entry.leaf_place(rest.next_slot()))
    }

    /// As [`lookup`](Self::lookup), if there is at most one branch on the way; else the second answer is that there are
    /// more. Without a branch of the program.
    #[inline]
    pub(crate) fn lookup_through_one_branch(&self, addr: F::Addr) -> (u32, bool) {
        let (index, bits) = F::root_of(self.root_level, addr);
        let entry = Entry(self.words[index].load(Ordering::Acquire));
        let mut rest = F::rest(addr, bits);
        let slot = rest.next_slot();
        // What is not there is read from the first word, and forgotten.
        let below = select_unpredictable(entry.is_branch(), entry.branch_index(slot), 0);
        let below = Entry(self.words[below].load(Ordering::Acquire));
        let slot = select_unpredictable(entry.is_branch(), rest.next_slot(), slot);
        let entry = select_unpredictable(entry.is_branch(), below, entry);
        let found = leaf::value(self.words, select_unpredictable(entry.is_leaf(), entry.leaf_place(slot), 0));
        let value = select_unpredictable(entry.is_direct(), entry.value(), found);
        (value, entry.is_branch())
    }

    /// As [`lookup`](Self::lookup), with a typed answer.
    #[inline]
    #[must_use]
    pub fn lookup_value(&self, addr: F::Addr) -> Option<Value> {
        Value::from_raw(self.lookup(addr))
    }

    /// Looks up many addresses at once, which is several times faster than one by one. Any number may be
    /// given; `values[i]` becomes the answer for `addrs[i]`, 0 where there is no route.
    ///
    /// # Panics
    /// When the slices differ in length.
    #[inline]
    pub fn lookup_batch(&self, addrs: &[F::Addr], values: &mut [u32]) {
        assert_eq!(addrs.len(), values.len(), "one value for each address");
        self.engine.lookup(self, addrs, values);
    }
}

impl<F: Family> Clone for LpmReader<F> {
    fn clone(&self) -> Self {
        Self { slot: Arc::clone(&self.slot), ..*self }
    }
}

impl<F: Family> Clone for View<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Family> Copy for View<'_, F> {}

impl<F: Family> fmt::Debug for LpmReader<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LpmReader").finish_non_exhaustive()
    }
}

impl<F: Family> fmt::Debug for View<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("root_level", &self.root_level).finish_non_exhaustive()
    }
}
