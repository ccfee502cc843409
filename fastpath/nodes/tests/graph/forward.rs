//! Bytes in, bytes out: packets that are forwarded.

use crate::harness::bytes::{Ip4, Ip6, ethernet, fix4, frame, icmp, to4, to6, udp};
use crate::harness::{Rig, host_mac, mac};
use ze_graph::DropReason;
use ze_packet::checksum;

/// What an IPv4 packet looks like one hop further.
fn next_hop4(packet: &[u8]) -> Vec<u8> {
    let mut out = packet.to_vec();
    out[8] -= 1;
    fix4(&mut out);
    out
}

fn next_hop6(packet: &[u8]) -> Vec<u8> {
    let mut out = packet.to_vec();
    out[7] -= 1;
    out
}

fn via2(kind: u16, payload: &[u8]) -> Vec<u8> {
    ethernet(host_mac(2), mac(2), &[], kind, payload)
}

#[test]
fn ipv4_and_ipv6_leave_with_a_new_header_and_one_hop_less() {
    let mut rig = Rig::default();
    let packet = to4("10.0.0.1").bytes();
    assert_eq!(rig.network(1, frame(0x0800, &packet)), [(2, via2(0x0800, &next_hop4(&packet)))]);
    let packet = to6("2001:db8:a::1").bytes();
    assert_eq!(rig.network(1, frame(0x86dd, &packet)), [(2, via2(0x86dd, &next_hop6(&packet)))]);
    let out = rig.counters.interface(ze_packet::InterfaceId(2)).unwrap();
    assert_eq!(out.tx.packets.get(), 2);
    assert_eq!(out.tx.bytes.get(), (14 + 46 + 14 + 66) as u64);
    let nexthop = rig.counters.nexthop(ze_packet::NexthopId(crate::harness::nh::VIA2)).unwrap();
    assert_eq!(nexthop.packets.get(), 2);
    let rx = &rig.counters.interface(ze_packet::InterfaceId(1)).unwrap().rx;
    assert_eq!((rx.packets.get(), rx.bytes.get()), (2, 14 + 46 + 14 + 66));
}

#[test]
fn the_incremental_checksum_is_right_for_every_ttl() {
    let mut rig = Rig::default();
    for ttl in 2..=255 {
        let sent = rig.network(1, Ip4 { ttl, ..to4("10.0.0.1") }.frame());
        let header = &sent[0].1[14..34];
        assert_eq!(header[8], ttl - 1);
        assert_eq!(checksum::of(header), 0, "ttl {ttl}");
    }
}

#[test]
fn tags_come_off_and_go_on() {
    let mut rig = Rig::default();
    let packet = to4("10.0.0.1").bytes();
    let tagged = |tags: &[(u16, u16)], to| ethernet(to, host_mac(1), tags, 0x0800, &packet);
    let plain = via2(0x0800, &next_hop4(&packet));
    assert_eq!(rig.network(1, tagged(&[(0x8100, 100)], mac(3))), [(2, plain.clone())], "VLAN 100 in");
    assert_eq!(
        rig.network(1, tagged(&[(0x88a8, 0x2064)], mac(3))),
        [(2, plain.clone())],
        "priority 1, 802.1ad"
    );
    assert_eq!(rig.network(1, tagged(&[(0x8100, 0xe000)], mac(1))), [(2, plain)], "a priority tag is no tag");
    let packet = to4("10.2.0.1").bytes();
    let out = ethernet(host_mac(3), mac(3), &[(0x8100, 100)], 0x0800, &next_hop4(&packet));
    assert_eq!(rig.network(1, frame(0x0800, &packet)), [(1, out)], "VLAN 100 out");
    let packet = to6("2001:db8:a2::1").bytes();
    let out = ethernet(host_mac(3), mac(3), &[(0x8100, 100)], 0x86dd, &next_hop6(&packet));
    assert_eq!(rig.network(1, frame(0x86dd, &packet)), [(1, out)]);
}

