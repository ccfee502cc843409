//! Tables from parts, without the control thread: for tests and measurements.

use std::collections::HashMap;

use ipnet::{Ipv4Net, Ipv6Net};
use ze_lpm::{Config, Lpm4, Lpm6, Prefix, Value};
use ze_packet::{GroupId, InterfaceId, NexthopId, VrfId};
use ze_sync::Domain;

use crate::{Group, Interface, Limits, Nexthop, PortTable, Tables, Target, Vrf};

/// Owns tables and puts records into them as they are, unchecked.
///
/// # Panics
/// Every method panics when the record does not fit the tables.
pub struct Builder {
    /// The tables.
    pub tables: Tables,
    routes: HashMap<VrfId, (Lpm4, Lpm6)>,
}

impl Builder {
    /// Empty tables of a domain of their own.
    pub fn new(limits: Limits) -> Self {
        Self { tables: Tables::new(&Domain::new(), limits), routes: HashMap::new() }
    }

    /// Puts a port.
    pub fn port(&mut self, port: PortTable) {
        self.tables.ports.replace(port.id.index(), Some(Box::new(port))).unwrap();
    }

    /// Puts an interface, or takes it away.
    pub fn interface(&mut self, id: InterfaceId, interface: Option<Interface>) {
        self.tables.interfaces.replace(id.index(), interface.map(Box::new)).unwrap();
    }

    /// Puts a VRF without routes.
    pub fn vrf(&mut self, id: VrfId, icmp_source4: u32, icmp_source6: u128) {
        let (lpm4, lpm6) = (
            Lpm4::new(self.tables.domain(), Config::default()),
            Lpm6::new(self.tables.domain(), Config::default()),
        );
        let vrf = Vrf { id, lpm4: lpm4.reader(), lpm6: lpm6.reader(), icmp_source4, icmp_source6 };
        self.tables.vrfs.replace(id.index(), Some(Box::new(vrf))).unwrap();
        self.routes.insert(id, (lpm4, lpm6));
    }

    /// Puts a nexthop, or takes it away.
    pub fn nexthop(&mut self, id: NexthopId, nexthop: Option<Nexthop>) {
        self.tables.nexthops.replace(id.index(), nexthop.map(Box::new)).unwrap();
    }

    /// Puts a group.
    pub fn group(&mut self, id: GroupId, group: Group) {
        self.tables.groups.replace(id.index(), Some(Box::new(group))).unwrap();
    }

    /// Adds an IPv4 route.
    pub fn route4(&mut self, vrf: VrfId, net: Ipv4Net, target: Target) {
        let prefix = Prefix::new(net.network().into(), net.prefix_len()).unwrap();
        let (lpm4, _) = self.routes.get_mut(&vrf).unwrap();
        lpm4.insert(prefix, Value::new(target.pack()).unwrap()).unwrap();
    }

    /// Adds an IPv6 route.
    pub fn route6(&mut self, vrf: VrfId, net: Ipv6Net, target: Target) {
        let prefix = Prefix::new(net.network().into(), net.prefix_len()).unwrap();
        let (_, lpm6) = self.routes.get_mut(&vrf).unwrap();
        lpm6.insert(prefix, Value::new(target.pack()).unwrap()).unwrap();
    }
}
