//! A configuration as objects of the API, and back: which line an object comes from.

use std::sync::Arc;

use ze_config::{Config, Interface, InterfaceName, Object, Port, RouteKey, VrfName, XdpMode};
use ze_proto::v1;
use ze_rib::rib::Problem;
use ze_rib::{GroupHash, Key, Rib, State, Value};

/// The objects that the configuration names itself: all but nexthops, groups and routes.
pub fn objects(config: &Config) -> State {
    let mut state = State::new();
    state.insert(Key::System, Value::System(v1::System { fail_open: config.system.fail_open }));
    for vrf in &config.vrfs {
        state.insert(Key::Vrf(vrf.shared()), Value::Vrf);
    }
    for (name, of) in &config.ports {
        state.insert(Key::Port(name.shared()), Value::Port(Box::new(port(name, of))));
    }
    for (name, of) in &config.interfaces {
        state.insert(Key::Interface(name.shared()), Value::Interface(Box::new(interface(name, of))));
        for address in &of.addresses {
            state.insert(Key::Address(name.shared(), *address), Value::Address);
        }
    }
    state
}

/// All that the fast path shall have of the configuration, and the routes that are not in force as written.
pub fn state(config: &Config, rib: &Rib) -> (State, Vec<Problem>) {
    let fib = rib.compute();
    let hash = GroupHash { resilient: config.system.resilient_hash, symmetric: config.system.symmetric_hash };
    let mut state = objects(config);
    state.extend(fib.state.into_iter().map(|(key, value)| match value {
        Value::Group(members, _) => (key, Value::Group(members, hash)),
        value => (key, value),
    }));
    (state, fib.problems)
}

fn port(name: &InterfaceName, port: &Port) -> v1::Port {
    let mode = match port.xdp_mode {
        XdpMode::Auto => v1::XdpMode::Auto,
        XdpMode::Native => v1::XdpMode::Native,
        XdpMode::Generic => v1::XdpMode::Generic,
    };
    v1::Port {
        name: name.to_string(),
        device: port.device.clone().unwrap_or_default(),
        xdp_mode: mode.into(),
        admin_down: port.disable,
    }
}

fn interface(name: &InterfaceName, interface: &Interface) -> v1::Interface {
    v1::Interface {
        name: name.to_string(),
        port: interface.port.to_string(),
        vlan: interface.unit.map_or(0, |unit| unit.vlan.into()),
        vrf: interface.vrf.to_string(),
        mtu: interface.mtu_bytes.map_or(0, u32::from),
        mac: interface.mac.map(|mac| mac.to_vec()).unwrap_or_default(),
        admin_down: interface.disable,
        description: interface.description.clone().unwrap_or_default(),
    }
}

/// The object of the configuration that an object of the API comes from.
pub fn origin(key: &Key, state: &State, config: &Config) -> Option<Object> {
    let interface = |name: &str| config.interfaces.get_key_value(name).map(|(name, _)| name.clone());
    match key {
        Key::System => Some(Object::System),
        Key::Vrf(name) => config.vrfs.get(&**name).cloned().map(Object::Vrf),
        Key::Port(name) => interface(name).map(Object::Port),
        Key::Interface(name) => interface(name).map(Object::Interface),
        Key::Address(name, address) => Some(Object::Address(interface(name)?, *address)),
        Key::Route(vrf, prefix) => route(config, |key| key.vrf.shared() == *vrf && key.prefix == *prefix),
        Key::Nexthop(nexthop) => origin(&user(state, |value| uses(value, *nexthop))?, state, config),
        Key::Group(_) => {
            let user = user(state, |value| matches!(value, Value::Route(target) if target.key() == *key))?;
            origin(&user, state, config)
        }
    }
}

fn route(config: &Config, wanted: impl Fn(&RouteKey) -> bool) -> Option<Object> {
    config.routes.keys().find(|key| wanted(key)).cloned().map(Object::Route)
}

/// The first object that refers to something.
fn user(state: &State, refers: impl Fn(&Value) -> bool) -> Option<Key> {
    state.iter().find(|(_, value)| refers(value)).map(|(key, _)| key.clone())
}

fn uses(value: &Value, nexthop: u64) -> bool {
    match value {
        Value::Group(members, _) => members.iter().any(|(key, _)| *key == nexthop),
        Value::Route(target) => target.key() == Key::Nexthop(nexthop),
        Value::Nexthop(_, backup) => *backup == Some(nexthop),
        Value::System(_) | Value::Vrf | Value::Port(_) | Value::Interface(_) | Value::Address => false,
    }
}

/// The object of the configuration that a route of the RIB comes from.
pub fn route_origin(vrf: &Arc<str>, prefix: &ipnet::IpNet, config: &Config) -> Option<Object> {
    route(config, |key| key.vrf.as_str() == &**vrf && key.prefix == *prefix)
}

/// The name of a VRF for a log line: nothing for the one that most routers have alone.
pub fn vrf_words(vrf: &str) -> String {
    if vrf == VrfName::DEFAULT { String::new() } else { format!("vrf {vrf} ") }
}