#[test]
fn padding_is_cut_off() {
    let mut rig = Rig::default();
    let packet = Ip4 { payload: vec![1, 2, 3], ..to4("10.0.0.1") }.bytes();
    let mut padded = frame(0x0800, &packet);
    padded.resize(60, 0xee);
    assert_eq!(rig.network(1, padded), [(2, via2(0x0800, &next_hop4(&packet)))]);
    let packet = Ip6 { payload: vec![9], next: 59, ..to6("2001:db8:a::1") }.bytes();
    let mut padded = frame(0x86dd, &packet);
    padded.resize(60, 0xee);
    assert_eq!(rig.network(1, padded), [(2, via2(0x86dd, &next_hop6(&packet)))]);
}

#[test]
fn options_and_extension_headers_pass_unprocessed() {
    let mut rig = Rig::default();
    let packet = Ip4 { options: vec![148, 4, 0, 0, 7, 3, 4, 0], ..to4("10.0.0.1") }.bytes();
    assert_eq!(rig.network(1, frame(0x0800, &packet)), [(2, via2(0x0800, &next_hop4(&packet)))]);
    // Hop-by-hop options, and after them a chain that makes no sense: not a router's business.
    let packet =
        Ip6 { next: 0, payload: vec![60, 0, 1, 4, 0, 0, 0, 0, 6, 200], ..to6("2001:db8:a::1") }.bytes();
    assert_eq!(rig.network(1, frame(0x86dd, &packet)), [(2, via2(0x86dd, &next_hop6(&packet)))]);
}

#[test]
fn flows_spread_over_a_group_and_fragments_of_a_datagram_stay_together() {
    let mut rig = Rig::default();
    let mut ports = std::collections::HashMap::<u16, u32>::new();
    for source in 0..200 {
        let sent = rig.network(1, Ip4 { payload: udp(source, 53, 20), ..to4("10.11.0.1") }.frame());
        *ports.entry(sent[0].0).or_default() += 1;
        let again = rig.network(1, Ip4 { payload: udp(source, 53, 20), ..to4("10.11.0.1") }.frame());
        assert_eq!(sent[0].0, again[0].0);
        let sent = rig.network(1, Ip6 { payload: udp(source, 53, 20), ..to6("2001:db8:ab::1") }.frame());
        *ports.entry(sent[0].0).or_default() += 1;
    }
    assert!(ports.len() == 2 && ports.values().all(|count| (140..260).contains(count)), "{ports:?}");
    let way = |rig: &mut Rig, fragment, payload| {
        rig.network(1, Ip4 { fragment, payload, ..to4("10.11.0.1") }.frame())[0].0
    };
    for source in 0..50 {
        let first = way(&mut rig, 0x2000, udp(source, 53, 24));
        assert_eq!(first, way(&mut rig, 3, udp(source ^ 77, 9, 24)));
    }
}

#[test]
fn a_mixed_batch_leaves_in_the_order_of_each_port() {
    let mut rig = Rig::default();
    let mut input = vec![];
    let mut expected = vec![];
    for i in 0..60u8 {
        let packet =
            Ip4 { payload: vec![i; 30], ..to4(["10.0.0.1", "10.2.0.1"][usize::from(i % 2)]) }.bytes();
        input.push(crate::harness::In::Network(1, frame(0x0800, &packet)));
        if i % 2 == 0 {
            expected.push(via2(0x0800, &next_hop4(&packet)));
        }
    }
    input.push(crate::harness::In::Network(1, vec![0; 5]));
    input.push(crate::harness::In::Network(
        3,
        ethernet(mac(5), host_mac(1), &[], 0x0800, &to4("10.0.0.1").bytes()),
    ));
    let sent = rig.run(&input);
    let by2: Vec<_> = sent.into_iter().filter(|(port, _)| *port == 2).map(|(_, bytes)| bytes).collect();
    assert_eq!(by2, expected);
    for id in [crate::harness::nh::VIA2, crate::harness::nh::VIA3_TAGGED] {
        let traffic = rig.counters.nexthop(ze_packet::NexthopId(id)).unwrap();
        let header = if id == crate::harness::nh::VIA2 { 14 } else { 18 };
        assert_eq!((traffic.packets.get(), traffic.bytes.get()), (30, 30 * (header + 50)), "nexthop {id}");
    }
    assert_eq!((rig.drops(DropReason::RuntFrame), rig.drops(DropReason::NoVrf)), (1, 1));
}

