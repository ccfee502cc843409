//! Frames and IPv4 packets that are wrong: each is dropped for its own reason, and nothing else happens.

use super::{FROM_LAN, LAN, PORTS, Scenario, dropped, ip4};
use crate::frame::{Ip4, Link, carry, ethernet, fix_header_checksum, payload, tagged};
use crate::scenario::network::LAN0;

pub(super) fn all() -> Vec<Scenario> {
    [frames(), lengths(), fields(), options(), addresses()].concat()
}

fn plain() -> Ip4 {
    ip4("10.0.1.2", "10.0.2.2")
}

/// A right packet, made wrong.
fn spoilt(name: &'static str, reason: &'static str, spoil: impl FnOnce(&mut Vec<u8>)) -> Scenario {
    let mut packet = plain().udp(PORTS, &payload(40));
    spoil(&mut packet);
    // Explicit: the version that tells the EtherType may be what is wrong.
    let frame = ethernet(FROM_LAN, crate::frame::ETHERTYPE_IPV4, &packet);
    Scenario::new(name).send(LAN, frame).drops(reason, 1)
}

fn frames() -> Vec<Scenario> {
    let frame = carry(FROM_LAN, &plain().udp(PORTS, b"x"));
    let one = |name, reason, frame| Scenario::new(name).send(LAN, frame).drops(reason, 1);
    let group = Link { to: LAN0, from: [3, 0, 0, 0, 0, 1] };
    vec![
        one("a VLAN nobody has is dropped", "unknown_vlan", tagged(&frame, 999)),
        one("VLAN 4095 is reserved", "reserved_vlan", tagged(&frame, 4095)),
        one("an interface that is down takes nothing", "interface_down", tagged(&frame, 400)),
        one(
            "an EtherType nobody handles is dropped",
            "unknown_ethertype",
            ethernet(FROM_LAN, 0x88b5, &payload(46)),
        ),
        one("no station has a group address", "source_is_group", carry(group, &plain().udp(PORTS, b"x"))),
        one("a tag without a frame is a runt", "runt_frame", ethernet(FROM_LAN, 0x8100, &[0, 100])),
    ]
}

fn lengths() -> Vec<Scenario> {
    vec![
        spoilt("a packet shorter than its header is dropped", "ip4_short", |packet| packet.truncate(19)),
        spoilt("a header length below five words is a lie", "ip4_header_length", |packet| {
            packet[0] = 0x44;
        }),
        spoilt("a header length beyond the packet is a lie", "ip4_header_length", |packet| {
            packet.truncate(40);
            packet[0] = 0x4f;
        }),
        spoilt("a total length beyond the frame is a lie", "ip4_total_length", |packet| {
            packet[2..4].copy_from_slice(&1000u16.to_be_bytes());
            fix_header_checksum(packet);
        }),
        spoilt("a total length below the header's is a lie", "ip4_total_length", |packet| {
            packet[2..4].copy_from_slice(&19u16.to_be_bytes());
            fix_header_checksum(packet);
        }),
    ]
}

fn fields() -> Vec<Scenario> {
    vec![
        spoilt("a wrong version is dropped", "ip4_version", |packet| {
            packet[0] = 0x55;
            fix_header_checksum(packet);
        }),
        spoilt("a wrong header checksum is dropped", "ip4_checksum", |packet| packet[10] ^= 1),
        spoilt("a TTL changed without its checksum is dropped", "ip4_checksum", |packet| packet[8] += 1),
        zero_ttl(),
    ]
}

/// RFC 1812 §5.3.1: a packet that must be forwarded and has no hop left is answered, also if it had none to begin with.
fn zero_ttl() -> Scenario {
    let header = Ip4 { ttl: 0, ..ip4("198.18.20.1", "10.0.2.2") };
    let packet = header.udp(PORTS, &payload(20));
    let error = Ip4 { to: header.from, ..ip4("10.0.1.1", "0.0.0.0") }.icmp(11, 0, [0; 4], &packet);
    let error = crate::scenario::Pattern::from(carry(super::TO_LAN, &error));
    Scenario::new("a TTL of zero is exceeded")
        .send(LAN, carry(FROM_LAN, &packet))
        .expect(LAN, error.ignore_l3(1..2).ignore_l3(4..6).ignore_l3(8..9).ignore_l3(10..12))
        .drops("ttl_exceeded", 1)
}

fn options() -> Vec<Scenario> {
    let with = |options: [u8; 8]| Ip4 { options: options.to_vec(), ..plain() }.udp(PORTS, b"x");
    vec![
        dropped("loose source routing is refused", "ip4_source_route", &with([131, 7, 4, 10, 0, 2, 9, 0])),
        dropped("strict source routing is refused", "ip4_source_route", &with([137, 7, 4, 10, 0, 2, 9, 0])),
        dropped(
            "an option longer than the header is malformed",
            "ip4_bad_option",
            &with([7, 39, 4, 0, 0, 0, 0, 0]),
        ),
        dropped("an option of length zero is malformed", "ip4_bad_option", &with([7, 0, 0, 0, 0, 0, 0, 0])),
    ]
}

fn addresses() -> Vec<Scenario> {
    let source = |name, from| dropped(name, "ip4_source_martian", &ip4(from, "10.0.2.2").udp(PORTS, b"x"));
    let destination =
        |name, to| dropped(name, "ip4_destination_martian", &ip4("10.0.1.2", to).udp(PORTS, b"x"));
    vec![
        source("a loopback source is a martian", "127.0.0.1"),
        source("a source of this network is a martian", "0.0.0.1"),
        source("a multicast source is a martian", "224.1.2.3"),
        source("a broadcast source is a martian", "255.255.255.255"),
        destination("a loopback destination is a martian", "127.0.0.1"),
        destination("a destination of this network is a martian", "0.0.0.1"),
        dropped("link-local addresses are not forwarded", "ip4_link_local", &{
            ip4("169.254.1.1", "10.0.2.2").udp(PORTS, b"x")
        }),
    ]
}
