//! The validated data tree to [`Config`]: what the YANG modules can not say is checked here.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use yang3::data::{DataNodeRef, DataTree};

use crate::address::{gateway, interface_address, route_prefix};
use crate::error::{Position, Report};
use crate::limits::INTERFACE_NAME_MAX;
use crate::model::{
    Config, Discard, Hop, Interface, InterfaceName, Object, Port, RouteKey, StaticRoute, StaticRoutes,
    System, TableKey, Unit, VrfName, Way, XdpMode,
};
use crate::syntax::Statement;
use crate::tree::{Origins, address, place_in};

/// Where each object stands in the text.
pub(crate) type Locations = BTreeMap<Object, Position>;

/// The configuration that a validated tree says. It is whole only if nothing was reported.
pub(crate) fn read(
    tree: &DataTree<'_>,
    origins: &Origins<'_, '_>,
    report: &mut Report,
) -> (Config, Locations) {
    let mut reader = Reader {
        origins,
        report,
        config: Config::default(),
        locations: Locations::new(),
        routes: StaticRoutes::new(),
    };
    let mut statics = Vec::new();
    for node in tree.reference().into_iter().flat_map(|first| first.inclusive_siblings()) {
        match name_of(&node).as_str() {
            "system" => reader.system(&node),
            "interfaces" => node.children().for_each(|port| reader.port(&port)),
            "vrf" => statics.push((reader.vrf(&node), children(&node, "static").next())),
            "static" => statics.push((VrfName::default(), Some(node))),
            _ => {}
        }
    }
    // Routes name interfaces, wherever these stand.
    for (vrf, node) in statics {
        for route in node.iter().flat_map(|node| children(node, "route")) {
            reader.route(&vrf, &route);
        }
        for table in node.iter().flat_map(|node| children(node, "table")) {
            reader.table(&vrf, &table);
        }
    }
    reader.config.routes = Arc::new(reader.routes);
    crate::checks::check(&reader.config, &reader.locations, reader.report);
    (reader.config, reader.locations)
}

struct Reader<'o, 's, 't, 'r> {
    origins: &'o Origins<'s, 't>,
    report: &'r mut Report,
    config: Config,
    locations: Locations,
    routes: StaticRoutes,
}

impl<'s, 't> Reader<'_, 's, 't, '_> {
    fn statement(&self, node: &DataNodeRef<'_>) -> Option<&'s Statement<'t>> {
        self.origins.get(&address(node)).copied()
    }

    fn position(&self, node: &DataNodeRef<'_>) -> Position {
        self.statement(node).map_or(Position::START, Statement::position)
    }

    fn position_in(&self, node: &DataNodeRef<'_>, name: &str, value: Option<&str>) -> Position {
        self.statement(node).map_or(Position::START, |statement| place_in(statement, name, value))
    }

    fn system(&mut self, node: &DataNodeRef<'_>) {
        self.locations.insert(Object::System, self.position(node));
        self.config.system = System {
            fail_open: has(node, "fail-open"),
            resilient_hash: has(node, "resilient-hash"),
            symmetric_hash: has(node, "symmetric-hash"),
        };
    }

    fn vrf(&mut self, node: &DataNodeRef<'_>) -> VrfName {
        let name = VrfName::new(value(node, "name").unwrap_or_default());
        self.locations.insert(Object::Vrf(name.clone()), self.position(node));
        self.config.vrfs.insert(name.clone());
        name
    }

    fn port(&mut self, node: &DataNodeRef<'_>) {
        let name = InterfaceName::new(value(node, "name").unwrap_or_default());
        let port = Port {
            device: value(node, "device").filter(|device| device != name.as_str()),
            xdp_mode: match value(node, "xdp-mode").as_deref() {
                Some("native") => XdpMode::Native,
                Some("generic") => XdpMode::Generic,
                _ => XdpMode::Auto,
            },
            disable: has(node, "disable"),
        };
        self.locations.insert(Object::Port(name.clone()), self.position(node));
        self.config.ports.insert(name.clone(), port);
        self.interface(node, name.clone(), name.clone(), None);
        for unit in children(node, "unit") {
            self.unit(&unit, &name);
        }
    }

