//! What passes between the graph and the control thread.

use ze_graph::{DropReason, MessageKind, PuntReason, flag};
use ze_packet::{InterfaceId, MacAddr};

use crate::harness::bytes::{Ip4, Ip6, ethernet, frame, icmp, message, to4, to6};
use crate::harness::{In, Options, Rig, host_mac, ip4, ip6, mac};

#[test]
fn arp_reaches_control_without_its_tag() {
    let mut rig = Rig::default();
    let request = [1u8; 28];
    let tagged = ethernet(MacAddr::BROADCAST, host_mac(3), &[(0x8100, 100)], 0x0806, &request);
    assert_eq!(rig.network(1, tagged), []);
    let seen = rig.messages.pop().unwrap();
    assert_eq!((seen.kind, seen.interface), (MessageKind::Frame(PuntReason::Arp), InterfaceId(3)));
    assert_eq!(seen.packet(), ethernet(MacAddr::BROADCAST, host_mac(3), &[], 0x0806, &request));
    assert_eq!((rig.counters.law.punt.get(), rig.counters.punts(PuntReason::Arp)), (1, 1));
    assert_eq!(seen.flags, flag::L2_BROADCAST | flag::L2_GROUP);
}

#[test]
fn neighbour_discovery_reaches_control_from_groups_and_by_unicast() {
    for (destination, kind) in
        [("ff02::1:ff00:1", 135), ("2001:db8:1::1", 135), ("fe80::1", 136), ("ff02::1", 136)]
    {
        let mut rig = Rig::default();
        let packet =
            Ip6 { source: "fe80::7", hop_limit: 255, next: 58, payload: icmp(kind), ..to6(destination) };
        assert_eq!(rig.network(1, packet.frame()), []);
        let seen = rig.messages.pop().unwrap();
        assert_eq!(seen.kind, MessageKind::Frame(PuntReason::NeighborDiscovery), "{destination}");
        assert_eq!(seen.packet(), packet.frame());
        assert_eq!(rig.network(1, Ip6 { hop_limit: 254, ..packet }.frame()), []);
        assert_eq!(rig.drops(DropReason::NdHopLimit), 1);
    }
    // Duplicate address detection speaks from ::.
    let mut rig = Rig::default();
    let probe = Ip6 { source: "::", hop_limit: 255, next: 58, payload: icmp(135), ..to6("ff02::1:ff00:7") };
    rig.network(1, probe.frame_to(MacAddr([0x33, 0x33, 0xff, 0, 0, 7])));
    assert!(rig.messages.pop().is_ok());
}

