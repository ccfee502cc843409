//! Nexthops and neighbours: what a route leads to, and how it learns of a resolved address.
//!
//! A nexthop may have a *backup*, another nexthop. While its own way can not be used (the interface is down, or the
//! gateway's address is not known) and the backup's can, workers find the backup's record in its place. The record is
//! there before it is needed, so the flip is one store for each nexthop, however many prefixes lead to it. A backup may
//! have a backup itself: the first that can be used is in force, [`BACKUPS_MAX`] of them are looked at.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;

use ipnet::IpNet;
use ze_packet::{InterfaceId, MacAddr, NexthopId, VrfId};

use super::{Error, Fib, RouteSource};
use crate::{Adjacency, Nexthop, Target};

/// Backups that stand behind a nexthop, one behind the other, at most; those beyond are not looked at.
pub const BACKUPS_MAX: usize = 3;

/// What a nexthop is to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NexthopSpec {
    /// Send to a gateway on an interface.
    Gateway(InterfaceId, IpAddr),
    /// The interface itself: the destination is the neighbour.
    Interface(InterfaceId),
    /// One of our own addresses.
    Local(InterfaceId),
    /// Broadcast address of a connected prefix.
    SubnetBroadcast(InterfaceId),
    /// Look the destination up again in another VRF.
    Vrf(VrfId),
    /// Drop silently.
    Blackhole,
    /// Drop and say "unreachable".
    Unreachable,
    /// Drop and say "prohibited".
    Prohibit,
}

pub(super) struct NexthopEntry {
    pub(super) spec: NexthopSpec,
    backup: Option<NexthopId>,
    /// Groups that it is a member of, routes that lead to it, and nexthops that it is the backup of.
    pub(super) groups: u32,
    pub(super) routes: u64,
    backs: u32,
}

/// Which nexthops a change concerns, so that nobody has to look at all of them.
#[derive(Default)]
pub(super) struct Concerned {
    gateways: HashMap<(InterfaceId, IpAddr), BTreeSet<NexthopId>>,
    interfaces: HashMap<InterfaceId, BTreeSet<NexthopId>>,
    backups: HashMap<NexthopId, BTreeSet<NexthopId>>,
}

impl Concerned {
    fn add(&mut self, id: NexthopId, spec: &NexthopSpec) {
        if let NexthopSpec::Gateway(interface, address) = spec {
            self.gateways.entry((*interface, *address)).or_default().insert(id);
        }
        if let Some(interface) = spec.interface() {
            self.interfaces.entry(interface).or_default().insert(id);
        }
    }

    fn remove(&mut self, id: NexthopId, spec: &NexthopSpec) {
        if let NexthopSpec::Gateway(interface, address) = spec {
            take_out(&mut self.gateways, &(*interface, *address), id);
        }
        if let Some(interface) = spec.interface() {
            take_out(&mut self.interfaces, &interface, id);
        }
    }

    pub(super) fn on_interface(&self, id: InterfaceId) -> usize {
        self.interfaces.get(&id).map_or(0, BTreeSet::len)
    }
}

fn take_out<K: std::hash::Hash + Eq>(index: &mut HashMap<K, BTreeSet<NexthopId>>, key: &K, id: NexthopId) {
    if let Some(all) = index.get_mut(key) {
        all.remove(&id);
        if all.is_empty() {
            index.remove(key);
        }
    }
}

/// A neighbour, as far as forwarding is concerned.
pub(super) struct NeighborEntry {
    mac: MacAddr,
    /// The nexthop of its host route, when it lies in a connected prefix of its interface.
    host: Option<(VrfId, IpNet, NexthopId)>,
}

impl NeighborEntry {
    pub(super) const fn has_host_route(&self) -> bool {
        self.host.is_some()
    }
}

/// Hands out numbers, oldest freed first, so that a number that packets may still carry is not soon another's.
pub(super) struct Numbers {
    what: &'static str,
    next: u32,
    limit: u32,
    freed: VecDeque<u32>,
}

impl Numbers {
    pub(super) fn new(what: &'static str, first: u32, limit: usize) -> Self {
        Self { what, next: first, limit: limit as u32, freed: VecDeque::new() }
    }

    pub(super) fn take(&mut self) -> Result<u32, Error> {
        if self.next < self.limit {
            self.next += 1;
            return Ok(self.next - 1);
        }
        self.freed.pop_front().ok_or(Error::Full(self.what, self.limit as usize))
    }

    pub(super) fn give(&mut self, number: u32) {
        self.freed.push_back(number);
    }
}

