//! What must hold between objects of a configuration.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::error::{Position, Report};
use crate::model::{Config, InterfaceName, Object, VrfName};
use crate::read::Locations;

pub(crate) fn check(config: &Config, locations: &Locations, report: &mut Report) {
    devices(config, locations, report);
    vlans(config, locations, report);
    addresses(config, locations, report);
    crate::leaks::check(config, locations, report);
}

fn place(locations: &Locations, object: &Object) -> Position {
    locations.get(object).copied().unwrap_or(Position::START)
}

fn devices(config: &Config, locations: &Locations, report: &mut Report) {
    let mut users: HashMap<&str, &InterfaceName> = HashMap::new();
    for (name, port) in &config.ports {
        let device = port.device.as_deref().unwrap_or(name.as_str());
        if let Some(other) = users.insert(device, name) {
            let object = Object::Port(name.clone());
            let reason = format!("the device {device} is used by {other} already");
            report.add(place(locations, &object), object.to_string(), reason);
        }
    }
}

fn vlans(config: &Config, locations: &Locations, report: &mut Report) {
    let mut users: HashMap<(&InterfaceName, u16), &InterfaceName> = HashMap::new();
    for (name, interface) in &config.interfaces {
        let Some(unit) = interface.unit else { continue };
        if let Some(other) = users.insert((&interface.port, unit.vlan), name) {
            let object = Object::Interface(name.clone());
            let reason = format!("VLAN {} is used by {other} already", unit.vlan);
            report.add(place(locations, &object), object.to_string(), reason);
        }
    }
}

/// Within a VRF, an address belongs to one interface, and so does a connected prefix: a destination has one way out.
fn addresses(config: &Config, locations: &Locations, report: &mut Report) {
    let mut hosts: HashMap<(&VrfName, IpAddr), &InterfaceName> = HashMap::new();
    let mut networks: HashMap<(&VrfName, IpNet), &InterfaceName> = HashMap::new();
    for (name, interface) in &config.interfaces {
        for address in interface.addresses.iter().filter(|a| !is_link_local(a)) {
            let host = hosts.insert((&interface.vrf, address.addr()), name).map(|other| ("address", other));
            let network = networks.insert((&interface.vrf, address.trunc()), name);
            let network = network.filter(|other| *other != name).map(|other| ("network", other));
            if let Some((what, other)) = host.or(network) {
                let object = Object::Address(name.clone(), *address);
                let reason = format!("this {what} is on {other} already, in the same VRF");
                report.add(place(locations, &object), object.to_string(), reason);
            }
        }
    }
}

fn is_link_local(address: &IpNet) -> bool {
    match address {
        IpNet::V4(_) => false,
        IpNet::V6(v6) => v6.addr().is_unicast_link_local(),
    }
}
