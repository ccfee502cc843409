//! The objects that clients have put: whose they are, what they say, and whether a change of them is allowed.
//!
//! Pure bookkeeping: nothing here touches a table, a port or a clock, so the same code answers "would this be
//! refused?" (on a copy) and "is it refused?".

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use ze_fib::GroupOptions;
use ze_fib::writer::{GROUP_MEMBERS_MAX, RouteSource};
use ze_packet::MacAddr;
use ze_proto::v1::{self, Reason};

use super::parse::{self, Refused, refuse};
pub use super::paths::*;
pub use ze_proto::packed::TargetKey;

/// A client of the API, by number; names are in [`Objects::owners`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerId(pub u16);

/// Owners at most: each is a control daemon or a script.
pub const OWNERS_MAX: usize = 256;
/// The largest L3 packet: one AF_XDP chunk of 2048 bytes less 256 of headroom, an Ethernet header and two tags.
pub const MTU_MAX: u32 = (ze_graph::FRAME_BYTES_MAX - 14 - 8) as u32;
/// RFC 791: every module must forward 68 bytes.
pub const MTU_MIN: u32 = 68;

/// An object with its owner and the snapshot it was last put in.
#[derive(Clone, Debug)]
pub struct Owned<T> {
    /// Whose it is.
    pub owner: OwnerId,
    /// The owner's generation when it was last put.
    pub generation: u64,
    /// What it says.
    pub value: T,
}

/// An interface as its owner wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceObject {
    /// The port's name.
    pub port: String,
    /// VLAN number, 0 for untagged.
    pub vlan: u16,
    /// The VRF's name.
    pub vrf: String,
    /// MTU, if not the port's.
    pub mtu: Option<u16>,
    /// Ethernet address, if not the port's.
    pub mac: Option<MacAddr>,
    /// Administratively down.
    pub admin_down: bool,
    /// For operators.
    pub description: String,
}

/// A nexthop as its owner wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NexthopObject {
    /// What it does.
    pub kind: NexthopKind,
    /// The owner's key of its backup.
    pub backup: Option<u64>,
}

/// What a nexthop does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NexthopKind {
    /// A gateway, by an interface or by what is connected in a VRF.
    Gateway {
        /// Its address.
        address: IpAddr,
        /// The interface, if stated.
        interface: Option<String>,
        /// The VRF to look in otherwise.
        vrf: String,
    },
    /// The interface itself.
    Interface(String),
    /// The destination is looked up again in this VRF.
    Vrf(String),
    /// Drop silently.
    Blackhole,
    /// Drop and say so.
    Unreachable,
    /// Drop and say why.
    Prohibit,
}

/// A nexthop group as its owner wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupObject {
    /// The owner's key of each nexthop, and its weight.
    pub members: Vec<(u64, u8)>,
    /// How it chooses.
    pub options: GroupOptions,
}

/// An owner of objects.
#[derive(Clone, Debug)]
pub struct Owner {
    /// Its name.
    pub name: String,
    /// Counts its snapshots.
    pub generation: u64,
    /// Its own count of them, if it keeps one.
    pub told_generation: u64,
    /// Of its routes, among other owners' for the same prefix: the lesser is in force.
    pub preference: u8,
}

/// Everything that clients have put.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    /// Owners, by number.
    pub owners: Vec<Owner>,
    /// Ports by name.
    pub ports: BTreeMap<String, Owned<v1::Port>>,
    /// VRFs by name, the default one not among them.
    pub vrfs: BTreeMap<String, Owned<()>>,
    /// Interfaces by name.
    pub interfaces: BTreeMap<String, Owned<InterfaceObject>>,
    /// Addresses by interface and address, with their prefix lengths.
    pub addresses: BTreeMap<(String, IpAddr), Owned<u8>>,
    /// Nexthops by owner and key.
    pub nexthops: BTreeMap<(OwnerId, u64), Owned<NexthopObject>>,
    /// Groups by owner and key. Routes are in the tables' own books: there are too many for two.
    pub groups: BTreeMap<(OwnerId, u64), Owned<GroupObject>>,
    /// Static neighbours.
    pub neighbors: BTreeMap<(String, IpAddr), Owned<MacAddr>>,
}