    fn unit(&mut self, node: &DataNodeRef<'_>, port: &InterfaceName) {
        let Some(id) = number::<u16>(node, "id") else { return };
        let unit = Unit { id, vlan: number(node, "vlan").unwrap_or(id) };
        let name = format!("{port}.{id}");
        if name.len() > INTERFACE_NAME_MAX {
            let object = Object::Interface(InterfaceName::new(name.clone()));
            let reason = format!(
                "the interface's name {name} has {} characters; {INTERFACE_NAME_MAX} are possible",
                name.len()
            );
            self.report.add(self.position(node), object.to_string(), reason);
        }
        self.interface(node, InterfaceName::new(name), port.clone(), Some(unit));
    }

    fn interface(
        &mut self,
        node: &DataNodeRef<'_>,
        name: InterfaceName,
        port: InterfaceName,
        unit: Option<Unit>,
    ) {
        let mut interface = Interface {
            port,
            unit,
            vrf: value(node, "vrf").map_or_else(VrfName::default, VrfName::new),
            mtu_bytes: number(node, "mtu"),
            mac: value(node, "mac").and_then(|text| mac(&text)),
            disable: has(node, "disable"),
            description: value(node, "description"),
            addresses: Default::default(),
        };
        if interface.mac == Some([0; 6]) {
            let place = self.position_in(node, "mac", None);
            self.report.add(
                place,
                format!("{} mac", Object::Interface(name.clone())),
                "no device has this address",
            );
        }
        for address in children(node, "address").filter_map(|leaf| leaf.value_canonical()) {
            let place = self.position_in(node, "address", Some(&address));
            let path = || format!("{} address {address}", Object::Interface(name.clone()));
            match interface_address(&address) {
                Ok(parsed) if interface.addresses.insert(parsed) => {
                    self.locations.insert(Object::Address(name.clone(), parsed), place);
                }
                Ok(_) => self.report.add(place, path(), "the same address stands here in another spelling"),
                Err(reason) => self.report.add(place, path(), reason),
            }
        }
        self.locations.insert(Object::Interface(name.clone()), self.position(node));
        self.config.interfaces.insert(name, interface);
    }

    fn route(&mut self, vrf: &VrfName, node: &DataNodeRef<'_>) {
        let text = value(node, "prefix").unwrap_or_default();
        let place =
            self.statement(node).and_then(|s| s.words.get(1)).map_or(Position::START, |word| word.position);
        let prefix = match route_prefix(&text) {
            Ok(prefix) => prefix,
            Err(reason) => {
                let vrf =
                    if vrf.as_str() == VrfName::DEFAULT { String::new() } else { format!("vrf {vrf} ") };
                return self.report.add(place, format!("{vrf}static route {text}"), reason);
            }
        };
        let key = RouteKey { vrf: vrf.clone(), prefix };
        let object = Object::Route(key.clone());
        if let Some(first) = self.locations.get(&object) {
            let reason = format!("the same prefix stands on line {} in another spelling", first.line);
            return self.report.add(place, object.to_string(), reason);
        }
        let target = discard(node).map_or_else(|| self.hops(node, &key), StaticRoute::Discard);
        self.locations.insert(object, place);
        self.routes.insert(key, target);
    }

    fn table(&mut self, vrf: &VrfName, node: &DataNodeRef<'_>) {
        let key = TableKey { vrf: vrf.clone(), file: value(node, "file").unwrap_or_default() };
        let object = Object::Table(key.clone());
        let mut gateways = Vec::new();
        for text in children(node, "via").filter_map(|leaf| leaf.value_canonical()) {
            let place = self.position_in(node, "via", Some(&text));
            match crate::address::plain_gateway(&text) {
                Ok(gateway) => gateways.push(gateway),
                Err(reason) => self.report.add(place, format!("{object} via {text}"), reason),
            }
        }
        self.locations.insert(object, self.position(node));
        self.config.tables.insert(key, gateways);
    }

