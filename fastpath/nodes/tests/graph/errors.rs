//! ICMP and ICMPv6 errors: what they say, to whom, and about what none is sent.

use ze_graph::{DropReason, MessageKind};
use ze_nodes::IcmpLimits;
use ze_packet::{InterfaceId, MacAddr, checksum, ipv4, ipv6};

use crate::harness::bytes::{Ip4, Ip6, ethernet, icmp, message, to4, to6, udp};
use crate::harness::{In, Options, Rig, host_mac, ip4, ip6, mac};

/// Checks an ICMP error on its way back by interface 1, and returns type, code, last header word and the quote.
fn error4(sent: &[(u16, Vec<u8>)], source: &str) -> (u8, u8, u32, Vec<u8>) {
    assert_eq!(sent.len(), 1);
    let (port, bytes) = &sent[0];
    assert_eq!((*port, &bytes[..14]), (1, &ethernet(host_mac(1), mac(1), &[], 0x0800, &[])[..]));
    let packet = &bytes[14..];
    let view = ipv4::View(packet.first_chunk().unwrap());
    assert_eq!((view.source(), view.destination()), (ip4(source), ip4("192.0.2.10")));
    assert_eq!((view.protocol(), view.traffic_class(), view.ttl()), (1, 0xc0, 64));
    assert_eq!(usize::from(view.total_len_bytes()), packet.len());
    assert!(packet.len() <= 576);
    assert_eq!(checksum::of(&packet[..20]), 0);
    let message = &packet[20..];
    assert_eq!(checksum::of(message), 0);
    let word = u32::from_be_bytes(message[4..8].try_into().unwrap());
    (message[0], message[1], word, message[8..].to_vec())
}

fn error6(sent: &[(u16, Vec<u8>)]) -> (u8, u8, u32, Vec<u8>) {
    assert_eq!(sent.len(), 1);
    let (port, bytes) = &sent[0];
    assert_eq!((*port, &bytes[..14]), (1, &ethernet(host_mac(1), mac(1), &[], 0x86dd, &[])[..]));
    let packet = &bytes[14..];
    let view = ipv6::View(packet.first_chunk().unwrap());
    assert_eq!((view.source(), view.destination()), (ip6("2001:db8:1::1"), ip6("2001:db8:1::10")));
    assert_eq!((view.next_header(), view.hop_limit()), (58, 64));
    assert_eq!(usize::from(view.payload_len_bytes()) + 40, packet.len());
    assert!(packet.len() <= 1280);
    let message = &packet[40..];
    let sum = checksum::Sum::new().pseudo_header(&packet[8..24], &packet[24..40], 58, message.len() as u32);
    assert_eq!(sum.bytes(message).fold(), 0);
    let word = u32::from_be_bytes(message[4..8].try_into().unwrap());
    (message[0], message[1], word, message[8..].to_vec())
}

#[test]
fn ipv4_errors_have_the_right_numbers_and_quote_the_packet_as_it_came() {
    let cases = [
        (Ip4 { ttl: 1, ..to4("10.0.0.1") }, (11, 0, 0), DropReason::TtlExceeded),
        (Ip4 { ttl: 0, ..to4("10.0.0.1") }, (11, 0, 0), DropReason::TtlExceeded),
        (to4("8.8.8.8"), (3, 0, 0), DropReason::NoRoute),
        (to4("10.5.0.1"), (3, 1, 0), DropReason::Unreachable),
        (to4("10.6.0.1"), (3, 13, 0), DropReason::Prohibited),
        (
            Ip4 { fragment: 0x4000, payload: udp(1, 2, 700), ..to4("10.13.0.1") },
            (3, 4, 576),
            DropReason::TooBig,
        ),
        (Ip4 { options: vec![148, 4, 0, 0], ttl: 1, ..to4("10.0.0.1") }, (11, 0, 0), DropReason::TtlExceeded),
    ];
    for (packet, (kind, code, word), reason) in cases {
        let mut rig = Rig::default();
        let original = packet.bytes();
        let (k, c, w, quote) = error4(&rig.network(1, packet.frame()), "192.0.2.1");
        assert_eq!((k, c, w), (kind, code, word));
        assert_eq!(quote, original[..original.len().min(548)], "type {kind} code {code}");
        assert_eq!((rig.drops(reason), rig.counters.law.generated.get()), (1, 1));
    }
}