/// The VRF that exists always.
pub const DEFAULT_VRF: &str = "default";

impl Objects {
    /// The number of an owner, who is new if need be. A snapshot begins a new generation.
    ///
    /// # Errors
    /// When the name is none, or there are too many owners.
    pub fn hello(&mut self, name: &str, snapshot: bool) -> Result<OwnerId, Refused> {
        self.hello_with(&v1::Hello { owner: name.to_owned(), snapshot, ..v1::Hello::default() })
    }

    /// The same with all that a Hello says.
    ///
    /// # Errors
    /// As for [`Objects::hello`], or when the Hello is older than one that has come, or has no preference.
    pub fn hello_with(&mut self, hello: &v1::Hello) -> Result<OwnerId, Refused> {
        let name = hello.owner.as_str();
        parse::owner_name(name)?;
        let preference = parse::preference(hello.preference)?;
        let at = match self.owners.iter().position(|owner| owner.name == name) {
            Some(at) => at,
            None if self.owners.len() == OWNERS_MAX => {
                return refuse(Reason::Limit, "/owner", format!("{OWNERS_MAX} owners are the limit"));
            }
            None => {
                self.owners.push(Owner {
                    name: name.to_owned(),
                    generation: 0,
                    told_generation: 0,
                    preference,
                });
                self.owners.len() - 1
            }
        };
        let owner = &mut self.owners[at];
        if hello.generation != 0 && hello.generation < owner.told_generation {
            let (came, there) = (hello.generation, owner.told_generation);
            let text = format!("generation {came} of {name} is out of order: {there} has begun");
            return refuse(Reason::Conflict, "/owner", text);
        }
        owner.told_generation = owner.told_generation.max(hello.generation);
        owner.generation += u64::from(hello.snapshot);
        Ok(OwnerId(at as u16))
    }

    /// An owner's name.
    pub fn owner_name(&self, id: OwnerId) -> &str {
        self.owners.get(usize::from(id.0)).map_or("?", |owner| &owner.name)
    }

    /// The rank of its routes among those of all sources.
    pub fn source(&self, id: OwnerId) -> RouteSource {
        let preference = self.owners.get(usize::from(id.0)).map_or(u8::MAX, |owner| owner.preference);
        // OWNERS_MAX fits 8 bits.
        RouteSource::Owner(u16::from(preference) << 8 | (id.0 & 0xff))
    }

    /// The owner of routes from a source.
    pub const fn owner_of(source: RouteSource) -> Option<OwnerId> {
        match source {
            RouteSource::Owner(rank) => Some(OwnerId(rank & 0xff)),
            RouteSource::Local | RouteSource::Connected | RouteSource::Neighbor => None,
        }
    }

    /// The generation that objects of this owner are put in now.
    pub fn generation(&self, id: OwnerId) -> u64 {
        self.owners.get(usize::from(id.0)).map_or(0, |owner| owner.generation)
    }

    /// Everything but what `owner` has put, and but routes: the ground for a verification.
    pub fn without(&self, owner: OwnerId) -> Self {
        let mut rest = Self {
            owners: self.owners.clone(),
            ports: self.ports.clone(),
            vrfs: self.vrfs.clone(),
            interfaces: self.interfaces.clone(),
            addresses: self.addresses.clone(),
            nexthops: self.nexthops.clone(),
            groups: self.groups.clone(),
            neighbors: self.neighbors.clone(),
        };
        rest.ports.retain(|_, o| o.owner != owner);
        rest.vrfs.retain(|_, o| o.owner != owner);
        rest.interfaces.retain(|_, o| o.owner != owner);
        rest.addresses.retain(|_, o| o.owner != owner);
        rest.nexthops.retain(|(o, _), _| *o != owner);
        rest.groups.retain(|(o, _), _| *o != owner);
        rest.neighbors.retain(|_, o| o.owner != owner);
        rest
    }

