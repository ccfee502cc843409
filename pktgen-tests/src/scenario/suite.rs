//! The scenarios, by what they are about.

mod errors;
mod forward;
mod host;
mod malformed4;
mod malformed6;
mod neighbor;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::network::{GUEST, LAN_HOST, LAN0, WAN_HOST, WAN0, parse};
use super::{At, Scenario};
use crate::frame::{Ip4, Ip6, Link, carry, one_hop_on};

/// All scenarios.
#[must_use]
pub fn all() -> Vec<Scenario> {
    [forward::all(), neighbor::all(), errors::all(), host::all(), malformed()].concat()
}

/// Those about packets that must be dropped, each for its own reason.
#[must_use]
pub fn malformed() -> Vec<Scenario> {
    [malformed4::all(), malformed6::all()].concat()
}

const LAN: At = At::Wire("lan0");
const WAN: At = At::Wire("wan0");
/// UDP ports of packets that pass through.
const PORTS: (u16, u16) = (4000, 5000);

/// From the LAN host to the router.
const FROM_LAN: Link = Link { to: LAN0, from: LAN_HOST };
/// From the router to the LAN host.
const TO_LAN: Link = Link { to: LAN_HOST, from: LAN0 };
/// From the router to the WAN host.
const TO_WAN: Link = Link { to: WAN_HOST, from: WAN0 };
/// From the WAN host to the router.
const FROM_WAN: Link = Link { to: WAN0, from: WAN_HOST };
/// From the guest to the router, before the tag.
const FROM_GUEST: Link = Link { to: LAN0, from: GUEST };
/// From the router to the guest, before the tag.
const TO_GUEST: Link = Link { to: GUEST, from: LAN0 };

fn v4(text: &str) -> Ipv4Addr {
    match parse(text) {
        IpAddr::V4(address) => address,
        IpAddr::V6(address) => panic!("{address} is not IPv4"),
    }
}

fn v6(text: &str) -> Ipv6Addr {
    match parse(text) {
        IpAddr::V6(address) => address,
        IpAddr::V4(address) => panic!("{address} is not IPv6"),
    }
}

fn ip4(from: &str, to: &str) -> Ip4 {
    Ip4::new(v4(from), v4(to))
}

fn ip6(from: &str, to: &str) -> Ip6 {
    Ip6::new(v6(from), v6(to))
}

/// A packet that comes from the LAN and goes to the WAN host.
fn crosses(name: &'static str, packet: &[u8]) -> Scenario {
    Scenario::new(name).send(LAN, carry(FROM_LAN, packet)).expect(WAN, carry(TO_WAN, &one_hop_on(packet)))
}

/// A packet from the LAN that is dropped in silence.
fn dropped(name: &'static str, reason: &'static str, packet: &[u8]) -> Scenario {
    Scenario::new(name).send(LAN, carry(FROM_LAN, packet)).drops(reason, 1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_each_scenario_expects_something() {
        let all = all();
        let names: BTreeSet<_> = all.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), all.len());
        for scenario in &all {
            let expects = scenario.steps.iter().any(|step| matches!(step, crate::scenario::Step::Expect(..)));
            assert!(expects || !scenario.drops.is_empty(), "{}", scenario.name);
        }
    }
}
