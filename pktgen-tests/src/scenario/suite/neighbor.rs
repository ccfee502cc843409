//! ARP and neighbour discovery.

use super::{FROM_LAN, LAN, PORTS, Scenario, WAN, ip4, ip6, v4, v6};
use crate::frame::{
    Link, Mac, arp_reply, arp_request, carry, neighbor_advertisement, neighbor_solicitation, one_hop_on,
    payload, tagged,
};
use crate::scenario::network::{LAN_HOST, LAN0, WAN0};

/// A host on the WAN that no scenario has met before; the last byte is its own.
const fn stranger(last: u8) -> Mac {
    [2, 0, 0, 0, 9, last]
}
/// Flags of an advertisement: router, solicited, override (RFC 4861 §4.4).
const ROUTER_SOLICITED_OVERRIDE: u8 = 0xe0;
const SOLICITED_OVERRIDE: u8 = 0x60;

pub(super) fn all() -> Vec<Scenario> {
    vec![arp_answered(), arp_in_a_vlan(), nd_answered(), held4(), held_three(), held_by_gateway(), held6()]
}

fn arp_answered() -> Scenario {
    let host = (LAN_HOST, v4("10.0.1.2"));
    Scenario::new("an ARP request for our address is answered, one for another is not")
        .send(LAN, arp_request(host, v4("10.0.1.1")))
        .expect(LAN, arp_reply((LAN0, v4("10.0.1.1")), host))
        .send(LAN, arp_request(host, v4("10.0.1.77")))
        .punts("arp", 2)
}

fn arp_in_a_vlan() -> Scenario {
    let host = (crate::scenario::network::GUEST, v4("10.0.100.2"));
    Scenario::new("an ARP request in a VLAN is answered in that VLAN")
        .send(LAN, tagged(&arp_request(host, v4("10.0.100.1")), 100))
        .expect(LAN, tagged(&padded(arp_reply((LAN0, v4("10.0.100.1")), host)), 100))
}

/// As the router sends its own messages: of the least length before they get their tag.
fn padded(mut frame: Vec<u8>) -> Vec<u8> {
    frame.resize(60, 0);
    frame
}

fn nd_answered() -> Scenario {
    let host = (LAN_HOST, v6("2001:db8:1::2"));
    let own = (LAN0, v6("2001:db8:1::1"));
    Scenario::new("a neighbour solicitation for our address is answered by a router's advertisement")
        .send(LAN, neighbor_solicitation(host, own.1))
        .expect(LAN, neighbor_advertisement(own, host, ROUTER_SOLICITED_OVERRIDE))
        .punts("nd", 1)
}

fn held4() -> Scenario {
    let packet = ip4("10.0.1.2", "10.0.2.50").udp(PORTS, &payload(300));
    let (router, host) = ((WAN0, v4("10.0.2.1")), (stranger(50), v4("10.0.2.50")));
    let next = ip4("10.0.1.2", "10.0.2.50").udp(PORTS, b"second");
    let out = Link { to: host.0, from: WAN0 };
    Scenario::new("the first packet to a host waits for ARP and is sent then, later ones go at once")
        .send(LAN, carry(FROM_LAN, &packet))
        .expect(WAN, arp_request(router, host.1))
        .send(WAN, arp_reply(host, router))
        .expect(WAN, carry(out, &one_hop_on(&packet)))
        .send(LAN, carry(FROM_LAN, &next))
        .expect(WAN, carry(out, &one_hop_on(&next)))
        .punts("unresolved", 1)
        .punts("arp", 1)
}

fn held_three() -> Scenario {
    let (router, host) = ((WAN0, v4("10.0.2.1")), (stranger(51), v4("10.0.2.51")));
    let packet = |number: u8| ip4("10.0.1.2", "10.0.2.51").udp(PORTS, &[number; 40]);
    let out = |number| carry(Link { to: host.0, from: WAN0 }, &one_hop_on(&packet(number)));
    Scenario::new("three packets wait together and are sent in order")
        .send(LAN, carry(FROM_LAN, &packet(1)))
        .expect(WAN, arp_request(router, host.1))
        .send(LAN, carry(FROM_LAN, &packet(2)))
        .send(LAN, carry(FROM_LAN, &packet(3)))
        .send(WAN, arp_reply(host, router))
        .expect(WAN, out(1))
        .expect(WAN, out(2))
        .expect(WAN, out(3))
        .punts("unresolved", 3)
}

/// The programmed gateway may have been asked for before there was a packet, so requests are not counted here.
fn held_by_gateway() -> Scenario {
    let (router, gateway) = ((WAN0, v4("10.0.2.1")), (stranger(88), v4("10.0.2.88")));
    let packet = ip4("10.0.1.2", "10.8.0.1").udp(PORTS, b"behind");
    Scenario::new("packets of a route wait for their gateway's address")
        .send(WAN, arp_request(gateway, router.1))
        .expect(WAN, arp_reply(router, gateway))
        .send(LAN, carry(FROM_LAN, &packet))
        .expect(WAN, carry(Link { to: gateway.0, from: WAN0 }, &one_hop_on(&packet)))
}

fn held6() -> Scenario {
    let packet = ip6("2001:db8:1::2", "2001:db8:2::50").udp(PORTS, &payload(300));
    let (router, host) = ((WAN0, v6("2001:db8:2::1")), (stranger(50), v6("2001:db8:2::50")));
    Scenario::new("the first IPv6 packet to a host waits for its advertisement")
        .send(LAN, carry(FROM_LAN, &packet))
        .expect(WAN, neighbor_solicitation(router, host.1))
        .send(WAN, neighbor_advertisement(host, router, SOLICITED_OVERRIDE))
        .expect(WAN, carry(Link { to: host.0, from: WAN0 }, &one_hop_on(&packet)))
        .punts("unresolved", 1)
        .punts("nd", 1)
}
