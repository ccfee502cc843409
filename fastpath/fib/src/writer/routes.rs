//! VRFs and routes: which source's route for a prefix is in force.

use std::net::IpAddr;

use ipnet::IpNet;
use ze_lpm::{Config, Prefix4, Prefix6, V4, V6};
use ze_packet::VrfId;

use super::table::{Candidate, Table};
use super::walk::Mended;
use super::{Error, Fib};
use crate::{Target, Vrf};

/// Who a route comes from. Where two sources have the same prefix, the lesser one is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouteSource {
    /// An address of ours.
    Local,
    /// A connected prefix.
    Connected,
    /// A client of the API, by its rank.
    Owner(u16),
    /// A resolved neighbour within a connected prefix.
    Neighbor,
}

/// A source's route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its prefix.
    pub prefix: IpNet,
    /// Whose it is.
    pub source: RouteSource,
    /// Where it leads.
    pub target: Target,
    /// As it was put with.
    pub stamp: u32,
    /// Whether lookups see it: no source of precedence has one for the same prefix.
    pub active: bool,
}

impl Route {
    const fn new(prefix: IpNet, candidate: Candidate, active: bool) -> Self {
        let Candidate { source, target, stamp } = candidate;
        Self { prefix, source, target, stamp, active }
    }
}

/// Bytes that the tables of a VRF take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VrfMemory {
    /// What lookups read.
    pub lookup_bytes: u64,
    /// What only the writer reads.
    pub writer_bytes: u64,
}

pub(super) struct VrfEntry {
    four: Table<V4>,
    six: Table<V6>,
    pub(super) icmp_source4: u32,
    pub(super) icmp_source6: u128,
}

impl Fib {
    /// Makes a VRF.
    ///
    /// # Errors
    /// When the table is full.
    pub fn create_vrf(&mut self) -> Result<VrfId, Error> {
        let id = VrfId(self.vrf_numbers.take()? as u16);
        self.insert_vrf(id);
        Ok(id)
    }

    pub(super) fn insert_vrf(&mut self, id: VrfId) {
        let config = Config { memory_budget_bytes: self.tables.limits().table_bytes, ..Config::default() };
        let entry = VrfEntry {
            four: Table::new(&self.domain, config),
            six: Table::new(&self.domain, config),
            icmp_source4: 0,
            icmp_source6: 0,
        };
        self.vrfs.insert(id, entry);
        self.publish_vrf(id);
    }

    /// Removes a VRF.
    ///
    /// # Errors
    /// While it has interfaces or routes, while a nexthop leads there, or when it is the default one.
    pub fn remove_vrf(&mut self, id: VrfId) -> Result<(), Error> {
        let in_use = |by: String| Err(Error::InUse(id.to_string(), by));
        if id == Self::DEFAULT_VRF {
            return in_use("the router itself".into());
        }
        let Some(entry) = self.vrfs.get(&id) else {
            return Err(Error::Unknown(id.to_string()));
        };
        if let Some(interface) = self.interfaces.values().find(|i| i.spec.vrf == id) {
            return in_use(format!("interface {}", interface.spec.name));
        }
        match entry.four.len() + entry.six.len() {
            0 if self.leads_to_vrf(id) => return in_use("a nexthop of another VRF".into()),
            0 => {}
            routes => return in_use(format!("{routes} routes")),
        }
        let _ = self.tables.vrfs.replace(id.index(), None);
        self.vrfs.remove(&id);
        self.vrf_numbers.give(u32::from(id.0));
        Ok(())
    }

    /// Puts a source's route for a prefix. Returns whether anything changed.
    ///
    /// # Errors
    /// When there is no such VRF, or the table's budget is spent; nothing has changed then.
    pub fn put_route(
        &mut self,
        vrf: VrfId,
        prefix: IpNet,
        source: RouteSource,
        target: Target,
    ) -> Result<bool, Error> {
        Ok(self.put_stamped(vrf, prefix, source, target, 0)? != Some(target))
    }

