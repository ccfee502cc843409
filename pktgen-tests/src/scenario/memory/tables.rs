//! The tables of [`network`], and what the neighbour engine must know of them.

use std::time::Instant;

use ipnet::IpNet;
use ze_fib::writer::{Fib, InterfaceSpec, NexthopSpec, RouteSource};
use ze_fib::{PortKind, Target};
use ze_packet::{InterfaceId, MacAddr, NexthopId, PortId, VrfId};
use ze_punt::neighbor::{Engine, Interface, Limits};

use super::{At, BackendError, Interfaces};
use crate::scenario::network::{self, BLUE, INTERFACES, PORTS, ROUTES, Via, parse};

/// Whose routes they are.
const OWNER: RouteSource = RouteSource::Owner(1);
/// MTU of a port in memory.
const PORT_MTU_BYTES: u16 = 1500;

/// What was built.
pub(super) struct Tables {
    pub(super) ports: Vec<(At, PortId, PortKind)>,
    pub(super) interfaces: Interfaces,
    described: Vec<Interface>,
}

impl Tables {
    /// A neighbour engine that knows the interfaces.
    pub(super) fn engine(&mut self) -> Engine {
        let mut engine = Engine::new(Limits::default(), 1);
        let now = Instant::now();
        self.described.drain(..).for_each(|interface| engine.put_interface(interface, now));
        engine
    }
}

pub(super) fn build(fib: &mut Fib) -> Result<Tables, BackendError> {
    let blue = fib.create_vrf()?;
    let mut tables = Tables { ports: Vec::new(), interfaces: Interfaces::new(), described: Vec::new() };
    for (name, _) in PORTS {
        let port = fib.create_port(PortKind::Network)?;
        tables.ports.push((At::Wire(name), port, PortKind::Network));
    }
    for interface in &INTERFACES {
        let vrf = if interface.vrf == BLUE { blue } else { Fib::DEFAULT_VRF };
        tables.add_interface(fib, interface, vrf)?;
    }
    for (prefix, prefix_len, via) in ROUTES {
        let target = target(fib, via)?;
        fib.put_route(Fib::DEFAULT_VRF, IpNet::new(parse(prefix), prefix_len)?, OWNER, target)?;
    }
    Ok(tables)
}

impl Tables {
    fn add_interface(
        &mut self,
        fib: &mut Fib,
        of: &network::Interface,
        vrf: VrfId,
    ) -> Result<(), BackendError> {
        let position = PORTS.iter().position(|(name, _)| *name == of.port).ok_or("no such port")?;
        let mac = MacAddr(PORTS[position].1);
        let tag = (of.vlan != 0).then_some((crate::frame::ETHERTYPE_VLAN, of.vlan));
        let mut spec = InterfaceSpec {
            name: of.name.to_owned(),
            port: self.ports[position].1,
            vlan: of.vlan,
            tags: tag.into_iter().collect(),
            mac,
            mtu: if of.mtu_bytes == 0 { PORT_MTU_BYTES } else { of.mtu_bytes },
            vrf,
            up: !of.admin_down,
            representor: None,
        };
        let id = fib.create_interface(spec.clone())?;
        let kind = PortKind::Representor(id);
        let representor = fib.create_port(kind)?;
        spec.representor = Some(representor);
        fib.replace_interface(id, spec)?;
        let addresses: Vec<_> = of.addresses.iter().map(|(address, len)| (parse(address), *len)).collect();
        fib.set_addresses(id, &addresses)?;
        let nets =
            addresses.iter().map(|(address, len)| IpNet::new(*address, *len)).collect::<Result<_, _>>()?;
        let link_local = Some(mac.link_local());
        self.described.push(Interface { id, mac, addresses: nets, link_local, up: !of.admin_down });
        self.ports.push((At::Host(of.name), representor, kind));
        self.interfaces.insert(of.name, id);
        Ok(())
    }
}

fn target(fib: &mut Fib, via: Via) -> Result<Target, BackendError> {
    let special = match via {
        Via::Blackhole => NexthopSpec::Blackhole,
        Via::Unreachable => NexthopSpec::Unreachable,
        Via::Prohibit => NexthopSpec::Prohibit,
        Via::Gateways(gateways) => {
            let members = gateways.iter().map(|gateway| gateway_nexthop(fib, gateway));
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

fn gateway_nexthop(fib: &mut Fib, gateway: &str) -> Result<NexthopId, BackendError> {
    let address = parse(gateway);
    let interface =
        fib.connected_interface(Fib::DEFAULT_VRF, address).ok_or("a gateway that is not on a link")?;
    Ok(fib.create_nexthop(NexthopSpec::Gateway(interface, address))?)
}

/// The static neighbours.
pub(super) fn put_neighbors(interfaces: &Interfaces, engine: &mut Engine) -> Result<(), BackendError> {
    for (interface, address, mac) in network::NEIGHBORS {
        let id: InterfaceId = interfaces.get(interface).copied().ok_or("no such interface")?;
        engine.put_static(id, parse(address), MacAddr(mac), Instant::now())?;
    }
    Ok(())
}
