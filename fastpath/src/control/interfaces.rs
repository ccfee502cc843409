//! Interfaces and their addresses: in the books, the tables, the neighbour engine and the punt namespaces.

use std::net::IpAddr;
use std::time::Instant;

use ipnet::IpNet;
use ze_fib::writer::InterfaceSpec;
use ze_packet::{InterfaceId, MacAddr, PortId};
use ze_proto::v1::{self, Reason};

use super::Control;
use super::apply::refused;
use super::objects::{self, InterfaceObject, MTU_MAX, OwnerId};
use super::parse::{self, Refused, refuse};
use super::ports::Underlay;

impl Control {
    pub(super) fn put_interface(&mut self, owner: OwnerId, message: &v1::Interface) -> Result<(), Refused> {
        let object = parse::interface(message)?;
        self.objects.check_interface(owner, &message.name, &object)?;
        let path = objects::interface_path(&message.name);
        let Some(spec) = self.interface_spec(&message.name, &object) else {
            return refuse(Reason::UnknownReference, path, "its port or VRF is not in the tables");
        };
        let moved = self.objects.interfaces.get(&message.name).is_some_and(|o| o.value.vrf != object.vrf);
        match self.ids.interfaces.get(&message.name) {
            Some(id) => self.fib.replace_interface(*id, spec).map_err(|e| refused(&path, &e))?,
            None => {
                let id = self.fib.create_interface(spec).map_err(|e| refused(&path, &e))?;
                self.ids.interfaces.insert(message.name.clone(), id);
            }
        }
        let owned = self.objects.own(owner, object);
        self.objects.interfaces.insert(message.name.clone(), owned);
        if moved {
            self.refresh_gateways();
        }
        self.refresh_interface(&message.name);
        Ok(())
    }

    pub(super) fn delete_interface(&mut self, owner: OwnerId, name: &str) -> Result<(), Refused> {
        let path = objects::interface_path(name);
        self.objects.check_owner(owner, &path, self.objects.interfaces.get(name))?;
        self.objects.check_delete_interface(name)?;
        let Some(id) = self.ids.interfaces.get(name).copied() else { return Ok(()) };
        self.neighbors.remove_interface(id);
        self.settle();
        self.fib.remove_interface(id).map_err(|e| refused(&path, &e))?;
        self.remove_representor(id);
        self.ids.interfaces.remove(name);
        if let Some(gone) = self.objects.interfaces.remove(name) {
            self.refresh_port_macs(&gone.value.port);
        }
        Ok(())
    }

    pub(super) fn put_address(&mut self, owner: OwnerId, message: &v1::Address) -> Result<(), Refused> {
        let path = objects::interface_path(&message.interface);
        let (address, len) = parse::address_and_len(&path, &message.address, message.prefix_len)?;
        self.objects.check_address(owner, &message.interface, address, len)?;
        let key = (message.interface.clone(), address);
        let owned = self.objects.own(owner, len);
        let old = self.objects.addresses.insert(key.clone(), owned);
        if old.as_ref().is_some_and(|old| old.value == len) {
            return Ok(());
        }
        if let Err(refused) = self.install_addresses(&message.interface) {
            match old {
                Some(old) => self.objects.addresses.insert(key, old),
                None => self.objects.addresses.remove(&key),
            };
            return Err(refused);
        }
        Ok(())
    }

    pub(super) fn delete_address(&mut self, owner: OwnerId, message: &v1::Address) -> Result<(), Refused> {
        let address = parse::address(&objects::interface_path(&message.interface), &message.address)?;
        self.remove_address(owner, &message.interface, address)
    }

    pub(super) fn remove_address(
        &mut self,
        owner: OwnerId,
        interface: &str,
        address: IpAddr,
    ) -> Result<(), Refused> {
        let key = (interface.to_owned(), address);
        let Some(there) = self.objects.addresses.get(&key) else { return Ok(()) };
        let path = objects::address_path(interface, address, there.value);
        self.objects.check_owner(owner, &path, Some(there))?;
        self.objects.addresses.remove(&key);
        self.install_addresses(interface)
    }