#[test]
fn each_ipv6_packet_of_a_batch_is_looked_up_in_its_own_vrf() {
    let mut rig = Rig::default();
    let packet = to6("2001:db8:a::1").bytes();
    let ours = crate::harness::In::Network(1, frame(0x86dd, &packet));
    // This interface's VRF does not exist.
    let other = crate::harness::In::Network(3, ethernet(mac(5), host_mac(1), &[], 0x86dd, &packet));
    let sent = rig.run(&[ours, other]);
    assert_eq!(sent, [(2, via2(0x86dd, &next_hop6(&packet)))]);
    assert_eq!(rig.drops(DropReason::NoVrf), 1);
}

#[test]
fn too_big_and_not_forbidden_is_fragmented_in_order() {
    let mut rig = Rig::default();
    let payload: Vec<u8> = (0..1400u32).map(|i| (i * 7) as u8).collect();
    // Record route is not copied into later fragments, router alert is.
    let options = vec![148, 4, 0, 0, 7, 3, 4, 0];
    let packet = Ip4 { options, payload: payload.clone(), ..to4("10.13.0.1") };
    let sent = rig.network(1, packet.frame());
    assert_eq!(sent.len(), 3);
    assert_eq!(rig.counters.law.generated.get(), 2);
    let mut joined: Vec<u8> = vec![];
    for (index, (port, bytes)) in sent.iter().enumerate() {
        assert_eq!((*port, &bytes[..14]), (2, &via2(0x0800, &[])[..]));
        let header_len = usize::from(bytes[14] & 15) * 4;
        assert_eq!(header_len, if index == 0 { 28 } else { 24 });
        let header = &bytes[14..14 + header_len];
        assert_eq!(checksum::of(header), 0);
        assert_eq!((header[4..6].to_vec(), header[8], header[9]), (vec![0x12, 0x34], 63, 17));
        assert_eq!(&header[20..24], &[148, 4, 0, 0]);
        let word = u16::from_be_bytes([header[6], header[7]]);
        assert_eq!(usize::from(word & 0x1fff) * 8, joined.len());
        assert_eq!(word & 0x2000 != 0, index < 2, "more fragments");
        assert!(
            bytes.len() - 14 <= 576
                && usize::from(u16::from_be_bytes([header[2], header[3]])) == bytes.len() - 14
        );
        joined.extend(&bytes[14 + header_len..]);
    }
    assert_eq!(joined, payload);
}

#[test]
fn a_fragment_is_fragmented_with_its_own_offset_and_more_bit() {
    let mut rig = Rig::default();
    for (word, last_more) in [(0x2000 | 100, true), (100, false)] {
        let packet = Ip4 { fragment: word, payload: vec![5; 800], ..to4("10.13.0.1") };
        let sent = rig.network(1, packet.frame());
        let words: Vec<_> = sent.iter().map(|(_, b)| u16::from_be_bytes([b[20], b[21]])).collect();
        assert_eq!(words, [0x2000 | 100, (100 + 69) | if last_more { 0x2000 } else { 0 }]);
    }
}

