//! Whole lives: resolution, loss, moving, ageing, links that go and come.

use super::super::Error;
use super::*;

const BOTH: [&str; 2] = ["10.0.0.2", "2001:db8::2"];

#[test]
fn two_hosts_find_each_other_in_one_round_trip_and_held_packets_go_in_order() {
    for address in BOTH {
        let mut wire = Wire::new();
        for byte in 1..=3 {
            wire.a.resolve(address, Some(byte));
        }
        wire.settle();
        assert_eq!(wire.news_of_a(), [resolved(address, MAC_B), released(address, MAC_B, &[1, 2, 3])]);
        assert_eq!(wire.a.state(address), Some(State::Reachable));
        let back = if address.contains('.') { "10.0.0.1" } else { "2001:db8::1" };
        assert_eq!(wire.news[1], [resolved(back, MAC_A)], "the asker is known without asking");
        wire.b.resolve(back, Some(9));
        wire.settle();
        assert_eq!(wire.news[1][1..], [released(back, MAC_A, &[9])]);
        wire.a.assert_conserved();
    }
}

#[test]
fn lost_questions_and_answers_are_repeated_once_a_second() {
    for address in BOTH {
        for lose in 0..3 {
            let mut wire = Wire::new();
            wire.lose = lose;
            wire.a.resolve(address, Some(1));
            wire.settle();
            wire.sleep(Duration::from_millis(900) + seconds(lose as u64));
            assert_eq!(wire.a.state(address), Some(State::Reachable), "{lose} lost");
            wire.a.assert_conserved();
        }
    }
}

#[test]
fn three_unanswered_questions_are_a_failure_and_the_waiting_packets_come_back() {
    for address in ["10.0.0.9", "2001:db8::9"] {
        let mut host = Host::new(MAC_A, 1);
        host.resolve(address, Some(1));
        host.resolve(address, Some(2));
        assert_eq!(host.frames().len(), 1);
        for _ in 0..2 {
            host.sleep(Duration::from_millis(999));
            assert_eq!(host.frames().len(), 0);
            host.sleep(Duration::from_millis(1));
            assert_eq!(host.frames().len(), 1);
        }
        host.sleep(seconds(1));
        assert_eq!(host.said(), [unreachable(address, &[1, 2])]);
        assert_eq!((host.state(address), host.engine.counters().failures), (Some(State::Failed), 1));
        host.assert_conserved();
    }
}

#[test]
fn a_failed_neighbour_is_asked_again_only_after_a_growing_back_off() {
    let mut host = Host::new(MAC_A, 1);
    for back_off in [1, 2, 4, 8, 16, 16] {
        host.resolve("10.0.0.9", Some(1));
        assert_eq!(host.frames().len(), 1);
        host.sleep(seconds(3));
        assert_eq!(host.said().last(), Some(&unreachable("10.0.0.9", &[1])));
        host.sleep(seconds(back_off) - Duration::from_millis(1));
        host.resolve("10.0.0.9", Some(2));
        assert_eq!(host.said(), [unreachable("10.0.0.9", &[2])], "within {back_off} s nobody asks");
        host.sleep(Duration::from_millis(1));
    }
    // A host that comes up speaks first.
    host.sleep(seconds(20));
    host.resolve("10.0.0.9", None);
    host.sleep(seconds(3));
    host.said();
    host.receive(&arp::request("10.0.0.9", MAC_C, "10.0.0.9"));
    assert_eq!(host.said(), [resolved("10.0.0.9", MAC_C)]);
    host.assert_conserved();
}

#[test]
fn a_failed_neighbour_nobody_asks_for_is_forgotten() {
    let mut host = Host::new(MAC_A, 1);
    host.resolve("10.0.0.9", None);
    host.sleep(seconds(3 + 60) - Duration::from_millis(1));
    assert_eq!(host.state("10.0.0.9"), Some(State::Failed));
    host.sleep(Duration::from_millis(1));
    assert_eq!((host.neighbor("10.0.0.9"), host.engine.poll_timeout()), (None, None));
}

