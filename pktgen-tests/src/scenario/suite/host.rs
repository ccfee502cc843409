//! The host stack behind the interfaces: what is punted to it, and what it sends.

use super::{FROM_GUEST, FROM_LAN, LAN, PORTS, Scenario, TO_GUEST, TO_WAN, WAN, dropped, ip4, ip6, v4};
use crate::frame::{BROADCAST, ETHERTYPE_IPV4, Ip4, Link, carry, ethernet, payload, tagged};
use crate::scenario::At;
use crate::scenario::network::{LAN_HOST, LAN0, WAN0};
use crate::scenario::veth::LISTENING_PORT;

const HOST_LAN: At = At::Host("lan0");
const HOST_WAN: At = At::Host("wan0");
const HOST_GUEST: At = At::Host("lan0.100");
/// How the host stack says "route this": to the interface's own address.
const ROUTE_THIS: Link = Link { to: LAN0, from: LAN0 };
/// An EtherType for experiments (IEEE 802, local experimental 1).
const ETHERTYPE_EXPERIMENT: u16 = 0x88b5;

pub(super) fn all() -> Vec<Scenario> {
    vec![
        ping4(),
        ping6(),
        other_address(),
        datagram(),
        in_a_vlan(),
        broadcast(),
        ospf(),
        llc(),
        l2_multicast(),
        injected(),
        injected_multicast(),
        injected_llc(),
        dropped("a directed broadcast to another link is not forwarded", "directed_broadcast", &{
            ip4("10.0.1.2", "10.0.2.255").udp(PORTS, b"x")
        }),
        unicast_in_a_broadcast(),
        own_source(),
    ]
}

/// A frame for the host stack arrives there as it came.
fn punted(name: &'static str, frame: Vec<u8>, at: At, reason: &'static str) -> Scenario {
    Scenario::new(name).send(LAN, frame.clone()).expect(at, frame).punts(reason, 1)
}

fn ping4() -> Scenario {
    let request = ip4("10.0.1.2", "10.0.1.1").icmp(8, 0, [0, 1, 0, 1], &payload(56));
    let reply = ip4("10.0.1.1", "10.0.1.2").icmp(0, 0, [0, 1, 0, 1], &payload(56));
    punted(
        "a ping to the router reaches the host stack, and its answer the pinger",
        carry(FROM_LAN, &request),
        HOST_LAN,
        "icmp",
    )
    .send(HOST_LAN, carry(ROUTE_THIS, &reply))
    .expect(LAN, carry(FROM_LAN.reversed(), &reply))
}

fn ping6() -> Scenario {
    let request = ip6("2001:db8:1::2", "2001:db8:1::1").icmp(128, 0, [0, 1, 0, 1], &payload(56));
    let reply = ip6("2001:db8:1::1", "2001:db8:1::2").icmp(129, 0, [0, 1, 0, 1], &payload(56));
    punted("an IPv6 ping to the router likewise", carry(FROM_LAN, &request), HOST_LAN, "icmp")
        .send(HOST_LAN, carry(ROUTE_THIS, &reply))
        .expect(LAN, carry(FROM_LAN.reversed(), &reply))
}

/// RFC 1122 §3.3.4.2, weak host model: all addresses are the router's, wherever a packet comes in.
fn other_address() -> Scenario {
    let packet = ip4("10.0.1.2", "10.0.2.1").icmp(8, 0, [0, 1, 0, 2], b"far side");
    punted("the far side's address is local as well", carry(FROM_LAN, &packet), HOST_LAN, "icmp")
}

fn datagram() -> Scenario {
    let packet = ip4("10.0.1.2", "10.0.1.1").udp((4000, LISTENING_PORT), b"hello");
    punted("a datagram to the router reaches the host stack", carry(FROM_LAN, &packet), HOST_LAN, "local")
}

fn in_a_vlan() -> Scenario {
    let packet = ip4("10.0.100.2", "10.0.100.1").udp((4000, LISTENING_PORT), b"hello");
    let frame = carry(FROM_GUEST, &packet);
    let answer = ip4("10.0.100.1", "10.0.100.2").udp((LISTENING_PORT, 4000), b"hello");
    Scenario::new("the host stack sees a VLAN's frames without tag, and its own get one")
        .send(LAN, tagged(&frame, 100))
        .expect(HOST_GUEST, frame)
        .send(HOST_GUEST, carry(ROUTE_THIS, &answer))
        .expect(LAN, tagged(&carry(TO_GUEST, &answer), 100))
}

