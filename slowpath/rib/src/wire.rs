//! Objects as operations of the API.

use std::sync::Arc;

use ipnet::IpNet;
use ze_engine::Discard;
use ze_proto::address::to_bytes;
use ze_proto::v1::{self, operation::Operation as Op};

use crate::plan::Step;
use crate::state::{GroupHash, Key, Nexthop, RouteTarget, Value};

/// Routes in one operation. A refused one makes its operation's others come again, so not too many.
pub const ROUTES_PER_OPERATION_MAX: usize = 1024;

/// Operations in the order of `steps`, consecutive routes of a VRF together; with each, the steps that it makes.
pub fn operations(steps: Vec<Step>) -> (Vec<v1::Operation>, Vec<Vec<Step>>) {
    let mut operations: Vec<v1::Operation> = Vec::new();
    let mut layout: Vec<Vec<Step>> = Vec::new();
    for step in steps {
        if let (Some(last), Some(members)) = (operations.last_mut(), layout.last_mut())
            && members.len() < ROUTES_PER_OPERATION_MAX
            && join(last, &step)
        {
            members.push(step);
            continue;
        }
        operations.push(v1::Operation { operation: Some(operation(&step)) });
        layout.push(vec![step]);
    }
    (operations, layout)
}

/// Adds a route to the operation before, if it is of the same kind and VRF.
fn join(last: &mut v1::Operation, step: &Step) -> bool {
    let (vrf, route) = match step {
        Step::Put(Key::Route(vrf, prefix), Value::Route(target)) => (vrf, route(prefix, Some(*target))),
        Step::Delete(Key::Route(vrf, prefix)) => (vrf, route(prefix, None)),
        Step::Put(..) | Step::Delete(_) => return false,
    };
    let routes = match (&mut last.operation, step) {
        (Some(Op::PutRoutes(routes)), Step::Put(..)) | (Some(Op::DeleteRoutes(routes)), Step::Delete(_)) => {
            routes
        }
        _ => return false,
    };
    if routes.vrf != **vrf {
        return false;
    }
    routes.routes.push(route);
    true
}

fn operation(step: &Step) -> Op {
    match step {
        Step::Put(key, value) => put(key, value),
        Step::Delete(key) => delete(key),
    }
}

fn put(key: &Key, value: &Value) -> Op {
    match (key, value) {
        (Key::System, Value::System(system)) => Op::PutSystem(*system),
        (Key::Vrf(name), Value::Vrf) => Op::PutVrf(v1::Vrf { name: name.to_string() }),
        (Key::Port(_), Value::Port(port)) => Op::PutPort(v1::Port::clone(port)),
        (Key::Interface(_), Value::Interface(interface)) => Op::PutInterface(v1::Interface::clone(interface)),
        (Key::Address(interface, address), Value::Address) => {
            Op::PutAddress(self::address(interface, address))
        }
        (Key::Nexthop(key), Value::Nexthop(value, backup)) => Op::PutNexthop(nexthop(*key, value, *backup)),
        (Key::Group(key), Value::Group(members, hash)) => Op::PutNexthopGroup(group(*key, members, *hash)),
        (Key::Route(vrf, prefix), Value::Route(target)) => {
            Op::PutRoutes(v1::Routes { vrf: vrf.to_string(), routes: vec![route(prefix, Some(*target))] })
        }
        (key, value) => panic!("the key {key} has the value of another kind: {value:?}"),
    }
}

fn delete(key: &Key) -> Op {
    match key {
        Key::System => panic!("the settings of the daemon are never deleted"),
        Key::Vrf(name) => Op::DeleteVrf(name.to_string()),
        Key::Port(name) => Op::DeletePort(name.to_string()),
        Key::Interface(name) => Op::DeleteInterface(name.to_string()),
        Key::Address(interface, address) => Op::DeleteAddress(self::address(interface, address)),
        Key::Nexthop(key) => Op::DeleteNexthop(*key),
        Key::Group(key) => Op::DeleteNexthopGroup(*key),
        Key::Route(vrf, prefix) => {
            Op::DeleteRoutes(v1::Routes { vrf: vrf.to_string(), routes: vec![route(prefix, None)] })
        }
    }
}

fn address(interface: &Arc<str>, address: &IpNet) -> v1::Address {
    v1::Address {
        interface: interface.to_string(),
        address: to_bytes(address.addr()),
        prefix_len: address.prefix_len().into(),
    }
}

fn nexthop(key: u64, nexthop: &Nexthop, backup: Option<u64>) -> v1::Nexthop {
    use v1::nexthop::Kind;
    let kind = match nexthop {
        Nexthop::Interface { gateway: Some(gateway), interface } => Kind::Gateway(v1::Gateway {
            address: to_bytes(*gateway),
            interface: interface.to_string(),
            vrf: String::new(),
        }),
        Nexthop::Interface { gateway: None, interface } => Kind::Interface(interface.to_string()),
        Nexthop::Vrf(name) => Kind::LookupVrf(name.to_string()),
        Nexthop::Discard(Discard::Blackhole) => Kind::Blackhole(v1::Empty {}),
        Nexthop::Discard(Discard::Unreachable) => Kind::Unreachable(v1::Empty {}),
        Nexthop::Discard(Discard::Prohibit) => Kind::Prohibit(v1::Empty {}),
    };
    v1::Nexthop { key, kind: Some(kind), backup }
}

fn group(key: u64, members: &[(u64, u8)], hash: GroupHash) -> v1::NexthopGroup {
    let member =
        |(nexthop, weight): &(u64, u8)| v1::GroupMember { nexthop: *nexthop, weight: (*weight).into() };
    let GroupHash { resilient, symmetric } = hash;
    v1::NexthopGroup { key, members: members.iter().map(member).collect(), resilient, symmetric }
}

fn route(prefix: &IpNet, target: Option<RouteTarget>) -> v1::Route {
    use v1::route::Target;
    v1::Route {
        prefix: to_bytes(prefix.addr()),
        prefix_len: prefix.prefix_len().into(),
        target: target.map(|target| match target {
            RouteTarget::Nexthop(key) => Target::Nexthop(key),
            RouteTarget::Group(key) => Target::NexthopGroup(key),
        }),
    }
}