#[test]
fn ipv6_errors_have_the_right_numbers_and_quote_the_packet_as_it_came() {
    let cases = [
        (Ip6 { hop_limit: 1, ..to6("2001:db8:a::1") }, (3, 0, 0), DropReason::TtlExceeded),
        (to6("2001:4860::1"), (1, 0, 0), DropReason::NoRoute),
        (to6("2001:db8:a5::1"), (1, 6, 0), DropReason::Unreachable),
        (to6("2001:db8:a6::1"), (1, 1, 0), DropReason::Prohibited),
        (Ip6 { payload: udp(1, 2, 1300), ..to6("2001:db8:a1::1") }, (2, 0, 1280), DropReason::TooBig),
        (Ip6 { payload: udp(1, 2, 1300), ..to6("2001:db8:ad::1") }, (2, 0, 1280), DropReason::TooBig),
    ];
    for (packet, (kind, code, word), reason) in cases {
        let mut rig = Rig::default();
        let original = packet.bytes();
        let (k, c, w, quote) = error6(&rig.network(1, packet.frame()));
        assert_eq!((k, c, w), (kind, code, word));
        assert_eq!(quote, original[..original.len().min(1232)], "type {kind} code {code}");
        assert_eq!((rig.drops(reason), rig.counters.law.generated.get()), (1, 1));
    }
}

#[test]
fn the_mtu_is_a_limit_from_both_sides() {
    let mut rig = Rig::default();
    let sized =
        |len: usize| Ip4 { fragment: 0x4000, payload: udp(1, 2, len - 20), ..to4("10.13.0.1") }.frame();
    assert_eq!(rig.network(1, sized(576))[0].0, 2);
    assert_eq!(error4(&rig.network(1, sized(577)), "192.0.2.1").2, 576);
    let sized = |len: usize| Ip6 { payload: udp(1, 2, len - 40), ..to6("2001:db8:a1::1") }.frame();
    assert_eq!(rig.network(1, sized(1280))[0].0, 2);
    assert_eq!(error6(&rig.network(1, sized(1281))).2, 1280);
}

#[test]
fn an_interface_without_addresses_speaks_with_the_vrfs() {
    let mut rig = Rig::default();
    let packet = Ip4 { ttl: 1, ..to4("10.0.0.1") }.bytes();
    let tagged = ethernet(mac(7), host_mac(1), &[(0x8100, 300)], 0x0800, &packet);
    error4(&rig.network(1, tagged.clone()), "192.0.0.1");
    rig.tables.vrf(ze_packet::VrfId(0), 0, 0);
    assert_eq!(rig.network(1, tagged), [], "nor is an error sent without any address");
    assert_eq!(rig.drops(DropReason::IcmpNotAllowed), 1);
}

#[test]
fn no_error_is_sent_about_what_rfc_1812_names() {
    let mut rig = Rig::default();
    let expired = |packet: Ip4| Ip4 { ttl: 1, ..packet };
    let mut silent = vec![];
    for kind in [3, 4, 5, 11, 12, 77] {
        silent.push(expired(Ip4 { protocol: 1, payload: icmp(kind), ..to4("10.0.0.1") }));
    }
    silent.push(expired(Ip4 { protocol: 1, payload: vec![], ..to4("10.0.0.1") }));
    silent.push(expired(Ip4 { fragment: 1, ..to4("10.0.0.1") }));
    let count = silent.len() as u64;
    for packet in silent {
        assert_eq!(rig.network(1, packet.frame()), []);
    }
    assert_eq!((rig.drops(DropReason::IcmpNotAllowed), rig.counters.law.generated.get()), (count, 0));
    // Queries and first fragments are answered.
    for packet in [
        Ip4 { protocol: 1, payload: icmp(8), ..to4("10.0.0.1") },
        Ip4 { fragment: 0x2000, ..to4("10.0.0.1") },
    ] {
        assert_eq!(rig.network(1, expired(packet).frame()).len(), 1);
    }
}

#[test]
fn no_error_is_sent_about_what_rfc_4443_names() {
    let mut rig = Rig::default();
    let expired = |packet: Ip6| Ip6 { hop_limit: 1, ..packet };
    let mut silent = vec![];
    for kind in [1, 2, 3, 4, 100, 137] {
        silent.push(Ip6 { next: 58, payload: icmp(kind), ..to6("2001:db8:a::1") });
    }
    silent.push(Ip6 { next: 58, payload: vec![], ..to6("2001:db8:a::1") });
    silent.push(Ip6 { next: 44, payload: vec![17, 0, 0, 9, 0, 0, 0, 1, 5, 5, 5, 5], ..to6("2001:db8:a::1") });
    silent.push(Ip6 { next: 60, payload: vec![58, 9, 0, 0, 0, 0, 0, 0], ..to6("2001:db8:a::1") });
    // An ICMPv6 error behind a destination options header is still one.
    silent.push(Ip6 { next: 60, payload: vec![58, 0, 1, 4, 0, 0, 0, 0, 1, 0, 0, 0], ..to6("2001:db8:a::1") });
    let count = silent.len() as u64;
    for packet in silent {
        assert_eq!(rig.network(1, expired(packet).frame()), []);
    }
    assert_eq!((rig.drops(DropReason::IcmpNotAllowed), rig.counters.law.generated.get()), (count, 0));
    assert_eq!(
        rig.network(1, expired(Ip6 { next: 58, payload: icmp(128), ..to6("2001:db8:a::1") }).frame()).len(),
        1
    );
}

