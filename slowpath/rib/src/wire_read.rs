//! Operations of the API as objects: what the fast path says that it has.

use std::net::IpAddr;

use ipnet::IpNet;
use ze_engine::Discard;
use ze_proto::address::from_bytes;
use ze_proto::packed::{self, TargetKey};
use ze_proto::v1::{self, operation::Operation as Op};

use crate::state::{GroupHash, Key, Nexthop, RouteTarget, Value};

/// The objects that an operation would put; nothing for one that deletes, or that we would never have sent.
pub(crate) fn objects(operation: &Op) -> Vec<(Key, Value)> {
    if let Op::PutPackedRoutes(message) = operation {
        return routes(message);
    }
    object(operation).into_iter().collect()
}

fn object(operation: &Op) -> Option<(Key, Value)> {
    Some(match operation {
        Op::PutVrf(vrf) => (Key::Vrf(vrf.name.as_str().into()), Value::Vrf),
        Op::PutPort(port) => (Key::Port(port.name.as_str().into()), Value::Port(Box::new(port.clone()))),
        Op::PutInterface(interface) => {
            (Key::Interface(interface.name.as_str().into()), Value::Interface(Box::new(interface.clone())))
        }
        Op::PutAddress(message) => {
            let address = from_bytes(&message.address).ok()?;
            let net = IpNet::new(address, u8::try_from(message.prefix_len).ok()?).ok()?;
            (Key::Address(message.interface.as_str().into(), net), Value::Address)
        }
        Op::PutNexthop(message) => {
            (Key::Nexthop(message.key), Value::Nexthop(nexthop(message)?, message.backup))
        }
        Op::PutNexthopGroup(message) => {
            let member = |m: &v1::GroupMember| Some((m.nexthop, u8::try_from(m.weight).ok()?));
            let members = message.members.iter().map(member).collect::<Option<Vec<_>>>()?;
            let hash = GroupHash { resilient: message.resilient, symmetric: message.symmetric };
            (Key::Group(message.key), Value::Group(members.into(), hash))
        }
        Op::PutRoutes(message) => {
            // Only ever one at a time.
            let route = message.routes.first()?;
            let address: IpAddr = from_bytes(&route.prefix).ok()?;
            let net = IpNet::new(address, u8::try_from(route.prefix_len).ok()?).ok()?;
            let target = match route.target? {
                v1::route::Target::Nexthop(key) => RouteTarget::Nexthop(key),
                v1::route::Target::NexthopGroup(key) => RouteTarget::Group(key),
            };
            (Key::Route(message.vrf.as_str().into(), net), Value::Route(target))
        }
        _ => return None,
    })
}

fn nexthop(message: &v1::Nexthop) -> Option<Nexthop> {
    use v1::nexthop::Kind;
    Some(match message.kind.as_ref()? {
        Kind::Gateway(gateway) => Nexthop::Interface {
            gateway: Some(from_bytes(&gateway.address).ok()?),
            interface: gateway.interface.as_str().into(),
        },
        Kind::Interface(name) => Nexthop::Interface { gateway: None, interface: name.as_str().into() },
        Kind::Blackhole(_) => Nexthop::Discard(Discard::Blackhole),
        Kind::Unreachable(_) => Nexthop::Discard(Discard::Unreachable),
        Kind::Prohibit(_) => Nexthop::Discard(Discard::Prohibit),
        Kind::LookupVrf(name) => Nexthop::Vrf(name.as_str().into()),
    })
}

fn routes(message: &v1::PackedRoutes) -> Vec<(Key, Value)> {
    let vrf: std::sync::Arc<str> = message.vrf.as_str().into();
    let targets: Vec<_> = packed::targets(message).collect();
    let route = |(prefix, number): (IpNet, usize)| {
        let target = match targets.get(number)? {
            TargetKey::Nexthop(key) => RouteTarget::Nexthop(*key),
            TargetKey::Group(key) => RouteTarget::Group(*key),
        };
        Some((Key::Route(std::sync::Arc::clone(&vrf), prefix), Value::Route(target)))
    };
    packed::read_put(message).flatten().filter_map(route).collect()
}
