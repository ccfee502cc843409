use ze_packet::MacAddr;
use ze_packet::arp::{Message, Operation};

use super::*;

const ETHERNET: &str = "Ethernet 02:00:00:00:00:02 > 02:00:00:00:00:01";

fn frame(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    frame.extend(kind.to_be_bytes());
    frame.extend(payload);
    frame
}

fn ip4(protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let header = ipv4::Header {
        traffic_class: 0,
        total_len_bytes: 20 + payload.len() as u16,
        identification: 7,
        fragment,
        ttl: 63,
        protocol,
        source: Ipv4Addr::new(10, 0, 0, 1),
        destination: Ipv4Addr::new(192, 0, 2, 9),
    };
    [&header.to_bytes(), payload].concat()
}

fn ip6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let header = ipv6::Header {
        traffic_class: 0,
        flow_label: 0,
        payload_len_bytes: payload.len() as u16,
        next_header,
        hop_limit: 64,
        source: "2001:db8::1".parse().unwrap(),
        destination: "2001:db8::2".parse().unwrap(),
    };
    [&header.to_bytes(), payload].concat()
}

fn line(frame: &[u8]) -> String {
    layers(frame).join(" · ")
}

#[test]
fn udp_over_ip4() {
    let packet = ip4(17, ipv4::DONT_FRAGMENT, &[0x04, 0xd2, 0, 53, 0, 8, 0, 0]);
    assert_eq!(
        line(&frame(0x0800, &packet)),
        format!("{ETHERNET} · IPv4 10.0.0.1 > 192.0.2.9 ttl 63 len 28 DF · UDP 1234 > 53 len 8")
    );
}

#[test]
fn tcp_over_ip6_behind_a_tag_and_an_extension_header() {
    let tcp = [0, 179, 0x9c, 0x40, 0, 0, 0, 5, 0, 0, 0, 6, 0x50, 0x12, 0xff, 0xff, 0, 0, 0, 0];
    let packet = ip6(60, &[&[6, 0, 1, 4, 0, 0, 0, 0], tcp.as_slice()].concat());
    let tagged = [&[0xa0, 0x64, 0x86, 0xdd], packet.as_slice()].concat();
    assert_eq!(
        line(&frame(0x8100, &tagged)),
        format!(
            "{ETHERNET} · VLAN 100 priority 5 · IPv6 2001:db8::1 > 2001:db8::2 hop limit 64 len 28 · \
             destination options · TCP 179 > 40000 [SYN ACK] seq 5 ack 6 window 65535"
        )
    );
}

#[test]
fn arp_speaks_in_sentences() {
    let mut message = Message {
        operation: Operation::Request,
        sender_mac: MacAddr([2, 0, 0, 0, 0, 2]),
        sender: Ipv4Addr::new(10, 0, 0, 1),
        target_mac: MacAddr::ZERO,
        target: Ipv4Addr::new(10, 0, 0, 2),
    };
    let text = |message: &Message| layers(&frame(0x0806, &message.to_bytes())).pop().unwrap();
    assert_eq!(text(&message), "ARP who has 10.0.0.2? tell 10.0.0.1");
    message.target = message.sender;
    assert_eq!(text(&message), "ARP announces 10.0.0.1 at 02:00:00:00:00:02");
    message.operation = Operation::Reply;
    assert_eq!(text(&message), "ARP 10.0.0.1 is at 02:00:00:00:00:02");
}

