//! The table: routes in, lookups out.

use std::{collections::VecDeque, fmt, sync::Arc};

use ze_sync::{Domain, Slot, Ticket};

use crate::{
    build::build,
    entry::WORDS_MAX,
    family::{Family, V4, V6},
    fib::{Fib, Full, Update},
    interned::Interned,
    iter::Iter,
    prefix::{Prefix, Value},
    rib::Rib,
    view::{LpmReader, Published},
    words::Words,
};

/// A routing table with one writer, this value, and any number of [readers](Self::reader).
pub struct Lpm<F: Family> {
    domain: Domain,
    config: Config,
    rib: Rib<F>,
    fib: Fib,
    slot: Arc<Slot<Published>>,
    /// Generations that readers may still use: a ticket, and bytes.
    retired: VecDeque<(Ticket, usize)>,
}

/// A table of IPv4 routes.
pub type Lpm4 = Lpm<V4>;
/// A table of IPv6 routes.
pub type Lpm6 = Lpm<V6>;

/// How a table may use memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// The directly indexed root grows with the table, up to this many bits of the address. IPv4 has roots
    /// of 4, 9, 14 and 19 bits (4 MB), IPv6 of 3, 8, 13, 18 and 23 (8 MB); the smallest is always there.
    pub root_bits_max: u8,
    /// Bytes that the table may take, lookups, routes and retired generations together. What would
    /// exceed them is refused.
    pub memory_budget_bytes: usize,
}

/// Bytes that a table takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Taken for lookups. Of a table of 2 MB or more this grows as it is used: room to grow is set aside in addresses only.
    pub lookup_bytes: usize,
    /// The part of `lookup_bytes` that holds something.
    pub lookup_used_bytes: usize,
    /// Allocated for the writer: its routes, and where it keeps what entries share.
    pub rib_bytes: usize,
    /// Earlier generations that some reader has not left yet.
    pub retired_bytes: usize,
}

/// Why a table refused a change. The table is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The change would take the table over its budget.
    #[error("the table would take {needed_bytes} bytes; its budget is {budget_bytes}")]
    OverBudget {
        /// What the table would take.
        needed_bytes: usize,
        /// [`Config::memory_budget_bytes`].
        budget_bytes: usize,
    },
    /// The lookup structure would exceed what its entries can address, 8 GiB.
    #[error("the table would exceed the 8 GiB that its entries can address")]
    TooLarge,
    /// The system has no memory.
    #[error("the system refused the table memory")]
    OutOfMemory,
}

/// What [`Lpm::extend`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extended {
    /// Routes that are new.
    pub added: usize,
    /// Routes that were there and have the new value now (or had it already).
    pub replaced: usize,
}

/// A batch of at least one route in so many of the table's is loaded by building anew: an update costs
/// about as much as building this many routes.
const BUILD_SHARE: usize = 8;

impl Config {
    /// No limits but those of the structure.
    pub const UNLIMITED: Self = Self { root_bits_max: 32, memory_budget_bytes: usize::MAX };

    fn root_level_max<F: Family>(&self) -> u8 {
        let fits = |&level: &u8| crate::family::STRIDE * level - F::PAD <= self.root_bits_max;
        (1..=F::ROOT_LEVEL_MAX).rev().find(fits).unwrap_or(1)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::UNLIMITED
    }
}

impl Memory {
    /// All bytes together.
    #[must_use]
    pub fn total_bytes(&self) -> usize {
        self.lookup_bytes + self.rib_bytes + self.retired_bytes
    }
}

impl<F: Family> Lpm<F> {
    /// An empty table for the readers of `domain`.
    ///
    /// # Panics
    /// When there is no memory for the few hundred bytes of an empty table.
    #[must_use]
    pub fn new(domain: &Domain, config: Config) -> Self {
        let root_level = 1;
        let used = F::root_words(root_level);
        let Some(words) = Words::new(used + SLACK_WORDS_MIN) else { panic!("no memory for an empty table") };
        let words = Arc::new(words);
        let published = Box::new(Published { words: Arc::clone(&words), root_level });
        Self {
            domain: domain.clone(),
            config,
            rib: Rib::new(),
            fib: Fib::new(domain.clone(), words, root_level, used, Interned::new(false)),
            slot: Arc::new(Slot::new(Some(published), domain)),
            retired: VecDeque::new(),
        }
    }

    /// A table with `routes`; of two for one prefix the later counts.
    ///
    /// # Errors
    /// When they do not fit.
    pub fn build(
        domain: &Domain,
        config: Config,
        routes: impl IntoIterator<Item = (Prefix<F>, Value)>,
    ) -> Result<Self, Error> {
        let mut table = Self::new(domain, config);
        table.extend(routes)?;
        Ok(table)
    }