#[test]
fn a_packet_whose_neighbour_is_unknown_goes_to_control_as_l3_with_the_gateway() {
    let mut rig = Rig::default();
    let cases: [(&'static str, u128, bool); 3] = [
        ("10.3.0.1", u128::from(ip4("203.0.113.9")), false),
        ("10.12.0.1", ip6("fe80::9"), true),
        ("203.0.113.77", u128::from(ip4("203.0.113.77")), false),
    ];
    for (destination, gateway, is_ip6) in cases {
        let packet = to4(destination);
        assert_eq!(rig.network(1, packet.frame()), []);
        let seen = rig.messages.pop().unwrap();
        assert_eq!((seen.kind, seen.interface), (MessageKind::Unresolved, InterfaceId(1)));
        assert_eq!((seen.tx_interface, seen.gateway, seen.gateway_is_ip6), (InterfaceId(2), gateway, is_ip6));
        assert_eq!(seen.packet(), packet.bytes());
    }
    rig.inject(11, to4("10.3.0.1").frame());
    assert!(rig.messages.pop().unwrap().flags & flag::INJECTED != 0, "whose packet it is travels along");
    let packet = to6("2001:db8:2::77");
    assert_eq!(rig.network(1, packet.frame()), []);
    let seen = rig.messages.pop().unwrap();
    assert_eq!((seen.gateway, seen.gateway_is_ip6), (ip6("2001:db8:2::77"), true));
    assert_eq!(rig.counters.punts(PuntReason::Unresolved), 5);
}

#[test]
fn what_waited_is_forwarded_as_if_it_had_just_come() {
    let mut rig = Rig::default();
    let packet = to4("10.0.0.1");
    let direct = rig.network(1, packet.frame());
    let held = rig.run(&[In::Control(message(MessageKind::Forward, 1, &packet.bytes()))]);
    assert_eq!(held, direct);
    let packet = to6("2001:db8:a::1");
    let direct = rig.network(1, packet.frame());
    let held = rig.run(&[In::Control(message(MessageKind::Forward, 1, &packet.bytes()))]);
    assert_eq!(held, direct);
    // What the host stack sent keeps its hop, as it would have without waiting.
    let own = Ip4 { source: "192.0.2.1", ttl: 1, ..to4("10.0.0.1") };
    let mut waited = message(MessageKind::Forward, 1, &own.bytes());
    waited.flags = flag::INJECTED;
    assert_eq!(rig.run(&[In::Control(waited)]), rig.inject(11, own.frame()));
}

#[test]
fn what_waited_and_is_local_by_now_gets_an_l2_header_for_the_representor() {
    let mut rig = Rig::default();
    let packet = to4("192.0.2.1");
    let sent = rig.run(&[In::Control(message(MessageKind::Forward, 1, &packet.bytes()))]);
    assert_eq!(sent, [(11, ethernet(mac(1), mac(1), &[], 0x0800, &packet.bytes()))]);
}

#[test]
fn frames_of_control_leave_with_the_interfaces_tags() {
    let mut rig = Rig::default();
    let reply = |tags: &[(u16, u16)]| ethernet(host_mac(3), mac(3), tags, 0x0806, &[2; 28]);
    let sent = rig.run(&[In::Control(message(MessageKind::Send, 3, &reply(&[])))]);
    assert_eq!(sent, [(1, reply(&[(0x8100, 100)]))]);
    assert_eq!(rig.counters.law.generated.get(), 1);
    assert_eq!(rig.counters.interface(InterfaceId(3)).unwrap().tx.packets.get(), 1);
}

#[test]
fn the_largest_frame_makes_the_round_trip() {
    let mut rig = Rig::default();
    let packet = Ip4 { payload: vec![7; 1792 - 34], ..to4("10.3.0.1") };
    rig.network(1, packet.frame());
    let seen = rig.messages.pop().unwrap();
    assert_eq!(seen.packet().len(), 1778);
    let mut back = message(MessageKind::Forward, 1, seen.packet());
    back.flags = seen.flags;
    rig.tables.nexthop(
        ze_packet::NexthopId(crate::harness::nh::UNRESOLVED),
        Some(ze_fib::Nexthop::Adjacency(ze_fib::Adjacency::new(
            host_mac(2),
            mac(2),
            &[],
            InterfaceId(2),
            ze_packet::PortId(2),
            1778,
        ))),
    );
    assert_eq!(rig.run(&[In::Control(back)])[0].1.len(), 1792);
}

#[test]
fn a_full_queue_drops_and_recovers() {
    let mut rig = Rig::new(Options { queue: 2, ..Options::default() });
    let arp = frame(0x0806, &[1; 28]);
    rig.run(&vec![In::Network(1, arp.clone()); 5]);
    assert_eq!(rig.drops(DropReason::ControlQueueFull), 3);
    assert!(rig.messages.pop().is_ok());
    rig.network(1, arp);
    assert_eq!((rig.drops(DropReason::ControlQueueFull), rig.counters.law.punt.get()), (3, 3));
}

#[test]
fn a_full_entrance_gives_the_frame_back() {
    let mut rig = Rig::default();
    let guard = rig.reader.enter();
    let view = rig.tables.tables.view(&guard);
    let cx = ze_graph::Cx {
        arena: &rig.arena,
        fib: &view,
        now: 0,
        worker: ze_packet::WorkerId(0),
        counters: &rig.counters,
    };
    let hello = message(MessageKind::Send, 1, &frame(0x0806, &[1; 28]));
    for _ in 0..ze_graph::BATCH_MAX {
        let frame = rig.output.pool.pop().unwrap();
        rig.graph.enter(&cx, frame, &hello).unwrap();
    }
    let frame = rig.output.pool.pop().unwrap();
    rig.output.pool.push(rig.graph.enter(&cx, frame, &hello).unwrap_err());
    rig.graph.run(&cx, &mut rig.tracer, &mut rig.output);
    rig.check();
    assert_eq!(rig.output.sent.len(), ze_graph::BATCH_MAX);
}
