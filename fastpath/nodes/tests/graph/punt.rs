//! Packets for the host stack, and those that only seem to be.

use ze_graph::{DropReason, PuntReason};
use ze_nodes::{PuntRate, PuntRates};
use ze_packet::{InterfaceId, MacAddr};

use crate::harness::bytes::{Ip4, Ip6, ethernet, frame, icmp, to4, to6, udp};
use crate::harness::{In, Options, Rig, host_mac, mac};

#[test]
fn local_packets_go_to_the_representor_of_the_way_in_without_tags() {
    let mut rig = Rig::default();
    let plain = to4("192.0.2.1").frame();
    assert_eq!(rig.network(1, plain.clone()), [(11, plain)]);
    let packet = Ip6 { hop_limit: 1, ..to6("2001:db8:1::1") }.bytes();
    let tagged = ethernet(mac(3), host_mac(3), &[(0x8100, 100)], 0x86dd, &packet);
    assert_eq!(rig.network(1, tagged), [(13, ethernet(mac(3), host_mac(3), &[], 0x86dd, &packet))]);
    assert_eq!(rig.counters.punts(PuntReason::Local), 2);
    let counters = rig.counters.interface(InterfaceId(3)).unwrap();
    assert_eq!((counters.punt.packets.get(), counters.punt.bytes.get()), (1, 14 + 66));
    assert_eq!(rig.counters.law.punt.get(), 2);
}

#[test]
fn every_class_arrives_under_its_name() {
    let udp_to = |port| udp(49152, port, 20);
    let tcp = |packet: Ip4, port| Ip4 { protocol: 6, payload: udp_to(port), ..packet };
    let group = |address: [u8; 4]| MacAddr::ipv4_multicast(address.into());
    let ours = || to4("192.0.2.1");
    let cases = [
        (tcp(ours(), 179).frame(), PuntReason::Bgp),
        (Ip4 { payload: udp_to(3784), ..ours() }.frame(), PuntReason::Bfd),
        (tcp(ours(), 646).frame(), PuntReason::Ldp),
        (Ip4 { protocol: 89, ..ours() }.frame(), PuntReason::Igp),
        (Ip4 { protocol: 89, ..to4("224.0.0.5") }.frame_to(group([224, 0, 0, 5])), PuntReason::Igp),
        (
            Ip4 { payload: udp(646, 646, 40), ..to4("224.0.0.2") }.frame_to(group([224, 0, 0, 2])),
            PuntReason::Ldp,
        ),
        (to4("239.1.2.3").frame_to(group([239, 1, 2, 3])), PuntReason::Multicast),
        (Ip4 { protocol: 1, payload: icmp(8), ..ours() }.frame(), PuntReason::Icmp),
        (Ip4 { options: vec![148, 4, 0, 0], ..ours() }.frame(), PuntReason::Options),
        (to4("192.0.2.255").frame_to(MacAddr::BROADCAST), PuntReason::Broadcast),
        (
            Ip4 { source: "0.0.0.0", payload: udp(68, 67, 300), ..to4("255.255.255.255") }
                .frame_to(MacAddr::BROADCAST),
            PuntReason::Broadcast,
        ),
        (ours().frame(), PuntReason::Local),
        (ethernet(MacAddr([1, 0x80, 0xc2, 0, 0, 0x14]), host_mac(1), &[], 60, &[0xfe; 60]), PuntReason::Llc),
        (
            ethernet(MacAddr([1, 0x80, 0xc2, 0, 0, 0x0e]), host_mac(1), &[], 0x88cc, &[2; 60]),
            PuntReason::L2Multicast,
        ),
        (
            Ip6 { next: 58, payload: icmp(133), hop_limit: 255, ..to6("ff02::2") }
                .frame_to(MacAddr([0x33, 0x33, 0, 0, 0, 2])),
            PuntReason::RouterDiscovery,
        ),
        (Ip6 { next: 89, ..to6("ff02::5") }.frame_to(MacAddr([0x33, 0x33, 0, 0, 0, 5])), PuntReason::Igp),
        (
            Ip6 {
                next: 0,
                payload: [&[58, 0, 5, 2, 0, 0, 1, 0][..], &icmp(143)].concat(),
                source: "fe80::7",
                ..to6("ff02::16")
            }
            .frame_to(MacAddr([0x33, 0x33, 0, 0, 0, 0x16])),
            PuntReason::Multicast,
        ),
        (Ip6 { source: "fe80::7", next: 58, payload: icmp(128), ..to6("fe80::1") }.frame(), PuntReason::Icmp),
    ];
    for (bytes, reason) in cases {
        let mut rig = Rig::default();
        assert_eq!(rig.network(1, bytes.clone()), [(11, bytes)], "{reason:?}");
        assert_eq!(rig.counters.punts(reason), 1, "{reason:?}");
    }
}