    fn hops(&mut self, node: &DataNodeRef<'_>, key: &RouteKey) -> StaticRoute {
        let mut hops = Vec::new();
        let mut seen: HashMap<_, Position> = HashMap::new();
        for (list, leaf) in [("via", "gateway"), ("interface", "name"), ("lookup-vrf", "name")] {
            for entry in children(node, list) {
                let name = value(&entry, leaf).unwrap_or_default();
                let place = self
                    .statement(&entry)
                    .and_then(|s| s.words.get(1))
                    .map_or(Position::START, |w| w.position);
                let path = format!("{} {list} {name}", Object::Route(key.clone()));
                match self.hop(&entry, list, &name, key) {
                    Ok(hop) => {
                        if let Some(first) = seen.insert(hop.way.clone(), place) {
                            let reason =
                                format!("the same nexthop stands on line {} in another spelling", first.line);
                            self.report.add(place, path, reason);
                        }
                        hops.push(hop);
                    }
                    Err(reason) => self.report.add(place, path, reason),
                }
            }
        }
        hops.sort();
        StaticRoute::Via(hops)
    }

    fn hop(&self, entry: &DataNodeRef<'_>, list: &str, name: &str, key: &RouteKey) -> Result<Hop, String> {
        let way = match list {
            "via" => self.gateway_way(name, key)?,
            "interface" => Way::Interface(self.interface_in(name, &key.vrf)?),
            _ => Way::Vrf(self.other_vrf(name, &key.vrf)?),
        };
        Ok(Hop {
            way,
            weight: number(entry, "weight").unwrap_or(1),
            distance: number(entry, "distance").unwrap_or(1),
        })
    }

    fn gateway_way(&self, text: &str, key: &RouteKey) -> Result<Way, String> {
        let (gateway, interface) = gateway(text, &key.prefix)?;
        let interface = interface.map(|name| self.interface_in(name, &key.vrf)).transpose()?;
        let mut peers = self.config.interfaces.values().filter(|i| i.vrf == key.vrf);
        if peers.any(|i| i.addresses.iter().any(|a| a.addr() == gateway)) {
            return Err("this is an address of the router itself".into());
        }
        Ok(Way::Gateway(gateway, interface))
    }

    fn other_vrf(&self, name: &str, own: &VrfName) -> Result<VrfName, String> {
        let vrf = VrfName::new(name);
        if vrf == *own {
            return Err(format!("the route is in VRF {own} itself; another one is to be named"));
        }
        if vrf != VrfName::default() && !self.config.vrfs.contains(&vrf) {
            let known = self.config.vrfs.iter().map(VrfName::as_str).chain([VrfName::DEFAULT]);
            return Err(match crate::suggest::nearest(name, known) {
                Some(near) => format!("there is no VRF {name}; did you mean {near}?"),
                None => format!("there is no VRF {name}"),
            });
        }
        Ok(vrf)
    }

    fn interface_in(&self, name: &str, vrf: &VrfName) -> Result<InterfaceName, String> {
        let Some((name, interface)) = self.config.interfaces.get_key_value(name) else {
            let names = self.config.interfaces.keys().map(InterfaceName::as_str);
            return Err(match crate::suggest::nearest(name, names) {
                Some(near) => format!("there is no interface {name}; did you mean {near}?"),
                None => format!("there is no interface {name}"),
            });
        };
        if interface.vrf != *vrf {
            let other = &interface.vrf;
            return Err(format!(
                "{name} is in VRF {other}, the route in VRF {vrf}: lookup-vrf {other} leads there"
            ));
        }
        Ok(name.clone())
    }
}

fn name_of(node: &DataNodeRef<'_>) -> String {
    node.schema().name().to_owned()
}

fn children<'a>(node: &DataNodeRef<'a>, name: &str) -> impl Iterator<Item = DataNodeRef<'a>> {
    node.children().filter(move |child| child.schema().name() == name)
}

fn value(node: &DataNodeRef<'_>, name: &str) -> Option<String> {
    children(node, name).next()?.value_canonical()
}

fn has(node: &DataNodeRef<'_>, name: &str) -> bool {
    children(node, name).next().is_some()
}

fn number<N: std::str::FromStr>(node: &DataNodeRef<'_>, name: &str) -> Option<N> {
    value(node, name)?.parse().ok()
}

fn mac(text: &str) -> Option<[u8; 6]> {
    let bytes: Vec<u8> = text.split(':').map_while(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    bytes.try_into().ok()
}

fn discard(node: &DataNodeRef<'_>) -> Option<Discard> {
    Discard::ALL.into_iter().find(|discard| has(node, discard.as_str()))
}
