//! Neighbour discovery: RFC 4861's rules, one by one.

use std::net::Ipv6Addr;

use ze_packet::MacAddr;
use ze_packet::ipv6::solicited_node;
use ze_packet::nd::Message;

use super::super::transmit::nd_frame;
use super::*;

const ALL_NODES: &str = "ff02::1";

pub(super) fn solicitation(from: (Ipv6Addr, MacAddr), option: Option<MacAddr>, target: &str) -> Vec<u8> {
    let group = solicited_node(ip6(target));
    let message = Message::Solicitation { target: ip6(target), source_mac: option };
    nd_frame((MacAddr::ipv6_multicast(group), group), (from.1, from.0), &message)
}

/// `flags`: override, solicited, in the low bits.
pub(super) fn advertisement(
    target: Ipv6Addr,
    option: Option<MacAddr>,
    from: (Ipv6Addr, MacAddr),
    to: Ipv6Addr,
    flags: u8,
) -> Vec<u8> {
    let message = Message::Advertisement {
        target,
        target_mac: option,
        router: false,
        solicited: flags & 1 != 0,
        override_cache: flags & 2 != 0,
    };
    let mac = if to.is_multicast() { MacAddr::ipv6_multicast(to) } else { MAC_A };
    nd_frame((mac, to), (from.1, from.0), &message)
}

/// (Ethernet destination, IPv6 source, IPv6 destination, message) of a frame.
fn read(frame: &[u8]) -> (MacAddr, Ipv6Addr, Ipv6Addr, Message) {
    let address = |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&frame[at..at + 16]).unwrap());
    let (source, destination) = (address(22), address(38));
    assert_eq!((frame[20], frame[21]), (58, 255));
    assert_eq!(usize::from(u16::from_be_bytes([frame[18], frame[19]])), frame.len() - 54);
    let message = Message::decode(source, destination, &frame[54..]).unwrap();
    (MacAddr(frame[..6].try_into().unwrap()), source, destination, message)
}

fn b() -> (Ipv6Addr, MacAddr) {
    (ip6("2001:db8::2"), MAC_B)
}

#[test]
fn a_solicitation_for_our_address_is_answered_and_its_sender_learned() {
    for target in ["2001:db8::1".to_owned(), MAC_A.link_local().to_string()] {
        let mut host = Host::new(MAC_A, 1);
        host.receive(&solicitation(b(), Some(MAC_B), &target));
        assert_eq!(host.outputs[0], resolved("2001:db8::2", MAC_B));
        let (to_mac, source, to, message) = read(&host.frames()[0]);
        assert_eq!((to_mac, source, to), (MAC_B, ip6(&target), ip6("2001:db8::2")));
        let wanted = Message::Advertisement {
            target: ip6(&target),
            target_mac: Some(MAC_A),
            router: true,
            solicited: true,
            override_cache: true,
        };
        assert_eq!(message, wanted);
        assert_eq!(host.state("2001:db8::2"), Some(State::Stale));
    }
}

#[test]
fn a_solicitation_without_the_option_is_answered_but_makes_no_entry() {
    let mut host = Host::new(MAC_A, 1);
    host.receive(&solicitation(b(), None, "2001:db8::1"));
    assert_eq!(read(&host.frames()[0]).0, MAC_B);
    assert_eq!(host.neighbor("2001:db8::2"), None);
}

#[test]
fn duplicate_address_detection_of_our_address_is_answered_to_all_nodes() {
    let mut host = Host::new(MAC_A, 1);
    host.receive(&solicitation((Ipv6Addr::UNSPECIFIED, MAC_B), None, "2001:db8::1"));
    let (to_mac, _, to, message) = read(&host.frames()[0]);
    assert_eq!((to_mac, to), (MacAddr([0x33, 0x33, 0, 0, 0, 1]), ip6(ALL_NODES)));
    assert!(matches!(message, Message::Advertisement { solicited: false, override_cache: true, .. }));
    host.receive(&solicitation((Ipv6Addr::UNSPECIFIED, MAC_B), None, "2001:db8::9"));
    assert_eq!((host.said(), host.engine.counters().not_for_us), (vec![], 1));
}

