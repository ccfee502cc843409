//! The engine: finds the entry an input speaks of, steps its state machine, and says what follows.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ze_packet::{InterfaceId, MacAddr};

use super::announce::Announcements;
use super::bucket::Bucket;
use super::entry::Entry;
use super::fsm::{self, Event, Next, State};
use super::table::{Key, Table};
use super::{Counters, Error, Interface, Limits, Neighbor, Output, limits};

/// The neighbours of every interface.
#[derive(Debug)]
pub struct Engine {
    limits: Limits,
    random: u64,
    pub(super) interfaces: HashMap<InterfaceId, Interface>,
    pub(super) table: Table,
    pub(super) announcements: Announcements,
    pub(super) counters: Counters,
    outputs: VecDeque<Output>,
    solicitations: Bucket,
    replies: Bucket,
    /// Packets held now, all entries together.
    held: usize,
}

impl Engine {
    /// An engine without interfaces. `seed` randomises reachable times, so that routers do not probe in step.
    pub fn new(limits: Limits, seed: u64) -> Self {
        Self {
            solicitations: Bucket::new(limits.solicitations_per_s, limits.solicitation_burst),
            replies: Bucket::new(limits.replies_per_s, limits.reply_burst),
            limits,
            random: seed,
            interfaces: HashMap::new(),
            table: Table::default(),
            announcements: Announcements::default(),
            counters: Counters::default(),
            outputs: VecDeque::new(),
            held: 0,
        }
    }

