//! Every edge of every node is walked, and every reason to drop is given, by a packet that is shown here.

use std::collections::BTreeSet;

use ze_graph::{DropReason, MessageKind, PuntReason};
use ze_nodes::{Graph, PuntRate, PuntRates};
use ze_packet::{MacAddr, NexthopId};

use crate::harness::bytes::{Ip4, Ip6, ethernet, fix4, frame, icmp, message, to4, to6, udp};
use crate::harness::{In, Options, Rig, host_mac, mac};

/// Reasons which others give: the worker's queues, and the control thread, which holds packets for neighbours.
const ELSEWHERE: [DropReason; 3] =
    [DropReason::TxRingFull, DropReason::HandoffFull, DropReason::NeighborQueueFull];

/// What a packet must meet.
struct Case {
    input: In,
    /// "node → exit", each of which it walks.
    edges: &'static str,
    drop: Option<DropReason>,
    options: Options,
    /// Applied before the packet comes.
    setup: fn(&mut Rig),
}

fn case(input: In, edges: &'static str) -> Case {
    Case { input, edges, drop: None, options: Options::default(), setup: |_| {} }
}

fn dropped(input: In, edges: &'static str, reason: DropReason) -> Case {
    Case { drop: Some(reason), ..case(input, edges) }
}

fn net(bytes: Vec<u8>) -> In {
    In::Network(1, bytes)
}

fn changed(packet: &Ip4, change: impl Fn(&mut Vec<u8>)) -> In {
    let mut bytes = packet.bytes();
    change(&mut bytes);
    net(frame(0x0800, &bytes))
}

fn changed6(packet: &Ip6, change: impl Fn(&mut Vec<u8>)) -> In {
    let mut bytes = packet.bytes();
    change(&mut bytes);
    net(frame(0x86dd, &bytes))
}

const GROUP: MacAddr = MacAddr([1, 0x80, 0xc2, 0, 0, 0x0e]);

fn eth_cases() -> Vec<Case> {
    use DropReason::*;
    let packet = to4("10.0.0.1").bytes();
    let to = |mac, tags: &[(u16, u16)]| ethernet(mac, host_mac(1), tags, 0x0800, &packet);
    let drop = "eth_input → drop";
    vec![
        case(
            net(to4("10.0.0.1").frame()),
            "eth_input → ip4_input, ip4_input → ip4_lookup, ip4_lookup → ip4_rewrite, ip4_rewrite → interface_output, interface_output → transmit",
        ),
        case(
            net(to6("2001:db8:a::1").frame()),
            "eth_input → ip6_input, ip6_input → ip6_lookup, ip6_lookup → ip6_rewrite, ip6_rewrite → interface_output",
        ),
        case(net(frame(0x0806, &[1; 28])), "eth_input → control, control → free"),
        case(net(ethernet(GROUP, host_mac(1), &[], 0x88cc, &[0; 50])), "eth_input → punt, punt → transmit"),
        dropped(net(vec![0; 13]), "eth_input → drop, drop → free", RuntFrame),
        dropped(net(vec![]), drop, RuntFrame),
        dropped(net(to(mac(1), &[(0x8100, 100)])[..17].to_vec()), drop, RuntFrame),
        dropped(net(to(mac(1), &[(0x8100, 101)])), drop, UnknownVlan),
        dropped(net(to(mac(3), &[(0x88a8, 100), (0x8100, 1)])), drop, UnknownVlan),
        dropped(net(to(mac(1), &[(0x9100, 0x0fff)])), drop, ReservedVlan),
        dropped(In::Network(4, to(mac(1), &[])), drop, NoInterface),
        dropped(In::Network(2, to(mac(4), &[(0x8100, 200)])), drop, InterfaceDown),
        dropped(net(to(mac(2), &[])), drop, NotOurMac),
        dropped(net(frame(0x1234, &[0; 50])), drop, UnknownEthertype),
        dropped(net(ethernet(mac(1), GROUP, &[], 0x0800, &packet)), drop, SourceIsGroup),
    ]
}