#[test]
fn an_error_that_can_not_be_delivered_is_dropped_and_causes_no_other() {
    let mut rig = Rig::default();
    let lost = Ip4 { source: "100.64.0.1", ttl: 1, ..to4("10.0.0.1") };
    assert_eq!(rig.network(1, lost.frame()), []);
    assert_eq!(rig.drops(DropReason::TtlExceeded), 1);
    assert_eq!(rig.drops(DropReason::IcmpNotAllowed), 1, "the error itself finds no route");
    assert_eq!(rig.counters.law.generated.get(), 1);
}

#[test]
fn over_the_rate_the_packet_is_dropped_with_its_own_reason() {
    let icmp = IcmpLimits { destination_rate_pps: 10, destination_burst: 3, ..IcmpLimits::default() };
    let mut rig = Rig::new(Options { icmp, ..Options::default() });
    let input = vec![In::Network(1, to4("8.8.8.8").frame()); 10];
    assert_eq!(rig.run(&input).len(), 3);
    assert_eq!(rig.drops(DropReason::NoRoute), 10);
    rig.now += crate::harness::HERTZ / 10;
    assert_eq!(rig.run(&input).len(), 1);
}

#[test]
fn the_host_stack_hears_about_its_own_packets_through_the_representor() {
    let mut rig = Rig::default();
    let packet = Ip4 { source: "192.0.2.1", ..to4("8.8.8.8") };
    let sent = rig.inject(11, packet.frame());
    assert_eq!((sent.len(), sent[0].0), (1, 11));
    let bytes = &sent[0].1;
    assert_eq!(bytes[..14], ethernet(mac(1), mac(1), &[], 0x0800, &[])[..]);
    assert_eq!((bytes[14 + 20], bytes[14 + 21]), (3, 0));
    assert_eq!(&bytes[14 + 28..], packet.bytes());
}

#[test]
fn an_unreachable_neighbour_is_reported_with_what_waited() {
    let mut rig = Rig::default();
    let packet = to4("10.3.0.1").bytes();
    let sent = rig.run(&[In::Control(message(MessageKind::Unreachable, 1, &packet))]);
    let (kind, code, _, quote) = error4(&sent, "192.0.2.1");
    assert_eq!((kind, code, quote), (3, 1, packet));
    let packet = to6("2001:db8:a3::1").bytes();
    let sent = rig.run(&[In::Control(message(MessageKind::Unreachable, 1, &packet))]);
    let (kind, code, _, quote) = error6(&sent);
    assert_eq!((kind, code, quote), (1, 3, packet));
    assert_eq!(rig.drops(DropReason::NeighborFailed), 2);
    assert_eq!(rig.counters.law.generated.get(), 4, "two that waited, two errors");
}

#[test]
fn a_link_local_source_is_told_that_its_scope_ends_here() {
    let mut rig = Rig::default();
    let packet = Ip6 { source: "fe80::77", ..to6("2001:db8:a::1") };
    assert_eq!(rig.network(1, packet.frame()), [], "the answer waits for the neighbour");
    let asked = rig.messages.pop().unwrap();
    assert_eq!((asked.kind, asked.tx_interface), (MessageKind::Unresolved, InterfaceId(1)));
    assert_eq!((asked.gateway, asked.gateway_is_ip6), (ip6("fe80::77"), true));
    let answer = asked.packet();
    assert_eq!(answer[8..24], ip6("fe80::1").to_be_bytes());
    assert_eq!((answer[40], answer[41]), (1, 2), "beyond scope of source address");
    assert_eq!(rig.drops(DropReason::Ip6LinkLocal), 1);
}

#[test]
fn what_came_to_many_by_l2_is_not_answered() {
    let mut rig = Rig::default();
    for to in [MacAddr::BROADCAST, MacAddr([1, 0, 0x5e, 0, 0, 9])] {
        assert_eq!(rig.network(1, to4("8.8.8.8").frame_to(to)), []);
        assert_eq!(rig.network(1, Ip4 { ttl: 1, ..to4("10.0.0.1") }.frame_to(to)), []);
    }
    assert_eq!(rig.counters.law.generated.get(), 0);
}

#[test]
fn what_was_generated_and_waited_in_vain_is_not_reported() {
    let mut rig = Rig::default();
    for packet in [to4("10.3.0.1").bytes(), to6("2001:db8:a3::1").bytes()] {
        let mut failed = message(MessageKind::Unreachable, 1, &packet);
        failed.flags = ze_graph::flag::GENERATED;
        assert_eq!(rig.run(&[In::Control(failed)]), []);
    }
    assert_eq!((rig.drops(DropReason::IcmpNotAllowed), rig.counters.law.generated.get()), (2, 2));
}
