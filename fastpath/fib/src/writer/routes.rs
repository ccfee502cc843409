//! VRFs and routes: which source's route for a prefix is in force.

use std::collections::HashMap;

use ipnet::IpNet;
use ze_lpm::{Config, Lpm4, Lpm6, Prefix4, Prefix6, Value};
use ze_packet::VrfId;

use super::{Error, Fib};
use crate::{Target, Vrf};

/// Who a route comes from. Where two sources have the same prefix, the lesser one is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouteSource {
    /// An address of ours.
    Local,
    /// A connected prefix.
    Connected,
    /// A client of the API, by its number.
    Owner(u16),
    /// A resolved neighbour within a connected prefix.
    Neighbor,
}

/// Candidates for one prefix, in order of precedence; the first is in force. Almost always there is one.
#[derive(Clone, Debug)]
enum Candidates {
    One(RouteSource, Target),
    Many(Vec<(RouteSource, Target)>),
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
    lpm4: Lpm4,
    lpm6: Lpm6,
    routes: HashMap<IpNet, Candidates>,
    routes4: u64,
    pub(super) icmp_source4: u32,
    pub(super) icmp_source6: u128,
}

impl Candidates {
    fn active(&self) -> (RouteSource, Target) {
        match self {
            Self::One(source, target) => (*source, *target),
            // `Many` holds two or more; `remove` turns it back into `One`.
            Self::Many(all) => all[0],
        }
    }

    fn put(&mut self, source: RouteSource, target: Target) {
        let mut all = self.to_vec();
        match all.iter_mut().find(|(s, _)| *s == source) {
            Some(entry) => entry.1 = target,
            None => all.push((source, target)),
        }
        all.sort_by_key(|(s, _)| *s);
        *self = Self::from_vec(all);
    }

    fn to_vec(&self) -> Vec<(RouteSource, Target)> {
        match self {
            Self::One(source, target) => vec![(*source, *target)],
            Self::Many(all) => all.clone(),
        }
    }

