//! Gateways to interfaces, in rounds.
//!
//! A route is decided (active with leaves, or inactive), or waits for another one that covers a gateway of it. Each
//! round decides what the rounds before allow; all of a round see the same state, so the order does not matter. When
//! a round decides nothing, or after [`RESOLUTION_DEPTH_MAX`] rounds, what waits waits for itself: those gateways can
//! not be reached.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use ze_engine::{Discard, Path, Target, Via, Way};

use super::{RESOLUTION_DEPTH_MAX, Rib, VRFS_MAX};

/// Where a packet goes in the end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Leaf {
    /// Out of the router: to a gateway, or if there is none, to the destination itself.
    Interface { gateway: Option<IpAddr>, interface: Arc<str> },
    /// Into another VRF.
    Vrf(Arc<str>),
    /// Nowhere: the last way of a route that has others.
    Discard(Discard),
}

/// The leaves of a nexthop with their shares of it.
pub(super) type Leaves = BTreeMap<Leaf, u64>;

/// What became of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The fast path has it by itself.
    Connected(Arc<str>),
    /// In force by this one of its paths: for each nexthop that can be reached, its leaves.
    Via(usize, Vec<(Via, Leaves)>),
    /// In force.
    Discard(Discard),
    /// Not in force.
    Unreachable,
}

/// The fates of all routes and connected prefixes.
pub(super) type Fates = HashMap<Arc<str>, Table>;

/// The fates of one VRF, for longest match.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// `None`: not decided yet.
    fates: HashMap<IpNet, Option<Fate>>,
    lengths4: BTreeSet<u8>,
    lengths6: BTreeSet<u8>,
}

impl Table {
    pub(super) fn get(&self, prefix: &IpNet) -> Option<&Fate> {
        self.fates.get(prefix)?.as_ref()
    }

    fn insert(&mut self, prefix: IpNet, fate: Option<Fate>) {
        let lengths = if prefix.addr().is_ipv4() { &mut self.lengths4 } else { &mut self.lengths6 };
        lengths.insert(prefix.prefix_len());
        self.fates.insert(prefix, fate);
    }

    /// Fates of the prefixes that cover an address, longest first; never those of default routes.
    fn covering(&self, address: IpAddr) -> impl Iterator<Item = (IpNet, &Option<Fate>)> {
        let lengths = if address.is_ipv4() { &self.lengths4 } else { &self.lengths6 };
        lengths.iter().rev().filter(|len| **len > 0).filter_map(move |len| {
            let prefix = IpNet::new(address, *len).ok()?.trunc();
            Some((prefix, self.fates.get(&prefix)?))
        })
    }
}

/// What the rounds so far say about a nexthop or route.
enum Verdict<T> {
    Decided(T),
    Waits,
}

pub(super) fn resolve(rib: &Rib) -> Fates {
    let mut fates = start(rib);
    let mut pending = pending(rib, &fates);
    for round in 0.. {
        let last = round == RESOLUTION_DEPTH_MAX;
        let (decided, waiting) = decide(pending, &fates, last);
        let stuck = decided.is_empty() && !waiting.is_empty();
        let (decided, waiting) = if stuck { decide(waiting, &fates, true) } else { (decided, waiting) };
        for (route, fate) in decided {
            if let Some(table) = fates.get_mut(route.vrf) {
                table.insert(route.prefix, Some(fate));
            }
        }
        if waiting.is_empty() {
            break;
        }
        pending = waiting;
    }
    fates
}

struct Route<'r> {
    vrf: &'r Arc<str>,
    prefix: IpNet,
    paths: Vec<&'r Path>,
}

fn start(rib: &Rib) -> Fates {
    let mut fates = Fates::new();
    for (vrf, table) in &rib.routes {
        let fate_table = fates.entry(Arc::clone(vrf)).or_default();
        table.keys().for_each(|prefix| fate_table.insert(*prefix, None));
    }
    for connected in &rib.connected {
        let table = fates.entry(Arc::clone(&connected.vrf)).or_default();
        table.insert(connected.prefix, Some(Fate::Connected(Arc::clone(&connected.interface))));
    }
    fates
}

fn pending<'r>(rib: &'r Rib, fates: &Fates) -> Vec<Route<'r>> {
    let mut pending = Vec::new();
    for (vrf, table) in &rib.routes {
        for (prefix, by_source) in table {
            if fates.get(vrf).is_some_and(|t| t.get(prefix).is_none()) {
                pending.push(Route { vrf, prefix: *prefix, paths: Rib::paths(by_source).collect() });
            }
        }
    }
    pending
}

