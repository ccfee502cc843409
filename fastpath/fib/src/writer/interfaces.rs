//! Ports, interfaces and their addresses, with the connected and local routes that come with them.

use std::net::IpAddr;

use ipnet::IpNet;
use ze_packet::{InterfaceId, MacAddr, PortId, VrfId};

use super::{Error, Fib, NexthopSpec, RouteSource, network};
use crate::{Interface, InterfaceAddress4, InterfaceAddress6, PortKind, PortTable, Target};

/// What an interface is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceSpec {
    /// Its name, for messages.
    pub name: String,
    /// The port it sends by.
    pub port: PortId,
    /// VLAN number; 0 is untagged.
    pub vlan: u16,
    /// Tags it sends with: (TPID, TCI).
    pub tags: Vec<(u16, u16)>,
    /// Its Ethernet address.
    pub mac: MacAddr,
    /// The largest L3 packet, bytes.
    pub mtu: u16,
    /// Its VRF.
    pub vrf: VrfId,
    /// Administratively and physically up.
    pub up: bool,
    /// Its representor's port, once there is one.
    pub representor: Option<PortId>,
}

pub(super) struct InterfaceEntry {
    pub(super) spec: InterfaceSpec,
    addresses: Vec<(IpAddr, u8)>,
    routes: Vec<(VrfId, IpNet, RouteSource, ze_packet::NexthopId)>,
}

impl InterfaceEntry {
    /// Does a connected prefix of this interface cover the address?
    pub(super) fn covers(&self, address: IpAddr) -> bool {
        self.addresses.iter().filter_map(|(a, len)| network(*a, *len)).any(|net| net.contains(&address))
    }
}

impl Fib {
    /// Makes a port without interfaces.
    ///
    /// # Errors
    /// When the table is full.
    pub fn create_port(&mut self, kind: PortKind) -> Result<PortId, Error> {
        let id = PortId(self.port_numbers.take()? as u16);
        let table = PortTable::new(id, kind);
        let _ = self.tables.ports.replace(id.index(), Some(Box::new(table.clone())));
        self.ports.insert(id, table);
        Ok(id)
    }

    /// Removes a port.
    ///
    /// # Errors
    /// While it has interfaces.
    pub fn remove_port(&mut self, id: PortId) -> Result<(), Error> {
        if let Some(entry) = self.interfaces.values().find(|i| i.spec.port == id) {
            return Err(Error::InUse(id.to_string(), format!("interface {}", entry.spec.name)));
        }
        if self.ports.remove(&id).is_none() {
            return Err(Error::Unknown(id.to_string()));
        }
        let _ = self.tables.ports.replace(id.index(), None);
        self.port_numbers.give(u32::from(id.0));
        Ok(())
    }

    /// Makes an interface.
    ///
    /// # Errors
    /// When the table is full, there is no such port or VRF, or the VLAN is another interface's.
    pub fn create_interface(&mut self, spec: InterfaceSpec) -> Result<InterfaceId, Error> {
        self.check_interface(&spec, None)?;
        let id = InterfaceId(self.interface_numbers.take()? as u16);
        self.set_vlan(spec.port, spec.vlan, id);
        self.interfaces.insert(id, InterfaceEntry { spec, addresses: Vec::new(), routes: Vec::new() });
        self.publish_interface(id);
        Ok(id)
    }

    /// Changes an interface. Adjacencies and routes follow.
    ///
    /// # Errors
    /// As for [`Fib::create_interface`], or when there is no such interface.
    pub fn replace_interface(&mut self, id: InterfaceId, spec: InterfaceSpec) -> Result<(), Error> {
        self.check_interface(&spec, Some(id))?;
        let entry = self.interfaces.get_mut(&id).ok_or_else(|| Error::Unknown(id.to_string()))?;
        if entry.spec == spec {
            return Ok(());
        }
        let old = std::mem::replace(&mut entry.spec, spec.clone());
        if (old.port, old.vlan) != (spec.port, spec.vlan) {
            self.set_vlan(old.port, old.vlan, InterfaceId(0));
            self.set_vlan(spec.port, spec.vlan, id);
        }
        if old.vrf != spec.vrf {
            let addresses = self.addresses(id);
            self.set_addresses(id, &[])?;
            self.set_addresses(id, &addresses)?;
            self.refresh_icmp_source(old.vrf);
        }
        self.publish_interface(id);
        self.refresh_nexthops(id);
        Ok(())
    }

