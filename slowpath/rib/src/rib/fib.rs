//! Resolved routes to nexthops, groups and routes with stable keys.
//!
//! A key stands for what the object is for, not for what it holds: a nexthop for "gateway G in VRF V", a group for a
//! set of such. When a gateway resolves differently, the object with its key changes and no route is touched.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use ipnet::IpNet;
use ze_engine::{Discard, Path, Target, Via, Way};

use super::resolve::{self, Backups, Fate, Fates, Leaf, Leaves, shares};
use super::{BACKUPS_MAX, GROUP_MEMBERS_MAX, Problem, ProblemKind, Rib};
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
    let (targets, backups) = (HashMap::new(), Backups::new());
    let mut builder = Builder { rib, fates, keys: Keys::default(), fib: Fib::default(), targets, backups };
    for (vrf, table) in &rib.routes {
        for (prefix, by_source) in table {
            let Some(fate) = fates.get(vrf).and_then(|table| table.get(prefix)) else { continue };
            builder.route(vrf, *prefix, fate, || Rib::paths(by_source));
        }
    }
    builder.fib
}

struct Builder<'r> {
    rib: &'r Rib,
    fates: &'r Fates,
    keys: Keys,
    fib: Fib,
    /// Targets by identity, and whether all nexthops fit in: routes with the same nexthops share one.
    targets: HashMap<String, (RouteTarget, bool)>,
    backups: Backups,
}

/// Rank of a nexthop that routes and groups lead to. Backups have lesser ones, so that they are put before it.
const RANK: u8 = BACKUPS_MAX as u8;
const _: () = assert!(RANK < 1 << crate::keys::RANK_BITS);