#[test]
fn a_message_that_came_through_a_router_is_refused() {
    let mut host = Host::new(MAC_A, 1);
    let mut frame = solicitation(b(), Some(MAC_B), "2001:db8::1");
    frame[21] = 254;
    host.receive(&frame);
    assert_eq!((host.said(), host.engine.counters().malformed_nd_hop_limit), (vec![], 1));
}

#[test]
fn impossible_addresses_are_refused() {
    let unspecified = (Ipv6Addr::UNSPECIFIED, MAC_B);
    let ours = ip6("2001:db8::1");
    let probe = Message::Solicitation { target: ours, source_mac: None };
    let all_nodes = ip6(ALL_NODES);
    let frames = [
        solicitation(unspecified, Some(MAC_B), "2001:db8::1"),
        nd_frame((MAC_A, ours), (MAC_B, Ipv6Addr::UNSPECIFIED), &probe),
        nd_frame((MacAddr::ipv6_multicast(all_nodes), all_nodes), (MAC_B, b().0), &probe),
        solicitation((ip6("ff02::5"), MAC_B), Some(MAC_B), "2001:db8::1"),
        advertisement(b().0, Some(MAC_B), b(), all_nodes, 0b01),
        advertisement(b().0, Some(MAC_B), unspecified, ours, 0b01),
    ];
    for (index, frame) in frames.iter().enumerate() {
        let mut host = Host::new(MAC_A, 1);
        host.receive(frame);
        assert_eq!((host.said(), host.engine.counters().malformed_nd_address), (vec![], 1), "case {index}");
    }
}

#[test]
fn a_sender_off_every_prefix_is_neither_answered_nor_learned() {
    let mut host = Host::new(MAC_A, 1);
    host.receive(&solicitation((ip6("2001:db8:9::2"), MAC_B), Some(MAC_B), "2001:db8::1"));
    assert_eq!((host.said(), host.engine.counters().implausible_sender), (vec![], 1));
    host.receive(&solicitation((ip6("fe80::2"), MAC_B), Some(MAC_B), "2001:db8::1"));
    assert_eq!(host.state("fe80::2"), Some(State::Stale), "link-local is always on the link");
}

#[test]
fn solicitations_go_to_the_group_from_the_fitting_address() {
    let mut host = Host::new(MAC_A, 1);
    let link_local = MAC_A.link_local();
    for (target, source) in
        [("2001:db8::7", ip6("2001:db8::1")), ("fe80::7", link_local), ("2001:db8:5::7", link_local)]
    {
        host.resolve(target, None);
        let (to_mac, from, to, message) = read(&host.frames()[0]);
        let group = solicited_node(ip6(target));
        assert_eq!((to_mac, from, to), (MacAddr::ipv6_multicast(group), source, group));
        assert_eq!(message, Message::Solicitation { target: ip6(target), source_mac: Some(MAC_A) });
    }
}

#[test]
fn probes_go_to_the_neighbour_alone() {
    let mut host = Host::new(MAC_A, 1);
    host.make_stale("2001:db8::2", MAC_B);
    host.engine.in_use(IF, ip("2001:db8::2"), 1, host.now);
    host.sleep(seconds(5));
    let (to_mac, _, to, _) = read(&host.frames()[0]);
    assert_eq!((to_mac, to), (MAC_B, ip6("2001:db8::2")));
}

