//! Packets that cross the router.

use super::{
    FROM_GUEST, FROM_LAN, FROM_WAN, LAN, PORTS, Scenario, TO_GUEST, TO_LAN, TO_WAN, WAN, crosses, ip4, ip6,
};
use crate::frame::{Ip4, MORE_FRAGMENTS, Mac, UDP, carry, one_hop_on, payload, tagged, udp};
use crate::scenario::Pattern;
use crate::scenario::network::{BLUE_LAN, BLUE_WAN, LAN0, WAN_MTU_BYTES, WAN0};

pub(super) fn all() -> Vec<Scenario> {
    let plain4 = ip4("10.0.1.2", "198.51.100.9").udp(PORTS, &payload(64));
    let plain6 = ip6("2001:db8:1::2", "2001:db8:f::9").udp(PORTS, &payload(64));
    vec![
        crosses("an IPv4 packet is forwarded with one hop less", &plain4),
        crosses("an IPv6 packet is forwarded with one hop less", &plain6),
        crosses(
            "a packet to a host on the next link is forwarded",
            &ip4("10.0.1.2", "10.0.2.2").udp(PORTS, b"x"),
        ),
        back(),
        crosses("a packet of exactly the MTU is forwarded", &{
            ip4("10.0.1.2", "10.0.2.2").udp(PORTS, &payload(usize::from(WAN_MTU_BYTES) - 28))
        }),
        crosses("a packet with TTL 2 has one hop left", &{
            Ip4 { ttl: 2, ..ip4("10.0.1.2", "10.0.2.2") }.udp(PORTS, b"last")
        }),
        crosses("options that ask for nothing are forwarded", &{
            Ip4 { options: vec![1, 1, 1, 0], ..ip4("10.0.1.2", "10.0.2.2") }.udp(PORTS, b"options")
        }),
        padding_is_cut(),
        out_of_a_vlan(),
        into_a_vlan(),
        priority_tag(),
        inside_a_vrf(),
        fragmented(),
        by_a_group(),
    ]
}

fn back() -> Scenario {
    let packet = ip4("10.0.2.2", "198.18.0.1").udp(PORTS, &payload(1000));
    let packet6 = ip6("2001:db8:2::2", "2001:db8:a::1").udp(PORTS, &payload(1000));
    Scenario::new("packets of both families go the other way as well")
        .send(WAN, carry(FROM_WAN, &packet))
        .expect(LAN, carry(TO_LAN, &one_hop_on(&packet)))
        .send(WAN, carry(FROM_WAN, &packet6))
        .expect(LAN, carry(TO_LAN, &one_hop_on(&packet6)))
}

fn padding_is_cut() -> Scenario {
    let packet = ip4("10.0.1.2", "10.0.2.2").udp(PORTS, b"x");
    let mut padded = carry(FROM_LAN, &packet);
    padded.resize(60, 0xee);
    Scenario::new("what stands behind the packet in its frame is not forwarded")
        .send(LAN, padded)
        .expect(WAN, carry(TO_WAN, &one_hop_on(&packet)))
}

fn out_of_a_vlan() -> Scenario {
    let packet = ip4("10.0.100.2", "10.0.2.2").udp(PORTS, &payload(200));
    let packet6 = ip6("2001:db8:100::2", "2001:db8:2::2").udp(PORTS, &payload(200));
    Scenario::new("packets of a VLAN leave untagged where the way out is")
        .send(LAN, tagged(&carry(FROM_GUEST, &packet), 100))
        .expect(WAN, carry(TO_WAN, &one_hop_on(&packet)))
        .send(LAN, tagged(&carry(FROM_GUEST, &packet6), 100))
        .expect(WAN, carry(TO_WAN, &one_hop_on(&packet6)))
}

fn into_a_vlan() -> Scenario {
    let packet = ip4("10.0.2.2", "10.0.100.2").udp(PORTS, &payload(200));
    let hairpin = ip4("10.0.1.2", "10.0.100.2").udp(PORTS, &payload(20));
    let out = |packet| tagged(&carry(TO_GUEST, &one_hop_on(packet)), 100);
    Scenario::new("packets into a VLAN leave tagged, out of another port and out of the same")
        .send(WAN, carry(FROM_WAN, &packet))
        .expect(LAN, out(&packet))
        .send(LAN, carry(FROM_LAN, &hairpin))
        .expect(LAN, out(&hairpin))
}

fn priority_tag() -> Scenario {
    let packet = ip4("10.0.1.2", "10.0.2.2").udp(PORTS, b"urgent");
    // VLAN 0, priority 5.
    Scenario::new("a priority tag is as good as none")
        .send(LAN, tagged(&carry(FROM_LAN, &packet), 5 << 13))
        .expect(WAN, carry(TO_WAN, &one_hop_on(&packet)))
}

fn inside_a_vrf() -> Scenario {
    let link = |to: Mac, from: Mac| crate::frame::Link { to, from };
    let inside = ip4("10.0.1.2", "10.0.2.2").udp(PORTS, b"blue");
    let outside = ip4("10.0.1.2", "198.51.100.9").udp(PORTS, b"no way");
    let error = ip4("10.0.1.1", "10.0.1.2").icmp(3, 0, [0; 4], &outside);
    let error =
        Pattern::from(tagged(&carry(link(BLUE_LAN, LAN0), &error), 300)).ignore(19..20).ignore(22..26);
    Scenario::new("a VRF has its own neighbours and none of the others' routes")
        .send(LAN, tagged(&carry(link(LAN0, BLUE_LAN), &inside), 300))
        .expect(WAN, tagged(&carry(link(BLUE_WAN, WAN0), &one_hop_on(&inside)), 300))
        .send(LAN, tagged(&carry(link(LAN0, BLUE_LAN), &outside), 300))
        .expect(LAN, error.ignore(28..30))
        .drops("no_route", 1)
}

/// RFC 791 §3.2: all but the last fragment are a multiple of 8 bytes long.
fn fragmented() -> Scenario {
    let header = Ip4 { fragment: 0, ..ip4("10.0.1.2", "10.0.2.2") };
    let datagram = udp(header.from.into(), header.to.into(), PORTS, &payload(1400));
    let first_bytes = (usize::from(WAN_MTU_BYTES) - 20) / 8 * 8;
    let fragment = |fragment: u16, part: &[u8]| {
        one_hop_on(&Ip4 { protocol: UDP, fragment, ..header.clone() }.packet(part))
    };
    let first = fragment(MORE_FRAGMENTS, &datagram[..first_bytes]);
    let second = fragment((first_bytes / 8) as u16, &datagram[first_bytes..]);
    Scenario::new("a packet that is too big and may be fragmented is")
        .send(LAN, carry(FROM_LAN, &header.packet(&datagram)))
        .expect(WAN, carry(TO_WAN, &first))
        .expect(WAN, carry(TO_WAN, &second))
}

/// Which member it is the flow's hash says; both differ in the last byte of their Ethernet addresses.
fn by_a_group() -> Scenario {
    (0..8).fold(Scenario::new("each flow leaves by a member of the group"), |scenario, flow| {
        let packet = ip4("10.0.1.2", "10.9.0.1").udp((1000 + flow, 5000), &payload(10));
        let out = carry(TO_WAN, &one_hop_on(&packet));
        scenario.send(LAN, carry(FROM_LAN, &packet)).expect(WAN, Pattern::from(out).ignore(5..6))
    })
}