    /// Wraps a value for `owner`, as of now.
    pub fn own<T>(&self, owner: OwnerId, value: T) -> Owned<T> {
        Owned { owner, generation: self.generation(owner), value }
    }

    // ---- what may be put -----------------------------------------------------------------------------------

    /// May `owner` put this port?
    ///
    /// # Errors
    /// Says why not.
    pub fn check_port(&self, owner: OwnerId, port: &v1::Port) -> Result<(), Refused> {
        let path = port_path(&port.name);
        parse::device_name(&path, &port.name)?;
        if !port.device.is_empty() {
            parse::device_name(&path, &port.device)?;
        }
        if v1::XdpMode::try_from(port.xdp_mode).is_err() {
            return refuse(Reason::Malformed, path, format!("{} is no XDP mode", port.xdp_mode));
        }
        self.check_owner(owner, &path, self.ports.get(&port.name))?;
        let device = device_of(port);
        match self.ports.values().find(|o| o.value.name != port.name && device_of(&o.value) == device) {
            Some(other) => {
                let message = format!("device {device} is port {}'s", other.value.name);
                refuse(Reason::Conflict, path, message)
            }
            None => Ok(()),
        }
    }

    /// May `owner` put this interface?
    ///
    /// # Errors
    /// Says why not.
    pub fn check_interface(
        &self,
        owner: OwnerId,
        name: &str,
        object: &InterfaceObject,
    ) -> Result<(), Refused> {
        let path = interface_path(name);
        parse::device_name(&path, name)?;
        self.check_owner(owner, &path, self.interfaces.get(name))?;
        if !self.ports.contains_key(&object.port) {
            return refuse(
                Reason::UnknownReference,
                path + "/port",
                format!("there is no port '{}'", object.port),
            );
        }
        self.check_vrf_exists(&(path.clone() + "/vrf"), &object.vrf)?;
        let taken = |(other, o): &(&String, &Owned<InterfaceObject>)| {
            other.as_str() != name && o.value.port == object.port && o.value.vlan == object.vlan
        };
        if let Some((other, _)) = self.interfaces.iter().find(taken) {
            let what = if object.vlan == 0 { "untagged".into() } else { format!("VLAN {}", object.vlan) };
            let message = format!("{what} frames of port {} belong to interface {other}", object.port);
            return refuse(Reason::Conflict, path + "/vlan", message);
        }
        // The same address in two VRFs is fine, in one it is not: a move between VRFs may bring two together.
        let own = self.addresses.keys().filter(|(interface, _)| interface == name);
        for (_, address) in own {
            self.check_address_is_free(&path, name, &object.vrf, *address)?;
        }
        Ok(())
    }

    /// May `owner` put this address?
    ///
    /// # Errors
    /// Says why not.
    pub fn check_address(
        &self,
        owner: OwnerId,
        interface: &str,
        address: IpAddr,
        prefix_len: u8,
    ) -> Result<(), Refused> {
        let path = address_path(interface, address, prefix_len);
        self.check_owner(owner, &path, self.addresses.get(&(interface.to_owned(), address)))?;
        let Some(on) = self.interfaces.get(interface) else {
            return refuse(Reason::UnknownReference, path, format!("there is no interface '{interface}'"));
        };
        parse::interface_address(&path, address, prefix_len)?;
        self.check_address_is_free(&path, interface, &on.value.vrf, address)
    }

