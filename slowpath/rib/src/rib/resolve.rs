//! Gateways to interfaces, in rounds.
//!
//! A route is decided (active with leaves, or inactive), or waits for another one that covers a gateway of it. Each
//! round decides what the rounds before allow; all of a round see the same state, so the order does not matter. When
//! a round decides nothing, or after [`RESOLUTION_DEPTH_MAX`] rounds, what waits waits for itself: those gateways can
//! not be reached.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use ze_engine::{Discard, Path, Target, Via};

use super::{RESOLUTION_DEPTH_MAX, Rib};

/// The way out of the router.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Leaf {
    pub(super) gateway: Option<IpAddr>,
    pub(super) interface: Arc<str>,
}

/// The leaves of a gateway or interface with their shares of it.
pub(super) type Leaves = BTreeMap<Leaf, u64>;

/// What became of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The fast path has it by itself.
    Connected(Arc<str>),
    /// In force: for each nexthop that can be reached, its leaves.
    Via(Vec<(Via, Leaves)>),
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
        let Some(table) = fates.get(route.vrf) else { continue };
        match fate(&route, table, force) {
            Verdict::Decided(fate) => decided.push((route, fate)),
            Verdict::Waits => waiting.push(route),
        }
    }
    (decided, waiting)
}

fn fate(route: &Route<'_>, table: &Table, force: bool) -> Verdict<Fate> {
    for path in &route.paths {
        let vias = match &path.target {
            Target::Discard(discard) => return Verdict::Decided(Fate::Discard(*discard)),
            Target::Via(vias) => vias,
        };
        let mut reached = Vec::new();
        for via in vias {
            match leaves(via, &route.prefix, table) {
                Verdict::Decided(None) => {}
                Verdict::Decided(Some(leaves)) => reached.push((via.clone(), leaves)),
                Verdict::Waits if force => {}
                Verdict::Waits => return Verdict::Waits,
            }
        }
        if !reached.is_empty() {
            return Verdict::Decided(Fate::Via(reached));
        }
    }
    Verdict::Decided(Fate::Unreachable)
}

fn leaves(via: &Via, own: &IpNet, table: &Table) -> Verdict<Option<Leaves>> {
    let one = |gateway, interface: &Arc<str>| {
        Verdict::Decided(Some(Leaves::from([(Leaf { gateway, interface: Arc::clone(interface) }, 1)])))
    };
    let gateway = match (via.gateway, &via.interface) {
        (gateway, Some(interface)) => return one(gateway, interface),
        (None, None) => return Verdict::Decided(None),
        (Some(gateway), None) => gateway,
    };
    for (prefix, fate) in table.covering(gateway) {
        if prefix == *own {
            continue;
        }
        match fate {
            None => return Verdict::Waits,
            Some(Fate::Unreachable) => {}
            Some(Fate::Discard(_)) => return Verdict::Decided(None),
            Some(Fate::Connected(interface)) => return one(Some(gateway), interface),
            Some(Fate::Via(vias)) => return Verdict::Decided(Some(inherit(gateway, vias))),
        }
    }
    Verdict::Decided(None)
}

/// The first way to a gateway, once all routes are decided.
pub(super) fn reach(table: &Table, gateway: IpAddr) -> Option<(IpAddr, Arc<str>)> {
    let via = Via { gateway: Some(gateway), interface: None, weight: 1 };
    match leaves(&via, &IpNet::default(), table) {
        Verdict::Decided(leaves) => {
            let leaf = leaves?.into_keys().next()?;
            Some((leaf.gateway.unwrap_or(gateway), leaf.interface))
        }
        Verdict::Waits => None,
    }
}

/// The leaves of the route that covers a gateway; where that route ends on a link, the gateway is the neighbour.
fn inherit(gateway: IpAddr, vias: &[(Via, Leaves)]) -> Leaves {
    let mut all = Leaves::new();
    for (leaf, share) in shares(vias) {
        let leaf = Leaf { gateway: leaf.gateway.or(Some(gateway)), interface: leaf.interface };
        *all.entry(leaf).or_default() += share;
    }
    all
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
