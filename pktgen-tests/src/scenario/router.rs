//! The router that scenarios happen to, read from a file of its own.
//!
//! It is made of the API's objects, not of `ze.conf`: what scenarios look at is the forwarding plane. Hosts are static
//! neighbours; a packet to any other address of a connected prefix waits for its resolution.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::Deserialize;
use serde_saphyr::Spanned;
use ze_proto::{address, v1};

use super::Place;
use super::file::{FileError, Source};
use crate::frame::Mac;
use crate::packet;

/// VLAN numbers that an interface can have: IEEE 802.1Q table 9-2.
const VLANS: std::ops::RangeInclusive<u16> = 1..=4094;

/// A router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Router {
    /// Where it is written.
    pub file: PathBuf,
    /// Ports with their Ethernet addresses.
    pub ports: BTreeMap<String, Mac>,
    /// VRFs besides the default one.
    pub vrfs: Vec<String>,
    /// Interfaces by name.
    pub interfaces: BTreeMap<String, Interface>,
    /// Static neighbours.
    pub neighbors: Vec<Neighbor>,
    /// Routes besides those of connected prefixes.
    pub routes: Vec<Route>,
    /// Abbreviations for the packets of its scenarios.
    pub abbreviations: BTreeMap<String, String>,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// Its port.
    pub port: String,
    /// Its VLAN, 0 if untagged.
    #[serde(default)]
    pub vlan: u16,
    /// Its VRF, "" if default.
    #[serde(default)]
    pub vrf: String,
    /// Its MTU, 0 if the port's.
    #[serde(default)]
    pub mtu: u16,
    /// Out of use.
    #[serde(default)]
    pub down: bool,
    /// Its addresses.
    #[serde(default)]
    pub addresses: Vec<IpNet>,
}

