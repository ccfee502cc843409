//! IPv6 packets that are wrong: each is dropped for its own reason.

use super::{FROM_LAN, LAN, PORTS, Scenario, crosses, dropped, ip6, v6};
use crate::frame::{ETHERTYPE_IPV6, Ip6, carry, ethernet, neighbor_solicitation, payload, udp};
use crate::scenario::network::LAN_HOST;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const DESTINATION: u8 = 60;
const FRAGMENT: u8 = 44;
const UDP: u8 = 17;

pub(super) fn all() -> Vec<Scenario> {
    [headers(), addresses(), chains(), discovery()].concat()
}

fn plain() -> Ip6 {
    ip6("2001:db8:1::2", "2001:db8:2::2")
}

fn spoilt(name: &'static str, reason: &'static str, spoil: impl FnOnce(&mut Vec<u8>)) -> Scenario {
    let mut packet = plain().udp(PORTS, &payload(40));
    spoil(&mut packet);
    Scenario::new(name).send(LAN, ethernet(FROM_LAN, ETHERTYPE_IPV6, &packet)).drops(reason, 1)
}

fn headers() -> Vec<Scenario> {
    vec![
        spoilt("an IPv6 packet shorter than its header is dropped", "ip6_short", |packet| {
            packet.truncate(39)
        }),
        spoilt("a version that is not 6 is dropped", "ip6_version", |packet| packet[0] = 0x40),
        spoilt("a payload length beyond the frame is a lie", "ip6_payload_length", |packet| {
            packet[4..6].copy_from_slice(&1000u16.to_be_bytes());
        }),
        spoilt("a jumbogram does not fit", "ip6_payload_length", |packet| {
            packet[4..7].copy_from_slice(&[0, 0, HOP_BY_HOP]);
        }),
    ]
}

fn addresses() -> Vec<Scenario> {
    let one = |name, reason, from, to| dropped(name, reason, &ip6(from, to).udp(PORTS, b"x"));
    let (host, far) = ("2001:db8:1::2", "2001:db8:2::2");
    vec![
        one("an IPv6 loopback source is a martian", "ip6_source_martian", "::1", far),
        one("an unspecified source is a martian", "ip6_source_martian", "::", far),
        one("an IPv6 multicast source is a martian", "ip6_source_martian", "ff02::1", far),
        one("an IPv6 loopback destination is a martian", "ip6_destination_martian", host, "::1"),
        one("an unspecified destination is a martian", "ip6_destination_martian", host, "::"),
        one("a group that never leaves a node is a martian", "ip6_destination_martian", host, "ff01::1"),
    ]
}

/// An extension header of 8 bytes.
fn extension(next_header: u8) -> Vec<u8> {
    // One option: PadN of 4 bytes (RFC 8200 §4.2).
    vec![next_header, 0, 1, 4, 0, 0, 0, 0]
}

fn chains() -> Vec<Scenario> {
    let datagram = udp(plain().from.into(), plain().to.into(), PORTS, b"inside");
    let inside = [extension(DESTINATION), extension(UDP), datagram].concat();
    let local = |next_header, payload: &[u8]| {
        Ip6 { next_header, ..ip6("2001:db8:1::2", "2001:db8:1::1") }.packet(payload)
    };
    let endless: Vec<u8> = (0..12).flat_map(|_| extension(DESTINATION)).collect();
    // First fragment (more follows) that ends inside the chain.
    let cut = [&[DESTINATION, 0, 0, 1, 0, 0, 0, 7][..], &extension(ROUTING)].concat();
    vec![
        crosses("extension headers in transit are nobody's business", &{
            Ip6 { next_header: HOP_BY_HOP, ..plain() }.packet(&inside)
        }),
        dropped(
            "a chain without end to us is malformed",
            "ip6_extension_chain",
            &local(DESTINATION, &endless),
        ),
        dropped(
            "a chain longer than the packet is malformed",
            "ip6_extension_chain",
            &local(DESTINATION, &{ vec![UDP, 200, 1, 4, 0, 0, 0, 0] }),
        ),
        dropped(
            "a first fragment without all headers is refused",
            "ip6_fragment_chain",
            &local(FRAGMENT, &cut),
        ),
    ]
}

fn discovery() -> Vec<Scenario> {
    let host = (LAN_HOST, v6("2001:db8:1::2"));
    let mut crossed = neighbor_solicitation(host, v6("2001:db8:1::1"));
    // The hop limit: it has crossed a router.
    crossed[14 + 7] = 254;
    let link_local = Ip6 { hop_limit: 64, ..ip6("2001:db8:1::2", "fe80::99") }.udp(PORTS, b"x");
    vec![
        Scenario::new("a solicitation that crossed a router is refused")
            .send(LAN, crossed)
            .drops("nd_hop_limit", 1),
        Scenario::new("a link-local destination that is not ours is not forwarded")
            .send(LAN, carry(FROM_LAN, &link_local))
            .drops("ip6_link_local", 1),
    ]
}