    /// May `owner` put this nexthop?
    ///
    /// # Errors
    /// Says why not.
    pub fn check_nexthop(&self, owner: OwnerId, key: u64, object: &NexthopObject) -> Result<(), Refused> {
        let path = nexthop_path(key);
        match object.backup {
            Some(backup) if backup == key => {
                return refuse(Reason::Conflict, path + "/backup", "a nexthop can not be its own backup");
            }
            Some(backup) if !self.nexthops.contains_key(&(owner, backup)) => {
                let text = format!("there is no nexthop {backup}");
                return refuse(Reason::UnknownReference, path + "/backup", text);
            }
            Some(_) | None => {}
        }
        match &object.kind {
            NexthopKind::Gateway { address, interface: Some(name), .. } => {
                parse::gateway(&path, *address)?;
                self.check_interface_exists(&path, name)
            }
            NexthopKind::Gateway { address, interface: None, vrf } => {
                parse::gateway(&path, *address)?;
                self.check_vrf_exists(&path, vrf)?;
                if self.connected(vrf, *address).is_none() {
                    let message = format!("no connected prefix of VRF {vrf} covers gateway {address}");
                    return refuse(Reason::UnknownReference, path, message);
                }
                Ok(())
            }
            NexthopKind::Interface(name) => self.check_interface_exists(&path, name),
            NexthopKind::Vrf(name) => self.check_vrf_exists(&path, name),
            NexthopKind::Blackhole | NexthopKind::Unreachable | NexthopKind::Prohibit => Ok(()),
        }
    }

    /// May `owner` put this group?
    ///
    /// # Errors
    /// Says why not.
    pub fn check_group(&self, owner: OwnerId, key: u64, members: &[(u64, u8)]) -> Result<(), Refused> {
        let path = group_path(key);
        if members.is_empty() || members.len() > GROUP_MEMBERS_MAX {
            let message = format!("a group has 1 to {GROUP_MEMBERS_MAX} members, not {}", members.len());
            return refuse(Reason::Malformed, path, message);
        }
        match members.iter().find(|(nexthop, _)| !self.nexthops.contains_key(&(owner, *nexthop))) {
            Some((nexthop, _)) => {
                refuse(Reason::UnknownReference, path, format!("there is no nexthop {nexthop}"))
            }
            None => Ok(()),
        }
    }

    /// May `owner` put a route to this target?
    ///
    /// # Errors
    /// Says why not.
    pub fn check_route(
        &self,
        owner: OwnerId,
        vrf: &str,
        prefix: IpNet,
        target: TargetKey,
    ) -> Result<(), Refused> {
        let known = match target {
            TargetKey::Nexthop(key) => self.nexthops.contains_key(&(owner, key)),
            TargetKey::Group(key) => self.groups.contains_key(&(owner, key)),
        };
        if known {
            return Ok(());
        }
        let message = match target {
            TargetKey::Nexthop(key) => format!("there is no nexthop {key}"),
            TargetKey::Group(key) => format!("there is no nexthop group {key}"),
        };
        refuse(Reason::UnknownReference, route_path(vrf, prefix), message)
    }

    /// May `owner` put this static neighbour?
    ///
    /// # Errors
    /// Says why not.
    pub fn check_neighbor(&self, owner: OwnerId, interface: &str, address: IpAddr) -> Result<(), Refused> {
        let path = neighbor_path(interface, address);
        parse::gateway(&path, address)?;
        self.check_interface_exists(&path, interface)?;
        self.check_owner(owner, &path, self.neighbors.get(&(interface.to_owned(), address)))
    }

    /// Does the VRF exist?
    ///
    /// # Errors
    /// Says that it does not.
    pub fn check_vrf_exists(&self, path: &str, vrf: &str) -> Result<(), Refused> {
        if vrf == DEFAULT_VRF || self.vrfs.contains_key(vrf) {
            return Ok(());
        }
        refuse(Reason::UnknownReference, path, format!("there is no VRF '{vrf}'"))
    }

    /// Is the object `owner`'s, or nobody's yet?
    ///
    /// # Errors
    /// Names whose it is.
    pub fn check_owner<T>(
        &self,
        owner: OwnerId,
        path: &str,
        there: Option<&Owned<T>>,
    ) -> Result<(), Refused> {
        match there {
            Some(there) if there.owner != owner => {
                let message = format!("belongs to {}", self.owner_name(there.owner));
                refuse(Reason::OwnedByOther, path, message)
            }
            Some(_) | None => Ok(()),
        }
    }

    // ---- what may be deleted -------------------------------------------------------------------------------