    pub(super) fn put_system(&mut self, system: &v1::System) {
        if self.fail_open != system.fail_open {
            self.fail_open = system.fail_open;
            self.ports.set_fail_open(system.fail_open);
        }
    }

    /// Brings everything that hangs on an interface in line with its object and its port.
    pub(super) fn refresh_interface(&mut self, name: &str) {
        let Some(id) = self.ids.interfaces.get(name).copied() else { return };
        let Some(owned) = self.objects.interfaces.get(name) else { return };
        let object = owned.value.clone();
        let Some(spec) = self.interface_spec(name, &object) else { return };
        // Only what the port is has changed; the references were checked when the object was put.
        let _ = self.fib.replace_interface(id, spec.clone());
        let addresses = self.interface_addresses(name);
        self.neighbors.put_interface(
            ze_punt::neighbor::Interface {
                id,
                mac: spec.mac,
                addresses: addresses.clone(),
                link_local: (spec.mac != MacAddr::ZERO).then(|| spec.mac.link_local()),
                up: spec.up,
            },
            Instant::now(),
        );
        self.refresh_representor(id, &spec, addresses);
        self.refresh_port_macs(&object.port);
        self.settle();
    }

    /// The interfaces of a port.
    pub(super) fn interfaces_of(&self, port: &str) -> Vec<String> {
        let of_port = self.objects.interfaces.iter().filter(|(_, o)| o.value.port == port);
        of_port.map(|(name, _)| name.clone()).collect()
    }

    /// Sets the representor's port, once it is open, or that it has none.
    pub(super) fn set_representor(&mut self, id: InterfaceId, port: Option<PortId>) {
        if let Some(spec) = self.fib.interface(id).cloned() {
            let _ = self.fib.replace_interface(id, InterfaceSpec { representor: port, ..spec });
        }
    }

    fn install_addresses(&mut self, interface: &str) -> Result<(), Refused> {
        let Some(id) = self.ids.interfaces.get(interface).copied() else { return Ok(()) };
        let of_interface = self.objects.addresses.iter().filter(|((name, _), _)| name == interface);
        let all: Vec<_> = of_interface.map(|((_, address), len)| (*address, len.value)).collect();
        let path = objects::interface_path(interface);
        self.fib.set_addresses(id, &all).map_err(|e| refused(&path, &e))?;
        self.refresh_gateways();
        self.refresh_interface(interface);
        Ok(())
    }

    fn interface_addresses(&self, name: &str) -> Vec<IpNet> {
        let of_interface = self.objects.addresses.iter().filter(|((interface, _), _)| interface == name);
        of_interface.filter_map(|((_, address), len)| IpNet::new(*address, len.value).ok()).collect()
    }

    /// An interface as the tables hold it: its object over what its port is now.
    fn interface_spec(&self, name: &str, object: &InterfaceObject) -> Option<InterfaceSpec> {
        let port = *self.ids.ports.get(&object.port)?;
        let vrf = self.vrf_id(&object.vrf)?;
        let Underlay { mac, mtu, up } = self.ports.underlay(&object.port);
        let tags = match object.vlan {
            0 => Vec::new(),
            vlan => vec![(ze_packet::ethernet::ethertype::VLAN, vlan)],
        };
        let representor = self.ids.interfaces.get(name).and_then(|id| self.fib.interface(*id)?.representor);
        Some(InterfaceSpec {
            name: name.to_owned(),
            port,
            vlan: object.vlan,
            tags,
            mac: object.mac.unwrap_or(mac),
            mtu: object.mtu.unwrap_or(mtu).min(mtu).min(MTU_MAX as u16),
            vrf,
            up: up && !object.admin_down,
            representor,
        })
    }

    /// The addresses that a port's XDP program lets in: its own and those its interfaces have instead.
    pub(super) fn refresh_port_macs(&mut self, port: &str) {
        let of_port = self.objects.interfaces.values().filter(|o| o.value.port == port);
        let mut macs: Vec<_> = of_port.filter_map(|o| o.value.mac).collect();
        macs.push(self.ports.underlay(port).mac);
        macs.sort_unstable();
        macs.dedup();
        self.ports.set_macs(port, &macs);
    }
}