    /// The next thing to do; call until `None` after each other call.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Engine::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.table.next_deadline(), self.announcements.next_deadline()].into_iter().flatten().min()
    }

    /// Tells the time: timers that ran out fire.
    pub fn handle_timeout(&mut self, now: Instant) {
        // Each timer that fires starts anew in the future or goes, so this ends.
        while let Some(key) = self.table.due(now) {
            self.expire(key, now);
        }
        self.announce_due(now);
    }

    /// Puts an interface: new, or changed in any way. Entries are kept where they still make sense.
    pub fn put_interface(&mut self, interface: Interface, now: Instant) {
        let id = interface.id;
        let old = self.interfaces.insert(id, interface.clone());
        let was_up = old.as_ref().is_some_and(|old| old.up);
        if was_up && !interface.up {
            self.link_down(id, now);
        }
        if let Some(old) = &old {
            self.drop_misplaced(old, &interface, now);
        }
        if interface.up && !was_up {
            self.link_up(id);
        }
        self.announcements.forget(id, |address| !interface.owns(address));
        if interface.up {
            let all = !was_up || old.as_ref().is_some_and(|old| old.mac != interface.mac);
            let is_new = |address: &IpAddr| all || old.as_ref().is_none_or(|old| !old.owns(*address));
            self.announcements.schedule(id, interface.own_addresses().filter(is_new), now);
            self.announce_due(now);
        }
    }

    /// Removes an interface and all its neighbours, configured ones included.
    pub fn remove_interface(&mut self, interface: InterfaceId) {
        let Some(gone) = self.interfaces.remove(&interface) else { return };
        self.announcements.forget(interface, |_| true);
        for key in self.table.keys_on(interface) {
            let Some(entry) = self.table.take(&key) else { continue };
            self.dissolve(key, entry, gone.up);
        }
    }

    /// A packet needs `address`, or somebody wants it known. `packet` is the L3 packet, copied.
    pub fn resolve(
        &mut self,
        interface: InterfaceId,
        address: IpAddr,
        packet: Option<Vec<u8>>,
        now: Instant,
    ) {
        self.counters.resolves += 1;
        self.counters.held_in += u64::from(packet.is_some());
        let key = (interface, address);
        let possible = self.interfaces.get(&interface).is_some_and(|on| on.up && on.may_be_neighbor(address));
        if !possible {
            self.counters.resolves_refused += 1;
            self.give_back(key, packet.into_iter().collect());
            return;
        }
        let Some(entry) = self.table.get(&key) else {
            self.resolve_new(key, packet, now);
            return;
        };
        if !entry.may_retry(now) {
            self.give_back(key, packet.into_iter().collect());
            return;
        }
        self.touch(key);
        self.apply(key, Event::Used, None, now);
        match (self.mac(interface, address), packet) {
            // The packet missed the adjacency by a moment.
            (Some(mac), Some(packet)) => {
                self.counters.held_released += 1;
                self.output(Output::Release { interface, address, mac, packets: vec![packet] });
            }
            (_, packet) => self.hold(key, packet),
        }
    }

    /// An upper layer saw packets come back from this neighbour.
    pub fn confirm(&mut self, interface: InterfaceId, address: IpAddr, now: Instant) {
        self.apply((interface, address), Event::Confirmed, None, now);
    }

    /// Says how many packets the neighbour's adjacency carried since the last call.
    pub fn in_use(&mut self, interface: InterfaceId, address: IpAddr, packets: u64, now: Instant) {
        let key = (interface, address);
        if packets == 0 || !self.table.get(&key).is_some_and(|entry| entry.state.forwards()) {
            return;
        }
        self.touch(key);
        self.apply(key, Event::Used, None, now);
    }

    /// Configures a neighbour. It stays until removed, whatever the wire says.
    ///
    /// # Errors
    /// When the interface is unknown, an address cannot be a neighbour's, or the table is full.
    pub fn put_static(
        &mut self,
        interface: InterfaceId,
        address: IpAddr,
        mac: MacAddr,
        now: Instant,
    ) -> Result<(), Error> {
        let on = self.interfaces.get(&interface).ok_or(Error::UnknownInterface(interface))?;
        if !on.may_be_neighbor(address) {
            return Err(Error::Address(address));
        }
        if mac.is_group() || mac == MacAddr::ZERO {
            return Err(Error::Mac(mac));
        }
        let key = (interface, address);
        if self.table.get(&key).is_none() && !self.create(key, now) {
            return Err(Error::TableFull);
        }
        self.apply(key, Event::Pinned, Some(mac), now);
        Ok(())
    }

    /// Removes a configured neighbour; says whether there was one.
    pub fn remove_static(&mut self, interface: InterfaceId, address: IpAddr, now: Instant) -> bool {
        let key = (interface, address);
        let was_static = self.table.get(&key).is_some_and(|entry| entry.state == State::Permanent);
        self.apply(key, Event::Unpinned, None, now);
        was_static
    }

    /// Forgets every learned neighbour, on one interface or on all.
    pub fn flush(&mut self, interface: Option<InterfaceId>, now: Instant) {
        let keys = interface.map_or_else(|| self.table.keys(), |id| self.table.keys_on(id));
        for key in keys {
            self.discard_held(key);
            self.apply(key, Event::Purged, None, now);
        }
    }

    /// Forgets one learned neighbour.
    pub fn flush_one(&mut self, interface: InterfaceId, address: IpAddr, now: Instant) {
        let key = (interface, address);
        self.discard_held(key);
        self.apply(key, Event::Purged, None, now);
    }

    /// Every neighbour, ordered by interface and address.
    pub fn snapshot(&self, now: Instant) -> impl Iterator<Item = Neighbor> + '_ {
        self.table.iter().map(move |(&(interface, address), entry)| Neighbor {
            interface,
            address,
            mac: entry.mac,
            state: entry.state,
            age: entry.age(now),
            is_static: entry.state == State::Permanent,
            held: entry.held.len(),
            probes: entry.tries,
        })
    }

    /// The neighbour's Ethernet address, while forwarding may use it.
    pub fn mac(&self, interface: InterfaceId, address: IpAddr) -> Option<MacAddr> {
        let up = self.interfaces.get(&interface)?.up;
        self.table.get(&(interface, address))?.mac.filter(|_| up)
    }

    /// What was counted since start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Packets that wait now. `held_in` is always the sum of this and the other `held_…` counters.
    pub fn held(&self) -> usize {
        self.held
    }

    // What the message handlers use.

    pub(super) fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(super) fn may_reply(&mut self, now: Instant) -> bool {
        let allowed = self.replies.take(0, now);
        self.counters.replies_rate_limited += u64::from(!allowed);
        allowed
    }

    /// The neighbour said where it is. `answered`: because we asked.
    pub(super) fn learn(&mut self, key: Key, mac: MacAddr, answered: bool, now: Instant) {
        let Some(entry) = self.table.get(&key) else { return };
        let moved = entry.mac.is_some_and(|known| known != mac);
        self.counters.moves += u64::from(moved && entry.state != State::Permanent);
        let event = match (answered, moved) {
            (true, _) => Event::Answered,
            (false, true) => Event::Moved,
            (false, false) => Event::Heard,
        };
        self.apply(key, event, Some(mac), now);
    }

    /// As [`Engine::learn`], for a neighbour that may be new: it spoke to us.
    pub(super) fn learn_new(&mut self, key: Key, mac: MacAddr, now: Instant) {
        if self.table.get(&key).is_some() || self.create(key, now) {
            self.learn(key, mac, false, now);
        }
    }

    /// Steps one entry's machine.
    pub(super) fn apply(&mut self, key: Key, event: Event, mac: Option<MacAddr>, now: Instant) {
        let Some(entry) = self.table.take(&key) else { return };
        match fsm::next(entry.state, event) {
            Next::Stay => self.table.put(key, entry),
            Next::To(state) => self.enter(key, entry, state, mac, now),
            Next::Remove => self.dissolve(key, entry, self.is_up(key.0)),
        }
    }

    // The machine's consequences.

    fn expire(&mut self, key: Key, now: Instant) {
        let Some(entry) = self.table.get(&key) else { return };
        let event = if entry.is_exhausted(now) { Event::Exhausted } else { Event::Timeout };
        match entry.state {
            State::Incomplete => self.counters.failures += u64::from(event == Event::Exhausted),
            State::Probe => self.counters.probe_failures += u64::from(event == Event::Exhausted),
            State::Stale | State::Failed => self.counters.aged += 1,
            State::Reachable | State::Delay | State::Permanent => {}
        }
        self.apply(key, event, None, now);
    }

    fn enter(&mut self, key: Key, mut entry: Entry, state: State, mac: Option<MacAddr>, now: Instant) {
        let (interface, address) = key;
        let before = entry.mac;
        let reachable = self.reachable_time();
        entry.enter(state, mac, reachable, now);
        let after = entry.mac;
        if matches!(state, State::Incomplete | State::Probe) {
            self.solicit(key, &mut entry, now);
        }
        let vain = if state == State::Failed { std::mem::take(&mut entry.held) } else { VecDeque::new() };
        self.table.put(key, entry);
        if self.is_up(interface) && before != after {
            self.output(match after {
                Some(mac) => Output::Resolved { interface, address, mac },
                None => Output::Withdrawn { interface, address },
            });
        }
        self.held -= vain.len();
        self.give_back(key, vain.into());
        if self.release(key) && state == State::Stale {
            self.apply(key, Event::Used, None, now);
        }
    }

    /// The entry is gone from the table: withdraws its adjacency and gives back what waits.
    fn dissolve(&mut self, key: Key, entry: Entry, was_up: bool) {
        let (interface, address) = key;
        if entry.mac.is_some() && was_up {
            self.output(Output::Withdrawn { interface, address });
        }
        self.held -= entry.held.len();
        self.give_back(key, entry.held.into());
    }

    fn solicit(&mut self, key: Key, entry: &mut Entry, now: Instant) {
        let multicast = entry.state == State::Incomplete;
        let reserve = if multicast { self.limits.solicitation_burst / 4 } else { 0 };
        if !self.solicitations.take(reserve, now) {
            self.counters.solicitations_rate_limited += 1;
            return;
        }
        entry.tries += 1;
        match key.1 {
            IpAddr::V4(target) => self.send_arp_request(key.0, target, entry.mac),
            IpAddr::V6(target) => self.send_nd_solicitation(key.0, target, entry.mac),
        }
    }

    fn resolve_new(&mut self, key: Key, packet: Option<Vec<u8>>, now: Instant) {
        if !self.create(key, now) {
            self.counters.held_discarded += u64::from(packet.is_some());
            return;
        }
        self.hold(key, packet);
        self.apply(key, Event::Timeout, None, now);
    }

    /// Makes an entry, evicting another if it must. False when every other is in use.
    fn create(&mut self, key: Key, now: Instant) -> bool {
        let interface_full = self.table.len_on(key.0) >= self.limits.entries_per_interface;
        let full = self.table.len() >= self.limits.entries;
        if interface_full || full {
            let Some(victim) = self.table.victim(interface_full.then_some(key.0)) else {
                self.counters.table_full += 1;
                return false;
            };
            self.counters.evicted += 1;
            self.discard_held(victim);
            self.apply(victim, Event::Purged, None, now);
        }
        let stamp = self.table.stamp();
        self.table.put(key, Entry::new(stamp, now));
        true
    }

    fn touch(&mut self, key: Key) {
        let Some(mut entry) = self.table.take(&key) else { return };
        entry.stamp = self.table.stamp();
        self.table.put(key, entry);
    }

    fn hold(&mut self, key: Key, packet: Option<Vec<u8>>) {
        let Some(packet) = packet else { return };
        let Some(mut entry) = self.table.take(&key) else { return };
        entry.held.push_back(packet);
        self.held += 1;
        if entry.held.len() > self.limits.held_per_entry {
            entry.held.pop_front();
            self.held -= 1;
            self.counters.held_overflow += 1;
        }
        if self.held > self.limits.held {
            entry.held.pop_back();
            self.held -= 1;
            self.counters.held_total_overflow += 1;
        }
        self.table.put(key, entry);
    }

    /// Sends what waits if the neighbour is known; says whether anything did.
    fn release(&mut self, key: Key) -> bool {
        let known = self.table.get(&key).filter(|entry| !entry.held.is_empty()).and_then(|entry| entry.mac);
        let Some(mac) = known else { return false };
        let packets = self.take_held(key);
        self.counters.held_released += packets.len() as u64;
        self.output(Output::Release { interface: key.0, address: key.1, mac, packets });
        true
    }

    fn take_held(&mut self, key: Key) -> Vec<Vec<u8>> {
        let Some(mut entry) = self.table.take(&key) else { return Vec::new() };
        let packets: Vec<_> = std::mem::take(&mut entry.held).into();
        self.table.put(key, entry);
        self.held -= packets.len();
        packets
    }

    fn discard_held(&mut self, key: Key) {
        self.counters.held_discarded += self.take_held(key).len() as u64;
    }

    fn give_back(&mut self, key: Key, packets: Vec<Vec<u8>>) {
        if packets.is_empty() {
            return;
        }
        self.counters.held_unreachable += packets.len() as u64;
        self.output(Output::Unreachable { interface: key.0, address: key.1, packets });
    }

    // Interfaces.

    pub(super) fn is_up(&self, interface: InterfaceId) -> bool {
        self.interfaces.get(&interface).is_some_and(|on| on.up)
    }

    fn link_down(&mut self, interface: InterfaceId, now: Instant) {
        for key in self.table.keys_on(interface) {
            // The interface is already marked down, so that the machine itself withdraws nothing.
            if self.table.get(&key).is_some_and(|entry| entry.mac.is_some()) {
                self.output(Output::Withdrawn { interface, address: key.1 });
            }
            self.apply(key, Event::Purged, None, now);
        }
    }

    /// Only configured neighbours have outlived the time without a link.
    fn link_up(&mut self, interface: InterfaceId) {
        for key in self.table.keys_on(interface) {
            if let Some(mac) = self.table.get(&key).and_then(|entry| entry.mac) {
                self.output(Output::Resolved { interface, address: key.1, mac });
            }
        }
    }

    /// After addresses changed: an address that is now ours is nobody else's, and learned neighbours whose
    /// subnet is gone go with it.
    fn drop_misplaced(&mut self, old: &Interface, new: &Interface, now: Instant) {
        for key in self.table.keys_on(new.id) {
            let off_link = old.is_on_link(key.1) && !new.is_on_link(key.1);
            if !new.may_be_neighbor(key.1) {
                self.apply(key, Event::Unpinned, None, now);
                self.apply(key, Event::Purged, None, now);
            } else if off_link {
                self.apply(key, Event::Purged, None, now);
            }
        }
    }

    /// This confirmation's lifetime: RFC 4861 §6.3.2, a uniform random factor between 0.5 and 1.5.
    fn reachable_time(&mut self) -> Duration {
        let (low, high) = (limits::REACHABLE_RANDOM_PERCENT.start(), limits::REACHABLE_RANDOM_PERCENT.end());
        let percent = low + self.next_random() % (high - low + 1);
        limits::REACHABLE * u32::try_from(percent).unwrap_or(100) / 100
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): small, and good enough to spread timers.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