    /// Adds a route, or gives it another value; returns the value it had.
    ///
    /// # Errors
    /// When the table would not fit. It is then unchanged, for readers too.
    pub fn insert(&mut self, prefix: Prefix<F>, value: Value) -> Result<Option<Value>, Error> {
        self.make_room()?;
        let old = self.rib.insert(&prefix, value);
        if old == Some(value) {
            return Ok(old);
        }
        if let Err(error) = self.publish(prefix, value.get()) {
            self.undo(&prefix, old);
            return Err(error);
        }
        if old.is_none() && F::ROOT_GROWS_AT.contains(&self.len()) {
            // A larger root is for speed only: without memory for it, the table goes on with the one it has.
            let _ = self.republish(self.config.memory_budget_bytes);
        }
        Ok(old)
    }

    /// Takes a route out; returns its value.
    ///
    /// Always succeeds, over budget as well: a table that cannot forget would be of no use.
    ///
    /// # Panics
    /// When the system has no memory left to rearrange what remains.
    pub fn remove(&mut self, prefix: Prefix<F>) -> Option<Value> {
        let old = self.rib.remove(&prefix)?;
        let value = self.rib.cover(&prefix).map_or(0, Value::get);
        let update = Update { rib: &self.rib, prefix, value };
        let full = self.fib.apply(&update).is_err();
        if full || self.shrinks() {
            let result = self.republish(usize::MAX);
            assert!(result.is_ok() || !full, "no memory to take a route out");
        }
        Some(old)
    }

    /// Adds many routes: all, or none. Of two for one prefix the later counts. Readers see them
    /// appear in one step when there are many (an eighth of the table or more), else one by one.
    ///
    /// # Errors
    /// When the table would not fit. It then has the routes it had.
    pub fn extend(
        &mut self,
        routes: impl IntoIterator<Item = (Prefix<F>, Value)>,
    ) -> Result<Extended, Error> {
        let routes: Vec<_> = routes.into_iter().collect();
        let at_once = routes.len() > self.len() / BUILD_SHARE;
        let mut undo = Vec::with_capacity(routes.len());
        match self.extend_with(routes, at_once, &mut undo) {
            Ok(()) => {
                let replaced = undo.iter().filter(|(_, old)| old.is_some()).count();
                Ok(Extended { added: undo.len() - replaced, replaced })
            }
            Err(error) => {
                self.take_back(undo, at_once);
                Err(error)
            }
        }
    }

    /// The value of exactly this route.
    #[must_use]
    pub fn exact(&self, prefix: Prefix<F>) -> Option<Value> {
        self.rib.exact(&prefix)
    }

    /// The longest route over `addr`, from the writer's routes.
    #[must_use]
    pub fn lookup(&self, addr: F::Addr) -> Option<(Prefix<F>, Value)> {
        self.rib.longest(addr)
    }