fn ip4_cases() -> Vec<Case> {
    use DropReason::*;
    let base = to4("10.0.0.1");
    let drop = "ip4_input → drop";
    let from = |source| net(Ip4 { source, ..to4("10.0.0.1") }.frame());
    let to = |destination| net(to4(destination).frame());
    let options = |options: &[u8]| net(Ip4 { options: options.to_vec(), ..to4("10.0.0.1") }.frame());
    vec![
        case(net(to4("224.0.0.5").frame_to(MacAddr([1, 0, 0x5e, 0, 0, 5]))), "ip4_input → punt"),
        case(to("255.255.255.255"), "ip4_input → punt"),
        dropped(net(frame(0x0800, &[0x45; 19])), drop, Ip4Short),
        dropped(changed(&base, |b| b[0] = 0x55), drop, Ip4Version),
        dropped(changed(&base, |b| b[0] = 0x44), drop, Ip4HeaderLength),
        dropped(changed(&Ip4 { payload: vec![], ..base.clone() }, |b| b[0] = 0x46), drop, Ip4HeaderLength),
        dropped(
            changed(&base, |b| {
                b[3] += 1;
                fix4(b)
            }),
            drop,
            Ip4TotalLength,
        ),
        dropped(
            changed(&base, |b| {
                b[3] = 19;
                fix4(b)
            }),
            drop,
            Ip4TotalLength,
        ),
        dropped(
            changed(&Ip4 { options: vec![1; 4], ..base.clone() }, |b| {
                b[3] = 23;
                fix4(b)
            }),
            drop,
            Ip4TotalLength,
        ),
        dropped(changed(&base, |b| b[10] ^= 1), drop, Ip4Checksum),
        dropped(changed(&Ip4 { options: vec![1; 4], ..base.clone() }, |b| b[10] ^= 1), drop, Ip4Checksum),
        dropped(from("127.0.0.1"), drop, Ip4SourceMartian),
        dropped(from("0.0.0.0"), drop, Ip4SourceMartian),
        dropped(from("224.0.0.1"), drop, Ip4SourceMartian),
        dropped(from("255.255.255.255"), drop, Ip4SourceMartian),
        dropped(to("127.0.0.1"), drop, Ip4DestinationMartian),
        dropped(to("0.1.2.3"), drop, Ip4DestinationMartian),
        dropped(to("240.0.0.1"), drop, Ip4DestinationMartian),
        dropped(options(&[131, 3, 4, 0]), drop, Ip4SourceRoute),
        dropped(options(&[1, 137, 3, 4]), drop, Ip4SourceRoute),
        dropped(options(&[7, 9, 4, 0]), drop, Ip4BadOption),
        dropped(options(&[7, 1, 4, 0]), drop, Ip4BadOption),
        dropped(options(&[1, 1, 1, 7]), drop, Ip4BadOption),
    ]
}

fn ip4_way_cases() -> Vec<Case> {
    use DropReason::*;
    let to = |destination| net(to4(destination).frame());
    let drop = "ip4_lookup → drop";
    let big =
        |fragment, destination| net(Ip4 { fragment, payload: vec![0; 900], ..to4(destination) }.frame());
    let error = "ip4_lookup → icmp_error, icmp_error → ip4_lookup";
    vec![
        case(to("192.0.2.1"), "ip4_lookup → punt"),
        case(net(to4("192.0.2.255").frame_to(MacAddr::BROADCAST)), "ip4_lookup → punt"),
        case(to("10.3.0.1"), "ip4_lookup → control"),
        dropped(to("8.8.8.8"), error, NoRoute),
        dropped(to("10.5.0.1"), error, Unreachable),
        dropped(to("10.6.0.1"), error, Prohibited),
        dropped(to("10.14.0.1"), error, VrfLoop),
        dropped(to("10.15.0.1"), error, VrfLocal),
        dropped(to("10.4.0.1"), drop, Blackhole),
        dropped(to("10.10.0.1"), drop, NoAdjacency),
        dropped(net(Ip4 { source: "169.254.1.1", ..to4("10.0.0.1") }.frame()), drop, Ip4LinkLocal),
        dropped(to("203.0.113.255"), drop, DirectedBroadcast),
        dropped(net(to4("10.0.0.1").frame_to(MacAddr::BROADCAST)), drop, L2BroadcastUnicast),
        dropped(net(to4("192.0.2.1").frame_to(GROUP)), drop, L2BroadcastUnicast),
        dropped(
            In::Network(3, ethernet(mac(5), host_mac(1), &[], 0x0800, &to4("10.0.0.1").bytes())),
            drop,
            NoVrf,
        ),
        dropped(net(Ip4 { ttl: 1, ..to4("10.0.0.1") }.frame()), "ip4_rewrite → icmp_error", TtlExceeded),
        dropped(big(0x4000, "10.13.0.1"), "ip4_rewrite → icmp_error", TooBig),
        case(big(0, "10.13.0.1"), "ip4_rewrite → ip4_fragment, ip4_fragment → interface_output"),
        dropped(big(0, "10.9.0.1"), "ip4_fragment → drop", FragmentationDisabled),
        Case {
            options: Options { frames: 1, ..Options::default() },
            ..dropped(big(0, "10.13.0.1"), "ip4_fragment → drop", PoolEmpty)
        },
        dropped(
            net(Ip4 { ttl: 1, fragment: 5, ..to4("10.0.0.1") }.frame()),
            "icmp_error → drop",
            IcmpNotAllowed,
        ),
        dropped(to("10.7.0.1"), "interface_output → drop", InterfaceDown),
        dropped(to("10.8.0.1"), "interface_output → drop", PortGone),
    ]
}