impl Fib {
    /// Makes a nexthop.
    ///
    /// # Errors
    /// When the table is full or the interface does not exist.
    pub fn create_nexthop(&mut self, spec: NexthopSpec) -> Result<NexthopId, Error> {
        self.check_nexthop(&spec)?;
        let id = NexthopId(self.nexthop_numbers.take()?);
        self.concerned.add(id, &spec);
        self.nexthops.insert(id, NexthopEntry { spec, backup: None, groups: 0, routes: 0, backs: 0 });
        self.publish_nexthop(id);
        Ok(id)
    }

    /// Points an existing nexthop elsewhere: every route and group that leads to it follows at once.
    ///
    /// # Errors
    /// When there is no such nexthop or interface.
    pub fn replace_nexthop(&mut self, id: NexthopId, spec: NexthopSpec) -> Result<(), Error> {
        self.check_nexthop(&spec)?;
        let entry = self.nexthops.get_mut(&id).ok_or_else(|| Error::Unknown(id.to_string()))?;
        self.concerned.remove(id, &entry.spec);
        self.concerned.add(id, &spec);
        entry.spec = spec;
        self.publish_with_backed(id);
        Ok(())
    }

    /// Arms a nexthop with a backup, or takes it away.
    ///
    /// # Errors
    /// When there is no such nexthop, or it would be its own backup.
    pub fn set_backup(&mut self, id: NexthopId, backup: Option<NexthopId>) -> Result<(), Error> {
        if backup == Some(id) {
            return Err(Error::Conflict(format!("{id} can not be its own backup")));
        }
        if let Some(unknown) = backup.filter(|backup| !self.nexthops.contains_key(backup)) {
            return Err(Error::Unknown(unknown.to_string()));
        }
        let entry = self.nexthops.get_mut(&id).ok_or_else(|| Error::Unknown(id.to_string()))?;
        let old = std::mem::replace(&mut entry.backup, backup);
        if old == backup {
            return Ok(());
        }
        if let Some(old) = old {
            take_out(&mut self.concerned.backups, &old, id);
            self.nexthops.entry(old).and_modify(|entry| entry.backs -= 1);
        }
        if let Some(backup) = backup {
            self.concerned.backups.entry(backup).or_default().insert(id);
            self.nexthops.entry(backup).and_modify(|entry| entry.backs += 1);
        }
        self.publish_with_backed(id);
        Ok(())
    }

    /// Removes a nexthop.
    ///
    /// # Errors
    /// While routes lead to it, or it is a member of a group or the backup of another one.
    pub fn remove_nexthop(&mut self, id: NexthopId) -> Result<(), Error> {
        let entry = self.nexthops.get(&id).ok_or_else(|| Error::Unknown(id.to_string()))?;
        let users =
            [(entry.groups.into(), "groups"), (entry.routes, "routes"), (entry.backs.into(), "nexthops")];
        if let Some((count, what)) = users.iter().find(|(count, _)| *count > 0) {
            return Err(Error::InUse(id.to_string(), format!("{count} {what}")));
        }
        self.set_backup(id, None)?;
        if let Some(entry) = self.nexthops.remove(&id) {
            self.concerned.remove(id, &entry.spec);
        }
        let _ = self.tables.nexthops.replace(id.index(), None);
        self.nexthop_numbers.give(id.0);
        Ok(())
    }

    /// What a nexthop is to do.
    pub fn nexthop(&self, id: NexthopId) -> Option<&NexthopSpec> {
        self.nexthops.get(&id).map(|entry| &entry.spec)
    }

    /// Its backups, the first to be used first, each with whether it is in force.
    pub fn backups(&self, id: NexthopId) -> Vec<(NexthopId, bool)> {
        let in_force = self.in_force(id);
        self.chain(id).skip(1).map(|backup| (backup, in_force == Some(backup))).collect()
    }

    /// Gateways that have a backup or are one, of interfaces that are up, and whether their addresses are known. They
    /// must be asked for, and asked again, since no packet may be on its way to them: what is armed shall work.
    pub fn armed_gateways(&self) -> BTreeSet<(InterfaceId, IpAddr, bool)> {
        let backups = &self.concerned.backups;
        let gateway = |id: &NexthopId| match self.nexthops.get(id)?.spec {
            NexthopSpec::Gateway(interface, address) => {
                let is_known = self.neighbors.contains_key(&(interface, address));
                self.is_up(interface).then_some((interface, address, is_known))
            }
            _ => None,
        };
        backups.keys().chain(backups.values().flatten()).filter_map(gateway).collect()
    }