    /// Removes an interface with its addresses and neighbours.
    ///
    /// # Errors
    /// While nexthops of a client leave by it.
    pub fn remove_interface(&mut self, id: InterfaceId) -> Result<(), Error> {
        let entry = self.interfaces.get(&id).ok_or_else(|| Error::Unknown(id.to_string()))?;
        let (name, port, vlan, vrf) =
            (entry.spec.name.clone(), entry.spec.port, entry.spec.vlan, entry.spec.vrf);
        if self.client_nexthop(id) {
            return Err(Error::InUse(format!("interface {name}"), "a nexthop".into()));
        }
        self.set_addresses(id, &[])?;
        for address in self.neighbors_of(id) {
            self.neighbor_withdrawn(id, address);
        }
        self.set_vlan(port, vlan, InterfaceId(0));
        self.interfaces.remove(&id);
        let _ = self.tables.interfaces.replace(id.index(), None);
        self.interface_numbers.give(u32::from(id.0));
        self.refresh_icmp_source(vrf);
        Ok(())
    }

    /// What an interface is.
    pub fn interface(&self, id: InterfaceId) -> Option<&InterfaceSpec> {
        self.interfaces.get(&id).map(|entry| &entry.spec)
    }

    /// An interface's addresses with their prefix lengths.
    pub fn addresses(&self, id: InterfaceId) -> Vec<(IpAddr, u8)> {
        self.interfaces.get(&id).map_or_else(Vec::new, |entry| entry.addresses.clone())
    }

    /// Replaces an interface's addresses; connected and local routes follow.
    ///
    /// # Errors
    /// When a route finds no room; the addresses are then as they were.
    pub fn set_addresses(&mut self, id: InterfaceId, addresses: &[(IpAddr, u8)]) -> Result<(), Error> {
        let entry = self.interfaces.get_mut(&id).ok_or_else(|| Error::Unknown(id.to_string()))?;
        let vrf = entry.spec.vrf;
        let old_addresses = std::mem::replace(&mut entry.addresses, addresses.to_vec());
        let old_routes = std::mem::take(&mut entry.routes);
        if let Err(error) = self.add_routes(id, vrf, addresses) {
            let partial = self.interfaces.get_mut(&id).map(|e| std::mem::take(&mut e.routes));
            self.drop_routes(partial.unwrap_or_default(), &old_routes);
            self.restore_routes(&old_routes);
            if let Some(entry) = self.interfaces.get_mut(&id) {
                (entry.addresses, entry.routes) = (old_addresses, old_routes);
            }
            return Err(error);
        }
        let kept = self.interfaces.get(&id).map(|e| e.routes.clone()).unwrap_or_default();
        self.drop_routes(old_routes, &kept);
        self.publish_interface(id);
        self.refresh_host_routes(id);
        self.refresh_icmp_source(vrf);
        Ok(())
    }

    /// The interface of a VRF whose connected prefix covers an address, longest prefix first.
    pub fn connected_interface(&self, vrf: VrfId, address: IpAddr) -> Option<InterfaceId> {
        let of = |(id, entry): (&InterfaceId, &InterfaceEntry)| {
            let nets = entry.addresses.iter().filter_map(|(a, len)| network(*a, *len));
            let longest = nets.filter(|net| net.contains(&address)).map(|net| net.prefix_len()).max()?;
            (entry.spec.vrf == vrf).then_some((longest, *id))
        };
        self.interfaces.iter().filter_map(of).max().map(|(_, id)| id)
    }

    fn check_interface(&self, spec: &InterfaceSpec, own: Option<InterfaceId>) -> Result<(), Error> {
        let port = self.ports.get(&spec.port).ok_or_else(|| Error::Unknown(spec.port.to_string()))?;
        if !self.vrfs.contains_key(&spec.vrf) {
            return Err(Error::Unknown(spec.vrf.to_string()));
        }
        let there = port.interface(spec.vlan);
        if there != InterfaceId(0) && Some(there) != own {
            let name = self.interfaces.get(&there).map_or("another interface", |e| &e.spec.name);
            let vlan = if spec.vlan == 0 { "untagged frames".into() } else { format!("VLAN {}", spec.vlan) };
            return Err(Error::Conflict(format!("{vlan} of this port belong to {name}")));
        }
        Ok(())
    }

    fn set_vlan(&mut self, port: PortId, vlan: u16, interface: InterfaceId) {
        let Some(table) = self.ports.get_mut(&port) else { return };
        if let Some(place) = table.vlans.get_mut(usize::from(vlan)) {
            *place = interface;
        }
        let _ = self.tables.ports.replace(port.index(), Some(Box::new(table.clone())));
    }

    /// Does a nexthop leave by this interface that is not its own (connected, local, neighbour)?
    fn client_nexthop(&self, id: InterfaceId) -> bool {
        let own = self.interfaces.get(&id).map_or(0, |entry| entry.routes.len());
        let hosts = self.neighbors.iter().filter(|((i, _), n)| *i == id && n.has_host_route()).count();
        self.concerned.on_interface(id) > own + hosts
    }