fn ip6_cases() -> Vec<Case> {
    use DropReason::*;
    let base = to6("2001:db8:a::1");
    let (drop, lookup) = ("ip6_input → drop", "ip6_lookup → drop");
    let from = |source| net(Ip6 { source, ..to6("2001:db8:a::1") }.frame());
    let to = |destination| net(to6(destination).frame());
    let chain = |next, payload: &[u8]| net(Ip6 { next, payload: payload.to_vec(), ..to6("ff02::1") }.frame());
    // RFC 6980: a solicitation that came in fragments is none.
    let fragment = [&[58, 0, 0, 1, 0, 0, 0, 9][..], &icmp(135)].concat();
    let fragmented_nd =
        net(Ip6 { next: 44, hop_limit: 255, payload: fragment, ..to6("ff02::1:ff00:1") }.frame());
    let nd =
        |hop_limit| net(Ip6 { next: 58, hop_limit, payload: icmp(135), ..to6("ff02::1:ff00:1") }.frame());
    vec![
        case(nd(255), "ip6_input → control"),
        case(to("ff02::fb"), "ip6_input → punt"),
        case(to("2001:db8:1::1"), "ip6_lookup → punt"),
        case(
            net(Ip6 { next: 58, hop_limit: 255, payload: icmp(135), ..to6("2001:db8:1::1") }.frame()),
            "punt → control",
        ),
        case(to("2001:db8:a3::1"), "ip6_lookup → control"),
        dropped(net(frame(0x86dd, &[0x60; 39])), drop, Ip6Short),
        dropped(changed6(&base, |b| b[0] = 0x40), drop, Ip6Version),
        dropped(changed6(&base, |b| b[5] += 1), drop, Ip6PayloadLength),
        dropped(
            changed6(&base, |b| {
                b[5] = 0;
                b[6] = 0
            }),
            drop,
            Ip6PayloadLength,
        ),
        dropped(from("::"), drop, Ip6SourceMartian),
        dropped(from("::1"), drop, Ip6SourceMartian),
        dropped(from("ff02::1"), drop, Ip6SourceMartian),
        dropped(from("::ffff:192.0.2.1"), drop, Ip6SourceMartian),
        dropped(to("::1"), drop, Ip6DestinationMartian),
        dropped(to("::"), drop, Ip6DestinationMartian),
        dropped(to("ff01::1"), drop, Ip6DestinationMartian),
        dropped(to("fe80::7777"), lookup, Ip6LinkLocal),
        dropped(from("fe80::7777"), "ip6_lookup → icmp_error", Ip6LinkLocal),
        dropped(chain(60, &[17, 9, 0, 0, 0, 0, 0, 0]), drop, Ip6ExtensionChain),
        dropped(chain(44, &[60, 0, 0, 1, 0, 0, 0, 1]), drop, Ip6FragmentChain),
        dropped(nd(254), drop, NdHopLimit),
        dropped(fragmented_nd, drop, Ip6ExtensionChain),
        dropped(net(to6("2001:db8:a::1").frame_to(MacAddr::BROADCAST)), lookup, L2BroadcastUnicast),
        dropped(to("2001:4860::1"), "ip6_lookup → icmp_error, icmp_error → ip6_lookup", NoRoute),
        dropped(to("2001:db8:a4::1"), lookup, Blackhole),
        dropped(to("2001:db8:ae::1"), "ip6_lookup → icmp_error", VrfLoop),
        dropped(to("2001:db8:af::1"), "ip6_lookup → icmp_error", VrfLocal),
        dropped(net(Ip6 { hop_limit: 1, ..base.clone() }.frame()), "ip6_rewrite → icmp_error", TtlExceeded),
        dropped(
            net(Ip6 { payload: udp(1, 2, 1400), ..to6("2001:db8:a1::1") }.frame()),
            "ip6_rewrite → icmp_error",
            TooBig,
        ),
        dropped(In::Network(3, ethernet(mac(5), host_mac(1), &[], 0x86dd, &base.bytes())), lookup, NoVrf),
    ]
}

