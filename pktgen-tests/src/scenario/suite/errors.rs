//! ICMP errors: who is told what, and who is not.
//!
//! Each scenario has a sender of its own behind the LAN host, so that none uses up another's rate.

use super::{FROM_LAN, LAN, PORTS, Scenario, TO_LAN, dropped, ip4, ip6};
use crate::frame::{Ip4, Ip6, carry, payload};
use crate::scenario::Pattern;
use crate::scenario::network::WAN_MTU_BYTES;

/// RFC 1812 §4.3.2.3: an error is not longer than this.
const ERROR4_BYTES_MAX: usize = 576;
/// RFC 4443 §2.4 (c): nor than this.
const ERROR6_BYTES_MAX: usize = 1280;
const OUR_IP4: &str = "10.0.1.1";
const OUR_IP6: &str = "2001:db8:1::1";

pub(super) fn all() -> Vec<Scenario> {
    vec![
        ttl4(),
        ttl6(),
        refused4("a destination without a route is unreachable", 3, "203.0.112.1", 0, "no_route"),
        refused6("an IPv6 destination without a route is unreachable", 3, "2001:db8:ffff::1", 0, "no_route"),
        refused4("a reject route says host unreachable", 4, "192.0.2.1", 1, "unreachable"),
        refused6("an IPv6 reject route says reject", 4, "2001:db8:b2::1", 6, "unreachable"),
        refused4("a prohibit route says administratively prohibited", 5, "192.0.2.129", 13, "prohibited"),
        refused6(
            "an IPv6 prohibit route says administratively prohibited",
            5,
            "2001:db8:b3::1",
            1,
            "prohibited",
        ),
        dropped("a blackhole says nothing", "blackhole", &ip4("10.0.1.2", "203.0.113.1").udp(PORTS, b"x")),
        dropped("an IPv6 blackhole says nothing", "blackhole", &{
            ip6("2001:db8:1::2", "2001:db8:b1::1").udp(PORTS, b"x")
        }),
        too_big4(),
        too_big6(),
        dropped("no error is sent about an ICMP error", "icmp_not_allowed", &{
            Ip4 { ttl: 1, ..ip4("198.18.8.1", "10.0.2.2") }.icmp(3, 1, [0; 4], &payload(28))
        }),
        dropped("no error is sent about a fragment other than the first", "icmp_not_allowed", &{
            Ip4 { ttl: 1, fragment: 100, ..ip4("198.18.9.1", "10.0.2.2") }.packet(&payload(64))
        }),
        dropped("no ICMPv6 error is sent about an ICMPv6 error", "icmp_not_allowed", &{
            Ip6 { hop_limit: 1, ..ip6("2001:db8:a:8::1", "2001:db8:2::2") }.icmp(1, 0, [0; 4], &payload(48))
        }),
        echo_is_answered_about(),
    ]
}

/// An error as it arrives; identification, type of service and TTL are the router's choice.
fn error4(to: &Ip4, kind: u8, code: u8, rest: [u8; 4], about: &[u8]) -> Pattern {
    let quoted = &about[..about.len().min(ERROR4_BYTES_MAX - 28)];
    let error = Ip4 { to: to.from, ..ip4(OUR_IP4, "0.0.0.0") }.icmp(kind, code, rest, quoted);
    Pattern::from(carry(TO_LAN, &error)).ignore_l3(1..2).ignore_l3(4..6).ignore_l3(8..9).ignore_l3(10..12)
}

/// An ICMPv6 error as it arrives; the hop limit is the router's choice.
fn error6(to: &Ip6, kind: u8, code: u8, rest: [u8; 4], about: &[u8]) -> Pattern {
    let quoted = &about[..about.len().min(ERROR6_BYTES_MAX - 48)];
    let error = Ip6 { to: to.from, ..ip6(OUR_IP6, "::") }.icmp(kind, code, rest, quoted);
    Pattern::from(carry(TO_LAN, &error)).ignore_l3(7..8)
}

fn told(name: &'static str, packet: &[u8], error: Pattern, reason: &'static str) -> Scenario {
    Scenario::new(name).send(LAN, carry(FROM_LAN, packet)).expect(LAN, error).drops(reason, 1)
}

fn ttl4() -> Scenario {
    let header = Ip4 { ttl: 1, ..ip4("198.18.1.1", "10.0.2.2") };
    // Longer than is quoted.
    let packet = header.udp(PORTS, &payload(900));
    told(
        "a packet whose TTL runs out is quoted to its sender",
        &packet,
        error4(&header, 11, 0, [0; 4], &packet),
        "ttl_exceeded",
    )
}

fn ttl6() -> Scenario {
    let header = Ip6 { hop_limit: 1, ..ip6("2001:db8:a:1::1", "2001:db8:2::2") };
    let packet = header.udp(PORTS, &payload(1300));
    let error = error6(&header, 3, 0, [0; 4], &packet);
    told("a packet whose hop limit runs out is quoted to its sender", &packet, error, "ttl_exceeded")
}

fn refused4(name: &'static str, sender: u8, to: &str, code: u8, reason: &'static str) -> Scenario {
    let header = ip4(&format!("198.18.{sender}.1"), to);
    let packet = header.udp(PORTS, &payload(100));
    told(name, &packet, error4(&header, 3, code, [0; 4], &packet), reason)
}

fn refused6(name: &'static str, sender: u8, to: &str, code: u8, reason: &'static str) -> Scenario {
    let header = ip6(&format!("2001:db8:a:{sender}::1"), to);
    let packet = header.udp(PORTS, &payload(100));
    told(name, &packet, error6(&header, 1, code, [0; 4], &packet), reason)
}

fn too_big4() -> Scenario {
    let header = ip4("198.18.6.1", "10.0.2.2");
    let packet = header.udp(PORTS, &payload(usize::from(WAN_MTU_BYTES) - 27));
    let [high, low] = WAN_MTU_BYTES.to_be_bytes();
    // RFC 1191 §4.
    let error = error4(&header, 3, 4, [0, 0, high, low], &packet);
    told("a packet that is too big by one byte learns the MTU", &packet, error, "too_big")
}

fn too_big6() -> Scenario {
    let header = ip6("2001:db8:a:6::1", "2001:db8:2::2");
    let packet = header.udp(PORTS, &payload(usize::from(WAN_MTU_BYTES) - 47));
    let [high, low] = WAN_MTU_BYTES.to_be_bytes();
    let error = error6(&header, 2, 0, [0, 0, high, low], &packet);
    told("an IPv6 packet that is too big by one byte learns the MTU", &packet, error, "too_big")
}

fn echo_is_answered_about() -> Scenario {
    let header = Ip4 { ttl: 1, ..ip4("198.18.7.1", "10.0.2.2") };
    let packet = header.icmp(8, 0, [0, 7, 0, 1], &payload(56));
    let error = error4(&header, 11, 0, [0; 4], &packet);
    told("an echo request is no ICMP error: its sender is told", &packet, error, "ttl_exceeded")
}