    /// The same with a stamp, see [`Route::stamp`]. Returns where the source's route led before.
    ///
    /// # Errors
    /// As for [`Fib::put_route`].
    pub fn put_stamped(
        &mut self,
        vrf: VrfId,
        prefix: IpNet,
        source: RouteSource,
        target: Target,
        stamp: u32,
    ) -> Result<Option<Target>, Error> {
        let entry = self.vrfs.get_mut(&vrf).ok_or_else(|| Error::Unknown(vrf.to_string()))?;
        let new = Candidate { source, target, stamp };
        let old = match prefix {
            IpNet::V4(net) => entry.four.put(table_prefix(net)?, new)?,
            IpNet::V6(net) => entry.six.put(table_prefix(net)?, new)?,
        };
        if old != Some(target) {
            self.count(target, 1);
            if let Some(old) = old {
                self.count(old, -1);
            }
        }
        Ok(old)
    }

    /// Removes a source's route for a prefix. Returns its target, if there was one.
    pub fn remove_route(&mut self, vrf: VrfId, prefix: IpNet, source: RouteSource) -> Option<Target> {
        let entry = self.vrfs.get_mut(&vrf)?;
        let removed = match prefix {
            IpNet::V4(net) => entry.four.remove(table_prefix(net).ok()?, source),
            IpNet::V6(net) => entry.six.remove(table_prefix(net).ok()?, source),
        }?;
        self.count(removed, -1);
        Some(removed)
    }

    /// A source's route for exactly this prefix.
    pub fn route(&self, vrf: VrfId, prefix: &IpNet, source: RouteSource) -> Option<Target> {
        let entry = self.vrfs.get(&vrf)?;
        let of_source = |candidate: &&Candidate| candidate.source == source;
        match prefix {
            IpNet::V4(net) => {
                entry.four.candidates(&table_prefix(*net).ok()?).iter().find(of_source).map(|c| c.target)
            }
            IpNet::V6(net) => {
                entry.six.candidates(&table_prefix(*net).ok()?).iter().find(of_source).map(|c| c.target)
            }
        }
    }