    fn add_routes(&mut self, id: InterfaceId, vrf: VrfId, addresses: &[(IpAddr, u8)]) -> Result<(), Error> {
        for (address, len) in addresses {
            let host = IpNet::from(*address);
            self.add_own_route(id, vrf, host, RouteSource::Local, NexthopSpec::Local(id))?;
            let Some(net) = network(*address, *len).filter(|net| *net != host) else { continue };
            self.add_own_route(id, vrf, net, RouteSource::Connected, NexthopSpec::Interface(id))?;
            if let IpNet::V4(v4) = net
                && v4.prefix_len() < 31
            {
                // RFC 3021: /31 has no broadcast address. The network address counts as one (RFC 1812 §5.3.5).
                for special in [v4.broadcast(), v4.network()] {
                    let prefix = IpNet::from(IpAddr::V4(special));
                    let spec = NexthopSpec::SubnetBroadcast(id);
                    self.add_own_route(id, vrf, prefix, RouteSource::Connected, spec)?;
                }
            }
        }
        Ok(())
    }

    fn add_own_route(
        &mut self,
        id: InterfaceId,
        vrf: VrfId,
        prefix: IpNet,
        source: RouteSource,
        spec: NexthopSpec,
    ) -> Result<(), Error> {
        let nexthop = self.create_nexthop(spec)?;
        if let Err(error) = self.put_route(vrf, prefix, source, Target::Nexthop(nexthop)) {
            let _ = self.remove_nexthop(nexthop);
            return Err(error);
        }
        if let Some(entry) = self.interfaces.get_mut(&id) {
            entry.routes.push((vrf, prefix, source, nexthop));
        }
        Ok(())
    }

    /// Removes own routes and their nexthops; a prefix that is among `kept` leads there now and stays.
    fn drop_routes(
        &mut self,
        routes: Vec<(VrfId, IpNet, RouteSource, ze_packet::NexthopId)>,
        kept: &[(VrfId, IpNet, RouteSource, ze_packet::NexthopId)],
    ) {
        for (vrf, prefix, source, nexthop) in routes {
            if self.route(vrf, &prefix, source) == Some(Target::Nexthop(nexthop)) {
                self.remove_route(vrf, prefix, source);
            }
            if !kept.iter().any(|(_, _, _, n)| *n == nexthop) {
                let _ = self.remove_nexthop(nexthop);
            }
        }
    }

    fn restore_routes(&mut self, routes: &[(VrfId, IpNet, RouteSource, ze_packet::NexthopId)]) {
        for (vrf, prefix, source, nexthop) in routes {
            // They were there a moment ago; what made room for them has just been given back.
            let _ = self.put_route(*vrf, *prefix, *source, Target::Nexthop(*nexthop));
        }
    }

    fn publish_interface(&self, id: InterfaceId) {
        let Some(entry) = self.interfaces.get(&id) else { return };
        let spec = &entry.spec;
        let mut record = Interface {
            id,
            port: spec.port,
            tags: spec.tags.clone(),
            mac: spec.mac,
            mtu: spec.mtu,
            vrf: spec.vrf,
            up: spec.up,
            representor: spec.representor,
            addresses4: Vec::new(),
            addresses6: Vec::new(),
            link_local: u128::from(spec.mac.link_local()),
        };
        for (address, prefix_len) in &entry.addresses {
            let prefix_len = *prefix_len;
            match address {
                IpAddr::V4(a) => {
                    record.addresses4.push(InterfaceAddress4 { address: u32::from(*a), prefix_len });
                }
                IpAddr::V6(a) => {
                    record.addresses6.push(InterfaceAddress6 { address: u128::from(*a), prefix_len });
                }
            }
        }
        let _ = self.tables.interfaces.replace(id.index(), Some(Box::new(record)));
    }

    /// ICMP errors on interfaces without an address of the family take the VRF's lowest-numbered one.
    fn refresh_icmp_source(&mut self, vrf: VrfId) {
        let mut ids: Vec<_> =
            self.interfaces.iter().filter(|(_, e)| e.spec.vrf == vrf).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        let addresses: Vec<_> = ids.iter().flat_map(|id| self.addresses(*id)).map(|(a, _)| a).collect();
        let four = addresses.iter().find_map(|a| match a {
            IpAddr::V4(a) => Some(u32::from(*a)),
            IpAddr::V6(_) => None,
        });
        let six = addresses.iter().find_map(|a| match a {
            IpAddr::V6(a) => Some(u128::from(*a)),
            IpAddr::V4(_) => None,
        });
        let Some(entry) = self.vrfs.get_mut(&vrf) else { return };
        let now = (four.unwrap_or(0), six.unwrap_or(0));
        if (entry.icmp_source4, entry.icmp_source6) != now {
            (entry.icmp_source4, entry.icmp_source6) = now;
            self.publish_vrf(vrf);
        }
    }
}