#[test]
fn the_largest_packet_becomes_the_most_fragments() {
    let mut rig = Rig::default();
    let via = |mtu| {
        ze_fib::Nexthop::Adjacency(ze_fib::Adjacency::new(
            host_mac(2),
            mac(2),
            &[(0x88a8, 5), (0x8100, 7)],
            ze_packet::InterfaceId(2),
            ze_packet::PortId(2),
            mtu,
        ))
    };
    for mtu in [68, 69, 76, 100, 1000, 1499, 1777] {
        rig.tables.nexthop(ze_packet::NexthopId(crate::harness::nh::VIA2_MTU_576), Some(via(mtu)));
        let payload: Vec<u8> = (0..1758u32).map(|i| (i * 3) as u8).collect();
        let sent = rig.network(1, Ip4 { payload: payload.clone(), ..to4("10.13.0.1") }.frame());
        let joined: Vec<u8> = sent.iter().flat_map(|(_, bytes)| bytes[22 + 20..].to_vec()).collect();
        assert_eq!(joined, payload, "mtu {mtu}");
        assert!(sent.iter().all(|(_, bytes)| bytes.len() <= 22 + usize::from(mtu)));
    }
}

#[test]
fn many_packets_of_a_batch_are_fragmented_one_after_the_other() {
    let mut rig = Rig::new(crate::harness::Options { frames: 128, ..Default::default() });
    let packet = Ip4 { payload: vec![1; 1472], ..to4("10.13.0.1") }.frame();
    let sent = rig.run(&vec![crate::harness::In::Network(1, packet); 64]);
    assert_eq!(sent.len(), 64 * 3);
}

#[test]
fn what_the_host_stack_sends_is_routed_without_a_hop_taken() {
    let mut rig = Rig::default();
    for ttl in [1, 64] {
        let packet = Ip4 { source: "203.0.113.1", ttl, ..to4("10.0.0.1") }.bytes();
        assert_eq!(rig.inject(11, frame(0x0800, &packet)), [(2, via2(0x0800, &packet))]);
        let packet = Ip6 { source: "2001:db8:2::1", hop_limit: ttl, ..to6("2001:db8:a::1") }.bytes();
        assert_eq!(rig.inject(11, frame(0x86dd, &packet)), [(2, via2(0x86dd, &packet))]);
    }
    let counters = rig.counters.interface(ze_packet::InterfaceId(1)).unwrap();
    assert_eq!((counters.inject.packets.get(), counters.rx.packets.get()), (4, 0));
    assert_eq!(rig.counters.law.inject.get(), 4);
}

#[test]
fn what_the_host_stack_sends_to_groups_leaves_by_its_interface_with_its_tags() {
    let mut rig = Rig::default();
    let ospf = Ip4 { source: "198.51.100.1", ttl: 1, protocol: 89, payload: vec![2; 44], ..to4("224.0.0.5") };
    let group = ze_packet::MacAddr::ipv4_multicast([224, 0, 0, 5].into());
    let out = rig.inject(13, ethernet(group, mac(3), &[], 0x0800, &ospf.bytes()));
    assert_eq!(out, [(1, ethernet(group, mac(3), &[(0x8100, 100)], 0x0800, &ospf.bytes()))]);
    let llc = ethernet(ze_packet::MacAddr([1, 0x80, 0xc2, 0, 0, 0x14]), mac(7), &[], 46, &[0xfe; 46]);
    let tags = [(0x88a8, 5), (0x8100, 300)];
    let out = rig.inject(17, llc.clone());
    assert_eq!(
        out,
        [(1, ethernet(ze_packet::MacAddr([1, 0x80, 0xc2, 0, 0, 0x14]), mac(7), &tags, 46, &[0xfe; 46]))]
    );
    let out = rig.inject(11, llc.clone());
    assert_eq!(out, [(1, llc)]);
}

#[test]
fn icmp_is_forwarded_like_anything_else() {
    let mut rig = Rig::default();
    for kind in [0, 3, 8, 11] {
        let packet = Ip4 { protocol: 1, payload: icmp(kind), ..to4("10.0.0.1") };
        assert_eq!(rig.network(1, packet.frame()).len(), 1);
    }
}
