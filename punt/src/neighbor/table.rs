//! The entries, ordered by what the engine asks of them: by key, by deadline, by who goes first when it is full.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use ze_packet::InterfaceId;

use super::entry::Entry;
use super::fsm::State;

/// What names an entry. Link-local addresses mean something on one interface only, so all have one.
pub(super) type Key = (InterfaceId, IpAddr);

/// Lower goes first; within a rank the one used longest ago.
type Place = (u8, u64, Key);

#[derive(Debug, Default)]
pub(super) struct Table {
    entries: BTreeMap<Key, Entry>,
    deadlines: BTreeSet<(Instant, Key)>,
    evictable: BTreeSet<Place>,
    interfaces: HashMap<InterfaceId, OnInterface>,
    uses: u64,
}

#[derive(Debug, Default)]
struct OnInterface {
    entries: usize,
    evictable: BTreeSet<Place>,
}

/// Who is evicted first: failures, then questions (an address scan makes these, RFC 6583 §4), then neighbours
/// nobody talks to. Neighbours in use and configured ones stay.
fn rank(state: State) -> Option<u8> {
    match state {
        State::Failed => Some(0),
        State::Incomplete => Some(1),
        State::Stale => Some(2),
        State::Reachable | State::Delay | State::Probe | State::Permanent => None,
    }
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn len_on(&self, interface: InterfaceId) -> usize {
        self.interfaces.get(&interface).map_or(0, |on| on.entries)
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Entry> {
        self.entries.get(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Entry)> {
        self.entries.iter()
    }

    /// The keys on one interface, in order.
    pub(super) fn keys_on(&self, interface: InterfaceId) -> Vec<Key> {
        let first = (interface, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let last = (interface, IpAddr::V6(Ipv6Addr::from(u128::MAX)));
        self.entries.range(first..=last).map(|(key, _)| *key).collect()
    }

    pub(super) fn keys(&self) -> Vec<Key> {
        self.entries.keys().copied().collect()
    }

    /// Takes an entry out, to change it and put it back.
    pub(super) fn take(&mut self, key: &Key) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        if let Some(deadline) = entry.deadline {
            self.deadlines.remove(&(deadline, *key));
        }
        let on = self.interfaces.entry(key.0).or_default();
        on.entries -= 1;
        if let Some(rank) = rank(entry.state) {
            let place = (rank, entry.stamp, *key);
            self.evictable.remove(&place);
            on.evictable.remove(&place);
        }
        if on.entries == 0 {
            self.interfaces.remove(&key.0);
        }
        Some(entry)
    }

    /// Puts an entry in. There is none with this key.
    pub(super) fn put(&mut self, key: Key, entry: Entry) {
        if let Some(deadline) = entry.deadline {
            self.deadlines.insert((deadline, key));
        }
        let on = self.interfaces.entry(key.0).or_default();
        on.entries += 1;
        if let Some(rank) = rank(entry.state) {
            let place = (rank, entry.stamp, key);
            self.evictable.insert(place);
            on.evictable.insert(place);
        }
        let old = self.entries.insert(key, entry);
        assert!(old.is_none(), "an entry is taken before it is put");
    }

    /// The stamp of a use now.
    pub(super) fn stamp(&mut self) -> u64 {
        self.uses += 1;
        self.uses
    }

    /// Who makes room, on this interface or anywhere.
    pub(super) fn victim(&self, interface: Option<InterfaceId>) -> Option<Key> {
        let evictable = match interface {
            Some(interface) => &self.interfaces.get(&interface)?.evictable,
            None => &self.evictable,
        };
        evictable.first().map(|(_, _, key)| *key)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// The entry whose timer ran out first, if any has.
    pub(super) fn due(&self, now: Instant) -> Option<Key> {
        self.deadlines.first().filter(|(deadline, _)| *deadline <= now).map(|(_, key)| *key)
    }
}
