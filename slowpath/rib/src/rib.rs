//! Which routes are active, and where their packets go.
//!
//! Of the paths to a prefix the one with the smallest distance that can be used wins; a connected prefix has distance
//! 0 and is the fast path's own business. A gateway without an interface is looked up among the active routes: the
//! longest prefix that covers it, other than the route's own and other than a default route — else every mistyped
//! gateway would "resolve". That can take several steps; see [`resolve`].
//!
//! Behind a nexthop stand its *backups*, for the time until we know that it has failed: the fast path flips by itself
//! when the interface goes or the gateway does not answer. Of several nexthops each has another one as its first
//! backup; then comes what its gateway's route falls back on, then the route's next larger distance.

mod fib;
mod resolve;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use ze_engine::{Path, RouteUpdate};

pub use fib::Fib;

/// Steps from a gateway to an interface: what no honest network needs, and a loop never ends within.
pub const RESOLUTION_DEPTH_MAX: usize = 16;

/// VRFs that a search for a gateway goes through: as many as a packet follows.
const VRFS_MAX: usize = 4;

/// Backups behind a nexthop: another one of its group, and two more. Each costs an object for every combination.
pub const BACKUPS_MAX: usize = 3;

/// Members of a group: what the API takes.
pub const GROUP_MEMBERS_MAX: usize = 128;

/// Who tells routes. The order decides between equal distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The static routes' engine.
    Static,
}

/// A connected prefix of an interface that is up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Connected {
    /// The VRF of the interface.
    pub vrf: Arc<str>,
    /// The prefix, without host bits.
    pub prefix: IpNet,
    /// The interface.
    pub interface: Arc<str>,
}

/// A route that an operator wrote and packets can not take as written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The VRF.
    pub vrf: Arc<str>,
    /// The prefix.
    pub prefix: IpNet,
    /// What is the matter.
    pub what: ProblemKind,
}

/// What is the matter with a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProblemKind {
    /// The prefix is connected; the interface's own route is in force.
    Connected,
    /// No nexthop can be reached: its interface is down, or no route but a default one leads to its gateway.
    Unreachable,
    /// More nexthops than a group takes.
    TooManyNexthops,
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected => write!(f, "inactive: the prefix is connected"),
            Self::Unreachable => write!(
                f,
                "inactive: no nexthop can be reached (its interface is down, or only a default route covers its gateway)"
            ),
            Self::TooManyNexthops => write!(f, "only the first {GROUP_MEMBERS_MAX} nexthops are used"),
        }
    }
}

/// All routes by prefix and source.
#[derive(Debug, Default)]
pub struct Rib {
    routes: BTreeMap<Arc<str>, BTreeMap<IpNet, BTreeMap<Source, Told>>>,
    connected: BTreeSet<Connected>,
}

/// What a source told about a prefix.
#[derive(Debug)]
struct Told {
    paths: Vec<Path>,
    /// Told before the source began anew.
    stale: bool,
}

impl Rib {
    /// A RIB without routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what an engine told. Returns whether anything changed.
    pub fn update(&mut self, source: Source, update: RouteUpdate) -> bool {
        let table = self.routes.entry(Arc::clone(&update.vrf)).or_default();
        if update.paths.is_empty() {
            let Some(told) = table.get_mut(&update.prefix) else { return false };
            let removed = told.remove(&source).is_some();
            if told.is_empty() {
                table.remove(&update.prefix);
            }
            return removed;
        }
        let by_source = table.entry(update.prefix).or_default();
        let changed = by_source.get(&source).map(|told| &told.paths) != Some(&update.paths);
        by_source.insert(source, Told { paths: update.paths, stale: false });
        changed
    }

    /// A source begins anew: what it has told stays in force until [`sweep`](Self::sweep).
    pub fn mark_stale(&mut self, source: Source) {
        for told in self.routes.values_mut().flat_map(BTreeMap::values_mut).filter_map(|t| t.get_mut(&source))
        {
            told.stale = true;
        }
    }

    /// A source has told everything anew: what it has not told again goes. Returns whether anything did.
    pub fn sweep(&mut self, source: Source) -> bool {
        let mut swept = false;
        for table in self.routes.values_mut() {
            table.retain(|_, by_source| {
                if by_source.get(&source).is_some_and(|told| told.stale) {
                    by_source.remove(&source);
                    swept = true;
                }
                !by_source.is_empty()
            });
        }
        swept
    }

    /// These are the connected prefixes, all of them. Returns whether anything changed.
    pub fn set_connected(&mut self, connected: BTreeSet<Connected>) -> bool {
        let changed = self.connected != connected;
        self.connected = connected;
        changed
    }

    /// How many prefixes engines have told.
    pub fn len(&self) -> usize {
        self.routes.values().map(BTreeMap::len).sum()
    }

    /// Whether no engine has told a route.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ways to each of these gateways of a VRF, as routes without an interface find theirs: the neighbour, the
    /// interface that it is on, and its share, 1 to 255.
    pub fn reach(&self, vrf: &str, gateways: &[IpAddr]) -> Vec<Vec<(IpAddr, Arc<str>, u8)>> {
        let fates = resolve::resolve(self);
        gateways.iter().map(|gateway| resolve::reach(&fates, vrf, *gateway)).collect()
    }

    /// What the fast path shall have for these routes.
    pub fn compute(&self) -> Fib {
        fib::build(self, &resolve::resolve(self))
    }

    /// Paths to a prefix, best first.
    fn paths(by_source: &BTreeMap<Source, Told>) -> impl Iterator<Item = &Path> {
        let mut paths: Vec<_> = by_source.values().flat_map(|told| &told.paths).collect();
        paths.sort_by_key(|path| path.distance);
        paths.into_iter()
    }
}

#[cfg(test)]
mod backup_tests;
#[cfg(test)]
mod tests;
