//! The objects that clients have put: whose they are, what they say, and whether a change of them is allowed.
//!
//! Pure bookkeeping: nothing here touches a table, a port or a clock, so the same code answers "would this be
//! refused?" (on a copy) and "is it refused?".

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use ze_fib::GroupOptions;
use ze_fib::writer::RouteSource;
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
}

/// The device of a port.
pub fn device_of(port: &v1::Port) -> &str {
    if port.device.is_empty() { &port.name } else { &port.device }
}