    /// Routes of a VRF after a prefix: prefix, source, target, stamp, and whether it is in force. IPv4 before IPv6, then
    /// by prefix, then by precedence. The prefix need not be there (any more), so a walk can stop after any and go on.
    pub fn routes_after(&self, vrf: VrfId, after: Option<IpNet>) -> impl Iterator<Item = Route> + '_ {
        let entry = self.vrfs.get(&vrf);
        let (after4, after6) = of_families(after);
        let four = entry.zip(after4).into_iter().flat_map(|(entry, after)| entry.four.after(after));
        let six = entry.into_iter().flat_map(move |entry| entry.six.after(after6));
        let four = four.map(|(prefix, c, active)| Route::new(IpNet::V4(prefix.into()), c, active));
        four.chain(six.map(|(prefix, c, active)| Route::new(IpNet::V6(prefix.into()), c, active)))
    }

    /// How many prefixes of each family a VRF has: IPv4, IPv6.
    pub fn route_counts(&self, vrf: VrfId) -> (u64, u64) {
        self.vrfs.get(&vrf).map_or((0, 0), |v| (v.four.len() as u64, v.six.len() as u64))
    }

    /// The longest match for an address, as lookups see it: prefix, source, target.
    pub fn longest_match(&self, vrf: VrfId, address: IpAddr) -> Option<(IpNet, RouteSource, Target)> {
        let entry = self.vrfs.get(&vrf)?;
        let (prefix, active) = match address {
            IpAddr::V4(a) => entry.four.longest(u32::from(a)).map(|(p, c)| (IpNet::V4(p.into()), c))?,
            IpAddr::V6(a) => entry.six.longest(u128::from(a)).map(|(p, c)| (IpNet::V6(p.into()), c))?,
        };
        Some((prefix, active.source, active.target))
    }

    /// Compares what lookups find with the books, for the next `limit` (one at least) prefixes after one, and puts right
    /// what differs.
    pub fn mend_routes(&mut self, vrf: VrfId, after: Option<IpNet>, limit: usize) -> Mended<IpNet> {
        let Some(entry) = self.vrfs.get_mut(&vrf) else { return Mended::default() };
        let limit = limit.max(1);
        let (after4, after6) = of_families(after);
        let none = Mended { checked: 0, mended: 0, next: None };
        let four = after4.map_or(none, |after| entry.four.mend(after, limit));
        if let Some(next) = four.next {
            let Mended { checked, mended, .. } = four;
            return Mended { checked, mended, next: Some(IpNet::V4(next.into())) };
        }
        let six = entry.six.mend(after6, limit - four.checked as usize);
        Mended {
            checked: four.checked + six.checked,
            mended: four.mended + six.mended,
            next: six.next.map(|prefix| IpNet::V6(prefix.into())),
        }
    }

    /// Makes lookups for a prefix lead elsewhere than the books say, or nowhere, as a defect would: for tests of what
    /// finds such.
    #[doc(hidden)]
    pub fn damage_route(&mut self, vrf: VrfId, prefix: IpNet, target: Option<Target>) {
        let Some(entry) = self.vrfs.get_mut(&vrf) else { return };
        match prefix {
            IpNet::V4(net) => drop(table_prefix(net).map(|prefix| entry.four.damage(prefix, target))),
            IpNet::V6(net) => drop(table_prefix(net).map(|prefix| entry.six.damage(prefix, target))),
        }
    }

    /// Bytes that a VRF's tables take.
    pub fn vrf_memory(&self, vrf: VrfId) -> VrfMemory {
        let Some(entry) = self.vrfs.get(&vrf) else {
            return VrfMemory::default();
        };
        let ((lookup4, writer4), (lookup6, writer6)) = (entry.four.memory(), entry.six.memory());
        VrfMemory { lookup_bytes: (lookup4 + lookup6) as u64, writer_bytes: (writer4 + writer6) as u64 }
    }

    pub(super) fn publish_vrf(&self, id: VrfId) {
        let Some(entry) = self.vrfs.get(&id) else { return };
        let vrf = Vrf {
            id,
            lpm4: entry.four.reader(),
            lpm6: entry.six.reader(),
            icmp_source4: entry.icmp_source4,
            icmp_source6: entry.icmp_source6,
        };
        let _ = self.tables.vrfs.replace(id.index(), Some(Box::new(vrf)));
    }

    fn count(&mut self, target: Target, by: i64) {
        let routes = match target {
            Target::Nexthop(id) => self.nexthops.get_mut(&id).map(|entry| &mut entry.routes),
            Target::Group(id) => self.groups.get_mut(&id).map(|entry| &mut entry.routes),
        };
        if let Some(routes) = routes {
            *routes = routes.saturating_add_signed(by);
        }
    }

    /// How many routes lead to a target.
    pub fn routes_to(&self, target: Target) -> u64 {
        match target {
            Target::Nexthop(id) => self.nexthops.get(&id).map_or(0, |entry| entry.routes),
            Target::Group(id) => self.groups.get(&id).map_or(0, |entry| entry.routes),
        }
    }

    /// The VRFs there are.
    pub fn vrf_ids(&self) -> Vec<VrfId> {
        self.vrfs.keys().copied().collect()
    }
}

/// Where a walk goes on in each family: after which prefix, if after any; of IPv4, whether at all.
fn of_families(after: Option<IpNet>) -> (Option<Option<Prefix4>>, Option<Prefix6>) {
    match after {
        None => (Some(None), None),
        Some(IpNet::V4(net)) => (Some(table_prefix(net).ok()), None),
        Some(IpNet::V6(net)) => (None, table_prefix(net).ok()),
    }
}

fn table_prefix<N, P: TryFrom<N, Error = ze_lpm::PrefixError>>(net: N) -> Result<P, Error> {
    P::try_from(net).map_err(|e| Error::Conflict(e.to_string()))
}
