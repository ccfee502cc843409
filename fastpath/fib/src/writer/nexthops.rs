//! Nexthops, groups and neighbours: what a route leads to, and how it learns of a resolved address.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use ipnet::IpNet;
use ze_packet::{GroupId, InterfaceId, MacAddr, NexthopId, VrfId};

use super::{Error, Fib, RouteSource};
use crate::{Adjacency, Group, Nexthop, Target};

/// The most members of a group.
pub const GROUP_MEMBERS_MAX: usize = 128;
/// Hash buckets for each member of the largest group; more buckets, finer weights.
const BUCKETS_MIN: usize = 64;
const BUCKETS_A_MEMBER: usize = 8;

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
    /// Drop silently.
    Blackhole,
    /// Drop and say "unreachable".
    Unreachable,
    /// Drop and say "prohibited".
    Prohibit,
}

pub(super) struct NexthopEntry {
    pub(super) spec: NexthopSpec,
    groups: u32,
}

pub(super) struct GroupEntry {
    members: Vec<(NexthopId, u8)>,
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
        self.nexthops.insert(id, NexthopEntry { spec, groups: 0 });
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
        entry.spec = spec;
        self.publish_nexthop(id);
        Ok(())
    }

    /// Removes a nexthop. The caller has removed the routes that lead to it.
    ///
    /// # Errors
    /// While it is a member of a group.
    pub fn remove_nexthop(&mut self, id: NexthopId) -> Result<(), Error> {
        let entry = self.nexthops.get(&id).ok_or_else(|| Error::Unknown(id.to_string()))?;
        if entry.groups > 0 {
            return Err(Error::InUse(id.to_string(), format!("{} groups", entry.groups)));
        }
        let _ = self.tables.nexthops.replace(id.index(), None);
        self.nexthops.remove(&id);
        self.nexthop_numbers.give(id.0);
        Ok(())
    }

    /// What a nexthop is to do.
    pub fn nexthop(&self, id: NexthopId) -> Option<&NexthopSpec> {
        self.nexthops.get(&id).map(|entry| &entry.spec)
    }

    /// Makes a group of nexthops with weights of 1 to 255.
    ///
    /// # Errors
    /// When the table is full, a member does not exist, or there are none or too many.
    pub fn create_group(&mut self, members: &[(NexthopId, u8)]) -> Result<GroupId, Error> {
        self.check_members(members)?;
        let id = GroupId(self.group_numbers.take()?);
        self.groups.insert(id, GroupEntry { members: Vec::new() });
        self.set_members(id, members);
        Ok(id)
    }

    /// Replaces a group's members.
    ///
    /// # Errors
    /// As for [`Fib::create_group`], or when there is no such group.
    pub fn replace_group(&mut self, id: GroupId, members: &[(NexthopId, u8)]) -> Result<(), Error> {
        self.check_members(members)?;
        if !self.groups.contains_key(&id) {
            return Err(Error::Unknown(id.to_string()));
        }
        self.set_members(id, members);
        Ok(())
    }

    /// Removes a group. The caller has removed the routes that lead to it.
    pub fn remove_group(&mut self, id: GroupId) {
        self.set_members(id, &[]);
        let _ = self.tables.groups.replace(id.index(), None);
        if self.groups.remove(&id).is_some() {
            self.group_numbers.give(id.0);
        }
    }

    /// The members of a target: itself for a nexthop.
    pub fn members(&self, target: Target) -> Vec<(NexthopId, u8)> {
        match target {
            Target::Nexthop(id) => vec![(id, 1)],
            Target::Group(id) => self.groups.get(&id).map_or_else(Vec::new, |g| g.members.clone()),
        }
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
        for (nexthop, entry) in &self.nexthops {
            if entry.spec.interface() == Some(id) {
                self.publish_nexthop(*nexthop);
            }
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
        match spec.interface() {
            Some(id) if !self.interfaces.contains_key(&id) => Err(Error::Unknown(id.to_string())),
            _ => Ok(()),
        }
    }

    fn check_members(&self, members: &[(NexthopId, u8)]) -> Result<(), Error> {
        if members.is_empty() || members.len() > GROUP_MEMBERS_MAX {
            let message = format!("a group has 1 to {GROUP_MEMBERS_MAX} members, not {}", members.len());
            return Err(Error::Conflict(message));
        }
        match members.iter().find(|(id, _)| !self.nexthops.contains_key(id)) {
            Some((id, _)) => Err(Error::Unknown(id.to_string())),
            None => Ok(()),
        }
    }

    /// The members were checked.
    fn set_members(&mut self, id: GroupId, members: &[(NexthopId, u8)]) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let old = std::mem::replace(&mut group.members, members.to_vec());
        for (nexthop, _) in members {
            if let Some(entry) = self.nexthops.get_mut(nexthop) {
                entry.groups += 1;
            }
        }
        for (nexthop, _) in old {
            if let Some(entry) = self.nexthops.get_mut(&nexthop) {
                entry.groups -= 1;
            }
        }
        if let Some(group) = Group::new(buckets(members)) {
            let _ = self.tables.groups.replace(id.index(), Some(Box::new(group)));
        }
    }

    fn publish_neighbor(&self, id: InterfaceId, address: IpAddr) {
        for (nexthop, entry) in &self.nexthops {
            if entry.spec == NexthopSpec::Gateway(id, address) {
                self.publish_nexthop(*nexthop);
            }
        }
    }

    fn publish_nexthop(&self, id: NexthopId) {
        let Some(entry) = self.nexthops.get(&id) else { return };
        let record = self.record(&entry.spec);
        let _ = self.tables.nexthops.replace(id.index(), Some(Box::new(record)));
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
            Self::Blackhole | Self::Unreachable | Self::Prohibit => None,
        }
    }
}

