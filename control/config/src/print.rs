//! [`Config`] to its canonical text. Reading the text gives the same configuration.

use std::fmt::Write as _;

use crate::lexer::is_bare;
use crate::model::{
    Config, Hop, Interface, InterfaceName, Port, RouteKey, StaticRoute, VrfName, Way, XdpMode,
};

/// The canonical text of a configuration.
pub fn print(config: &Config) -> String {
    let mut out = Printer { text: String::new(), depth: 0 };
    out.system(config);
    out.interfaces(config);
    for vrf in &config.vrfs {
        out.vrf(config, vrf);
    }
    out.statics(config, &VrfName::default());
    out.text
}

struct Printer {
    text: String,
    depth: usize,
}

impl Printer {
    fn line(&mut self, words: &[&str]) {
        self.words(words);
        self.text.push_str(";\n");
    }

    fn open(&mut self, words: &[&str]) {
        self.words(words);
        self.text.push_str(" {\n");
        self.depth += 1;
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.indent();
        self.text.push_str("}\n");
    }

    fn indent(&mut self) {
        self.text.extend(std::iter::repeat_n("    ", self.depth));
    }

    fn words(&mut self, words: &[&str]) {
        self.indent();
        for (index, word) in words.iter().enumerate() {
            if index > 0 {
                self.text.push(' ');
            }
            if is_bare(word) {
                self.text.push_str(word);
            } else {
                let _ = write!(self.text, "\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""));
            }
        }
    }

    fn system(&mut self, config: &Config) {
        let system = &config.system;
        let words = [
            (system.fail_open, "fail-open"),
            (system.resilient_hash, "resilient-hash"),
            (system.symmetric_hash, "symmetric-hash"),
        ];
        if words.iter().any(|(is_set, _)| *is_set) {
            self.open(&["system"]);
            words.iter().filter(|(is_set, _)| *is_set).for_each(|(_, word)| self.line(&[word]));
            self.close();
        }
    }

    fn interfaces(&mut self, config: &Config) {
        if config.ports.is_empty() {
            return;
        }
        self.open(&["interfaces"]);
        for (name, port) in &config.ports {
            self.port(config, name, port);
        }
        self.close();
    }

    fn port(&mut self, config: &Config, name: &InterfaceName, port: &Port) {
        self.open(&[name.as_str()]);
        if let Some(device) = &port.device {
            self.line(&["device", device]);
        }
        if port.xdp_mode != XdpMode::Auto {
            self.line(&["xdp-mode", port.xdp_mode.as_str()]);
        }
        let of_port = || config.interfaces.values().filter(|interface| interface.port == *name);
        of_port()
            .filter(|interface| interface.unit.is_none())
            .for_each(|interface| self.interface(interface));
        let mut units: Vec<_> =
            of_port().filter_map(|interface| Some((interface.unit?, interface))).collect();
        units.sort_by_key(|(unit, _)| unit.id);
        for (unit, interface) in units {
            self.open(&["unit", &unit.id.to_string()]);
            if unit.vlan != unit.id {
                self.line(&["vlan", &unit.vlan.to_string()]);
            }
            self.interface(interface);
            self.close();
        }
        self.close();
    }

    fn interface(&mut self, interface: &Interface) {
        if let Some(description) = &interface.description {
            self.line(&["description", description]);
        }
        if interface.disable {
            self.line(&["disable"]);
        }
        if interface.vrf.as_str() != VrfName::DEFAULT {
            self.line(&["vrf", interface.vrf.as_str()]);
        }
        if let Some(mtu) = interface.mtu_bytes {
            self.line(&["mtu", &mtu.to_string()]);
        }
        if let Some(mac) = interface.mac {
            self.line(&["mac", &mac.map(|byte| format!("{byte:02x}")).join(":")]);
        }
        for address in &interface.addresses {
            self.line(&["address", &address.to_string()]);
        }
    }

    fn vrf(&mut self, config: &Config, vrf: &VrfName) {
        self.open(&["vrf", vrf.as_str()]);
        self.statics(config, vrf);
        self.close();
    }

    fn statics(&mut self, config: &Config, vrf: &VrfName) {
        let mut routes = config.routes.iter().filter(|(key, _)| key.vrf == *vrf).peekable();
        let mut tables = config.tables.iter().filter(|(key, _)| key.vrf == *vrf).peekable();
        if routes.peek().is_none() && tables.peek().is_none() {
            return;
        }
        self.open(&["static"]);
        for (key, route) in routes {
            self.route(key, route);
        }
        for (key, gateways) in tables {
            self.open(&["table", &key.file]);
            gateways.iter().for_each(|gateway| self.line(&["via", &gateway.to_string()]));
            self.close();
        }
        self.close();
    }

    fn route(&mut self, key: &RouteKey, route: &StaticRoute) {
        self.open(&["route", &key.prefix.to_string()]);
        match route {
            StaticRoute::Discard(discard) => self.line(&[discard.as_str()]),
            StaticRoute::Via(hops) => hops.iter().for_each(|hop| self.hop(hop)),
        }
        self.close();
    }

    fn hop(&mut self, hop: &Hop) {
        let (list, key) = match &hop.way {
            Way::Interface(interface) => ("interface", interface.to_string()),
            Way::Gateway(gateway, None) => ("via", gateway.to_string()),
            Way::Gateway(gateway, Some(interface)) => ("via", format!("{gateway}%{interface}")),
            Way::Vrf(vrf) => ("lookup-vrf", vrf.to_string()),
        };
        if hop.weight == 1 && hop.distance == 1 {
            return self.line(&[list, &key]);
        }
        self.open(&[list, &key]);
        if hop.weight != 1 {
            self.line(&["weight", &hop.weight.to_string()]);
        }
        if hop.distance != 1 {
            self.line(&["distance", &hop.distance.to_string()]);
        }
        self.close();
    }
}
