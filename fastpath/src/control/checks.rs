//! Whether a change of an object is allowed, given all the others: with the object and the reason if it is not.

use std::net::IpAddr;

use ipnet::IpNet;
use ze_fib::writer::GROUP_MEMBERS_MAX;
use ze_proto::v1::{self, Reason};

use super::objects::{
    DEFAULT_VRF, InterfaceObject, NexthopKind, NexthopObject, Objects, Owned, OwnerId, TargetKey, device_of,
};
use super::parse::{self, Refused, refuse};
use super::paths::*;

impl Objects {
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

fn in_use<T>(path: String, by: String) -> Result<T, Refused> {
    refuse(Reason::InUse, path, format!("{by} still refers to it"))
}