#[test]
fn a_flood_of_one_class_leaves_the_others_alone() {
    let mut rates = PuntRates::default();
    rates.set(PuntReason::Icmp, PuntRate { rate_pps: 100, burst: 5 });
    let mut rig = Rig::new(Options { punt: rates, ..Options::default() });
    let ping = Ip4 { protocol: 1, payload: icmp(8), ..to4("192.0.2.1") };
    let mut flood = vec![In::Network(1, ping.frame()); 63];
    let bgp = Ip4 { protocol: 6, payload: udp(9, 179, 20), ..to4("192.0.2.1") };
    flood.push(In::Network(1, bgp.frame()));
    assert_eq!(rig.run(&flood).len(), 6);
    assert_eq!(rig.drops(DropReason::PuntPoliced), 58);
    assert_eq!(rig.counters.punts_policed(PuntReason::Icmp), 58);
    assert_eq!((rig.counters.punts(PuntReason::Icmp), rig.counters.punts(PuntReason::Bgp)), (5, 1));
    rig.now += crate::harness::HERTZ / 100;
    assert_eq!(rig.run(&flood).len(), 2, "a token later");
}

#[test]
fn who_speaks_with_our_address_is_not_heard() {
    let mut rig = Rig::default();
    assert_eq!(rig.network(1, Ip4 { source: "203.0.113.1", ..to4("192.0.2.1") }.frame()), []);
    assert_eq!(rig.network(1, Ip6 { source: "2001:db8:1::1", ..to6("2001:db8:1::1") }.frame()), []);
    assert_eq!(rig.drops(DropReason::OwnSource), 2);
}

#[test]
fn link_local_addresses_are_delivered_and_never_forwarded() {
    let mut rig = Rig::default();
    let fine = Ip4 { source: "169.254.7.7", ..to4("192.0.2.1") }.frame();
    assert_eq!(rig.network(1, fine.clone()), [(11, fine)]);
    let fine = to4("169.254.0.1").frame();
    assert_eq!(rig.network(1, fine.clone()), [(11, fine)]);
    for packet in [Ip4 { source: "169.254.7.7", ..to4("10.0.0.1") }, to4("169.254.7.7")] {
        assert_eq!(rig.network(1, packet.frame()), []);
    }
    assert_eq!(rig.drops(DropReason::Ip4LinkLocal), 2);
    assert_eq!(rig.network(1, to6("fe80::99").frame()), []);
    assert_eq!(rig.drops(DropReason::Ip6LinkLocal), 1);
}

#[test]
fn a_frame_without_enough_room_for_its_class_is_still_delivered_as_it_came() {
    let mut rig = Rig::default();
    let short = Ip4 { protocol: 6, payload: vec![1], ..to4("192.0.2.1") }.frame();
    assert_eq!(rig.network(1, short.clone()), [(11, short)]);
    assert_eq!(rig.counters.punts(PuntReason::Local), 1);
    let llc = frame(3, &[0xfe, 0xfe, 3]);
    assert_eq!(rig.network(1, llc.clone()), [(11, llc)]);
}

#[test]
fn padding_does_not_reach_the_host_stack() {
    let mut rig = Rig::default();
    for plain in [
        Ip4 { payload: vec![1], ..to4("192.0.2.1") }.frame(),
        Ip6 { next: 59, payload: vec![], ..to6("2001:db8:1::1") }.frame(),
    ] {
        let mut padded = plain.clone();
        padded.resize(60, 0xee);
        assert_eq!(rig.network(1, padded), [(11, plain)]);
    }
}