    /// How many nexthops there are.
    pub fn nexthop_count(&self) -> usize {
        self.nexthops.len()
    }

    /// A neighbour's address is known, or has changed: everything that leads to it follows.
    ///
    /// # Errors
    /// When the nexthop table is full or there is no such interface; the neighbour is then unknown as before.
    pub fn neighbor_resolved(&mut self, id: InterfaceId, address: IpAddr, mac: MacAddr) -> Result<(), Error> {
        if let Some(entry) = self.neighbors.get_mut(&(id, address)) {
            entry.mac = mac;
        } else {
            self.neighbors.insert((id, address), NeighborEntry { mac, host: None });
            if let Err(error) = self.add_host_route(id, address) {
                self.neighbors.remove(&(id, address));
                return Err(error);
            }
        }
        self.publish_neighbor(id, address);
        Ok(())
    }

    /// A neighbour's address is no longer known.
    pub fn neighbor_withdrawn(&mut self, id: InterfaceId, address: IpAddr) {
        let Some(entry) = self.neighbors.remove(&(id, address)) else { return };
        if let Some((vrf, prefix, nexthop)) = entry.host {
            self.remove_route(vrf, prefix, RouteSource::Neighbor);
            let _ = self.remove_nexthop(nexthop);
        }
        self.publish_neighbor(id, address);
    }

    /// The neighbours that forwarding knows on an interface.
    pub fn neighbors_of(&self, id: InterfaceId) -> Vec<IpAddr> {
        self.neighbors.keys().filter(|(interface, _)| *interface == id).map(|(_, address)| *address).collect()
    }

    /// The neighbour behind a nexthop and its Ethernet address, when that is known.
    pub fn neighbor_behind(&self, id: NexthopId) -> Option<(InterfaceId, IpAddr, Option<MacAddr>)> {
        let NexthopSpec::Gateway(interface, address) = self.nexthops.get(&id)?.spec else {
            return None;
        };
        Some((interface, address, self.neighbors.get(&(interface, address)).map(|n| n.mac)))
    }