fn decide<'r>(
    pending: Vec<Route<'r>>,
    fates: &Fates,
    force: bool,
) -> (Vec<(Route<'r>, Fate)>, Vec<Route<'r>>) {
    let (mut decided, mut waiting) = (Vec::new(), Vec::new());
    for route in pending {
        match fate(&route, fates, force) {
            Verdict::Decided(fate) => decided.push((route, fate)),
            Verdict::Waits => waiting.push(route),
        }
    }
    (decided, waiting)
}

fn fate(route: &Route<'_>, fates: &Fates, force: bool) -> Verdict<Fate> {
    for (at, path) in route.paths.iter().enumerate() {
        let vias = match &path.target {
            Target::Discard(discard) => return Verdict::Decided(Fate::Discard(*discard)),
            Target::Via(vias) => vias,
        };
        let mut reached = Vec::new();
        for via in vias {
            match leaves(&via.way, Some(&route.prefix), route.vrf, fates, 0) {
                Verdict::Decided(None) => {}
                Verdict::Decided(Some(leaves)) => reached.push((via.clone(), leaves)),
                Verdict::Waits if force => {}
                Verdict::Waits => return Verdict::Waits,
            }
        }
        if !reached.is_empty() {
            return Verdict::Decided(Fate::Via(at, reached));
        }
    }
    Verdict::Decided(Fate::Unreachable)
}

/// The leaves of a nexthop of a VRF's route, `own`. `vrfs`: how many VRFs the search has come through.
fn leaves(way: &Way, own: Option<&IpNet>, vrf: &str, fates: &Fates, vrfs: usize) -> Verdict<Option<Leaves>> {
    let one = |leaf| Verdict::Decided(Some(Leaves::from([(leaf, 1)])));
    let out =
        |gateway, interface: &Arc<str>| one(Leaf::Interface { gateway, interface: Arc::clone(interface) });
    let gateway = match way {
        Way::Interface(interface) => return out(None, interface),
        Way::Gateway(gateway, Some(interface)) => return out(Some(*gateway), interface),
        Way::Vrf(vrf) => return one(Leaf::Vrf(Arc::clone(vrf))),
        Way::Gateway(gateway, None) => *gateway,
    };
    let Some(table) = fates.get(vrf) else { return Verdict::Decided(None) };
    for (prefix, fate) in table.covering(gateway) {
        if Some(&prefix) == own {
            continue;
        }
        match fate {
            None => return Verdict::Waits,
            Some(Fate::Unreachable) => {}
            Some(Fate::Discard(_)) => return Verdict::Decided(None),
            Some(Fate::Connected(interface)) => return out(Some(gateway), interface),
            Some(Fate::Via(_, vias)) => return inherit(gateway, vias, fates, vrfs),
        }
    }
    Verdict::Decided(None)
}

/// The leaves of the route that covers a gateway; where that route ends on a link, the gateway is the neighbour, and
/// where it leads into another VRF, the gateway is looked for there.
fn inherit(gateway: IpAddr, vias: &[(Via, Leaves)], fates: &Fates, vrfs: usize) -> Verdict<Option<Leaves>> {
    let mut vias = vias.to_vec();
    for (_, leaves) in &mut vias {
        match followed(gateway, leaves, fates, vrfs) {
            Verdict::Decided(found) => *leaves = found,
            Verdict::Waits => return Verdict::Waits,
        }
    }
    vias.retain(|(_, leaves)| !leaves.is_empty());
    let all = shares(&vias);
    Verdict::Decided((!all.is_empty()).then_some(all))
}

fn followed(gateway: IpAddr, leaves: &Leaves, fates: &Fates, vrfs: usize) -> Verdict<Leaves> {
    let mut all = Leaves::new();
    for (leaf, share) in leaves {
        let vrf = match leaf {
            Leaf::Vrf(vrf) => vrf,
            Leaf::Discard(_) => continue,
            Leaf::Interface { .. } => {
                *all.entry(with_gateway(leaf, gateway)).or_default() += share * SHARE_UNIT;
                continue;
            }
        };
        // A circle of VRFs, or more of them than a packet follows: the gateway is not there.
        if vrfs == VRFS_MAX {
            continue;
        }
        match self::leaves(&Way::Gateway(gateway, None), None, vrf, fates, vrfs + 1) {
            Verdict::Decided(found) => {
                let found = found.unwrap_or_default();
                let total: u64 = found.values().sum::<u64>().max(1);
                for (leaf, part) in found {
                    *all.entry(leaf).or_default() += (share * SHARE_UNIT * part / total).max(1);
                }
            }
            Verdict::Waits => return Verdict::Waits,
        }
    }
    Verdict::Decided(all)
}

/// The leaf of a covering route as one of the gateway that it covers.
fn with_gateway(leaf: &Leaf, gateway: IpAddr) -> Leaf {
    match leaf {
        Leaf::Interface { gateway: None, interface } => {
            Leaf::Interface { gateway: Some(gateway), interface: Arc::clone(interface) }
        }
        Leaf::Interface { .. } | Leaf::Vrf(_) | Leaf::Discard(_) => leaf.clone(),
    }
}

/// Every way to a gateway with its share, once all routes are decided.
pub(super) fn reach(fates: &Fates, vrf: &str, gateway: IpAddr) -> Vec<(IpAddr, Arc<str>, u8)> {
    let Verdict::Decided(Some(leaves)) = leaves(&Way::Gateway(gateway, None), None, vrf, fates, 0) else {
        return Vec::new();
    };
    let way = |(leaf, share): (Leaf, u64)| match leaf {
        Leaf::Interface { gateway: neighbor, interface } => {
            Some((neighbor.unwrap_or(gateway), interface, u8::try_from(share).unwrap_or(u8::MAX).max(1)))
        }
        Leaf::Vrf(_) | Leaf::Discard(_) => None,
    };
    reduce(leaves).into_iter().filter_map(way).collect()
}

/// What routes can fall back on, as far as it is known. Many routes have gateways behind the same others: without this,
/// each would search all that is behind it anew, and those the same.
pub(super) type Backups = HashMap<(Arc<str>, IpNet), Arc<[Leaf]>>;

/// What a route can fall back on while its own ways can not be used, best first: what its gateways' routes fall back
/// on, then its worse paths. Each is named once.
pub(super) fn backups(
    rib: &Rib,
    fates: &Fates,
    vrf: &Arc<str>,
    prefix: &IpNet,
    known: &mut Backups,
) -> Arc<[Leaf]> {
    let route = (Arc::clone(vrf), *prefix);
    if let Some(found) = known.get(&route) {
        return Arc::clone(found);
    }
    // Nothing so far: a search that comes back here goes no further.
    known.insert(route.clone(), Arc::default());
    let mut found = search(rib, fates, vrf, prefix, known);
    let mut named = HashSet::new();
    found.retain(|leaf| named.insert(leaf.clone()));
    let found: Arc<[Leaf]> = found.into();
    known.insert(route, Arc::clone(&found));
    found
}

fn search(rib: &Rib, fates: &Fates, vrf: &Arc<str>, prefix: &IpNet, known: &mut Backups) -> Vec<Leaf> {
    let Some(Fate::Via(at, reached)) = fates.get(vrf).and_then(|table| table.get(prefix)) else {
        return Vec::new();
    };
    let Some(by_source) = rib.routes.get(vrf).and_then(|table| table.get(prefix)) else { return Vec::new() };
    let mut found = Vec::new();
    for (via, _) in reached {
        inherited(rib, fates, vrf, prefix, &via.way, known, &mut found);
    }
    for path in Rib::paths(by_source).skip(at + 1) {
        match &path.target {
            Target::Discard(discard) => found.push(Leaf::Discard(*discard)),
            Target::Via(vias) => {
                let of = |via: &Via| match leaves(&via.way, Some(prefix), vrf, fates, 0) {
                    Verdict::Decided(leaves) => leaves,
                    Verdict::Waits => None,
                };
                found.extend(vias.iter().filter_map(of).flat_map(BTreeMap::into_keys));
            }
        }
    }
    found
}

/// What the route to a gateway can fall back on.
fn inherited(
    rib: &Rib,
    fates: &Fates,
    vrf: &Arc<str>,
    own: &IpNet,
    way: &Way,
    known: &mut Backups,
    found: &mut Vec<Leaf>,
) {
    let Way::Gateway(gateway, None) = way else { return };
    let Some(table) = fates.get(vrf) else { return };
    let in_force = |(prefix, fate): &(IpNet, &Option<Fate>)| {
        prefix != own && !matches!(fate, Some(Fate::Unreachable) | None)
    };
    let Some((covering, Some(Fate::Via(..)))) = table.covering(*gateway).find(in_force) else { return };
    // What is dropped there is not what this route asks for: it has its own last way.
    let backups = backups(rib, fates, vrf, &covering, known);
    let usable = backups.iter().filter(|leaf| matches!(leaf, Leaf::Interface { .. }));
    found.extend(usable.map(|leaf| with_gateway(leaf, *gateway)));
}

/// Least common multiple of 1 to 10: shares of up to ten leaves divide without a rest.
const SHARE_UNIT: u64 = 2520;

/// Each leaf's share of the whole, in whole numbers of at most 255.
pub(super) fn shares(vias: &[(Via, Leaves)]) -> Leaves {
    let mut all = Leaves::new();
    for (via, leaves) in vias {
        let total: u64 = leaves.values().sum::<u64>().max(1);
        for (leaf, share) in leaves {
            *all.entry(leaf.clone()).or_default() +=
                (u64::from(via.weight.max(1)) * share * SHARE_UNIT / total).max(1);
        }
    }
    reduce(all)
}

/// The same proportions in numbers from 1 to 255, as near as they go.
fn reduce(mut leaves: Leaves) -> Leaves {
    let divisor = leaves.values().copied().fold(0, gcd).max(1);
    leaves.values_mut().for_each(|share| *share /= divisor);
    let largest = leaves.values().copied().max().unwrap_or(1);
    if largest > 255 {
        leaves.values_mut().for_each(|share| *share = (*share * 255 / largest).max(1));
    }
    leaves
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
