use std::time::{Duration, Instant};

use ze_proto::v1::TraceEvent;

use super::Walks;
use crate::output::Paint;

fn udp(ttl: u8, destination_mac: u8) -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 0, 0, destination_mac, 2, 0, 0, 0, 0, 9, 8, 0];
    bytes.extend([0x45, 0, 0, 28, 0, 0, 0, 0, ttl, 17, 0, 0, 10, 0, 0, 1, 192, 0, 2, 9]);
    bytes.extend([4, 210, 0, 53, 0, 8, 0, 0]);
    bytes
}

fn event(packet: u32, node: &str, exit: &str, at_ns: u64, bytes: Vec<u8>) -> TraceEvent {
    TraceEvent {
        packet,
        node: node.into(),
        exit: exit.into(),
        at_ns,
        len: 42,
        rx_interface: "lan0".into(),
        packet_bytes: bytes,
        ..TraceEvent::default()
    }
}

/// The time does not matter to what is written.
fn add(walks: &mut Walks, event: TraceEvent) {
    walks.add(event, Instant::now());
}

fn walks(verbose: bool) -> Walks {
    Walks::new(verbose, Paint { on: false })
}

#[test]
fn steps_that_come_mixed_are_sorted_into_walks_and_only_changes_are_said() {
    let mut walks = walks(false);
    for packet in [1, 2] {
        add(&mut walks, event(packet, "rx", "", 1000, udp(64, 1)));
    }
    for packet in [1, 2] {
        add(&mut walks, event(packet, "ip4_input", "ip4_lookup", 1250, udp(64, 1)));
    }
    let rewritten = TraceEvent {
        tx_interface: "wan0".into(),
        nexthop: "5".into(),
        ..event(1, "ip4_rewrite", "tx", 1500, udp(63, 2))
    };
    add(&mut walks, rewritten);
    let dropped = TraceEvent {
        reason: "no_route".into(),
        sentence: "No route leads to the destination.".into(),
        ..event(2, "ip4_lookup", "drop", 1500, udp(64, 1))
    };
    add(&mut walks, dropped);
    let text = walks.flush();
    let expected = "\
packet 1: 42 bytes from lan0, worker 0
     0.00 µs  rx
              Ethernet 02:00:00:00:00:09 > 02:00:00:00:00:01 · IPv4 10.0.0.1 > 192.0.2.9 ttl 64 len 28 · UDP 1234 > 53 len 8
     0.25 µs  ip4_input        -> ip4_lookup
     0.50 µs  ip4_rewrite      -> tx  out wan0  nexthop 5
              Ethernet 02:00:00:00:00:09 > 02:00:00:00:00:02 · IPv4 10.0.0.1 > 192.0.2.9 ttl 63 len 28

packet 2: 42 bytes from lan0, worker 0
     0.00 µs  rx
              Ethernet 02:00:00:00:00:09 > 02:00:00:00:00:01 · IPv4 10.0.0.1 > 192.0.2.9 ttl 64 len 28 · UDP 1234 > 53 len 8
     0.25 µs  ip4_input        -> ip4_lookup
     0.50 µs  ip4_lookup       -> drop
              no_route: No route leads to the destination.

";
    assert_eq!(text, expected, "\n{text}");
    assert_eq!(walks.flush(), "");
}

#[test]
fn a_packet_that_goes_on_later_keeps_its_clock_and_its_headers() {
    let mut walks = walks(false);
    add(&mut walks, event(1, "rx", "", 1000, udp(64, 1)));
    walks.flush();
    add(&mut walks, event(1, "ip4_input", "ip4_lookup", 3000, udp(64, 1)));
    assert_eq!(walks.flush(), "packet 1 goes on, worker 0\n     2.00 µs  ip4_input        -> ip4_lookup\n\n");
}

#[test]
fn verbose_repeats_headers_and_dumps_bytes() {
    let mut walks = walks(true);
    add(&mut walks, event(1, "rx", "", 0, udp(64, 1)));
    add(&mut walks, event(1, "eth_input", "ip4_input", 100, udp(64, 1)));
    let text = walks.flush();
    assert_eq!(text.matches("UDP 1234 > 53").count(), 2);
    assert_eq!(text.matches("0010  00 1c 00 00").count(), 2);
}

#[test]
fn the_most_records_lost_are_remembered() {
    let mut walks = walks(false);
    for lost in [0, 7, 3] {
        add(&mut walks, TraceEvent { lost, ..event(1, "rx", "", 0, vec![]) });
    }
    assert_eq!(walks.lost(), 7);
}

#[test]
fn a_walk_is_written_when_nothing_came_of_it_for_a_while() {
    let mut walks = walks(false);
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    walks.add(event(1, "rx", "", 0, vec![]), at(0));
    walks.add(event(2, "rx", "", 0, vec![]), at(50));
    walks.add(event(1, "eth_input", "drop", 0, vec![]), at(100));
    assert_eq!(walks.flush_before(None), "");
    assert_eq!(walks.flush_before(Some(at(49))), "");
    assert!(walks.flush_before(Some(at(99))).starts_with("packet 2:"));
    assert!(walks.flush_before(Some(at(100))).starts_with("packet 1:"));
    assert_eq!(walks.flush(), "");
}