    /// Every nexthop that sends to a gateway: its number, interface and address.
    pub fn gateways(&self) -> impl Iterator<Item = (NexthopId, InterfaceId, IpAddr)> + '_ {
        self.nexthops.iter().filter_map(|(id, entry)| match entry.spec {
            NexthopSpec::Gateway(interface, address) => Some((*id, interface, address)),
            _ => None,
        })
    }

    /// Brings host routes of an interface's neighbours in line with its addresses and VRF.
    pub(super) fn refresh_host_routes(&mut self, id: InterfaceId) {
        for address in self.neighbors_of(id) {
            let host = self.neighbors.get_mut(&(id, address)).and_then(|n| n.host.take());
            if let Some((vrf, prefix, nexthop)) = host {
                self.remove_route(vrf, prefix, RouteSource::Neighbor);
                let _ = self.remove_nexthop(nexthop);
            }
            // On a full table the connected prefix's glean still leads there, packet by packet.
            let _ = self.add_host_route(id, address);
        }
    }

    /// Publishes anew every nexthop that leaves by an interface.
    pub(super) fn refresh_nexthops(&self, id: InterfaceId) {
        for nexthop in self.concerned.interfaces.get(&id).into_iter().flatten() {
            self.publish_with_backed(*nexthop);
        }
    }

    fn add_host_route(&mut self, id: InterfaceId, address: IpAddr) -> Result<(), Error> {
        let entry = self.interfaces.get(&id).ok_or_else(|| Error::Unknown(id.to_string()))?;
        if !entry.covers(address) {
            return Ok(());
        }
        let vrf = entry.spec.vrf;
        let prefix = IpNet::from(address);
        let nexthop = self.create_nexthop(NexthopSpec::Gateway(id, address))?;
        if let Err(error) = self.put_route(vrf, prefix, RouteSource::Neighbor, Target::Nexthop(nexthop)) {
            let _ = self.remove_nexthop(nexthop);
            return Err(error);
        }
        if let Some(neighbor) = self.neighbors.get_mut(&(id, address)) {
            neighbor.host = Some((vrf, prefix, nexthop));
        }
        Ok(())
    }

    fn check_nexthop(&self, spec: &NexthopSpec) -> Result<(), Error> {
        match (spec.interface(), spec) {
            (Some(id), _) if !self.interfaces.contains_key(&id) => Err(Error::Unknown(id.to_string())),
            (None, NexthopSpec::Vrf(vrf)) if !self.vrfs.contains_key(vrf) => {
                Err(Error::Unknown(vrf.to_string()))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn leads_to_vrf(&self, vrf: VrfId) -> bool {
        self.nexthops.values().any(|entry| entry.spec == NexthopSpec::Vrf(vrf))
    }

    fn publish_neighbor(&self, id: InterfaceId, address: IpAddr) {
        for nexthop in self.concerned.gateways.get(&(id, address)).into_iter().flatten() {
            self.publish_with_backed(*nexthop);
        }
    }

    /// Publishes a nexthop, and those that have it among their backups.
    fn publish_with_backed(&self, id: NexthopId) {
        self.publish_level(id, BACKUPS_MAX);
    }

    fn publish_level(&self, id: NexthopId, levels: usize) {
        self.publish_nexthop(id);
        if levels > 0 {
            for backed in self.concerned.backups.get(&id).into_iter().flatten() {
                self.publish_level(*backed, levels - 1);
            }
        }
    }

    /// A nexthop and its backups, as far as they are looked at.
    fn chain(&self, id: NexthopId) -> impl Iterator<Item = NexthopId> + '_ {
        let next = |id: &NexthopId| self.nexthops.get(id)?.backup;
        std::iter::successors(Some(id), next).take(1 + BACKUPS_MAX)
    }

    fn publish_nexthop(&self, id: NexthopId) {
        let in_force = self.in_force(id).and_then(|id| self.nexthops.get(&id));
        let Some(entry) = in_force else { return };
        let record = self.record(&entry.spec);
        let _ = self.tables.nexthops.replace(id.index(), Some(Box::new(record)));
    }

    /// The first that can be used of the nexthop and its backups; the nexthop itself if none can.
    fn in_force(&self, id: NexthopId) -> Option<NexthopId> {
        let usable = |id: &NexthopId| self.nexthops.get(id).is_some_and(|entry| self.is_usable(&entry.spec));
        self.nexthops.contains_key(&id).then(|| self.chain(id).find(usable).unwrap_or(id))
    }

    fn is_usable(&self, spec: &NexthopSpec) -> bool {
        match spec {
            NexthopSpec::Gateway(interface, address) => {
                self.is_up(*interface) && self.neighbors.contains_key(&(*interface, *address))
            }
            NexthopSpec::Interface(interface) | NexthopSpec::SubnetBroadcast(interface) => {
                self.is_up(*interface)
            }
            NexthopSpec::Local(_)
            | NexthopSpec::Vrf(_)
            | NexthopSpec::Blackhole
            | NexthopSpec::Unreachable
            | NexthopSpec::Prohibit => true,
        }
    }

    fn is_up(&self, interface: InterfaceId) -> bool {
        self.interfaces.get(&interface).is_some_and(|entry| entry.spec.up)
    }

    fn record(&self, spec: &NexthopSpec) -> Nexthop {
        match *spec {
            NexthopSpec::Gateway(interface, gateway) => {
                let mac = self.neighbors.get(&(interface, gateway)).map(|n| n.mac);
                let entry = self.interfaces.get(&interface);
                match (mac, entry) {
                    (Some(mac), Some(entry)) => Nexthop::Adjacency(adjacency(entry, interface, mac)),
                    _ => Nexthop::Unresolved { interface, gateway },
                }
            }
            NexthopSpec::Interface(interface) => Nexthop::Glean { interface },
            NexthopSpec::Local(interface) => Nexthop::Local { interface },
            NexthopSpec::SubnetBroadcast(interface) => Nexthop::SubnetBroadcast { interface },
            NexthopSpec::Vrf(vrf) => Nexthop::Vrf(vrf),
            NexthopSpec::Blackhole => Nexthop::Blackhole,
            NexthopSpec::Unreachable => Nexthop::Unreachable,
            NexthopSpec::Prohibit => Nexthop::Prohibit,
        }
    }
}

fn adjacency(entry: &super::InterfaceEntry, id: InterfaceId, mac: MacAddr) -> Adjacency {
    let spec = &entry.spec;
    Adjacency::new(mac, spec.mac, &spec.tags, id, spec.port, spec.mtu)
}

impl NexthopSpec {
    /// The interface that packets leave by, if any.
    pub const fn interface(&self) -> Option<InterfaceId> {
        match self {
            Self::Gateway(id, _) | Self::Interface(id) | Self::Local(id) | Self::SubnetBroadcast(id) => {
                Some(*id)
            }
            Self::Vrf(_) | Self::Blackhole | Self::Unreachable | Self::Prohibit => None,
        }
    }
}
