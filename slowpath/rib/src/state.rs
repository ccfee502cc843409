//! The objects that the fast path shall have.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use ze_engine::Discard;
use ze_proto::v1;

/// Objects by key. The order of keys is the order of programming: what is referred to comes first.
pub type State = BTreeMap<Key, Value>;

/// Names an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The settings of the daemon.
    System,
    /// A VRF.
    Vrf(Arc<str>),
    /// A port.
    Port(Arc<str>),
    /// An interface.
    Interface(Arc<str>),
    /// An address of an interface, host bits included.
    Address(Arc<str>, IpNet),
    /// A nexthop.
    Nexthop(u64),
    /// A nexthop group.
    Group(u64),
    /// A route of a VRF.
    Route(Arc<str>, IpNet),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => write!(f, "/system"),
            Self::Vrf(name) => write!(f, "/vrf[name='{name}']"),
            Self::Port(name) => write!(f, "/port[name='{name}']"),
            Self::Interface(name) => write!(f, "/interface[name='{name}']"),
            Self::Address(name, address) => write!(f, "/interface[name='{name}']/address[.='{address}']"),
            Self::Nexthop(key) => write!(f, "/nexthop[key='{key}']"),
            Self::Group(key) => write!(f, "/nexthop-group[key='{key}']"),
            Self::Route(vrf, prefix) => write!(f, "/vrf[name='{vrf}']/route[prefix='{prefix}']"),
        }
    }
}

/// An object.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of [`Key::System`].
    System(v1::System),
    /// Of [`Key::Vrf`].
    Vrf,
    /// Of [`Key::Port`].
    Port(Box<v1::Port>),
    /// Of [`Key::Interface`].
    Interface(Box<v1::Interface>),
    /// Of [`Key::Address`].
    Address,
    /// Of [`Key::Nexthop`]: where it leads, and the key of its backup. The backup's own key is the lesser one, so that
    /// it is put first.
    Nexthop(Nexthop, Option<u64>),
    /// Of [`Key::Group`]: keys and weights, and how it chooses.
    Group(Arc<[(u64, u8)]>, GroupHash),
    /// Of [`Key::Route`].
    Route(RouteTarget),
}

/// How a group of nexthops chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupHash {
    /// A change of the members moves as few flows as can be.
    pub resilient: bool,
    /// Both directions of a flow choose the same member.
    pub symmetric: bool,
}

/// Where packets go, resolved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Nexthop {
    /// Out of an interface: to a gateway, or if there is none, to the destination itself.
    Interface {
        /// The next router.
        gateway: Option<IpAddr>,
        /// The interface.
        interface: Arc<str>,
    },
    /// Into another VRF, where the destination is looked up again.
    Vrf(Arc<str>),
    /// Nowhere.
    Discard(Discard),
}

/// What a route refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteTarget {
    /// A nexthop.
    Nexthop(u64),
    /// A nexthop group.
    Group(u64),
}

impl RouteTarget {
    /// The key of what it refers to.
    pub fn key(self) -> Key {
        match self {
            Self::Nexthop(key) => Key::Nexthop(key),
            Self::Group(key) => Key::Group(key),
        }
    }
}