fn host_cases() -> Vec<Case> {
    use DropReason::*;
    let own = Ip4 { source: "192.0.2.1", ..to4("10.0.0.1") };
    let own6 = Ip6 { source: "2001:db8:1::1", ..to6("2001:db8:a::1") };
    let drop = "inject_input → drop";
    let hello = |interface| In::Control(message(MessageKind::Send, interface, &frame(0x0806, &[1; 28])));
    let closed = |reason| {
        let mut punt = PuntRates::default();
        punt.set(reason, PuntRate { rate_pps: 0, burst: 0 });
        Options { punt, ..Options::default() }
    };
    vec![
        case(In::Inject(11, own.frame()), "inject_input → ip4_input"),
        case(In::Inject(11, own6.frame()), "inject_input → ip6_input"),
        case(
            In::Inject(11, ethernet(GROUP, mac(1), &[], 40, &[0; 40])),
            "inject_input → interface_send, interface_send → interface_output",
        ),
        dropped(In::Inject(11, vec![0; 13]), drop, InjectMalformed),
        dropped(
            In::Inject(11, ethernet(MacAddr::BROADCAST, mac(1), &[], 0x0806, &[0; 28])),
            drop,
            InjectMalformed,
        ),
        dropped(
            In::Inject(11, ethernet(GROUP, mac(1), &[(0x8100, 5)], 0x0800, &[0; 28])),
            drop,
            InjectMalformed,
        ),
        dropped(In::Inject(11, ethernet(mac(1), mac(1), &[], 0x1234, &[0; 28])), drop, InjectMalformed),
        dropped(
            In::Inject(11, Ip6 { next: 58, payload: icmp(135), ..own6.clone() }.frame_to(GROUP)),
            drop,
            InjectMalformed,
        ),
        dropped(In::Inject(1, own.frame()), drop, NoInterface),
        dropped(In::Inject(60, own.frame()), drop, NoInterface),
        dropped(In::Inject(14, own.frame_to(mac(4))), drop, InterfaceDown),
        dropped(
            In::Inject(11, Ip4 { source: "192.0.2.1", ..to4("224.0.0.9") }.frame()),
            "ip4_input → drop",
            MulticastNotRouted,
        ),
        dropped(
            In::Inject(11, Ip6 { source: "2001:db8:1::1", ..to6("ff0e::9") }.frame()),
            "ip6_input → drop",
            MulticastNotRouted,
        ),
        dropped(net(Ip4 { source: "203.0.113.1", ..to4("192.0.2.1") }.frame()), "punt → drop", OwnSource),
        dropped(
            In::Network(3, ethernet(mac(6), host_mac(1), &[(0x8100, 6)], 0x0800, &to4("192.0.2.1").bytes())),
            "punt → drop",
            NoRepresentor,
        ),
        Case {
            options: closed(PuntReason::Local),
            ..dropped(net(to4("192.0.2.1").frame()), "punt → drop", PuntPoliced)
        },
        Case {
            options: closed(PuntReason::Arp),
            ..dropped(net(frame(0x0806, &[1; 28])), "control → drop", PuntPoliced)
        },
        Case {
            options: Options { queue: 0, ..Options::default() },
            ..dropped(net(frame(0x0806, &[1; 28])), "control → drop", ControlQueueFull)
        },
        case(hello(1), "control_input → interface_send"),
        dropped(hello(44), "control_input → drop", NoInterface),
        dropped(In::Control(message(MessageKind::Send, 1, &[1; 13])), "interface_send → drop", RuntFrame),
        case(
            In::Control(message(MessageKind::Forward, 1, &to4("10.0.0.1").bytes())),
            "control_input → ip4_input",
        ),
        case(
            In::Control(message(MessageKind::Forward, 1, &to6("2001:db8:a::1").bytes())),
            "control_input → ip6_input",
        ),
        dropped(In::Control(message(MessageKind::Forward, 1, &[])), "control_input → drop", InjectMalformed),
        dropped(
            In::Control(message(MessageKind::Unresolved, 1, &to4("10.0.0.1").bytes())),
            "control_input → drop",
            InjectMalformed,
        ),
        dropped(
            In::Control(message(MessageKind::Unreachable, 1, &to4("10.0.0.1").bytes())),
            "control_input → icmp_error",
            NeighborFailed,
        ),
    ]
}

