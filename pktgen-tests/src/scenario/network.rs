//! The router that every scenario meets.
//!
//! ```text
//!  LAN_HOST 10.0.1.2, 2001:db8:1::2 ──┐                                  ┌── WAN_HOST 10.0.2.2, 2001:db8:2::2
//!    behind it 198.18.0.0/16,         ├─ lan0 ───────  router  ─── wan0 ─┤     behind it 198.51.100.0/24,
//!    2001:db8:a::/48                  │  .100 guests             MTU 1400│     2001:db8:f::/48
//!  GUEST 10.0.100.2 (VLAN 100) ───────┤  .300 VRF blue         .300 blue │
//!  BLUE_LAN 10.0.1.2 (VLAN 300) ──────┘  .400 down                       └── BLUE_WAN 10.0.2.2 (VLAN 300)
//! ```
//!
//! Hosts are static neighbours. A packet to any other address of a connected prefix waits for its resolution.

use std::net::IpAddr;

use ze_proto::{address, v1};

use super::At;
use crate::frame::Mac;

/// Everywhere frames can come out.
pub const PLACES: [At; 5] =
    [At::Wire("lan0"), At::Wire("wan0"), At::Host("lan0"), At::Host("wan0"), At::Host("lan0.100")];

/// The ports with their Ethernet addresses.
pub const PORTS: [(&str, Mac); 2] = [("lan0", LAN0), ("wan0", WAN0)];
/// The router's address on the LAN port.
pub const LAN0: Mac = [2, 0, 0, 0, 1, 1];
/// The router's address on the WAN port.
pub const WAN0: Mac = [2, 0, 0, 0, 2, 1];
/// A host.
pub const LAN_HOST: Mac = [2, 0, 0, 0, 1, 2];
/// A host.
pub const WAN_HOST: Mac = [2, 0, 0, 0, 2, 2];
/// A host.
pub const GUEST: Mac = [2, 0, 0, 0, 1, 0x64];
/// A host.
pub const BLUE_LAN: Mac = [2, 0, 0, 0, 1, 0xb1];
/// A host.
pub const BLUE_WAN: Mac = [2, 0, 0, 0, 2, 0xb1];
/// Second gateway of the group for 10.9.0.0/16; the first is [`WAN_HOST`].
pub const WAN_OTHER: Mac = [2, 0, 0, 0, 2, 3];
/// MTU of the WAN interface.
pub const WAN_MTU_BYTES: u16 = 1400;

/// An interface of the router.
#[derive(Clone, Copy, Debug)]
pub struct Interface {
    /// Its name.
    pub name: &'static str,
    /// Its port.
    pub port: &'static str,
    /// Its VLAN, 0 if untagged.
    pub vlan: u16,
    /// Its VRF, "" if default.
    pub vrf: &'static str,
    /// Its MTU, 0 if the port's.
    pub mtu_bytes: u16,
    /// Out of use.
    pub admin_down: bool,
    /// Its addresses with their prefix lengths.
    pub addresses: &'static [(&'static str, u8)],
}

const PLAIN: Interface =
    Interface { name: "", port: "lan0", vlan: 0, vrf: "", mtu_bytes: 0, admin_down: false, addresses: &[] };

/// All interfaces.
pub const INTERFACES: [Interface; 6] = [
    Interface { name: "lan0", addresses: &[("10.0.1.1", 24), ("2001:db8:1::1", 64)], ..PLAIN },
    Interface {
        name: "wan0",
        port: "wan0",
        mtu_bytes: WAN_MTU_BYTES,
        addresses: &[("10.0.2.1", 24), ("2001:db8:2::1", 64)],
        ..PLAIN
    },
    Interface {
        name: "lan0.100",
        vlan: 100,
        addresses: &[("10.0.100.1", 24), ("2001:db8:100::1", 64)],
        ..PLAIN
    },
    Interface { name: "lan0.300", vlan: 300, vrf: BLUE, addresses: &[("10.0.1.1", 24)], ..PLAIN },
    Interface {
        name: "wan0.300",
        port: "wan0",
        vlan: 300,
        vrf: BLUE,
        addresses: &[("10.0.2.1", 24)],
        ..PLAIN
    },
    Interface { name: "lan0.400", vlan: 400, admin_down: true, addresses: &[("10.0.40.1", 24)], ..PLAIN },
];

/// The VRF besides the default one.
pub const BLUE: &str = "blue";

/// Static neighbours: interface, address, Ethernet address.
pub const NEIGHBORS: [(&str, &str, Mac); 9] = [
    ("lan0", "10.0.1.2", LAN_HOST),
    ("lan0", "2001:db8:1::2", LAN_HOST),
    ("wan0", "10.0.2.2", WAN_HOST),
    ("wan0", "2001:db8:2::2", WAN_HOST),
    ("wan0", "10.0.2.3", WAN_OTHER),
    ("lan0.100", "10.0.100.2", GUEST),
    ("lan0.100", "2001:db8:100::2", GUEST),
    ("lan0.300", "10.0.1.2", BLUE_LAN),
    ("wan0.300", "10.0.2.2", BLUE_WAN),
];