    fn from_vec(all: Vec<(RouteSource, Target)>) -> Self {
        match *all.as_slice() {
            [(source, target)] => Self::One(source, target),
            _ => Self::Many(all),
        }
    }
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
        let entry = VrfEntry {
            lpm4: Lpm4::new(&self.domain, Config::default()),
            lpm6: Lpm6::new(&self.domain, Config::default()),
            routes: HashMap::new(),
            routes4: 0,
            icmp_source4: 0,
            icmp_source6: 0,
        };
        self.vrfs.insert(id, entry);
        self.publish_vrf(id);
    }

    /// Removes a VRF.
    ///
    /// # Errors
    /// While it has interfaces or routes, or when it is the default one.
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
        if !entry.routes.is_empty() {
            return in_use(format!("{} routes", entry.routes.len()));
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
        let entry = self.vrfs.get_mut(&vrf).ok_or_else(|| Error::Unknown(vrf.to_string()))?;
        let mut candidates = match entry.routes.get(&prefix) {
            None => Candidates::One(source, target),
            Some(Candidates::One(s, t)) if (*s, *t) == (source, target) => return Ok(false),
            Some(there) => there.clone(),
        };
        candidates.put(source, target);
        let before = entry.routes.get(&prefix).map(Candidates::active);
        let (_, active) = candidates.active();
        if before.map(|(_, target)| target) != Some(active) {
            entry.install(prefix, active)?;
        }
        if entry.routes.insert(prefix, candidates).is_none() {
            entry.routes4 += u64::from(prefix.addr().is_ipv4());
        }
        Ok(true)
    }

    /// Removes a source's route for a prefix. Returns its target, if there was one.
    pub fn remove_route(&mut self, vrf: VrfId, prefix: IpNet, source: RouteSource) -> Option<Target> {
        let entry = self.vrfs.get_mut(&vrf)?;
        let mut all = entry.routes.get(&prefix)?.to_vec();
        let at = all.iter().position(|(s, _)| *s == source)?;
        let (_, removed) = all.remove(at);
        if all.is_empty() {
            entry.uninstall(prefix);
            entry.routes.remove(&prefix);
            entry.routes4 -= u64::from(prefix.addr().is_ipv4());
            return Some(removed);
        }
        let remaining = Candidates::from_vec(all);
        if at == 0 {
            let (_, active) = remaining.active();
            // Replacing the value of a prefix that is there needs no memory that removing it would not free.
            let _ = entry.install(prefix, active);
        }
        entry.routes.insert(prefix, remaining);
        Some(removed)
    }

    /// A source's route for exactly this prefix.
    pub fn route(&self, vrf: VrfId, prefix: &IpNet, source: RouteSource) -> Option<Target> {
        let all = self.vrfs.get(&vrf)?.routes.get(prefix)?;
        match all {
            Candidates::One(s, target) => (*s == source).then_some(*target),
            Candidates::Many(all) => all.iter().find(|(s, _)| *s == source).map(|(_, t)| *t),
        }
    }

    /// Every route of a VRF: prefix, source, target, and whether it is in force. In no order.
    pub fn routes(&self, vrf: VrfId) -> impl Iterator<Item = (IpNet, RouteSource, Target, bool)> + '_ {
        let routes = self.vrfs.get(&vrf).into_iter().flat_map(|v| &v.routes);
        routes.flat_map(|(prefix, all)| {
            let all = all.to_vec().into_iter().enumerate();
            all.map(|(at, (source, target))| (*prefix, source, target, at == 0))
        })
    }

    /// How many prefixes of each family a VRF has: IPv4, IPv6.
    pub fn route_counts(&self, vrf: VrfId) -> (u64, u64) {
        self.vrfs.get(&vrf).map_or((0, 0), |v| (v.routes4, v.routes.len() as u64 - v.routes4))
    }

    /// The longest match for an address, as lookups see it: prefix, source, target.
    pub fn longest_match(
        &self,
        vrf: VrfId,
        address: std::net::IpAddr,
    ) -> Option<(IpNet, RouteSource, Target)> {
        let entry = self.vrfs.get(&vrf)?;
        let prefix = match address {
            std::net::IpAddr::V4(a) => IpNet::V4(entry.lpm4.lookup(u32::from(a))?.0.into()),
            std::net::IpAddr::V6(a) => IpNet::V6(entry.lpm6.lookup(u128::from(a))?.0.into()),
        };
        let (source, target) = entry.routes.get(&prefix)?.active();
        Some((prefix, source, target))
    }

    /// Bytes that a VRF's tables take.
    pub fn vrf_memory(&self, vrf: VrfId) -> VrfMemory {
        let Some(entry) = self.vrfs.get(&vrf) else {
            return VrfMemory::default();
        };
        let (four, six) = (entry.lpm4.memory(), entry.lpm6.memory());
        VrfMemory {
            lookup_bytes: (four.lookup_bytes + six.lookup_bytes) as u64,
            writer_bytes: (four.rib_bytes + six.rib_bytes) as u64,
        }
    }

    pub(super) fn publish_vrf(&self, id: VrfId) {
        let Some(entry) = self.vrfs.get(&id) else { return };
        let vrf = Vrf {
            id,
            lpm4: entry.lpm4.reader(),
            lpm6: entry.lpm6.reader(),
            icmp_source4: entry.icmp_source4,
            icmp_source6: entry.icmp_source6,
        };
        let _ = self.tables.vrfs.replace(id.index(), Some(Box::new(vrf)));
    }
}

impl VrfEntry {
    fn install(&mut self, prefix: IpNet, target: Target) -> Result<(), Error> {
        let value = Value::try_from(target.pack()).map_err(|e| Error::Conflict(e.to_string()))?;
        match prefix {
            IpNet::V4(net) => self.lpm4.insert(prefix4(net)?, value).map(drop)?,
            IpNet::V6(net) => self.lpm6.insert(prefix6(net)?, value).map(drop)?,
        }
        Ok(())
    }

    fn uninstall(&mut self, prefix: IpNet) {
        match prefix {
            IpNet::V4(net) => {
                if let Ok(prefix) = prefix4(net) {
                    self.lpm4.remove(prefix);
                }
            }
            IpNet::V6(net) => {
                if let Ok(prefix) = prefix6(net) {
                    self.lpm6.remove(prefix);
                }
            }
        }
    }
}

fn prefix4(net: ipnet::Ipv4Net) -> Result<Prefix4, Error> {
    Prefix4::try_from(net).map_err(|e| Error::Conflict(e.to_string()))
}

fn prefix6(net: ipnet::Ipv6Net) -> Result<Prefix6, Error> {
    Prefix6::try_from(net).map_err(|e| Error::Conflict(e.to_string()))
}
