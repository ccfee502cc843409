//! Resolved routes to nexthops, groups and routes with stable keys.
//!
//! A key stands for what the object is for, not for what it holds: a nexthop for "gateway G in VRF V", a group for a
//! set of such. When a gateway resolves differently, the object with its key changes and no route is touched.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;
use ze_engine::{Discard, Via};

use super::resolve::{Fate, Fates, Leaf, Leaves, shares};
use super::{GROUP_MEMBERS_MAX, Problem, ProblemKind, Rib};
use crate::keys::Keys;
use crate::state::{GroupHash, Key, Nexthop, RouteTarget, State, Value};

/// What the fast path shall have for the routes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fib {
    /// Nexthops, groups and routes.
    pub state: State,
    /// Routes that are not in force as they were told.
    pub problems: Vec<Problem>,
}

pub(super) fn build(rib: &Rib, fates: &Fates) -> Fib {
    let mut builder = Builder { keys: Keys::default(), fib: Fib::default(), targets: BTreeMap::new() };
    for (vrf, table) in &rib.routes {
        for prefix in table.keys() {
            let Some(fate) = fates.get(vrf).and_then(|table| table.get(prefix)) else { continue };
            builder.route(vrf, *prefix, fate);
        }
    }
    builder.fib
}

struct Builder {
    keys: Keys,
    fib: Fib,
    /// Targets of groups by identity: routes with the same nexthops share one.
    targets: BTreeMap<String, (RouteTarget, bool)>,
}

impl Builder {
    fn route(&mut self, vrf: &Arc<str>, prefix: IpNet, fate: &Fate) {
        let target = match fate {
            Fate::Connected(_) => return self.problem(vrf, prefix, ProblemKind::Connected),
            Fate::Unreachable => return self.problem(vrf, prefix, ProblemKind::Unreachable),
            Fate::Discard(discard) => RouteTarget::Nexthop(self.discard(*discard)),
            Fate::Via(vias) => {
                let (target, whole) = self.vias(vrf, vias);
                if !whole {
                    self.problem(vrf, prefix, ProblemKind::TooManyNexthops);
                }
                target
            }
        };
        self.fib.state.insert(Key::Route(Arc::clone(vrf), prefix), Value::Route(target));
    }

    fn problem(&mut self, vrf: &Arc<str>, prefix: IpNet, what: ProblemKind) {
        self.fib.problems.push(Problem { vrf: Arc::clone(vrf), prefix, what });
    }

    fn discard(&mut self, discard: Discard) -> u64 {
        self.nexthop(&format!("discard {discard:?}"), Nexthop::Discard(discard))
    }

    fn nexthop(&mut self, identity: &str, nexthop: Nexthop) -> u64 {
        let key = self.keys.key(identity);
        self.fib.state.insert(Key::Nexthop(key), Value::Nexthop(nexthop));
        key
    }

    /// The target for these nexthops, and whether all of them fit in.
    fn vias(&mut self, vrf: &Arc<str>, vias: &[(Via, Leaves)]) -> (RouteTarget, bool) {
        if let [(via, leaves)] = vias
            && leaves.len() == 1
            && let Some(leaf) = leaves.keys().next()
        {
            return (RouteTarget::Nexthop(self.via(vrf, via, leaf)), true);
        }
        let identity = group_identity(vrf, vias);
        if let Some(known) = self.targets.get(&identity) {
            return *known;
        }
        let members = self.members(vrf, vias);
        let whole = members.len() <= GROUP_MEMBERS_MAX;
        let members: Arc<[_]> = members.into_iter().take(GROUP_MEMBERS_MAX).collect();
        let key = self.keys.key(&identity);
        self.fib.state.insert(Key::Group(key), Value::Group(members, GroupHash::default()));
        self.targets.insert(identity, (RouteTarget::Group(key), whole));
        (RouteTarget::Group(key), whole)
    }

    /// A nexthop that stands for a gateway or interface as it was told.
    fn via(&mut self, vrf: &Arc<str>, via: &Via, leaf: &Leaf) -> u64 {
        self.nexthop(&format!("via {}", via_identity(vrf, via)), of_leaf(leaf))
    }

    fn members(&mut self, vrf: &Arc<str>, vias: &[(Via, Leaves)]) -> Vec<(u64, u8)> {
        let weight = |share: u64| u8::try_from(share).unwrap_or(u8::MAX).max(1);
        // Where each gateway has one way out, members stand for gateways and survive a change of the way.
        if vias.iter().all(|(_, leaves)| leaves.len() == 1) {
            let one =
                |(via, leaves): &(Via, Leaves)| leaves.keys().next().map(|leaf| (via.clone(), leaf.clone()));
            let vias: Vec<_> = vias.iter().filter_map(one).collect();
            return vias
                .iter()
                .map(|(via, leaf)| (self.via(vrf, via, leaf), weight(via.weight.into())))
                .collect();
        }
        let leaf_member = |(leaf, share): (Leaf, u64)| {
            let gateway = leaf.gateway.map(|g| g.to_string()).unwrap_or_default();
            (self.nexthop(&format!("leaf {gateway}%{}", leaf.interface), of_leaf(&leaf)), weight(share))
        };
        shares(vias).into_iter().map(leaf_member).collect()
    }
}

fn of_leaf(leaf: &Leaf) -> Nexthop {
    Nexthop::Interface { gateway: leaf.gateway, interface: Arc::clone(&leaf.interface) }
}

fn via_identity(vrf: &str, via: &Via) -> String {
    let gateway = via.gateway.map(|gateway| gateway.to_string()).unwrap_or_default();
    format!("{vrf} {gateway}%{}", via.interface.as_deref().unwrap_or_default())
}

fn group_identity(vrf: &str, vias: &[(Via, Leaves)]) -> String {
    let mut members: Vec<_> =
        vias.iter().map(|(via, _)| format!("{}*{}", via_identity(vrf, via), via.weight)).collect();
    members.sort();
    format!("group {}", members.join(","))
}