#[test]
fn reachable_lasts_between_half_and_one_and_a_half_times_thirty_seconds() {
    let mut lives = Vec::new();
    for last in 2..60 {
        let mut host = Host::new(MAC_A, 1);
        for _ in 0..last {
            host.engine.confirm(IF, ip("10.0.0.2"), host.now);
            host.make_reachable("10.0.0.2", MAC_B);
            host.engine.flush(None, host.now);
        }
        host.make_reachable("10.0.0.2", MAC_B);
        lives.push(host.engine.poll_timeout().unwrap() - host.now);
    }
    assert!(lives.iter().all(|life| (seconds(15)..=seconds(45)).contains(life)), "{lives:?}");
    assert!(lives.iter().min().unwrap() < &seconds(20) && lives.iter().max().unwrap() > &seconds(40));
}

#[test]
fn a_stale_neighbour_nobody_uses_is_withdrawn_after_a_minute() {
    let mut host = Host::new(MAC_A, 1);
    host.make_reachable("10.0.0.2", MAC_B);
    let reachable = host.engine.poll_timeout().unwrap() - host.now;
    host.engine.in_use(IF, ip("10.0.0.2"), 0, host.now);
    host.sleep(reachable + seconds(60) - Duration::from_millis(1));
    assert_eq!((host.state("10.0.0.2"), host.said()), (Some(State::Stale), vec![]));
    host.sleep(Duration::from_millis(1));
    assert_eq!((host.neighbor("10.0.0.2"), host.said()), (None, vec![withdrawn("10.0.0.2")]));
    assert_eq!(host.engine.counters().aged, 1);
}

#[test]
fn a_stale_neighbour_in_use_is_probed_and_traffic_goes_on_meanwhile() {
    for address in BOTH {
        let mut wire = Wire::new();
        wire.a.resolve(address, None);
        wire.settle();
        wire.news_of_a();
        for _ in 0..300 {
            wire.sleep(seconds(1));
            wire.a.engine.in_use(IF, ip(address), 1000, wire.a.now);
        }
        assert_eq!(wire.news_of_a(), [], "never withdrawn in five minutes of traffic");
        let age = wire.a.neighbor(address).unwrap().age;
        assert!(age <= seconds(45 + 5 + 1), "{age:?}");
    }
}

#[test]
fn a_neighbour_in_use_that_dies_is_withdrawn_after_delay_and_three_probes() {
    for address in BOTH {
        let mut host = Host::new(MAC_A, 1);
        host.make_stale(address, MAC_B);
        host.engine.in_use(IF, ip(address), 1, host.now);
        assert_eq!(host.state(address), Some(State::Delay));
        host.sleep(seconds(5) - Duration::from_millis(1));
        assert_eq!(host.frames().len(), 0);
        host.sleep(Duration::from_millis(1));
        assert_eq!((host.state(address), host.frames().len()), (Some(State::Probe), 1));
        host.sleep(seconds(3) - Duration::from_millis(1));
        assert_eq!(host.frames().len(), 2);
        assert_eq!(host.engine.mac(IF, ip(address)), Some(MAC_B), "forwarding goes on");
        host.sleep(Duration::from_millis(1));
        assert_eq!(host.said(), [withdrawn(address)]);
        assert_eq!((host.state(address), host.engine.counters().probe_failures), (Some(State::Failed), 1));
        // It may have moved: the next packet asks everybody, at once.
        host.resolve(address, Some(1));
        assert_eq!((host.state(address), host.frames().len()), (Some(State::Incomplete), 1));
    }
}

#[test]
fn a_confirmation_by_an_upper_layer_saves_the_probe() {
    let mut host = Host::new(MAC_A, 1);
    host.make_stale("10.0.0.2", MAC_B);
    host.engine.in_use(IF, ip("10.0.0.2"), 1, host.now);
    host.engine.confirm(IF, ip("10.0.0.2"), host.now);
    assert_eq!(host.state("10.0.0.2"), Some(State::Reachable));
    host.sleep(seconds(10));
    assert_eq!(host.said(), []);
}