    /// All routes, by address and then length.
    #[must_use]
    pub fn iter(&self) -> Iter<'_, F> {
        Iter::all(&self.rib)
    }

    /// The routes that `prefix` covers, itself among them, by address and then length.
    #[must_use]
    pub fn subtree(&self, prefix: Prefix<F>) -> Iter<'_, F> {
        Iter::subtree(&self.rib, &prefix)
    }

    /// How many routes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rib.len()
    }

    /// Whether there is no route.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes taken now.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let held = |(ticket, _): &&(Ticket, usize)| !self.domain.passed(*ticket);
        Memory {
            lookup_bytes: self.fib.bytes(),
            lookup_used_bytes: self.fib.used_bytes(),
            rib_bytes: self.rib.bytes() + self.fib.writer_bytes(),
            retired_bytes: self.retired.iter().filter(held).map(|(_, bytes)| bytes).sum(),
        }
    }

    /// Access for readers.
    #[must_use]
    pub fn reader(&self) -> LpmReader<F> {
        LpmReader::new(Arc::clone(&self.slot))
    }

    fn extend_with(
        &mut self,
        routes: Vec<(Prefix<F>, Value)>,
        at_once: bool,
        undo: &mut Vec<(Prefix<F>, Option<Value>)>,
    ) -> Result<(), Error> {
        for (prefix, value) in routes {
            let old =
                if at_once { self.insert_unpublished(&prefix, value)? } else { self.insert(prefix, value)? };
            undo.push((prefix, old));
        }
        if at_once { self.republish(self.config.memory_budget_bytes) } else { Ok(()) }
    }

    fn insert_unpublished(&mut self, prefix: &Prefix<F>, value: Value) -> Result<Option<Value>, Error> {
        self.make_room()?;
        Ok(self.rib.insert(prefix, value))
    }

    /// Undoes the insertions of a batch, last first. `unpublished`: readers have not seen them.
    fn take_back(&mut self, undo: Vec<(Prefix<F>, Option<Value>)>, unpublished: bool) {
        for (prefix, old) in undo.into_iter().rev() {
            if unpublished {
                self.undo(&prefix, old);
                continue;
            }
            let Some(value) = old else {
                self.remove(prefix);
                continue;
            };
            self.rib.insert(&prefix, value);
            if self.publish_over_budget(prefix, value.get()).is_err() {
                panic!("no memory to take a batch back");
            }
        }
    }

    fn undo(&mut self, prefix: &Prefix<F>, old: Option<Value>) {
        match old {
            Some(value) => self.rib.insert(prefix, value),
            None => self.rib.remove(prefix),
        };
    }

    fn publish(&mut self, prefix: Prefix<F>, value: u32) -> Result<(), Error> {
        let update = Update { rib: &self.rib, prefix, value };
        self.fib.apply(&update).or_else(|Full| self.republish(self.config.memory_budget_bytes))
    }

    fn publish_over_budget(&mut self, prefix: Prefix<F>, value: u32) -> Result<(), Error> {
        let update = Update { rib: &self.rib, prefix, value };
        self.fib.apply(&update).or_else(|Full| self.republish(usize::MAX))
    }

    /// Builds the lookup structure anew from the routes, with room to grow, and publishes it. Tries
    /// smaller roots when the fitting one would exceed `budget_bytes`.
    fn republish(&mut self, budget_bytes: usize) -> Result<(), Error> {
        self.forget_left_generations();
        let mut root_level = self.fitting_root_level();
        loop {
            match self.republish_with(root_level, budget_bytes) {
                Err(Error::OverBudget { .. }) if root_level > 1 => root_level -= 1,
                result => return result,
            }
        }
    }

    fn republish_with(&mut self, root_level: u8, budget_bytes: usize) -> Result<(), Error> {
        let image = build(&self.rib, root_level).map_err(|_| Error::TooLarge)?;
        let used = image.words.len();
        let blocks = used - F::root_words(root_level);
        let slack = SLACK_WORDS_MIN.max(blocks / SLACK_SHARE);
        let len = (used + slack).min(WORDS_MAX);
        let held: usize = self.retired.iter().map(|(_, bytes)| bytes).sum();
        // Two generations exist for the moment of the change, which the budget allows; not that readers who
        // never leave make the table pile up a third.
        let needed_bytes = len * size_of::<u64>() + image.interned.bytes() + self.rib.bytes() + held;
        if needed_bytes > budget_bytes {
            return Err(Error::OverBudget { needed_bytes, budget_bytes });
        }
        let words = Arc::new(Words::filled(len, &image.words).ok_or(Error::OutOfMemory)?);
        let published = Published { words: Arc::clone(&words), root_level };
        let fib = Fib::new(self.domain.clone(), words, root_level, used, image.interned);
        self.install(published, fib);
        Ok(())
    }

    fn install(&mut self, published: Published, fib: Fib) {
        let bytes = self.fib.bytes();
        self.fib = fib;
        self.slot.replace(Some(Box::new(published)));
        self.retired.push_back((self.domain.ticket(), bytes));
        self.domain.reclaim();
        self.forget_left_generations();
    }

    fn forget_left_generations(&mut self) {
        while self.retired.front().is_some_and(|(ticket, _)| self.domain.passed(*ticket)) {
            self.retired.pop_front();
        }
    }

    fn fitting_root_level(&self) -> u8 {
        let grown = F::ROOT_GROWS_AT.iter().take_while(|&&at| self.len() >= at).count();
        (grown as u8 + 1).min(self.config.root_level_max::<F>())
    }

    /// Whether the table has shrunk so far that a smaller lookup structure pays. There is a wide gap
    /// between growing and shrinking, so that no table is built anew at every other update.
    fn shrinks(&self) -> bool {
        let level = usize::from(self.fib.root_level());
        let root_too_large = level > 1 && self.len() == F::ROOT_GROWS_AT[level - 2] / SHRINK_SHARE;
        self.is_empty() || root_too_large || self.fib.is_sparse(F::root_words(self.fib.root_level()))
    }

    /// Memory for one more route on the writer's side.
    fn make_room(&mut self) -> Result<(), Error> {
        self.rib.pack();
        self.check_rib_growth()?;
        self.rib.reserve().map_err(|_| Error::OutOfMemory)
    }

    fn check_rib_growth(&self) -> Result<(), Error> {
        let growth = self.rib.growth_bytes();
        let budget_bytes = self.config.memory_budget_bytes;
        if growth == 0 || budget_bytes == usize::MAX {
            return Ok(());
        }
        let needed_bytes = self.memory().total_bytes() + growth;
        if needed_bytes > budget_bytes {
            return Err(Error::OverBudget { needed_bytes, budget_bytes });
        }
        Ok(())
    }
}

/// A root is given up when the table has this part of the routes that made it grow.
const SHRINK_SHARE: usize = 4;
/// A new generation has room for at least so many words more than it needs.
const SLACK_WORDS_MIN: usize = 64;
/// And for at least this part of what it needs, so that the cost of building is spread over many updates.
const SLACK_SHARE: usize = 4;

impl<'a, F: Family> IntoIterator for &'a Lpm<F> {
    type Item = (Prefix<F>, Value);
    type IntoIter = Iter<'a, F>;

    fn into_iter(self) -> Iter<'a, F> {
        self.iter()
    }
}

impl<F: Family> fmt::Debug for Lpm<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lpm")
            .field("len", &self.len())
            .field("memory", &self.memory())
            .finish_non_exhaustive()
    }
}