impl Builder<'_> {
    fn route<'p, P: Iterator<Item = &'p Path>>(
        &mut self,
        vrf: &Arc<str>,
        prefix: IpNet,
        fate: &Fate,
        paths: impl Fn() -> P,
    ) {
        let target = match fate {
            Fate::Connected(_) => return self.problem(vrf, prefix, ProblemKind::Connected),
            Fate::Unreachable => return self.problem(vrf, prefix, ProblemKind::Unreachable),
            Fate::Discard(discard) => RouteTarget::Nexthop(self.discard(*discard)),
            Fate::Via(at, vias) => {
                let (target, whole) = self.vias(vrf, &prefix, vias, &rest(vrf, paths().skip(at + 1)));
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
        self.nexthop(&format!("discard {discard:?}"), Nexthop::Discard(discard), None)
    }

    fn nexthop(&mut self, identity: &str, nexthop: Nexthop, backup: Option<u64>) -> u64 {
        let key = self.keys.ranked(RANK, identity);
        self.fib.state.insert(Key::Nexthop(key), Value::Nexthop(nexthop, backup));
        key
    }

    /// The target for these nexthops, and whether all of them fit in. `rest`: the worse paths in words.
    fn vias(
        &mut self,
        vrf: &Arc<str>,
        prefix: &IpNet,
        vias: &[(Via, Leaves)],
        rest: &str,
    ) -> (RouteTarget, bool) {
        let identity = group_identity(vrf, vias, rest);
        if let Some(known) = self.targets.get(&identity) {
            return *known;
        }
        let backups = resolve::backups(self.rib, self.fates, vrf, prefix, &mut self.backups);
        let target = match vias {
            [(via, leaves)] if leaves.len() == 1 => {
                let leaf = leaves.keys().next();
                let one = leaf.map(|leaf| self.via(&via_identity(vrf, via), rest, leaf, &[], &backups));
                (RouteTarget::Nexthop(one.unwrap_or_default()), true)
            }
            _ => self.group(vrf, vias, &identity, &backups),
        };
        self.targets.insert(identity, target);
        target
    }

    fn group(
        &mut self,
        vrf: &Arc<str>,
        vias: &[(Via, Leaves)],
        identity: &str,
        backups: &[Leaf],
    ) -> (RouteTarget, bool) {
        let members = self.members(vrf, vias, identity, backups);
        let whole = members.len() <= GROUP_MEMBERS_MAX;
        let members: Arc<[_]> = members.into_iter().take(GROUP_MEMBERS_MAX).collect();
        let key = self.keys.key(identity);
        self.fib.state.insert(Key::Group(key), Value::Group(members, GroupHash::default()));
        (RouteTarget::Group(key), whole)
    }

    /// A nexthop that stands for a gateway or interface as it was told, among others (`context`) or alone.
    fn via(&mut self, via: &str, context: &str, leaf: &Leaf, siblings: &[Leaf], backups: &[Leaf]) -> u64 {
        let backup = self.chain(&chain_of(leaf, siblings, backups));
        self.nexthop(&format!("via {via} {context}"), of_leaf(leaf), backup)
    }

    fn members(
        &mut self,
        vrf: &Arc<str>,
        vias: &[(Via, Leaves)],
        group: &str,
        backups: &[Leaf],
    ) -> Vec<(u64, u8)> {
        let weight = |share: u64| u8::try_from(share).unwrap_or(u8::MAX).max(1);
        // Where each gateway has one way out, members stand for gateways and survive a change of the way.
        if vias.iter().all(|(_, leaves)| leaves.len() == 1) {
            let leaves: Vec<Leaf> = vias
                .iter()
                .filter_map(|(_, leaves)| leaves.keys().next().cloned())
                .take(GROUP_MEMBERS_MAX)
                .collect();
            let mut members = Vec::new();
            for (at, (via, _)) in vias.iter().enumerate() {
                let siblings = after(&leaves, at);
                let leaf = leaves.get(at).or(leaves.first());
                let Some(leaf) = leaf else { continue };
                let key = self.via(&via_identity(vrf, via), group, leaf, &siblings, backups);
                members.push((key, weight(via.weight.into())));
            }
            return members;
        }
        let shares: Vec<(Leaf, u64)> = shares(vias).into_iter().collect();
        let leaves: Vec<Leaf> = shares.iter().map(|(leaf, _)| leaf.clone()).collect();
        let mut members = Vec::new();
        for (at, (leaf, share)) in shares.iter().enumerate() {
            let chain = chain_of(leaf, &after(&leaves, at), backups);
            let identity = format!("leaf {} {}", leaf_identity(leaf), chain_identity(&chain));
            let backup = self.chain(&chain);
            members.push((self.nexthop(&identity, of_leaf(leaf), backup), weight(*share)));
        }
        members
    }

    /// Backups, each with those after it behind it; the key of the first.
    fn chain(&mut self, chain: &[Leaf]) -> Option<u64> {
        let (first, behind) = chain.split_first()?;
        let backup = self.chain(behind);
        let key = self.keys.ranked(behind.len() as u8, &chain_identity(chain));
        self.fib.state.insert(Key::Nexthop(key), Value::Nexthop(of_leaf(first), backup));
        Some(key)
    }
}

/// The others, beginning with the one after this: so each is the backup of one.
fn after(leaves: &[Leaf], at: usize) -> Vec<Leaf> {
    let (before, rest) = leaves.split_at(at.min(leaves.len()));
    rest.iter().skip(1).chain(before).cloned().collect()
}

/// What is armed behind a leaf: of the others of its group the first that leaves by another interface, or else the
/// first; then what the route falls back on. What can always be used ends the chain.
fn chain_of(leaf: &Leaf, siblings: &[Leaf], backups: &[Leaf]) -> Vec<Leaf> {
    if !can_fail(leaf) {
        return Vec::new();
    }
    let elsewhere = |other: &&Leaf| interface(other) != interface(leaf);
    let sibling = siblings.iter().find(elsewhere).or(siblings.first());
    let mut chain: Vec<Leaf> = Vec::new();
    for next in sibling.into_iter().chain(backups) {
        if next != leaf && !chain.contains(next) && chain.last().is_none_or(can_fail) {
            chain.push(next.clone());
        }
    }
    chain.truncate(BACKUPS_MAX);
    chain
}

/// Only what leaves by an interface.
fn can_fail(leaf: &Leaf) -> bool {
    interface(leaf).is_some()
}

fn interface(leaf: &Leaf) -> Option<&Arc<str>> {
    match leaf {
        Leaf::Interface { interface, .. } => Some(interface),
        Leaf::Vrf(_) | Leaf::Discard(_) => None,
    }
}

fn of_leaf(leaf: &Leaf) -> Nexthop {
    match leaf {
        Leaf::Interface { gateway, interface } => {
            Nexthop::Interface { gateway: *gateway, interface: Arc::clone(interface) }
        }
        Leaf::Vrf(vrf) => Nexthop::Vrf(Arc::clone(vrf)),
        Leaf::Discard(discard) => Nexthop::Discard(*discard),
    }
}

fn leaf_identity(leaf: &Leaf) -> String {
    match leaf {
        Leaf::Interface { gateway: Some(gateway), interface } => format!("{gateway}%{interface}"),
        Leaf::Interface { gateway: None, interface } => format!("%{interface}"),
        Leaf::Vrf(vrf) => format!("vrf {vrf}"),
        Leaf::Discard(discard) => format!("discard {discard:?}"),
    }
}

fn chain_identity(chain: &[Leaf]) -> String {
    chain.iter().map(|leaf| format!("before {}", leaf_identity(leaf))).collect::<Vec<_>>().join(" ")
}

fn via_identity(vrf: &str, via: &Via) -> String {
    match &via.way {
        Way::Interface(interface) => format!("{vrf} %{interface}"),
        Way::Gateway(gateway, None) => format!("{vrf} {gateway}%"),
        Way::Gateway(gateway, Some(interface)) => format!("{vrf} {gateway}%{interface}"),
        Way::Vrf(other) => format!("vrf {other}"),
    }
}

fn group_identity(vrf: &str, vias: &[(Via, Leaves)], rest: &str) -> String {
    let mut members: Vec<_> =
        vias.iter().map(|(via, _)| format!("{}*{}", via_identity(vrf, via), via.weight)).collect();
    members.sort();
    format!("group {}{rest}", members.join(","))
}

/// The worse paths of a route, as they were told.
fn rest<'p>(vrf: &str, paths: impl Iterator<Item = &'p Path>) -> String {
    let mut words = String::new();
    for path in paths {
        let _ = match &path.target {
            Target::Discard(discard) => write!(words, ";discard {discard:?}"),
            Target::Via(vias) => {
                let vias: Vec<_> = vias.iter().map(|via| via_identity(vrf, via)).collect();
                write!(words, ";{}", vias.join(","))
            }
        };
    }
    words
}