/// A nexthop that vanishes between lookup and rewrite: shown by the nodes themselves, since the graph is too quick.
fn vanishing_cases() -> Vec<(&'static str, In)> {
    vec![("ip4_rewrite", net(to4("10.0.0.1").frame())), ("ip6_rewrite", net(to6("2001:db8:a::1").frame()))]
}

fn all() -> Vec<Case> {
    [eth_cases(), ip4_cases(), ip4_way_cases(), ip6_cases(), host_cases()].into_iter().flatten().collect()
}

fn edges(text: &str) -> impl Iterator<Item = (String, String)> {
    text.split(", ").map(|edge| {
        let (node, exit) = edge.split_once(" → ").expect("node → exit");
        (node.to_owned(), exit.to_owned())
    })
}

#[test]
fn every_case_walks_its_edges_and_is_dropped_for_its_reason() {
    let mut walked = BTreeSet::new();
    let mut given = BTreeSet::new();
    for (number, case) in all().into_iter().enumerate() {
        let mut rig = Rig::new(case.options);
        (case.setup)(&mut rig);
        rig.run(std::slice::from_ref(&case.input));
        for (node, exit) in edges(case.edges) {
            assert!(rig.edge(&node, &exit) > 0, "case {number} does not walk {node} → {exit}");
            walked.insert((node, exit));
        }
        let seen: Vec<_> = DropReason::ALL.iter().filter(|reason| rig.drops(**reason) > 0).collect();
        match case.drop {
            Some(reason) => assert_eq!(rig.drops(reason), 1, "case {number}: {reason:?}, but {seen:?}"),
            None => assert_eq!(seen, [] as [&DropReason; 0], "case {number}: {}", case.edges),
        }
        given.extend(case.drop);
    }
    for (node, input) in vanishing_cases() {
        vanish(node, &input);
        walked.insert((node.to_owned(), "drop".to_owned()));
    }
    for (node, exits) in Graph::descriptions() {
        for exit in *exits {
            assert!(
                walked.contains(&((*node).to_owned(), (*exit).to_owned())),
                "no case for {node} → {exit}"
            );
        }
    }
    let missing: Vec<_> = DropReason::ALL
        .iter()
        .filter(|reason| !given.contains(reason) && !ELSEWHERE.contains(reason))
        .collect();
    assert_eq!(missing, [] as [&DropReason; 0], "reasons without a case");
}

/// Runs a rewrite node alone, on a packet whose nexthop is gone.
fn vanish(name: &str, input: &In) {
    use ze_graph::{Batch, Cx, Fanout, Node};
    let In::Network(port, bytes) = input else { unreachable!() };
    let mut rig = Rig::default();
    rig.tables.nexthop(NexthopId(crate::harness::nh::VIA2), None);
    let guard = rig.reader.enter();
    let view = rig.tables.tables.view(&guard);
    let (arena, counters) = (&rig.arena, &rig.counters);
    let cx = Cx { arena, fib: &view, now: 0, worker: ze_packet::WorkerId(0), counters };
    let mut frame = rig.output.pool.pop().unwrap();
    crate::harness::receive(arena, &mut frame, *port, bytes);
    arena.meta_mut(&mut frame).nexthop = NexthopId(crate::harness::nh::VIA2);
    let mut batch = Batch::new();
    batch.push(frame).unwrap();
    if name == "ip4_rewrite" {
        let mut exits = [ze_nodes::ip4_rewrite::Next::InterfaceOutput; ze_graph::BATCH_MAX];
        ze_nodes::ip4_rewrite::Ip4Rewrite.process(&cx, &mut batch, &mut Fanout::new(&mut exits));
        assert_eq!(exits[0], ze_nodes::ip4_rewrite::Next::Drop);
    } else {
        let mut exits = [ze_nodes::ip6_rewrite::Next::InterfaceOutput; ze_graph::BATCH_MAX];
        ze_nodes::ip6_rewrite::Ip6Rewrite.process(&cx, &mut batch, &mut Fanout::new(&mut exits));
        assert_eq!(exits[0], ze_nodes::ip6_rewrite::Next::Drop);
    }
    assert_eq!(arena.meta(&batch.frames()[0]).drop_reason, DropReason::NoAdjacency);
}
