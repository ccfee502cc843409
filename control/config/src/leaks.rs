//! Routes that lead from VRF to VRF: none may lead in a circle, nor through more VRFs than a packet follows.
//!
//! A destination goes in a circle if the longest match in each VRF leads to the next. Of the routes of a circle, take
//! the one with the longest prefix: every other one covers that prefix, and is the longest of its VRF that does. So it
//! is enough to follow the prefix of each leak, as a whole, by the longest prefixes that cover it.
//!
//! Only nexthops of a route's smallest distance count. Two VRFs may well be each other's last resort: whether packets
//! would go round then depends on links, and those that do are dropped with a reason of their own.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use ipnet::IpNet;

use crate::error::Report;
use crate::limits::VRF_CHAIN_MAX;
use crate::model::{Config, Object, RouteKey, StaticRoute, VrfName, Way};
use crate::read::Locations;

pub(crate) fn check(config: &Config, locations: &Locations, report: &mut Report) {
    let leaks: Vec<_> = config.routes.keys().filter(|key| targets(config, key).next().is_some()).collect();
    if leaks.is_empty() {
        return;
    }
    let (connected, mut told) = (connected(config), BTreeSet::new());
    for key in leaks {
        let mut walk = Walk { config, connected: &connected, prefix: key.prefix, good: BTreeMap::new() };
        let Err(trouble) = walk.follow(key, &mut vec![key.vrf.clone()]) else { continue };
        let mut members = trouble.vrfs.clone();
        members.sort();
        members.dedup();
        if told.insert((members, key.prefix)) {
            let object = Object::Route(key.clone());
            let place = locations.get(&object).copied().unwrap_or(crate::error::Position::START);
            report.add(place, object.to_string(), trouble.words());
        }
    }
}

/// The VRFs that a route leads to while all its nexthops can be used.
fn targets<'c>(config: &'c Config, key: &RouteKey) -> impl Iterator<Item = &'c VrfName> {
    let hops = match config.routes.get(key) {
        Some(StaticRoute::Via(hops)) => hops.as_slice(),
        Some(StaticRoute::Discard(_)) | None => &[],
    };
    let best = hops.iter().map(|hop| hop.distance).min();
    hops.iter().filter(move |hop| Some(hop.distance) == best).filter_map(|hop| match &hop.way {
        Way::Vrf(vrf) => Some(vrf),
        Way::Interface(_) | Way::Gateway(..) => None,
    })
}

/// Connected prefixes: they go before static routes.
fn connected(config: &Config) -> HashSet<(&VrfName, IpNet)> {
    let in_use = config.interfaces.values().filter(|interface| !interface.disable);
    in_use.flat_map(|i| i.addresses.iter().map(|address| (&i.vrf, address.trunc()))).collect()
}

struct Trouble {
    /// In the order in which they are met.
    vrfs: Vec<VrfName>,
    is_circle: bool,
}

impl Trouble {
    fn words(&self) -> String {
        let names: Vec<_> = self.vrfs.iter().map(VrfName::as_str).collect();
        let way = names.join(" to ");
        if self.is_circle {
            return format!("packets would go in a circle, from VRF {way}");
        }
        format!(
            "packets would be looked up in too many VRFs, from {way}: {VRF_CHAIN_MAX} after the first are possible"
        )
    }
}

struct Walk<'c> {
    config: &'c Config,
    connected: &'c HashSet<(&'c VrfName, IpNet)>,
    prefix: IpNet,
    /// VRFs from which nothing bad follows, with the length of the way on which that was found.
    good: BTreeMap<VrfName, usize>,
}

impl Walk<'_> {
    /// `way` has the VRFs so far, that of the route the last.
    fn follow(&mut self, route: &RouteKey, way: &mut Vec<VrfName>) -> Result<(), Trouble> {
        for vrf in targets(self.config, route) {
            let trouble = |is_circle| {
                let vrfs = way.iter().chain([vrf]).cloned().collect();
                Err(Trouble { vrfs, is_circle })
            };
            if way.first() == Some(vrf) {
                return trouble(true);
            }
            // A circle that does not come back to the first: it is found from one of its own.
            if way.contains(vrf) {
                continue;
            }
            if way.len() > VRF_CHAIN_MAX {
                return trouble(false);
            }
            if self.good.get(vrf).is_some_and(|length| *length >= way.len()) {
                continue;
            }
            if let Some(next) = self.longest(vrf) {
                way.push(vrf.clone());
                self.follow(&next, way)?;
                way.pop();
            }
            self.good.insert(vrf.clone(), way.len());
        }
        Ok(())
    }

    /// The static route of a VRF that the whole prefix takes, if it is one.
    fn longest(&self, vrf: &VrfName) -> Option<RouteKey> {
        for len in (0..=self.prefix.prefix_len()).rev() {
            let prefix = IpNet::new(self.prefix.addr(), len).ok()?.trunc();
            if self.connected.contains(&(vrf, prefix)) {
                return None;
            }
            let key = RouteKey { vrf: vrf.clone(), prefix };
            if self.config.routes.contains_key(&key) {
                return Some(key);
            }
        }
        None
    }
}
