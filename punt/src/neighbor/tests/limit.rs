//! Every limit from both sides.

use super::super::Error;
use super::*;

fn limited(change: impl FnOnce(&mut Limits)) -> Host {
    let mut limits = Limits::default();
    change(&mut limits);
    Host::with(limits, MAC_A, 1)
}

#[test]
fn three_packets_wait_for_a_neighbour_and_the_fourth_drops_the_first() {
    let mut host = Host::new(MAC_A, 1);
    for byte in 1..=3 {
        host.resolve("10.0.0.2", Some(byte));
    }
    assert_eq!(host.engine.counters().held_overflow, 0);
    host.resolve("10.0.0.2", Some(4));
    assert_eq!((host.engine.counters().held_overflow, host.engine.held()), (1, 3));
    host.said();
    host.receive(&arp::reply(ip4("10.0.0.2"), MAC_B, ip4("10.0.0.1"), MAC_A));
    assert_eq!(host.said()[1], released("10.0.0.2", MAC_B, &[2, 3, 4]));
    host.assert_conserved();
}

#[test]
fn the_sum_of_waiting_packets_is_bounded() {
    let mut host = limited(|limits| limits.held = 4);
    for last in 2..=5 {
        host.resolve(&format!("10.0.0.{last}"), Some(last));
    }
    assert_eq!((host.engine.held(), host.engine.counters().held_total_overflow), (4, 0));
    host.resolve("10.0.0.6", Some(6));
    assert_eq!((host.engine.held(), host.engine.counters().held_total_overflow), (4, 1));
    host.assert_conserved();
    host.receive(&arp::reply(ip4("10.0.0.2"), MAC_B, ip4("10.0.0.1"), MAC_A));
    host.resolve("10.0.0.6", Some(6));
    assert_eq!((host.engine.held(), host.engine.counters().held_total_overflow), (4, 1));
    host.assert_conserved();
}

#[test]
fn an_address_scan_evicts_its_own_questions_and_no_known_neighbour() {
    let mut host = limited(|limits| limits.entries_per_interface = 8);
    host.make_reachable("2001:db8::2", MAC_B);
    host.make_stale("2001:db8::3", MAC_C);
    for target in 0x100..0x1100 {
        host.resolve(&format!("2001:db8::{target:x}"), Some(1));
        assert!(host.engine.snapshot(host.now).count() <= 8);
    }
    assert!(
        host.engine.mac(IF, ip("2001:db8::2")).is_some() && host.engine.mac(IF, ip("2001:db8::3")).is_some()
    );
    let counters = host.engine.counters();
    assert_eq!((counters.evicted, counters.table_full), (4096 - 6, 0));
    assert_eq!(counters.held_discarded, 4096 - 6);
    host.assert_conserved();
}

#[test]
fn eviction_takes_failures_then_questions_then_the_neighbour_used_longest_ago() {
    let mut host = limited(|limits| limits.entries_per_interface = 4);
    host.resolve("10.0.0.9", None);
    host.sleep(seconds(3));
    assert_eq!(host.state("10.0.0.9"), Some(State::Failed));
    host.receive(&arp::request("10.0.0.2", MAC_B, "10.0.0.1"));
    host.receive(&arp::request("10.0.0.3", MAC_C, "10.0.0.1"));
    host.resolve("10.0.0.8", None);
    let mut gone = Vec::new();
    for newcomer in ["10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7"] {
        let before: Vec<_> = host.engine.snapshot(host.now).map(|neighbor| neighbor.address).collect();
        host.engine.put_static(IF, ip(newcomer), MAC_B, host.now).unwrap();
        let after: Vec<_> = host.engine.snapshot(host.now).map(|neighbor| neighbor.address).collect();
        gone.extend(before.into_iter().filter(|address| !after.contains(address)));
    }
    assert_eq!(gone, ["10.0.0.9", "10.0.0.8", "10.0.0.2", "10.0.0.3"].map(ip));
    // Only configured neighbours are left: nobody makes room.
    assert_eq!(host.engine.put_static(IF, ip("10.0.0.20"), MAC_B, host.now), Err(Error::TableFull));
    host.said();
    host.resolve("10.0.0.20", Some(1));
    host.receive(&arp::request("10.0.0.21", MAC_C, "10.0.0.1"));
    assert_eq!(host.frames().len(), 1, "not learned, but answered");
    assert_eq!((host.engine.counters().table_full, host.engine.counters().held_discarded), (3, 1));
    host.assert_conserved();
}

#[test]
fn the_whole_table_is_bounded_over_all_interfaces() {
    let mut host = limited(|limits| limits.entries = 6);
    for id in 2..=4 {
        host.engine.put_interface(Interface { id: InterfaceId(id), ..interface(MAC_A, 1) }, host.now);
    }
    for round in 0..100u32 {
        let address = Ipv4Addr::from(0x0a00_0002 + round % 200);
        host.engine.resolve(InterfaceId(1 + (round % 4) as u16), address.into(), None, host.now);
        assert!(host.engine.snapshot(host.now).count() <= 6);
    }
    assert_eq!(host.engine.snapshot(host.now).count(), 6);
    assert_eq!(host.engine.counters().evicted, 94);
}

#[test]
fn solicitations_are_limited_in_all_and_probes_keep_their_share() {
    let mut host = limited(|limits| {
        limits.solicitation_burst = 8;
        limits.solicitations_per_s = 1;
    });
    host.make_stale("10.0.0.2", MAC_B);
    host.engine.in_use(IF, ip("10.0.0.2"), 1, host.now);
    host.sleep(seconds(5) - Duration::from_millis(1));
    for last in 10..30 {
        host.resolve(&format!("10.0.0.{last}"), None);
    }
    assert_eq!(host.frames().len(), 6, "a quarter of eight is kept");
    assert_eq!(host.engine.counters().solicitations_rate_limited, 14);
    host.sleep(Duration::from_millis(1));
    assert_eq!((host.state("10.0.0.2"), host.frames().len()), (Some(State::Probe), 1));
    // Those that never could ask give up all the same.
    host.sleep(seconds(11));
    assert!(host.engine.snapshot(host.now).all(|neighbor| neighbor.state == State::Failed));
}

#[test]
fn answers_are_limited() {
    let mut host = limited(|limits| {
        limits.reply_burst = 5;
        limits.replies_per_s = 10;
    });
    let probe = arp::request("0.0.0.0", MAC_B, "10.0.0.1");
    for _ in 0..20 {
        host.receive(&probe);
    }
    assert_eq!((host.frames().len(), host.engine.counters().replies_rate_limited), (5, 15));
    host.sleep(Duration::from_millis(100));
    host.receive(&probe);
    host.receive(&nd::solicitation((ip6("fe80::2"), MAC_B), Some(MAC_B), "2001:db8::1"));
    assert_eq!((host.frames().len(), host.engine.counters().replies_rate_limited), (1, 16));
}
