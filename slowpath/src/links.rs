//! Which interfaces are up.

use std::collections::BTreeSet;
use std::sync::Arc;

use ze_config::{Config, InterfaceName};
use ze_proto::v1::{LinkState, PortState};
use ze_rib::Connected;

/// The ports that are down. A port nobody spoke of is up: before the fast path has spoken, routes are not withheld.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    down: BTreeSet<String>,
}

impl Links {
    /// Takes the news of a port. Returns whether it went up or down.
    pub fn update(&mut self, port: &PortState) -> bool {
        match port.state() {
            LinkState::Unspecified | LinkState::Up => self.down.remove(&port.name),
            LinkState::Down | LinkState::Missing | LinkState::Failed => self.down.insert(port.name.clone()),
        }
    }

    /// Forgets ports that are not configured.
    pub fn retain(&mut self, config: &Config) {
        self.down.retain(|port| config.ports.contains_key(port.as_str()));
    }

    /// Whether packets can pass an interface.
    pub fn is_up(&self, config: &Config, name: &InterfaceName) -> bool {
        let Some(interface) = config.interfaces.get(name) else { return false };
        let port_is_enabled = config.ports.get(&interface.port).is_some_and(|port| !port.disable);
        port_is_enabled && !interface.disable && !self.down.contains(interface.port.as_str())
    }

    /// The connected prefixes of interfaces that are up.
    pub fn connected(&self, config: &Config) -> BTreeSet<Connected> {
        let up = config.interfaces.iter().filter(|(name, _)| self.is_up(config, name));
        up.flat_map(|(name, interface)| {
            let (vrf, name): (Arc<str>, Arc<str>) = (interface.vrf.shared(), name.shared());
            interface.addresses.iter().map(move |address| Connected {
                vrf: Arc::clone(&vrf),
                prefix: address.trunc(),
                interface: Arc::clone(&name),
            })
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(name: &str, state: LinkState) -> PortState {
        PortState { name: name.into(), state: state.into(), ..Default::default() }
    }

    fn up(links: &Links, config: &Config) -> String {
        let up = config.interfaces.keys().filter(|name| links.is_up(config, name));
        up.map(|name| name.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn an_interface_is_up_when_it_its_port_and_the_link_are() {
        let text = "interfaces { a { unit 5; unit 6 { disable; } } b { disable; unit 5; } c; }";
        let config = ze_config::parse("test", text).unwrap().config;
        let mut links = Links::default();
        assert_eq!(up(&links, &config), "a a.5 c");
        for bad in [LinkState::Down, LinkState::Missing, LinkState::Failed] {
            assert!(links.update(&state("a", bad)));
            assert!(!links.update(&state("a", bad)));
            assert_eq!(up(&links, &config), "c");
            assert!(links.update(&state("a", LinkState::Up)));
        }
        assert!(!links.update(&state("a", LinkState::Unspecified)));
        assert_eq!(up(&links, &config), "a a.5 c");
    }

    #[test]
    fn only_interfaces_that_are_up_are_connected() {
        let text = "interfaces { a { address 10.0.0.1/24; address 2001:db8::1/64; } b { disable; address 10.1.0.1/24; } }";
        let config = ze_config::parse("test", text).unwrap().config;
        let connected = Links::default().connected(&config);
        let shown: Vec<_> =
            connected.iter().map(|c| format!("{} {} {}", c.vrf, c.prefix, c.interface)).collect();
        assert_eq!(shown, ["default 10.0.0.0/24 a", "default 2001:db8::/64 a"]);
    }
}