    /// May the port go?
    ///
    /// # Errors
    /// Names an interface that is still on it.
    pub fn check_delete_port(&self, name: &str) -> Result<(), Refused> {
        match self.interfaces.iter().find(|(_, o)| o.value.port == name) {
            Some((interface, _)) => in_use(port_path(name), format!("interface {interface}")),
            None => Ok(()),
        }
    }

    /// May the VRF go?
    ///
    /// # Errors
    /// Names what is still in it.
    pub fn check_delete_vrf(&self, name: &str) -> Result<(), Refused> {
        if let Some((interface, _)) = self.interfaces.iter().find(|(_, o)| o.value.vrf == name) {
            return in_use(vrf_path(name), format!("interface {interface}"));
        }
        let leads_there =
            |o: &Owned<NexthopObject>| matches!(&o.value.kind, NexthopKind::Vrf(vrf) if vrf == name);
        match self.nexthops.iter().find(|(_, o)| leads_there(o)) {
            Some(((_, key), _)) => in_use(vrf_path(name), format!("nexthop {key}")),
            None => Ok(()),
        }
    }

    /// May the interface go?
    ///
    /// # Errors
    /// Names what still refers to it.
    pub fn check_delete_interface(&self, name: &str) -> Result<(), Refused> {
        let by = |nexthop: &NexthopKind| match nexthop {
            NexthopKind::Gateway { interface, .. } => interface.as_deref() == Some(name),
            NexthopKind::Interface(interface) => interface == name,
            NexthopKind::Vrf(_)
            | NexthopKind::Blackhole
            | NexthopKind::Unreachable
            | NexthopKind::Prohibit => false,
        };
        if let Some(((_, key), _)) = self.nexthops.iter().find(|(_, o)| by(&o.value.kind)) {
            return in_use(interface_path(name), format!("nexthop {key}"));
        }
        if let Some((_, address)) = self.addresses.keys().find(|(interface, _)| interface == name) {
            return in_use(interface_path(name), format!("address {address}"));
        }
        match self.neighbors.keys().find(|(interface, _)| interface == name) {
            Some((_, address)) => in_use(interface_path(name), format!("static neighbour {address}")),
            None => Ok(()),
        }
    }

    /// The interface of a VRF whose connected prefix covers an address.
    pub fn connected(&self, vrf: &str, address: IpAddr) -> Option<&str> {
        let mut best: Option<(u8, &str)> = None;
        for ((interface, own), prefix) in &self.addresses {
            let covers = IpNet::new(*own, prefix.value).is_ok_and(|net| net.contains(&address));
            let in_vrf = self.interfaces.get(interface).is_some_and(|on| on.value.vrf == vrf);
            if covers && in_vrf {
                best = best.max(Some((prefix.value, interface.as_str())));
            }
        }
        best.map(|(_, interface)| interface)
    }

    fn check_interface_exists(&self, path: &str, name: &str) -> Result<(), Refused> {
        if self.interfaces.contains_key(name) {
            return Ok(());
        }
        refuse(Reason::UnknownReference, path, format!("there is no interface '{name}'"))
    }

    fn check_address_is_free(
        &self,
        path: &str,
        interface: &str,
        vrf: &str,
        address: IpAddr,
    ) -> Result<(), Refused> {
        let elsewhere = |(other, there): &&(String, IpAddr)| {
            *there == address
                && other != interface
                && self.interfaces.get(other).is_some_and(|o| o.value.vrf == vrf)
        };
        match self.addresses.keys().find(elsewhere) {
            Some((other, _)) => {
                refuse(Reason::Conflict, path, format!("interface {other} has {address} in this VRF"))
            }
            None => Ok(()),
        }
    }
}

/// The device of a port.
pub fn device_of(port: &v1::Port) -> &str {
    if port.device.is_empty() { &port.name } else { &port.device }
}

fn in_use<T>(path: String, by: String) -> Result<T, Refused> {
    refuse(Reason::InUse, path, format!("{by} still refers to it"))
}
