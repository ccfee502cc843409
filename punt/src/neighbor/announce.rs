//! Telling the link about our addresses: gratuitous ARP (RFC 5227 §2.3), unsolicited neighbour advertisements
//! (RFC 4861 §7.2.6), and the defence of an address somebody else claims (RFC 5227 §2.4).

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Instant;

use ze_packet::InterfaceId;

use super::engine::Engine;
use super::limits;
use super::table::Key;

/// Announcements to come, and defences lately made. Bounded by the number of our own addresses.
#[derive(Debug, Default)]
pub(super) struct Announcements {
    due: BTreeSet<(Instant, Key, u32)>,
    defended: HashMap<Key, Instant>,
}

impl Announcements {
    /// Announces these addresses from now on.
    pub(super) fn schedule(
        &mut self,
        on: InterfaceId,
        addresses: impl Iterator<Item = IpAddr>,
        now: Instant,
    ) {
        for address in addresses {
            let key = (on, address);
            self.due.retain(|(_, due, _)| *due != key);
            self.due.insert((now, key, limits::ANNOUNCE_COUNT));
        }
    }

    /// Forgets the addresses of this interface which are `gone`.
    pub(super) fn forget(&mut self, on: InterfaceId, gone: impl Fn(IpAddr) -> bool) {
        self.due.retain(|(_, (interface, address), _)| *interface != on || !gone(*address));
        self.defended.retain(|(interface, address), _| *interface != on || !gone(*address));
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.due.first().map(|(deadline, ..)| *deadline)
    }

    fn take_due(&mut self, now: Instant) -> Option<(Key, u32)> {
        let first = *self.due.first().filter(|(deadline, ..)| *deadline <= now)?;
        self.due.remove(&first);
        Some((first.1, first.2))
    }

    fn may_defend(&mut self, key: Key, now: Instant) -> bool {
        let lately = |last: &Instant| now.saturating_duration_since(*last) < limits::DEFEND_INTERVAL;
        if self.defended.get(&key).is_some_and(lately) {
            return false;
        }
        self.defended.insert(key, now);
        true
    }
}

impl Engine {
    /// Sends the announcements that are due.
    pub(super) fn announce_due(&mut self, now: Instant) {
        while let Some((key, remaining)) = self.announcements.take_due(now) {
            // A link that went down is announced anew when it comes up.
            if !self.is_up(key.0) {
                continue;
            }
            self.counters.announcements_sent += 1;
            self.announce(key);
            if remaining > 1 {
                self.announcements.due.insert((now + limits::ANNOUNCE_INTERVAL, key, remaining - 1));
            }
        }
    }

    /// Somebody else claims an address of ours: says whose it is, but not faster than the other side can
    /// make us (RFC 5227 §2.4 b).
    pub(super) fn defend(&mut self, key: Key, now: Instant) {
        self.counters.conflicts += 1;
        if self.announcements.may_defend(key, now) {
            self.counters.defences_sent += 1;
            self.announce(key);
        }
    }

    fn announce(&mut self, (interface, address): Key) {
        match address {
            IpAddr::V4(address) => self.send_gratuitous_arp(interface, address),
            IpAddr::V6(address) => self.send_unsolicited_advertisement(interface, address),
        }
    }
}
