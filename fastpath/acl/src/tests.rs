use std::net::Ipv4Addr;

use ze_packet::{ipv4, ipv6};

use crate::{Filter, ParseError};

fn udp4() -> Vec<u8> {
    let header = ipv4::Header {
        traffic_class: 0,
        total_len_bytes: 28,
        identification: 0,
        fragment: 0,
        ttl: 64,
        protocol: 17,
        source: Ipv4Addr::new(10, 0, 0, 1),
        destination: Ipv4Addr::new(192, 0, 2, 9),
    };
    let mut frame = vec![0; 12];
    frame.extend([0x08, 0x00]);
    frame.extend(header.to_bytes());
    frame.extend([0x04, 0xd2, 0x00, 0x35, 0, 8, 0, 0]);
    frame
}

fn tcp6_behind_a_tag_and_an_extension_header() -> Vec<u8> {
    let header = ipv6::Header {
        traffic_class: 0,
        flow_label: 0,
        payload_len_bytes: 28,
        next_header: 60,
        hop_limit: 64,
        source: "2001:db8::1".parse().unwrap(),
        destination: "2001:db8::2".parse().unwrap(),
    };
    let mut frame = vec![0; 12];
    frame.extend([0x81, 0x00, 0x20, 0x64, 0x86, 0xdd]);
    frame.extend(header.to_bytes());
    frame.extend([6, 0, 1, 4, 0, 0, 0, 0]);
    frame.extend([0x00, 0xb3, 0x1f, 0x90]);
    frame.extend([0; 16]);
    frame
}

fn matches(text: &str, frame: &[u8]) -> bool {
    text.parse::<Filter>().unwrap().matches(frame)
}

#[test]
fn each_condition_decides_alone() {
    let v4 = udp4();
    for (text, expected) in [
        ("", true),
        ("ip", true),
        ("ip6", false),
        ("udp", true),
        ("tcp", false),
        ("proto 17", true),
        ("src 10.0.0.0/8", true),
        ("src 192.0.2.9", false),
        ("dst 192.0.2.0/24", true),
        ("dst 10.0.0.1", false),
        ("host 10.0.0.1", true),
        ("host 192.0.2.9", true),
        ("host 10.0.0.2", false),
        ("sport 1234", true),
        ("sport 53", false),
        ("dport 53", true),
        ("dport 1234", false),
        ("port 53", true),
        ("port 54", false),
        ("vlan 100", false),
        ("udp and host 10.0.0.1 and port 53", true),
        ("udp host 10.0.0.1 port 54", false),
    ] {
        assert_eq!(matches(text, &v4), expected, "{text}");
    }
}

#[test]
fn tags_and_extension_headers_are_looked_behind() {
    let v6 = tcp6_behind_a_tag_and_an_extension_header();
    for (text, expected) in
        [("ip6 and tcp and sport 179", true), ("vlan 100", true), ("vlan 101", false), ("dport 8080", true)]
    {
        assert_eq!(matches(text, &v6), expected, "{text}");
    }
}

#[test]
fn a_later_fragment_has_no_ports() {
    let mut frame = udp4();
    frame[14 + 7] = 1;
    assert!(matches("udp", &frame) && !matches("port 53", &frame));
}

#[test]
fn truncation_at_every_byte_is_harmless() {
    for frame in [udp4(), tcp6_behind_a_tag_and_an_extension_header()] {
        for len in 0..frame.len() {
            let _ = matches("host 10.0.0.1 and port 53", &frame[..len]);
            assert!(matches("", &frame[..len]));
        }
    }
}

#[test]
fn bad_text_is_named() {
    let error = |text: &str| text.parse::<Filter>().unwrap_err();
    assert_eq!(error("bogus"), ParseError::Word("bogus".into()));
    assert_eq!(error("port"), ParseError::NoValue("port".into()));
    assert_eq!(error("port 70000"), ParseError::Value("port".into(), "70000".into()));
    assert_eq!(error("vlan 4095"), ParseError::Value("vlan".into(), "4095".into()));
    assert_eq!(error("src 10.0.0.0/40"), ParseError::Value("src".into(), "10.0.0.0/40".into()));
    assert_eq!(error("tcp udp"), ParseError::Twice("udp".into()));
}

#[test]
fn text_and_filter_round_trip() {
    let text = "ip and proto 6 and src 10.0.0.0/8 and dport 179 and vlan 7";
    let filter: Filter = text.parse().unwrap();
    assert_eq!(filter.to_string(), text);
    assert_eq!(filter.to_string().parse::<Filter>().unwrap(), filter);
}
