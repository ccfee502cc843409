//! ARP: who is answered, who is learned.

use std::net::Ipv4Addr;

use ze_packet::MacAddr;
use ze_packet::arp::{Message, Operation};
use ze_packet::ethernet::MIN_FRAME_BYTES;

use super::super::transmit::arp_frame;
use super::*;

pub(super) fn reply(from: Ipv4Addr, mac: MacAddr, to: Ipv4Addr, to_mac: MacAddr) -> Vec<u8> {
    let message = Message {
        operation: Operation::Reply,
        sender_mac: mac,
        sender: from,
        target_mac: to_mac,
        target: to,
    };
    arp_frame(to_mac, &message)
}

pub(super) fn request(from: &str, mac: MacAddr, target: &str) -> Vec<u8> {
    let message = Message {
        operation: Operation::Request,
        sender_mac: mac,
        sender: ip4(from),
        target_mac: MacAddr::ZERO,
        target: ip4(target),
    };
    arp_frame(MacAddr::BROADCAST, &message)
}

/// The ARP message in a frame, with the Ethernet destination.
fn read(frame: &[u8]) -> (MacAddr, Message) {
    assert!(frame.len() >= MIN_FRAME_BYTES);
    (MacAddr(frame[..6].try_into().unwrap()), Message::decode(&frame[14..]).unwrap())
}

#[test]
fn a_request_for_our_address_is_answered_and_its_sender_learned() {
    let mut host = Host::new(MAC_A, 1);
    host.receive(&request("10.0.0.2", MAC_B, "10.0.0.1"));
    assert_eq!(host.outputs[0], resolved("10.0.0.2", MAC_B));
    let (to, answer) = read(&host.frames()[0]);
    assert_eq!(to, MAC_B);
    let wanted = Message {
        operation: Operation::Reply,
        sender_mac: MAC_A,
        sender: ip4("10.0.0.1"),
        target_mac: MAC_B,
        target: ip4("10.0.0.2"),
    };
    assert_eq!(answer, wanted);
    assert_eq!(host.state("10.0.0.2"), Some(State::Stale));
}

#[test]
fn a_request_for_somebody_else_only_updates_what_we_know() {
    let mut host = Host::new(MAC_A, 1);
    host.receive(&request("10.0.0.2", MAC_B, "10.0.0.3"));
    assert_eq!((host.neighbor("10.0.0.2"), host.said()), (None, vec![]));
    assert_eq!(host.engine.counters().not_for_us, 1);
    host.make_reachable("10.0.0.2", MAC_B);
    host.receive(&request("10.0.0.2", MAC_C, "10.0.0.3"));
    assert_eq!(host.said(), [resolved("10.0.0.2", MAC_C)]);
    assert_eq!(host.state("10.0.0.2"), Some(State::Stale));
    assert_eq!(host.engine.counters().moves, 1);
}

#[test]
fn a_probe_is_answered_but_teaches_nothing() {
    let mut host = Host::new(MAC_A, 1);
    host.receive(&request("0.0.0.0", MAC_B, "10.0.0.1"));
    let frames = host.frames();
    assert_eq!((frames.len(), read(&frames[0]).1.target), (1, Ipv4Addr::UNSPECIFIED));
    host.receive(&request("0.0.0.0", MAC_B, "10.0.0.9"));
    assert_eq!((host.said(), host.engine.snapshot(host.now).count()), (vec![], 0));
}

#[test]
fn a_sender_off_the_subnet_is_neither_answered_nor_learned_unless_we_asked() {
    let mut host = Host::new(MAC_A, 1);
    host.receive(&request("192.0.2.2", MAC_B, "10.0.0.1"));
    assert_eq!((host.said(), host.engine.counters().implausible_sender), (vec![], 1));
    // A nexthop that a route declares to be on the link.
    host.resolve("192.0.2.2", Some(1));
    host.said();
    host.receive(&reply(ip4("192.0.2.2"), MAC_B, ip4("10.0.0.1"), MAC_A));
    assert_eq!(host.said(), [resolved("192.0.2.2", MAC_B), released("192.0.2.2", MAC_B, &[1])]);
}

