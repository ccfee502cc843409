//! The tables of a router, and what the neighbour engine must know of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use ze_fib::writer::{Fib, InterfaceSpec, NexthopSpec, RouteSource};
use ze_fib::{PortKind, Target};
use ze_packet::{InterfaceId, MacAddr, NexthopId, PortId, VrfId};
use ze_punt::neighbor::{Engine, Interface, Limits};

use super::{BackendError, Memory, Place};
use crate::scenario::router::{self, Router, Via};

/// Whose routes they are.
const OWNER: RouteSource = RouteSource::Owner(1);
/// MTU of a port in memory.
const PORT_MTU_BYTES: u16 = 1500;

/// What was built.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) ports: Vec<(Place, PortId, PortKind)>,
    pub(super) interfaces: BTreeMap<String, InterfaceId>,
    described: Vec<Interface>,
}

impl Tables {
    /// A neighbour engine that knows the interfaces.
    pub(super) fn engine(&mut self, now: Instant) -> Engine {
        let mut engine = Engine::new(Limits::default(), 1);
        self.described.drain(..).for_each(|interface| engine.put_interface(interface, now));
        engine
    }
}

pub(super) fn build(fib: &mut Fib, router: &Router) -> Result<Tables, BackendError> {
    let mut vrfs = BTreeMap::from([("", Fib::DEFAULT_VRF), ("default", Fib::DEFAULT_VRF)]);
    for name in &router.vrfs {
        vrfs.insert(name, fib.create_vrf()?);
    }
    let vrf = |name: &str| vrfs.get(name).copied().ok_or_else(|| format!("there is no VRF '{name}'"));
    let mut tables = Tables::default();
    let mut ports = BTreeMap::new();
    for (name, mac) in &router.ports {
        let port = fib.create_port(PortKind::Network)?;
        ports.insert(name, (port, MacAddr(*mac)));
        tables.ports.push((Place::Wire(name.clone()), port, PortKind::Network));
    }
    for (name, interface) in &router.interfaces {
        let (port, mac) = *ports.get(&interface.port).ok_or("no such port")?;
        tables.add_interface(fib, name, interface, (port, mac), vrf(&interface.vrf)?)?;
    }
    for route in &router.routes {
        let vrf = vrf(&route.vrf)?;
        let target = target(fib, vrf, &route.via, &vrfs)?;
        fib.put_route(vrf, route.prefix, OWNER, target)?;
    }
    Ok(tables)
}

impl Tables {
    fn add_interface(
        &mut self,
        fib: &mut Fib,
        name: &str,
        of: &router::Interface,
        (port, mac): (PortId, MacAddr),
        vrf: VrfId,
    ) -> Result<(), BackendError> {
        let tag = (of.vlan != 0).then_some((crate::frame::ETHERTYPE_VLAN, of.vlan));
        let mut spec = InterfaceSpec {
            name: name.to_owned(),
            port,
            vlan: of.vlan,
            tags: tag.into_iter().collect(),
            mac,
            mtu: if of.mtu == 0 { PORT_MTU_BYTES } else { of.mtu },
            vrf,
            up: !of.down,
            representor: None,
        };
        let id = fib.create_interface(spec.clone())?;
        let kind = PortKind::Representor(id);
        let representor = fib.create_port(kind)?;
        spec.representor = Some(representor);
        fib.replace_interface(id, spec)?;
        let addresses: Vec<_> = of.addresses.iter().map(|net| (net.addr(), net.prefix_len())).collect();
        fib.set_addresses(id, &addresses)?;
        let link_local = Some(mac.link_local());
        let addresses = of.addresses.clone();
        self.described.push(Interface { id, mac, addresses, link_local, up: !of.down });
        self.ports.push((Place::Host(name.to_owned()), representor, kind));
        self.interfaces.insert(name.to_owned(), id);
        Ok(())
    }
}

fn target(
    fib: &mut Fib,
    vrf: VrfId,
    via: &Via,
    vrfs: &BTreeMap<&str, VrfId>,
) -> Result<Target, BackendError> {
    let special = match via {
        Via::Vrf(name) => NexthopSpec::Vrf(*vrfs.get(name.as_str()).ok_or("no such VRF")?),
        Via::Blackhole => NexthopSpec::Blackhole,
        Via::Unreachable => NexthopSpec::Unreachable,
        Via::Prohibit => NexthopSpec::Prohibit,
        Via::Gateways(gateways) => {
            let members = gateways.iter().map(|gateway| gateway_nexthop(fib, vrf, *gateway));
            let members: Vec<NexthopId> = members.collect::<Result<_, BackendError>>()?;
            if let [only] = members[..] {
                return Ok(Target::Nexthop(only));
            }
            let weighted: Vec<_> = members.into_iter().map(|member| (member, 1)).collect();
            return Ok(Target::Group(fib.create_group(&weighted)?));
        }
    };
    Ok(Target::Nexthop(fib.create_nexthop(special)?))
}

fn gateway_nexthop(fib: &mut Fib, vrf: VrfId, address: IpAddr) -> Result<NexthopId, BackendError> {
    let interface = fib.connected_interface(vrf, address).ok_or("a gateway that is not on a link")?;
    Ok(fib.create_nexthop(NexthopSpec::Gateway(interface, address))?)
}

impl Memory {
    /// The static neighbours.
    pub(super) fn put_neighbors(&mut self, router: &Router) -> Result<(), BackendError> {
        let now = self.now();
        for neighbor in &router.neighbors {
            let id = self.interfaces.get(&neighbor.interface).copied().ok_or("no such interface")?;
            self.engine.put_static(id, neighbor.address, MacAddr(neighbor.mac), now)?;
        }
        Ok(())
    }
}
