//! The routes of one VRF and family: the longest-prefix match, and beside it whose each route is.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use ze_lpm::{Config, Domain, Family, Lpm, LpmReader, Prefix, Value};

use super::{Error, RouteSource};
use crate::Target;

/// A source's route for a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) source: RouteSource,
    pub(super) target: Target,
    pub(super) stamp: u32,
}

/// The route in force, and whether other sources have one too.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// Packed.
    target: u32,
    stamp: u32,
    source: RouteSource,
    contested: bool,
}

pub(super) struct Table<F: Family> {
    lpm: Lpm<F>,
    /// Looked up a million times a second. Seeded anew for each table, so that nobody who announces routes can choose
    /// prefixes that meet in one bucket.
    held: HashMap<Prefix<F>, Held, RandomState>,
    /// All candidates of contested prefixes, in order of precedence; two at least.
    contested: HashMap<Prefix<F>, Vec<Candidate>, RandomState>,
}

impl Held {
    const fn new(candidate: Candidate, contested: bool) -> Self {
        let Candidate { source, target, stamp } = candidate;
        Self { target: target.pack(), stamp, source, contested }
    }

    fn candidate(self) -> Option<Candidate> {
        Some(Candidate { source: self.source, target: Target::unpack(self.target)?, stamp: self.stamp })
    }
}

impl<F: Family> Table<F>
where
    Prefix<F>: std::hash::Hash + Eq + Copy,
{
    pub(super) fn new(domain: &Domain, config: Config) -> Self {
        Self { lpm: Lpm::new(domain, config), held: HashMap::default(), contested: HashMap::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn reader(&self) -> LpmReader<F> {
        self.lpm.reader()
    }

    /// Puts a candidate; returns where its source's route led before.
    pub(super) fn put(&mut self, prefix: Prefix<F>, new: Candidate) -> Result<Option<Target>, Error> {
        match self.held.get_mut(&prefix) {
            None => {
                self.lpm.insert(prefix, value(new.target)?)?;
                self.held.insert(prefix, Held::new(new, false));
                Ok(None)
            }
            Some(held) if !held.contested && held.source == new.source => {
                let old = Target::unpack(held.target);
                if old != Some(new.target) {
                    self.lpm.insert(prefix, value(new.target)?)?;
                }
                *held = Held::new(new, false);
                Ok(old)
            }
            Some(_) => self.put_contested(prefix, new),
        }
    }

    #[cold]
    fn put_contested(&mut self, prefix: Prefix<F>, new: Candidate) -> Result<Option<Target>, Error> {
        let mut all = self.candidates(&prefix);
        let mut old = None;
        match all.iter_mut().find(|candidate| candidate.source == new.source) {
            Some(there) => old = Some(std::mem::replace(there, new).target),
            None => all.push(new),
        }
        self.settle(prefix, all)?;
        Ok(old)
    }

    /// Removes a source's candidate; returns where it led.
    pub(super) fn remove(&mut self, prefix: Prefix<F>, source: RouteSource) -> Option<Target> {
        let held = self.held.get(&prefix)?;
        if !held.contested {
            if held.source != source {
                return None;
            }
            self.lpm.remove(prefix);
            return Target::unpack(self.held.remove(&prefix)?.target);
        }
        let mut all = self.candidates(&prefix);
        let at = all.iter().position(|candidate| candidate.source == source)?;
        let removed = all.remove(at).target;
        // Replacing the value of a prefix that is there needs no memory that removing it would not free.
        let _ = self.settle(prefix, all);
        Some(removed)
    }

    /// Makes these the candidates of a prefix, of which there is one at least.
    fn settle(&mut self, prefix: Prefix<F>, mut all: Vec<Candidate>) -> Result<(), Error> {
        all.sort_by_key(|candidate| candidate.source);
        let Some(first) = all.first().copied() else { return Ok(()) };
        let in_force = self.held.get(&prefix).and_then(|held| Target::unpack(held.target));
        if in_force != Some(first.target) {
            self.lpm.insert(prefix, value(first.target)?)?;
        }
        let contested = all.len() > 1;
        self.held.insert(prefix, Held::new(first, contested));
        if contested {
            self.contested.insert(prefix, all);
        } else {
            self.contested.remove(&prefix);
        }
        Ok(())
    }

    /// All candidates of a prefix, in order of precedence.
    pub(super) fn candidates(&self, prefix: &Prefix<F>) -> Vec<Candidate> {
        match self.held.get(prefix) {
            None => Vec::new(),
            Some(held) if held.contested => self.contested.get(prefix).cloned().unwrap_or_default(),
            Some(held) => held.candidate().into_iter().collect(),
        }
    }

    /// Every candidate, and whether it is in force; in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Prefix<F>, Candidate, bool)> + '_ {
        let in_force = self.held.iter().filter_map(|(prefix, held)| Some((*prefix, held.candidate()?, true)));
        let others = self
            .contested
            .iter()
            .flat_map(|(prefix, all)| all.iter().skip(1).map(|candidate| (*prefix, *candidate, false)));
        in_force.chain(others)
    }

    /// The longest prefix over an address that lookups know, and its route in force.
    pub(super) fn longest(&self, address: F::Addr) -> Option<(Prefix<F>, Candidate)> {
        let (prefix, _) = self.lpm.lookup(address)?;
        Some((prefix, self.held.get(&prefix)?.candidate()?))
    }

    /// Puts right in the longest-prefix match what differs from the books.
    pub(super) fn mend(&mut self) -> usize {
        let mut mended = 0;
        let surplus: Vec<_> =
            self.lpm.iter().map(|(prefix, _)| prefix).filter(|p| !self.held.contains_key(p)).collect();
        for prefix in surplus {
            self.lpm.remove(prefix);
            mended += 1;
        }
        for (prefix, held) in &self.held {
            let Ok(value) = Value::try_from(held.target) else { continue };
            if self.lpm.exact(*prefix) != Some(value) {
                mended += usize::from(self.lpm.insert(*prefix, value).is_ok());
            }
        }
        mended
    }

    pub(super) fn damage(&mut self, prefix: Prefix<F>) {
        self.lpm.remove(prefix);
    }

    /// Bytes that lookups read, and bytes that only the writer reads.
    pub(super) fn memory(&self) -> (usize, usize) {
        let memory = self.lpm.memory();
        let held = self.held.capacity() * (size_of::<Prefix<F>>() + size_of::<Held>() + 1);
        let contested = self.contested.capacity() * (size_of::<Prefix<F>>() + 3 * size_of::<Candidate>());
        (memory.lookup_bytes, memory.rib_bytes + held + contested)
    }
}

fn value(target: Target) -> Result<Value, Error> {
    Value::try_from(target.pack()).map_err(|e| Error::Conflict(e.to_string()))
}