#[test]
fn icmp_errors_say_what_they_are_about() {
    let about = ip4(17, 0, &[0x04, 0xd2, 0, 53, 0, 8, 0, 0]);
    let icmp = [&[11, 0, 0, 0, 0, 0, 0, 0], about.as_slice()].concat();
    assert_eq!(
        layers(&frame(0x0800, &ip4(1, 0, &icmp))).pop().unwrap(),
        "ICMP time exceeded about (IPv4 10.0.0.1 > 192.0.2.9 ttl 63 len 28, UDP 1234 > 53 len 8)"
    );
    let too_big = [&[2, 0, 0, 0, 0, 0, 5, 0], ip6(59, &[]).as_slice()].concat();
    assert_eq!(
        layers(&frame(0x86dd, &ip6(58, &too_big))).pop().unwrap(),
        "ICMPv6 packet too big, mtu 1280 about (IPv6 2001:db8::1 > 2001:db8::2 hop limit 64 len 0, no next header)"
    );
}

#[test]
fn echo_and_neighbour_discovery_show_their_figures() {
    let echo = ip4(1, 0, &[8, 0, 0, 0, 0, 7, 0, 1]);
    assert_eq!(layers(&frame(0x0800, &echo)).pop().unwrap(), "ICMP echo request id 7 seq 1");
    let target: Ipv6Addr = "2001:db8::2".parse().unwrap();
    let solicitation = [&[135, 0, 0, 0, 0, 0, 0, 0], target.octets().as_slice()].concat();
    assert_eq!(layers(&frame(0x86dd, &ip6(58, &solicitation))).pop().unwrap(), "ICMPv6 who has 2001:db8::2?");
}

#[test]
fn further_fragments_have_no_ports() {
    let packet = ip4(17, ipv4::MORE_FRAGMENTS | 185, &[0xff; 8]);
    let layers = layers(&frame(0x0800, &packet));
    assert!(layers[1].ends_with("fragment 7 at 1480+"), "{layers:?}");
    assert_eq!(layers[2], "UDP (further fragment)");
    let packet = ip6(44, &[17, 0, 0x05, 0xc9, 0, 0, 0, 9, 1, 2, 3, 4]);
    let layers = super::layers(&frame(0x86dd, &packet));
    assert_eq!(layers[2..], ["fragment 9 at 1480+", "UDP (further fragment)"]);
}

#[test]
fn frames_that_are_not_ip_are_named() {
    assert_eq!(layers(&frame(100, &[0xfe, 0xfe, 3])).pop().unwrap(), "LLC IS-IS len 100");
    assert_eq!(layers(&frame(0x88cc, &[])).pop().unwrap(), "EtherType 0x88cc");
    assert_eq!(layers(&[1, 2, 3]), ["runt of 3 bytes"]);
    assert_eq!(layers(&frame(0x0800, &[0x45; 5])).pop().unwrap(), "IPv4 cut after 5 bytes");
    assert_eq!(
        layers(&frame(0x0800, &[0x54; 20])).pop().unwrap(),
        "IPv4 malformed: version 5, header of 16 bytes"
    );
}

#[test]
fn cut_and_random_bytes_are_harmless() {
    let about = ip4(17, 0, &[0x04, 0xd2, 0, 53, 0, 8, 0, 0]);
    let error = frame(0x0800, &ip4(1, 0, &[&[3, 4, 0, 0, 0, 0, 5, 0], about.as_slice()].concat()));
    for len in 0..error.len() {
        assert!(!layers(&error[..len]).is_empty());
    }
    // A plain generator (Knuth, MMIX) with a fixed seed; every kind of packet gets its share.
    let mut state = 42_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    for round in 0..20_000_usize {
        let mut bytes: Vec<u8> = (0..round % 120).map(|_| random()).collect();
        for (at, kind) in [
            (12, [[8, 0], [0x86, 0xdd], [8, 6], [0x81, 0]][round % 4]),
            (14, [[0x45, 0], [0x60, 0], [0, 1], [0, 1]][round % 4]),
        ] {
            if let Some(place) = bytes.get_mut(at..at + 2) {
                place.copy_from_slice(&kind);
            }
        }
        if let Some(protocol) = bytes.get_mut(23) {
            *protocol = [1, 6, 17, 58, 0, 44][round % 6];
        }
        assert!(!layers(&bytes).is_empty());
    }
}
