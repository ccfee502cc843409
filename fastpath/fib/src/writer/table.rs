//! The routes of one VRF and family: the longest-prefix match, and beside it whose each route is.

use std::collections::BTreeMap;
use std::ops::Bound;

use ze_lpm::{Config, Domain, Family, Lpm, LpmReader, Prefix, Value};

use super::walk::{self, Bits, Mended};
use super::{Error, RouteSource};
use crate::Target;

/// Memory of a tree by its entries: a node has room for eleven and is between half full and full.
const TREE_SLACK: (usize, usize) = (3, 2);

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
    /// In order, so that who looks at all of it can stop after any prefix and go on from there. As fast as a hash for
    /// tables that come in order, 0.5 µs a change slower for changes all over; and it never moves everything at once.
    held: BTreeMap<Prefix<F>, Held>,
    /// All candidates of contested prefixes, in order of precedence; two at least.
    contested: BTreeMap<Prefix<F>, Vec<Candidate>>,
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
    F::Addr: Bits,
{
    pub(super) fn new(domain: &Domain, config: Config) -> Self {
        Self { lpm: Lpm::new(domain, config), held: BTreeMap::new(), contested: BTreeMap::new() }
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

    /// Candidates of the prefixes after one, and whether each is in force: by prefix, then precedence.
    pub(super) fn after(
        &self,
        after: Option<Prefix<F>>,
    ) -> impl Iterator<Item = (Prefix<F>, Candidate, bool)> + '_ {
        self.held_after(after).flat_map(|(prefix, held)| {
            let others = match held.contested {
                true => self.contested.get(prefix).map_or(&[][..], |all| &all[1..]),
                false => &[],
            };
            let in_force = held.candidate().map(|candidate| (*prefix, candidate, true));
            in_force.into_iter().chain(others.iter().map(|candidate| (*prefix, *candidate, false)))
        })
    }

    fn held_after(&self, after: Option<Prefix<F>>) -> impl Iterator<Item = (&Prefix<F>, &Held)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.held.range((from, Bound::Unbounded))
    }

    /// The longest prefix over an address that lookups know, and its route in force.
    pub(super) fn longest(&self, address: F::Addr) -> Option<(Prefix<F>, Candidate)> {
        let (prefix, _) = self.lpm.lookup(address)?;
        Some((prefix, self.held.get(&prefix)?.candidate()?))
    }

    /// Puts right in the longest-prefix match what differs from the books, in the next `limit` prefixes of either.
    pub(super) fn mend(&mut self, after: Option<Prefix<F>>, limit: usize) -> Mended<Prefix<F>> {
        let mut there = walk::after(&self.lpm, after).peekable();
        let mut books = self.held_after(after).map(|(prefix, held)| (*prefix, held.target)).peekable();
        let (mut checked, mut last, mut wrong) = (0, None, Vec::new());
        while checked < limit {
            let prefix = match (there.peek(), books.peek()) {
                (None, None) => break,
                (Some((prefix, _)), None) | (None, Some((prefix, _))) => *prefix,
                (Some((one, _)), Some((other, _))) => *one.min(other),
            };
            let found = there.next_if(|(at, _)| *at == prefix).map(|(_, value)| value);
            let wanted = books.next_if(|(at, _)| *at == prefix);
            let wanted = wanted.and_then(|(_, target)| Value::try_from(target).ok());
            if found != wanted {
                wrong.push((prefix, wanted));
            }
            (checked, last) = (checked + 1, Some(prefix));
        }
        let next = if checked == limit { last } else { None };
        drop((there, books));
        let mended = wrong.into_iter().filter(|(prefix, wanted)| self.mend_one(*prefix, *wanted)).count();
        Mended { checked: checked as u64, mended: mended as u64, next }
    }

    fn mend_one(&mut self, prefix: Prefix<F>, wanted: Option<Value>) -> bool {
        match wanted {
            Some(value) => self.lpm.insert(prefix, value).is_ok(),
            None => self.lpm.remove(prefix).is_some(),
        }
    }

    /// Makes lookups differ from the books.
    pub(super) fn damage(&mut self, prefix: Prefix<F>, target: Option<Target>) {
        match target.map(value) {
            Some(Ok(value)) => drop(self.lpm.insert(prefix, value)),
            Some(Err(_)) | None => drop(self.lpm.remove(prefix)),
        }
    }

    /// Bytes that lookups read, and bytes that only the writer reads.
    pub(super) fn memory(&self) -> (usize, usize) {
        let memory = self.lpm.memory();
        let held = self.held.len() * size_of::<(Prefix<F>, Held)>() * TREE_SLACK.0 / TREE_SLACK.1;
        let contested = self.contested.len() * (size_of::<Prefix<F>>() + 3 * size_of::<Candidate>());
        (memory.lookup_bytes, memory.rib_bytes + held + contested)
    }
}

fn value(target: Target) -> Result<Value, Error> {
    Value::try_from(target.pack()).map_err(|e| Error::Conflict(e.to_string()))
}