#[test]
fn gratuitous_arp_updates_but_does_not_create() {
    let mut host = Host::new(MAC_A, 1);
    host.receive(&request("10.0.0.2", MAC_B, "10.0.0.2"));
    assert_eq!((host.neighbor("10.0.0.2"), host.engine.counters().gratuitous_received), (None, 1));
    host.make_reachable("10.0.0.2", MAC_B);
    let gratuitous_reply = reply(ip4("10.0.0.2"), MAC_C, ip4("10.0.0.2"), MacAddr::BROADCAST);
    host.receive(&gratuitous_reply);
    assert_eq!(host.said(), [resolved("10.0.0.2", MAC_C)]);
    assert_eq!(host.state("10.0.0.2"), Some(State::Stale));
}

#[test]
fn a_reply_confirms_only_if_we_asked_and_it_came_to_us() {
    let mut host = Host::new(MAC_A, 1);
    host.make_stale("10.0.0.2", MAC_B);
    host.receive(&reply(ip4("10.0.0.2"), MAC_B, ip4("10.0.0.1"), MAC_A));
    assert_eq!(host.state("10.0.0.2"), Some(State::Stale), "nobody asked");
    host.resolve("10.0.0.3", None);
    let mut broadcast = reply(ip4("10.0.0.3"), MAC_C, ip4("10.0.0.1"), MAC_A);
    broadcast[..6].copy_from_slice(&MacAddr::BROADCAST.0);
    host.receive(&broadcast);
    assert_eq!(host.state("10.0.0.3"), Some(State::Stale), "known, but not confirmed");
    host.receive(&reply(ip4("10.0.0.9"), MAC_C, ip4("10.0.0.1"), MAC_A));
    assert_eq!((host.neighbor("10.0.0.9"), host.engine.counters().unknown_neighbor), (None, 1));
}

#[test]
fn a_conflict_is_counted_and_defended_once_in_ten_seconds() {
    let mut host = Host::new(MAC_A, 1);
    let claim = request("10.0.0.1", MAC_B, "10.0.0.1");
    for _ in 0..5 {
        host.receive(&claim);
    }
    let frames = host.frames();
    assert_eq!(frames.len(), 1);
    let (to, defence) = read(&frames[0]);
    assert_eq!((to, defence.sender, defence.target), (MacAddr::BROADCAST, ip4("10.0.0.1"), ip4("10.0.0.1")));
    assert_eq!((defence.operation, defence.sender_mac), (Operation::Request, MAC_A));
    host.sleep(Duration::from_millis(9_999));
    host.receive(&claim);
    assert_eq!(host.frames().len(), 0);
    host.sleep(Duration::from_millis(1));
    host.receive(&claim);
    assert_eq!(host.frames().len(), 1);
    let counters = host.engine.counters();
    assert_eq!((counters.conflicts, counters.defences_sent), (7, 2));
    assert_eq!(host.neighbor("10.0.0.1"), None);
}

#[test]
fn our_own_frames_reflected_by_the_network_are_ignored() {
    let mut host = Host::new(MAC_A, 1);
    host.receive(&request("10.0.0.1", MAC_A, "10.0.0.1"));
    assert_eq!((host.said(), host.engine.counters().reflected), (vec![], 1));
    assert_eq!(host.engine.counters().conflicts, 0);
}

#[test]
fn a_request_shows_our_address_of_the_targets_subnet() {
    let mut host = Host::new(MAC_A, 1);
    let second = Interface {
        addresses: vec!["10.0.0.1/24".parse().unwrap(), "172.16.0.1/16".parse().unwrap()],
        ..interface(MAC_A, 1)
    };
    host.engine.put_interface(second, host.now);
    host.sleep(seconds(2));
    host.said();
    for (target, source) in
        [("10.0.0.7", "10.0.0.1"), ("172.16.9.9", "172.16.0.1"), ("192.0.2.7", "10.0.0.1")]
    {
        host.resolve(target, None);
        let (to, question) = read(&host.frames()[0]);
        assert_eq!((to, question.operation), (MacAddr::BROADCAST, Operation::Request));
        assert_eq!((question.sender, question.target), (ip4(source), ip4(target)));
    }
    let bare = Interface { addresses: vec![], ..interface(MAC_A, 1) };
    host.engine.put_interface(bare, host.now);
    host.said();
    host.resolve("10.0.0.7", None);
    assert_eq!((host.frames().len(), host.engine.counters().no_source_address), (0, 1));
}