#[test]
fn a_neighbour_that_moves_is_followed_at_once() {
    for address in BOTH {
        let mut wire = Wire::new();
        wire.a.resolve(address, None);
        wire.settle();
        wire.news_of_a();
        // The other end gets a new Ethernet address, and says so.
        wire.b.engine.put_interface(interface(MAC_C, 2), wire.b.now);
        wire.settle();
        assert_eq!(wire.news_of_a(), [resolved(address, MAC_C)]);
        assert_eq!((wire.a.state(address), wire.a.engine.counters().moves), (Some(State::Stale), 1));
    }
}

#[test]
fn addresses_are_announced_twice_when_they_come_or_the_link_comes_up() {
    let mut engine = Engine::new(Limits::default(), 1);
    let now = Instant::now();
    engine.put_interface(Interface { up: false, ..interface(MAC_A, 1) }, now);
    let mut host = Host { engine, now, outputs: Vec::new() };
    assert_eq!((host.said(), host.engine.poll_timeout()), (vec![], None));

    host.engine.put_interface(interface(MAC_A, 1), now);
    assert_eq!(host.frames().len(), 3, "IPv4, IPv6, link-local");
    host.sleep(Duration::from_millis(999));
    assert_eq!(host.frames().len(), 0);
    host.sleep(Duration::from_millis(1));
    assert_eq!(host.frames().len(), 3);
    assert_eq!(host.engine.poll_timeout(), None);

    let mut more = interface(MAC_A, 1);
    more.addresses.push("192.0.2.1/24".parse().unwrap());
    host.engine.put_interface(more.clone(), host.now);
    assert_eq!(host.frames().len(), 1, "the new one only");
    host.engine.put_interface(interface(MAC_A, 1), host.now);
    host.sleep(seconds(5));
    assert_eq!(host.frames().len(), 0, "it is gone before its second announcement");
    host.engine.put_interface(Interface { up: false, ..more.clone() }, host.now);
    host.engine.put_interface(more.clone(), host.now);
    assert_eq!(host.frames().len(), 4, "all, for the switch has forgotten");
    host.engine.put_interface(Interface { up: false, ..more }, host.now);
    host.sleep(seconds(5));
    assert_eq!(host.frames().len(), 0);
}

#[test]
fn a_link_that_goes_down_takes_learned_neighbours_and_configured_ones_come_back_with_it() {
    let mut host = Host::new(MAC_A, 1);
    host.make_reachable("10.0.0.2", MAC_B);
    host.engine.put_static(IF, ip("10.0.0.3"), MAC_C, host.now).unwrap();
    host.resolve("10.0.0.4", Some(7));
    host.said();
    host.engine.put_interface(Interface { up: false, ..interface(MAC_A, 1) }, host.now);
    let wanted = [withdrawn("10.0.0.2"), withdrawn("10.0.0.3"), unreachable("10.0.0.4", &[7])];
    assert_eq!(host.said(), wanted);
    assert_eq!((host.engine.snapshot(host.now).count(), host.engine.poll_timeout()), (1, None));
    assert_eq!(host.engine.mac(IF, ip("10.0.0.3")), None);

    host.resolve("10.0.0.3", Some(8));
    assert_eq!(host.said(), [unreachable("10.0.0.3", &[8])]);
    host.receive(&arp::request("10.0.0.2", MAC_B, "10.0.0.1"));
    assert_eq!((host.said(), host.engine.counters().interface_down), (vec![], 1));

    host.engine.put_interface(interface(MAC_A, 1), host.now);
    assert_eq!(host.said()[0], resolved("10.0.0.3", MAC_C));
    host.engine.remove_interface(IF);
    assert_eq!(host.said(), [withdrawn("10.0.0.3")]);
    assert_eq!((host.engine.snapshot(host.now).count(), host.engine.poll_timeout()), (0, None));
    host.assert_conserved();
}