/// A static neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbor {
    /// On the link of this interface.
    pub interface: String,
    /// Its address.
    pub address: IpAddr,
    /// Its Ethernet address.
    pub mac: Mac,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its VRF, "" if default.
    pub vrf: String,
    /// Destinations.
    pub prefix: IpNet,
    /// Where they are.
    pub via: Via,
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// To one gateway, or to several by the flow.
    Gateways(Vec<IpAddr>),
    /// Into another VRF, "default" or one of the router's.
    Vrf(String),
    /// Nowhere.
    Blackhole,
    /// Nowhere, and the sender is told.
    Unreachable,
    /// Nowhere, and the sender is told that it is forbidden.
    Prohibit,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRouter {
    #[serde(default)]
    #[expect(dead_code, reason = "for readers of the file")]
    about: String,
    ports: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    vrfs: Vec<String>,
    interfaces: BTreeMap<String, Spanned<Interface>>,
    #[serde(default)]
    neighbors: Vec<Spanned<RawNeighbor>>,
    #[serde(default)]
    routes: Vec<Spanned<RawRoute>>,
    #[serde(default, rename = "let")]
    abbreviations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNeighbor {
    interface: String,
    address: IpAddr,
    mac: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRoute {
    #[serde(default)]
    vrf: String,
    prefix: IpNet,
    via: String,
}

impl Router {
    /// Reads a router's file.
    ///
    /// # Errors
    /// When it can not be read, or says what can not be; with file, line and path.
    pub fn read(file: &Path) -> Result<Self, FileError> {
        let source = Source::read(file)?;
        let raw: RawRouter = source.parse()?;
        let mut router = Self {
            file: file.to_owned(),
            ports: BTreeMap::new(),
            vrfs: raw.vrfs,
            interfaces: BTreeMap::new(),
            neighbors: Vec::new(),
            routes: Vec::new(),
            abbreviations: raw.abbreviations,
        };
        for (name, text) in raw.ports {
            let mac = mac(&text.value)
                .map_err(|what| source.error(text.referenced, format!("ports.{name}"), what))?;
            router.ports.insert(name, mac);
        }
        for (name, interface) in raw.interfaces {
            let error = |what| source.error(interface.referenced, format!("interfaces.{name}"), what);
            router.check_interface(&interface.value).map_err(error)?;
            router.interfaces.insert(name, interface.value);
        }
        for (at, neighbor) in raw.neighbors.into_iter().enumerate() {
            let put = router.put_neighbor(neighbor.value);
            put.map_err(|what| source.error(neighbor.referenced, format!("neighbors[{at}]"), what))?;
        }
        for (at, route) in raw.routes.into_iter().enumerate() {
            let put = router.put_route(route.value);
            put.map_err(|what| source.error(route.referenced, format!("routes[{at}]"), what))?;
        }
        Ok(router)
    }

    fn check_interface(&self, interface: &Interface) -> Result<(), String> {
        if !self.ports.contains_key(&interface.port) {
            return Err(format!("there is no port '{}'", interface.port));
        }
        if interface.vlan != 0 && !VLANS.contains(&interface.vlan) {
            return Err(format!("{} is no VLAN", interface.vlan));
        }
        self.check_vrf(&interface.vrf)?;
        let other = self
            .interfaces
            .iter()
            .find(|(_, other)| (&other.port, other.vlan) == (&interface.port, interface.vlan));
        match other {
            Some((name, _)) => Err(format!("{name} has this port and VLAN already")),
            None => Ok(()),
        }
    }

    fn check_vrf(&self, vrf: &String) -> Result<(), String> {
        if vrf.is_empty() || self.vrfs.contains(vrf) {
            Ok(())
        } else {
            Err(format!("there is no VRF '{vrf}'"))
        }
    }

    fn put_neighbor(&mut self, raw: RawNeighbor) -> Result<(), String> {
        let RawNeighbor { interface, address, mac: text } = raw;
        if !self.interfaces.contains_key(&interface) {
            return Err(format!("there is no interface '{interface}'"));
        }
        self.neighbors.push(Neighbor { interface, address, mac: mac(&text)? });
        Ok(())
    }

    fn put_route(&mut self, raw: RawRoute) -> Result<(), String> {
        self.check_vrf(&raw.vrf)?;
        let via = match raw.via.as_str() {
            "blackhole" => Via::Blackhole,
            "unreachable" => Via::Unreachable,
            "prohibit" => Via::Prohibit,
            leak if leak.starts_with("vrf ") => Via::Vrf(self.other_vrf(&raw.vrf, leak)?),
            gateways => Via::Gateways(
                gateways.split_whitespace().map(|g| self.gateway(&raw.vrf, g)).collect::<Result<_, _>>()?,
            ),
        };
        self.routes.push(Route { vrf: raw.vrf, prefix: raw.prefix, via });
        Ok(())
    }

    fn other_vrf(&self, own: &str, text: &str) -> Result<String, String> {
        let name = text.trim_start_matches("vrf").trim().to_owned();
        if name == own || (name == "default" && own.is_empty()) {
            return Err(format!("the route is in VRF '{name}' itself"));
        }
        if name != "default" {
            self.check_vrf(&name)?;
        }
        Ok(name)
    }

    fn gateway(&self, vrf: &str, text: &str) -> Result<IpAddr, String> {
        let gateway = text.parse().map_err(|_| {
            format!("'{text}' is neither an address, 'vrf NAME', nor one of: blackhole unreachable prohibit")
        })?;
        let mut nets = self.interfaces.values().filter(|i| i.vrf == vrf).flat_map(|i| &i.addresses);
        if nets.any(|net| net.contains(&gateway)) {
            Ok(gateway)
        } else {
            Err(format!("{gateway} is on no link of this VRF"))
        }
    }

    /// Everywhere frames can come out: every port, and the host stack's end of every interface in use.
    #[must_use]
    pub fn places(&self) -> Vec<Place> {
        let up = self.interfaces.iter().filter(|(_, interface)| !interface.down);
        let ports = self.ports.keys().map(|port| Place::Wire(port.clone()));
        ports.chain(up.map(|(name, _)| Place::Host(name.clone()))).collect()
    }

    /// The router in the words of the API.
    #[must_use]
    pub fn operations(&self) -> Vec<v1::Operation> {
        use v1::operation::Operation as Put;
        let mut all: Vec<Put> = Vec::new();
        all.extend(self.vrfs.iter().map(|name| Put::PutVrf(v1::Vrf { name: name.clone() })));
        let port = |name: &String| Put::PutPort(v1::Port { name: name.clone(), ..Default::default() });
        all.extend(self.ports.keys().map(port));
        all.extend(self.interfaces.iter().map(|(name, i)| Put::PutInterface(i.message(name))));
        for (name, interface) in &self.interfaces {
            all.extend(interface.addresses.iter().map(|net| Put::PutAddress(own_address(name, *net))));
        }
        all.extend(self.neighbors.iter().map(|neighbor| Put::PutNeighbor(neighbor.message())));
        let mut keys = 1..;
        for route in &self.routes {
            let (mut puts, target) = route.nexthops(&mut keys);
            all.append(&mut puts);
            let prefix = address::to_bytes(route.prefix.addr());
            let entry =
                v1::Route { prefix, prefix_len: route.prefix.prefix_len().into(), target: Some(target) };
            all.push(Put::PutRoutes(v1::Routes { vrf: route.vrf.clone(), routes: vec![entry] }));
        }
        all.into_iter().map(|operation| v1::Operation { operation: Some(operation) }).collect()
    }

    /// Names of everything that is counted by interface.
    #[must_use]
    pub fn interface_counters(&self) -> BTreeSet<String> {
        let ways = ["rx", "tx", "punt", "inject"];
        let of = |name: &String| {
            let name = name.clone();
            ways.into_iter()
                .flat_map(move |way| [format!("{name}.{way}.packets"), format!("{name}.{way}.bytes")])
        };
        self.interfaces.keys().flat_map(of).collect()
    }
}

fn mac(text: &str) -> Result<Mac, String> {
    let number = packet::mac(text).ok_or_else(|| format!("'{text}' is no Ethernet address"))?;
    Ok(std::array::from_fn(|byte| (number >> (8 * (5 - byte))) as u8))
}

impl Interface {
    fn message(&self, name: &str) -> v1::Interface {
        v1::Interface {
            name: name.to_owned(),
            port: self.port.clone(),
            vlan: self.vlan.into(),
            vrf: self.vrf.clone(),
            mtu: self.mtu.into(),
            mac: Vec::new(),
            admin_down: self.down,
            description: String::new(),
        }
    }
}

fn own_address(interface: &str, net: IpNet) -> v1::Address {
    v1::Address {
        interface: interface.to_owned(),
        address: address::to_bytes(net.addr()),
        prefix_len: net.prefix_len().into(),
    }
}

impl Neighbor {
    fn message(&self) -> v1::Neighbor {
        v1::Neighbor {
            interface: self.interface.clone(),
            address: address::to_bytes(self.address),
            mac: self.mac.to_vec(),
        }
    }
}

impl Route {
    /// What the route needs before it, and what it leads to.
    fn nexthops(
        &self,
        keys: &mut impl Iterator<Item = u64>,
    ) -> (Vec<v1::operation::Operation>, v1::route::Target) {
        use v1::operation::Operation as Put;
        let mut key = || keys.next().unwrap_or_default();
        let put = |key, kind| Put::PutNexthop(v1::Nexthop { key, kind: Some(kind), backup: None });
        let special = match &self.via {
            Via::Vrf(name) => v1::nexthop::Kind::LookupVrf(name.clone()),
            Via::Blackhole => v1::nexthop::Kind::Blackhole(v1::Empty {}),
            Via::Unreachable => v1::nexthop::Kind::Unreachable(v1::Empty {}),
            Via::Prohibit => v1::nexthop::Kind::Prohibit(v1::Empty {}),
            Via::Gateways(gateways) => {
                let to = |gateway: &IpAddr| {
                    let (address, vrf) = (address::to_bytes(*gateway), self.vrf.clone());
                    let (gateway, key) = (v1::Gateway { address, vrf, ..Default::default() }, key());
                    (key, put(key, v1::nexthop::Kind::Gateway(gateway)))
                };
                let (members, mut puts): (Vec<u64>, Vec<Put>) = gateways.iter().map(to).unzip();
                if let [only] = members[..] {
                    return (puts, v1::route::Target::Nexthop(only));
                }
                let key = key();
                let member = |nexthop| v1::GroupMember { nexthop, weight: 1 };
                let members = members.into_iter().map(member).collect();
                puts.push(Put::PutNexthopGroup(v1::NexthopGroup {
                    key,
                    members,
                    ..v1::NexthopGroup::default()
                }));
                return (puts, v1::route::Target::NexthopGroup(key));
            }
        };
        let key = key();
        (vec![put(key, special)], v1::route::Target::Nexthop(key))
    }
}
