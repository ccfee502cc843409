//! The configuration as types. A value of [`Config`] makes sense: what does not was refused when the text was read.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            pub(crate) fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The name, shared.
            pub fn shared(&self) -> Arc<str> {
                Arc::clone(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// Name of an interface: `lan0`, or `lan0.100` for its unit 100.
    InterfaceName
);
name!(
    /// Name of a VRF.
    VrfName
);

impl VrfName {
    /// The VRF that exists always.
    pub const DEFAULT: &'static str = "default";
}

impl Default for VrfName {
    fn default() -> Self {
        Self::new(Self::DEFAULT)
    }
}

/// A whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The router as a whole.
    pub system: System,
    /// VRFs besides "default".
    pub vrfs: BTreeSet<VrfName>,
    /// Ports, by the name of their untagged interface.
    pub ports: BTreeMap<InterfaceName, Port>,
    /// Untagged interfaces and VLAN units.
    pub interfaces: BTreeMap<InterfaceName, Interface>,
    /// Static routes.
    pub routes: Arc<StaticRoutes>,
    /// Files of routes.
    pub tables: BTreeMap<TableKey, Vec<IpAddr>>,
}

/// Names a file of routes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableKey {
    /// The VRF that the routes are in.
    pub vrf: VrfName,
    /// The file.
    pub file: String,
}

/// Static routes of all VRFs.
pub type StaticRoutes = BTreeMap<RouteKey, StaticRoute>;

/// The router as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct System {
    /// While the forwarding daemon is down, frames go to the kernel instead of being dropped.
    pub fail_open: bool,
    /// Groups of nexthops keep flows where they are, as far as they can.
    pub resilient_hash: bool,
    /// Groups of nexthops choose alike for both directions of a flow.
    pub symmetric_hash: bool,
}

/// A network device that Ze takes over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Port {
    /// The device, where it is not called as the port.
    pub device: Option<String>,
    /// Which XDP modes may be used.
    pub xdp_mode: XdpMode,
    /// Out of use.
    pub disable: bool,
}

/// Which XDP modes may be used on a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum XdpMode {
    /// Zero copy, then copy, then generic.
    #[default]
    Auto,
    /// Zero copy, then copy; never generic.
    Native,
    /// Generic only.
    Generic,
}

impl XdpMode {
    /// The word in the text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }
}

/// An L3 interface: untagged, or a VLAN unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its port.
    pub port: InterfaceName,
    /// Number and VLAN of a unit; nothing for the untagged interface.
    pub unit: Option<Unit>,
    /// The VRF that it is in.
    pub vrf: VrfName,
    /// Largest L3 packet in bytes, where it is not the device's.
    pub mtu_bytes: Option<u16>,
    /// Ethernet address, where it is not the device's.
    pub mac: Option<[u8; 6]>,
    /// Out of use.
    pub disable: bool,
    /// What an operator wants to remember.
    pub description: Option<String>,
    /// Addresses with host bits.
    pub addresses: BTreeSet<IpNet>,
}

/// A VLAN unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its number.
    pub id: u16,
    /// VLAN number, 1 to 4094.
    pub vlan: u16,
}

/// Names a route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteKey {
    /// The VRF.
    pub vrf: VrfName,
    /// The destinations, without host bits.
    pub prefix: IpNet,
}

/// Where a static route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StaticRoute {
    /// To the nexthops of the smallest distance that can be reached; 1 to 128 of them.
    Via(Vec<Hop>),
    /// Nowhere.
    Discard(Discard),
}

/// A nexthop of a static route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hop {
    /// Where it leads.
    pub way: Way,
    /// Share among the nexthops of the same distance, 1 to 255.
    pub weight: u8,
    /// Administrative distance, 1 to 254.
    pub distance: u8,
}

/// Where a nexthop of a static route leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// Out of an interface: every destination is a neighbour there.
    Interface(InterfaceName),
    /// To the next router, by an interface if one is given; else the route to the gateway decides.
    Gateway(IpAddr, Option<InterfaceName>),
    /// Into another VRF, where the destination is looked up again.
    Vrf(VrfName),
}

/// What a route without a nexthop does to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// Drops it in silence.
    Blackhole,
    /// Says that the destination is unreachable.
    Reject,
    /// Says that it is administratively prohibited.
    Prohibit,
}

impl Discard {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Blackhole, Self::Reject, Self::Prohibit];

    /// The word in the text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blackhole => "blackhole",
            Self::Reject => "reject",
            Self::Prohibit => "prohibit",
        }
    }
}

/// Names an object of a configuration, in the order in which a data plane wants them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// The router as a whole.
    System,
    /// A VRF.
    Vrf(VrfName),
    /// A port.
    Port(InterfaceName),
    /// An interface.
    Interface(InterfaceName),
    /// An address of an interface.
    Address(InterfaceName, IpNet),
    /// A static route.
    Route(RouteKey),
    /// A file of routes.
    Table(TableKey),
}

impl fmt::Display for Object {
    /// The path in the words of the text: "interfaces lan0 unit 100 address 10.0.0.1/24".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let interface = |f: &mut fmt::Formatter<'_>, name: &InterfaceName| match name.as_str().split_once('.')
        {
            Some((port, unit)) => write!(f, "interfaces {port} unit {unit}"),
            None => write!(f, "interfaces {name}"),
        };
        match self {
            Self::System => write!(f, "system"),
            Self::Vrf(name) => write!(f, "vrf {name}"),
            Self::Port(name) | Self::Interface(name) => interface(f, name),
            Self::Address(name, address) => {
                interface(f, name)?;
                write!(f, " address {address}")
            }
            Self::Route(key) => {
                if key.vrf.as_str() != VrfName::DEFAULT {
                    write!(f, "vrf {} ", key.vrf)?;
                }
                write!(f, "static route {}", key.prefix)
            }
            Self::Table(key) => {
                if key.vrf.as_str() != VrfName::DEFAULT {
                    write!(f, "vrf {} ", key.vrf)?;
                }
                write!(f, "static table {}", key.file)
            }
        }
    }
}