#[test]
fn a_configured_neighbour_is_not_moved_aged_flushed_or_probed() {
    for address in BOTH {
        let mut host = Host::new(MAC_A, 1);
        host.resolve(address, Some(1));
        host.said();
        host.engine.put_static(IF, ip(address), MAC_B, host.now).unwrap();
        assert_eq!(host.said(), [resolved(address, MAC_B), released(address, MAC_B, &[1])]);
        match ip(address) {
            IpAddr::V4(from) => host.receive(&arp::request(&from.to_string(), MAC_C, address)),
            IpAddr::V6(from) => {
                let lie = nd::advertisement(from, Some(MAC_C), (from, MAC_C), ip6("2001:db8::1"), 0b11);
                host.receive(&lie);
            }
        }
        host.engine.flush(None, host.now);
        host.engine.in_use(IF, ip(address), 5, host.now);
        host.sleep(seconds(1000));
        assert_eq!((host.said(), host.engine.counters().moves), (vec![], 0));
        let neighbor = host.neighbor(address).unwrap();
        assert!(neighbor.is_static && neighbor.mac == Some(MAC_B));
        host.engine.put_static(IF, ip(address), MAC_C, host.now).unwrap();
        assert_eq!(host.said(), [resolved(address, MAC_C)]);
        assert!(host.engine.remove_static(IF, ip(address), host.now));
        assert_eq!(host.said(), [withdrawn(address)]);
        assert!(!host.engine.remove_static(IF, ip(address), host.now));
    }
}

#[test]
fn configured_neighbours_that_cannot_be_are_refused() {
    let mut host = Host::new(MAC_A, 1);
    let now = host.now;
    for bad in [
        "10.0.0.1",
        "10.0.0.255",
        "10.0.0.0",
        "255.255.255.255",
        "224.0.0.5",
        "127.0.0.1",
        "0.0.0.0",
        "ff02::1",
        "::",
        "2001:db8::1",
    ] {
        assert_eq!(host.engine.put_static(IF, ip(bad), MAC_B, now), Err(Error::Address(ip(bad))));
        host.resolve(bad, Some(1));
        assert_eq!(host.said(), [unreachable(bad, &[1])]);
    }
    for bad in [MacAddr::ZERO, MacAddr::BROADCAST, MacAddr([1, 0, 0, 0, 0, 1])] {
        assert_eq!(host.engine.put_static(IF, ip("10.0.0.2"), bad, now), Err(Error::Mac(bad)));
    }
    let other = InterfaceId(9);
    let refused = host.engine.put_static(other, ip("10.0.0.2"), MAC_B, now);
    assert_eq!(refused, Err(Error::UnknownInterface(other)));
    assert!(!host.engine.remove_static(IF, ip("10.0.0.2"), now));
    host.assert_conserved();
}

#[test]
fn a_flush_forgets_what_was_learned_on_that_interface() {
    let mut host = Host::new(MAC_A, 1);
    let second = InterfaceId(2);
    host.engine.put_interface(Interface { id: second, ..interface(MAC_A, 1) }, host.now);
    host.make_reachable("10.0.0.2", MAC_B);
    host.resolve("10.0.0.3", Some(1));
    host.engine.resolve(second, ip("10.0.0.4"), None, host.now);
    host.said();
    host.engine.flush(Some(IF), host.now);
    assert_eq!(host.said(), [withdrawn("10.0.0.2")]);
    assert_eq!((host.engine.snapshot(host.now).count(), host.engine.counters().held_discarded), (1, 1));
    host.engine.flush(None, host.now);
    assert_eq!(host.engine.snapshot(host.now).count(), 0);
    host.assert_conserved();
}

#[test]
fn neighbours_go_with_their_subnet_and_an_address_that_becomes_ours_is_no_neighbour() {
    let mut host = Host::new(MAC_A, 1);
    host.make_reachable("10.0.0.2", MAC_B);
    host.make_reachable("fe80::2", MAC_B);
    host.engine.put_static(IF, ip("2001:db8::5"), MAC_C, host.now).unwrap();
    host.said();
    let moved = Interface { addresses: vec!["2001:db8::5/64".parse().unwrap()], ..interface(MAC_A, 1) };
    host.engine.put_interface(moved, host.now);
    assert_eq!(host.said()[..2], [withdrawn("10.0.0.2"), withdrawn("2001:db8::5")]);
    assert_eq!(
        host.engine.snapshot(host.now).map(|neighbor| neighbor.address).collect::<Vec<_>>(),
        [ip("fe80::2")]
    );
}
