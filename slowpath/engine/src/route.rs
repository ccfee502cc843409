//! Routes as engines tell them to the RIB.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

/// All that one engine knows about one prefix: it takes the place of what the engine said before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteUpdate {
    /// The VRF.
    pub vrf: Arc<str>,
    /// The destinations, without host bits.
    pub prefix: IpNet,
    /// Ways to get there, at most one for each distance. None: the route is withdrawn.
    pub paths: Vec<Path>,
}

/// A way to a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Administrative distance: the smallest that can be used wins. 0 is a connected prefix.
    pub distance: u8,
    /// Where packets go.
    pub target: Target,
}

/// Where packets go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To these, in proportion to their weights.
    Via(Vec<Via>),
    /// Nowhere.
    Discard(Discard),
}

/// A nexthop before it is resolved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Via {
    /// Where it leads.
    pub way: Way,
    /// Share, 1 to 255.
    pub weight: u8,
}

/// Where a nexthop leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// Out of an interface: every destination is a neighbour there.
    Interface(Arc<str>),
    /// To the next router, by an interface if one is given; else the route to the gateway decides.
    Gateway(IpAddr, Option<Arc<str>>),
    /// Into another VRF, where the destination is looked up again.
    Vrf(Arc<str>),
}

/// What happens to a packet that goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Discard {
    /// It is dropped in silence.
    Blackhole,
    /// Its sender is told that the destination is unreachable.
    Unreachable,
    /// Its sender is told that the destination is administratively prohibited.
    Prohibit,
}