fn broadcast() -> Scenario {
    let dhcp = Ip4 { ttl: 16, ..ip4("0.0.0.0", "255.255.255.255") }.udp((68, 67), &payload(240));
    let link = Link { to: BROADCAST, from: LAN_HOST };
    let subnet = ip4("10.0.1.2", "10.0.1.255").udp((4000, LISTENING_PORT), b"all");
    Scenario::new("broadcasts to the world and to the subnet reach the host stack")
        .send(LAN, carry(link, &dhcp))
        .expect(HOST_LAN, carry(link, &dhcp))
        .send(LAN, carry(link, &subnet))
        .expect(HOST_LAN, carry(link, &subnet))
        .punts("broadcast", 2)
}

fn ospf() -> Scenario {
    let hello = Ip4 { ttl: 1, protocol: 89, ..ip4("10.0.1.2", "224.0.0.5") }.packet(&payload(44));
    let link = Link { to: [1, 0, 0x5e, 0, 0, 5], from: LAN_HOST };
    punted("an OSPF hello reaches the host stack with its L2", carry(link, &hello), HOST_LAN, "igp")
}

fn llc() -> Scenario {
    // IS-IS: all level 1 routers, LLC fe fe 03.
    let pdu = [&[0xfe, 0xfe, 0x03, 0x83, 27], &payload(120)[..]].concat();
    let link = Link { to: [1, 0x80, 0xc2, 0, 0, 0x14], from: LAN_HOST };
    punted(
        "an IS-IS frame reaches the host stack whole",
        ethernet(link, pdu.len() as u16, &pdu),
        HOST_LAN,
        "llc",
    )
}

fn l2_multicast() -> Scenario {
    let link = Link { to: [1, 0x80, 0xc2, 0, 0, 0xe], from: LAN_HOST };
    let frame = ethernet(link, ETHERTYPE_EXPERIMENT, &payload(80));
    punted("a multicast frame that is not IP reaches the host stack", frame, HOST_LAN, "l2_multicast")
}

fn injected() -> Scenario {
    let packet = Ip4 { ttl: 1, ..ip4("10.0.1.1", "10.0.2.2") }.udp(PORTS, b"from the host");
    let packet6 = ip6("2001:db8:1::1", "2001:db8:f::1").udp(PORTS, b"from the host");
    Scenario::new("what the host stack sends goes where the FIB says, with the TTL it has")
        .send(HOST_LAN, carry(ROUTE_THIS, &packet))
        .expect(WAN, carry(TO_WAN, &packet))
        .send(HOST_LAN, carry(ROUTE_THIS, &packet6))
        .expect(WAN, carry(TO_WAN, &packet6))
}

fn injected_multicast() -> Scenario {
    let hello =
        Ip4 { ttl: 1, protocol: 89, ..Ip4::new(v4("10.0.2.1"), v4("224.0.0.5")) }.packet(&payload(44));
    let frame = carry(Link { to: [1, 0, 0x5e, 0, 0, 5], from: WAN0 }, &hello);
    let guest = carry(Link { to: [1, 0, 0x5e, 0, 0, 5], from: LAN0 }, &hello);
    Scenario::new("what the host stack sends to a group leaves by the same interface with its L2")
        .send(HOST_WAN, frame.clone())
        .expect(WAN, frame)
        .send(HOST_GUEST, guest.clone())
        .expect(LAN, tagged(&guest, 100))
}

fn injected_llc() -> Scenario {
    let pdu = [&[0xfe, 0xfe, 0x03, 0x83, 27], &payload(700)[..]].concat();
    let link = Link { to: [1, 0x80, 0xc2, 0, 0, 0x15], from: WAN0 };
    let frame = ethernet(link, pdu.len() as u16, &pdu);
    Scenario::new("an IS-IS frame of the host stack leaves whole")
        .send(HOST_WAN, frame.clone())
        .expect(WAN, frame)
}

fn unicast_in_a_broadcast() -> Scenario {
    let packet = ip4("10.0.1.2", "10.0.2.2").udp(PORTS, b"x");
    Scenario::new("a unicast packet in a broadcast frame is not forwarded")
        .send(LAN, ethernet(Link { to: BROADCAST, from: LAN_HOST }, ETHERTYPE_IPV4, &packet))
        .drops("l2_broadcast_unicast", 1)
}

fn own_source() -> Scenario {
    let packet = ip4("10.0.2.1", "10.0.1.1").udp((4000, LISTENING_PORT), b"it is me");
    dropped("a packet from outside with our own source does not reach the host stack", "own_source", &packet)
}