/// RFC 4861 §7.2.5, every combination: from Reachable and from Stale, same and other address or none, with each flag.
#[test]
fn advertisements_change_entries_as_the_rfc_says() {
    use State::{Reachable, Stale};
    let address = "2001:db8::2";
    // (option, override, solicited) → state and address after, from Reachable and from Stale.
    let table = [
        (None, 0b00, Reachable, Stale, MAC_B),
        (None, 0b01, Reachable, Reachable, MAC_B),
        (None, 0b10, Reachable, Stale, MAC_B),
        (None, 0b11, Reachable, Reachable, MAC_B),
        (Some(MAC_B), 0b00, Reachable, Stale, MAC_B),
        (Some(MAC_B), 0b01, Reachable, Reachable, MAC_B),
        (Some(MAC_B), 0b10, Reachable, Stale, MAC_B),
        (Some(MAC_B), 0b11, Reachable, Reachable, MAC_B),
        (Some(MAC_C), 0b00, Stale, Stale, MAC_B),
        (Some(MAC_C), 0b01, Stale, Stale, MAC_B),
        (Some(MAC_C), 0b10, Stale, Stale, MAC_C),
        (Some(MAC_C), 0b11, Reachable, Reachable, MAC_C),
    ];
    for (option, flags, from_reachable, from_stale, mac) in table {
        for stale in [false, true] {
            let mut host = Host::new(MAC_A, 1);
            if stale {
                host.make_stale(address, MAC_B)
            } else {
                host.make_reachable(address, MAC_B)
            }
            host.receive(&advertisement(ip6(address), option, b(), ip6("2001:db8::1"), flags));
            let after = host.neighbor(address).unwrap();
            let wanted = if stale { from_stale } else { from_reachable };
            assert_eq!((after.state, after.mac), (wanted, Some(mac)), "{option:?} {flags:02b} stale {stale}");
            let news = if mac == MAC_B { vec![] } else { vec![resolved(address, mac)] };
            assert_eq!(host.said(), news);
        }
    }
}

#[test]
fn advertisements_complete_an_incomplete_entry_whatever_the_override_flag() {
    let address = "2001:db8::2";
    for flags in 0..4 {
        let mut host = Host::new(MAC_A, 1);
        host.resolve(address, Some(9));
        host.said();
        host.receive(&advertisement(ip6(address), None, b(), ip6("2001:db8::1"), flags));
        assert_eq!(
            (host.state(address), host.said()),
            (Some(State::Incomplete), vec![]),
            "no address, no use"
        );
        host.receive(&advertisement(ip6(address), Some(MAC_B), b(), ip6("2001:db8::1"), flags));
        assert_eq!(host.said(), [resolved(address, MAC_B), released(address, MAC_B, &[9])]);
        // The packets just sent are a use, so an unconfirmed neighbour will be probed.
        let wanted = if flags & 1 == 1 { State::Reachable } else { State::Delay };
        assert_eq!(host.state(address), Some(wanted));
    }
}

#[test]
fn an_advertisement_makes_no_entry_and_a_claim_of_our_address_is_a_conflict() {
    let mut host = Host::new(MAC_A, 1);
    host.receive(&advertisement(b().0, Some(MAC_B), b(), ip6(ALL_NODES), 0b10));
    assert_eq!((host.said(), host.engine.counters().unknown_neighbor), (vec![], 1));
    for _ in 0..3 {
        host.receive(&advertisement(ip6("2001:db8::1"), Some(MAC_B), b(), ip6(ALL_NODES), 0b10));
    }
    let frames = host.frames();
    assert_eq!((frames.len(), host.engine.counters().conflicts), (1, 3));
    let (_, _, to, message) = read(&frames[0]);
    assert_eq!(to, ip6(ALL_NODES));
    assert!(matches!(
        message,
        Message::Advertisement { override_cache: true, solicited: false, router: true, .. }
    ));
}

#[test]
fn the_same_link_local_address_on_two_interfaces_is_two_neighbours() {
    let mut host = Host::new(MAC_A, 1);
    let second = InterfaceId(2);
    host.engine.put_interface(Interface { id: second, ..interface(MAC_A, 1) }, host.now);
    host.make_reachable("fe80::2", MAC_B);
    host.engine.put_static(second, ip("fe80::2"), MAC_C, host.now).unwrap();
    assert_eq!(host.engine.mac(IF, ip("fe80::2")), Some(MAC_B));
    assert_eq!(host.engine.mac(second, ip("fe80::2")), Some(MAC_C));
}