/// Where a route leads.
#[derive(Clone, Copy, Debug)]
pub enum Via {
    /// To one gateway, or to several by the flow.
    Gateways(&'static [&'static str]),
    /// Nowhere.
    Blackhole,
    /// Nowhere, and the sender is told.
    Unreachable,
    /// Nowhere, and the sender is told that it is forbidden.
    Prohibit,
}

/// Routes of the default VRF.
pub const ROUTES: [(&str, u8, Via); 12] = [
    ("198.18.0.0", 16, Via::Gateways(&["10.0.1.2"])),
    ("2001:db8:a::", 48, Via::Gateways(&["2001:db8:1::2"])),
    ("198.51.100.0", 24, Via::Gateways(&["10.0.2.2"])),
    ("2001:db8:f::", 48, Via::Gateways(&["2001:db8:2::2"])),
    ("10.9.0.0", 16, Via::Gateways(&["10.0.2.2", "10.0.2.3"])),
    ("10.8.0.0", 16, Via::Gateways(&["10.0.2.88"])),
    ("203.0.113.0", 24, Via::Blackhole),
    ("2001:db8:b1::", 48, Via::Blackhole),
    ("192.0.2.0", 25, Via::Unreachable),
    ("2001:db8:b2::", 48, Via::Unreachable),
    ("192.0.2.128", 25, Via::Prohibit),
    ("2001:db8:b3::", 48, Via::Prohibit),
];

/// An address of this module.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn parse(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The router in the words of the API.
#[must_use]
pub fn operations() -> Vec<v1::Operation> {
    use v1::operation::Operation as Put;
    let vrf = Put::PutVrf(v1::Vrf { name: BLUE.to_owned() });
    let port =
        |(name, _): (&str, Mac)| Put::PutPort(v1::Port { name: name.to_owned(), ..Default::default() });
    let mut all: Vec<Put> = std::iter::once(vrf).chain(PORTS.map(port)).collect();
    all.extend(INTERFACES.iter().map(|i| Put::PutInterface(interface(i))));
    all.extend(
        INTERFACES.iter().flat_map(|i| i.addresses.iter().map(|a| Put::PutAddress(own_address(i, *a)))),
    );
    all.extend(NEIGHBORS.iter().map(|n| Put::PutNeighbor(neighbor(n))));
    let mut keys = 1..;
    for (prefix, prefix_len, via) in ROUTES {
        let (mut puts, target) = nexthops(via, &mut keys);
        all.append(&mut puts);
        let prefix = address::to_bytes(parse(prefix));
        let route = v1::Route { prefix, prefix_len: prefix_len.into(), target: Some(target) };
        all.push(Put::PutRoutes(v1::Routes { vrf: String::new(), routes: vec![route] }));
    }
    all.into_iter().map(|operation| v1::Operation { operation: Some(operation) }).collect()
}

fn interface(interface: &Interface) -> v1::Interface {
    v1::Interface {
        name: interface.name.to_owned(),
        port: interface.port.to_owned(),
        vlan: interface.vlan.into(),
        vrf: interface.vrf.to_owned(),
        mtu: interface.mtu_bytes.into(),
        mac: Vec::new(),
        admin_down: interface.admin_down,
        description: String::new(),
    }
}

fn own_address(interface: &Interface, (own, prefix_len): (&str, u8)) -> v1::Address {
    v1::Address {
        interface: interface.name.to_owned(),
        address: address::to_bytes(parse(own)),
        prefix_len: prefix_len.into(),
    }
}

fn neighbor((interface, own, mac): &(&str, &str, Mac)) -> v1::Neighbor {
    v1::Neighbor {
        interface: (*interface).to_owned(),
        address: address::to_bytes(parse(own)),
        mac: mac.to_vec(),
    }
}

/// What a route needs before it, and what it leads to.
fn nexthops(
    via: Via,
    keys: &mut impl Iterator<Item = u64>,
) -> (Vec<v1::operation::Operation>, v1::route::Target) {
    use v1::operation::Operation as Put;
    let mut key = || keys.next().unwrap_or_default();
    let put = |key, kind| Put::PutNexthop(v1::Nexthop { key, kind: Some(kind) });
    let special = match via {
        Via::Blackhole => v1::nexthop::Kind::Blackhole(v1::Empty {}),
        Via::Unreachable => v1::nexthop::Kind::Unreachable(v1::Empty {}),
        Via::Prohibit => v1::nexthop::Kind::Prohibit(v1::Empty {}),
        Via::Gateways(gateways) => {
            let to = |gateway: &&str| {
                let gateway =
                    v1::Gateway { address: address::to_bytes(parse(gateway)), ..Default::default() };
                let key = key();
                (key, put(key, v1::nexthop::Kind::Gateway(gateway)))
            };
            let (members, mut puts): (Vec<u64>, Vec<Put>) = gateways.iter().map(to).unzip();
            if let [only] = members[..] {
                return (puts, v1::route::Target::Nexthop(only));
            }
            let key = key();
            let member = |nexthop| v1::GroupMember { nexthop, weight: 1 };
            let members = members.into_iter().map(member).collect();
            puts.push(Put::PutNexthopGroup(v1::NexthopGroup { key, members }));
            return (puts, v1::route::Target::NexthopGroup(key));
        }
    };
    let key = key();
    (vec![put(key, special)], v1::route::Target::Nexthop(key))
}