/// Hash buckets in proportion to the weights, by largest remainder; every member has at least one.
fn buckets(members: &[(NexthopId, u8)]) -> Vec<NexthopId> {
    let total: usize = members.iter().map(|(_, w)| usize::from((*w).max(1))).sum();
    if total == 0 {
        return Vec::new();
    }
    let count = (members.len() * BUCKETS_A_MEMBER).max(BUCKETS_MIN).next_power_of_two();
    let mut out = Vec::with_capacity(count);
    let mut credit: HashMap<usize, i64> = HashMap::new();
    // Smooth weighted round robin: spreads each member evenly over the buckets.
    for _ in 0..count {
        for (at, (_, weight)) in members.iter().enumerate() {
            *credit.entry(at).or_default() += i64::from((*weight).max(1));
        }
        let best = (0..members.len()).max_by_key(|at| (credit[at], std::cmp::Reverse(*at))).unwrap_or(0);
        *credit.entry(best).or_default() -= total as i64;
        out.push(members[best].0);
    }
    out
}

#[cfg(test)]
mod bucket_tests {
    use super::*;

    #[test]
    fn buckets_are_shared_by_weight_and_a_power_of_two() {
        let count = |members: &[(NexthopId, u8)], id: u32| {
            let all = buckets(members);
            assert!(all.len().is_power_of_two());
            (all.iter().filter(|n| n.0 == id).count() as f64) / all.len() as f64
        };
        let equal: Vec<_> = (1..=8).map(|id| (NexthopId(id), 1)).collect();
        for id in 1..=8 {
            assert!((count(&equal, id) - 0.125).abs() < 1e-9);
        }
        let weighted = [(NexthopId(1), 3), (NexthopId(2), 1)];
        assert!((count(&weighted, 1) - 0.75).abs() < 0.02);
        let largest: Vec<_> = (1..=128).map(|id| (NexthopId(id), 1)).collect();
        assert!(count(&largest, 128) > 0.0);
        assert!(buckets(&[]).is_empty());
    }
}
