use super::*;
use crate::frame;

const ETH: &str = "eth 02:00:00:00:01:02>02:00:00:00:01:01";

fn bytes(text: &str) -> Vec<u8> {
    Packet::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).bytes()
}

fn link() -> frame::Link {
    frame::Link { to: [2, 0, 0, 0, 1, 1], from: [2, 0, 0, 0, 1, 2] }
}

#[test]
fn what_is_built_equals_what_the_byte_by_byte_makers_build() {
    let (from, to) = ([10, 0, 1, 2].into(), [10, 0, 2, 2].into());
    let udp = frame::Ip4 { ttl: 3, ..frame::Ip4::new(from, to) }.udp((4000, 5000), &frame::payload(64));
    let text = format!("{ETH} / ip4 10.0.1.2>10.0.2.2 ttl=3 df id=0x1234 / udp 4000>5000 / payload 64");
    assert_eq!(bytes(&text), frame::carry(link(), &udp));
    let echo = frame::Ip4::new(from, to).icmp(8, 0, [0, 7, 0, 1], b"hello");
    let text = format!("{ETH} / ip4 10.0.1.2>10.0.2.2 df id=0x1234 / icmp type=8 id=7 seq=1 / text hello");
    assert_eq!(bytes(&text), frame::carry(link(), &echo));
    let (from, to) = ("2001:db8:1::2".parse().unwrap(), "2001:db8:2::2".parse().unwrap());
    let udp6 = frame::Ip6::new(from, to).udp((4000, 5000), &frame::payload(64));
    let text =
        format!("{ETH} / vlan id=100 pcp=5 / ip6 2001:db8:1::2>2001:db8:2::2 / udp 4000>5000 / payload 64");
    assert_eq!(bytes(&text), frame::tagged(&frame::carry(link(), &udp6), 5 << 13 | 100));
    let solicited = frame::neighbor_solicitation(([2, 0, 0, 0, 1, 2], from), to);
    let text = "eth 02:00:00:00:01:02>33:33:ff:00:00:02 / ip6 2001:db8:1::2>ff02::1:ff00:2 hop=255 / \
                icmp6 type=135 / nd target=2001:db8:2::2 / lla mac=02:00:00:00:01:02";
    assert_eq!(bytes(text), solicited);
    let asked = frame::arp_request(([2, 0, 0, 0, 1, 2], [10, 0, 1, 2].into()), [10, 0, 1, 1].into());
    let text =
        "eth 02:00:00:00:01:02>ff:ff:ff:ff:ff:ff / arp sha=02:00:00:00:01:02 spa=10.0.1.2 tpa=10.0.1.1";
    assert_eq!(bytes(text), asked);
}

#[test]
fn text_and_bytes_go_into_each_other() {
    let texts = [
        "ip4 10.0.1.2>10.0.2.2 df ttl=1 / udp 1>2 / payload 20",
        "ip4 10.0.1.2>10.0.2.2 opt=01010100 / icmp type=8 id=7 seq=9 / hex 010203",
        "ip4 10.0.1.2>10.0.2.2 mf frag=100 proto=17 / hex 01020304",
        "ip4 10.0.1.2>10.0.2.2 / tcp 179>4000 seq=5 ack syn opt=020405b4",
        "ip4 10.0.1.1>10.0.1.2 / icmp type=11 / quote / ip4 10.0.1.2>10.0.2.2 ttl=1 / udp 1>2 / payload 9",
        "ip4 10.0.1.2>10.0.2.2 / udp 1>2 / hex 78 / pad 60 with=ee",
        "ip6 ::1>ff02::1 hop=255 / hopopts data=010400000000 / dstopts data=010400000000 / udp 1>2 / hex 01",
        "ip6 2001:db8::1>2001:db8::2 / frag6 frag=185 id=0x7 / hex 0011",
        "llc dsap=0xfe / hex 831b",
        "vlan id=4 / arp op=2 spa=10.0.0.1",
        "mpls label=16 ttl=9 / hex 45",
        "ip4 10.0.1.2>10.0.2.2 sum=0x1 / udp 1>2 sum=0x0 / hex 00",
    ];
    for text in texts {
        let frame = bytes(&format!("{ETH} / {text}"));
        let shown = Packet::dissect(&frame).to_string();
        assert_eq!(bytes(&shown), frame, "{text} became {shown}");
        assert!(!shown.contains("len=") && (text.contains("sum=") || !shown.contains("sum=")), "{shown}");
    }
}

#[test]
fn any_bytes_are_shown_as_something_that_builds_them() {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let whole = bytes(&format!(
        "{ETH} / ip4 10.0.1.1>10.0.1.2 opt=01010101 / icmp type=3 / quote 60 / ip6 ::1>::2 / udp 1>2 / payload 90"
    ));
    for _ in 0..3000 {
        let mut frame = whole[..next() as usize % (whole.len() + 1)].to_vec();
        for _ in 0..next() % 6 {
            let (at, byte) = (next() as usize, next() as u8);
            if !frame.is_empty() {
                let len = frame.len();
                frame[at % len] = byte;
            }
        }
        let shown = Packet::dissect(&frame);
        assert_eq!(shown.bytes(), frame);
        assert_eq!(bytes(&shown.to_string()), frame, "{shown}");
    }
}

#[test]
fn open_fields_match_anything_and_what_depends_on_them_must_still_be_right() {
    let pattern =
        Packet::parse(&format!("{ETH} / ip4 10.0.1.2>10.0.2.2 ttl=60..64 id=? / udp ?>5000 / any 4"))
            .unwrap();
    assert!(!pattern.is_closed());
    let came = |ip: &str, rest: &str| bytes(&format!("{ETH} / ip4 10.0.1.2>10.0.2.2 {ip} / {rest}"));
    assert_eq!(pattern.compare(&came("ttl=60 id=7", "udp 9>5000 / hex 01020304")), None);
    let shown = |ip, rest| {
        pattern.compare(&came(ip, rest)).map(|difference| difference.to_string()).unwrap_or_default()
    };
    assert!(shown("ttl=59", "udp 9>5000 / hex 01020304").contains(">> ip4 ttl"), "below the range");
    assert!(shown("ttl=65", "udp 9>5000 / hex 01020304").contains(">> ip4 ttl"), "above the range");
    assert!(shown("ttl=60 sum=wrong", "udp 9>5000 / hex 01020304").contains(">> ip4 sum"));
    assert!(shown("ttl=60", "udp 9>5000 sum=wrong / hex 01020304").contains(">> udp sum"));
    assert!(shown("ttl=60", "udp 9>5001 / hex 01020304").contains(">> udp dport"));
    assert!(shown("ttl=60", "udp 9>5000 / hex 010203").contains(">> frame bytes"));
}

#[test]
fn padding_with_zeros_is_right_up_to_the_least_frame_and_no_other() {
    let pattern = Packet::parse(&format!("{ETH} / ip4 10.0.1.2>10.0.2.2 / udp 1>2")).unwrap();
    let padded = |len: usize, byte| {
        let mut frame = pattern.bytes();
        frame.resize(len, byte);
        pattern.compare(&frame).is_none()
    };
    assert!(padded(42, 0) && padded(60, 0));
    assert!(!padded(60, 1) && !padded(61, 0) && !padded(59, 0) && !padded(41, 0));
}

#[test]
fn a_difference_shows_both_packets_field_by_field() {
    let pattern =
        Packet::parse(&format!("{ETH} / vlan id=7 / ip4 10.0.1.2>10.0.2.2 ttl=63 / udp 1>2 / payload 8"))
            .unwrap();
    let came = bytes(&format!("{ETH} / ip4 10.0.1.2>10.0.2.2 ttl=64 / udp 1>2 / hex 00070e1500000000"));
    let text = pattern.compare(&came).unwrap().to_string();
    let marked: Vec<_> = text.lines().filter(|line| line.contains(">>")).collect();
    for field in ["eth type", "vlan", "ip4 ttl", "ip4 sum", "udp sum", "byte 4 of 8", "frame bytes"] {
        assert!(marked.iter().any(|line| line.contains(field)), "{field} is not marked in\n{text}");
    }
    assert!(text.lines().any(|line| line.contains("udp dport") && !line.contains(">>")), "{text}");
}

#[test]
fn what_is_wrong_is_named() {
    let cases = [
        ("", "empty"),
        ("eth / / ip4", "empty"),
        ("ethernet", "there is no layer 'ethernet'; there are: eth vlan"),
        ("ip4 hop=1", "layer 'ip4': there is no field 'hop'; there are: version"),
        ("ip4 ttl=256", "ttl has 8 bits: 256 does not fit"),
        ("ip4 ttl=x", "ttl: 'x' is no number"),
        ("ip4 ttl", "'ttl' needs a value"),
        ("ip4 ttl=1 ttl=2", "'ttl' stands there twice"),
        ("ip4 ttl=9..3", "9..3 is empty"),
        ("ip4 10.0.0.1", "neither a field nor a pair src>dst"),
        ("ip4 10.0.0.1>10.0.0.300", "dst: '10.0.0.300' is no IPv4 address"),
        ("ip6 ::1>10.0.0.1", "dst: '10.0.0.1' is no IPv6 address"),
        ("eth 2:0:0:0:0:1>02:00:00:00:00:02", "src: '2:0:0:0:0:1' is no Ethernet address"),
        ("ip4 opt=010101", "in words of 4"),
        ("ip6 / dstopts data=01", "data is 6, 14"),
        ("ip4 ttl=wrong", "only a checksum"),
        ("hex 012", "not bytes in hexadecimal"),
        ("payload 70000", "do not fit in a frame"),
        ("cut / ip4", "'cut' needs a number"),
        ("cut 20 / ip4", "'cut' must be the last layer"),
    ];
    for (text, reason) in cases {
        let error = Packet::parse(text).map(|packet| packet.to_string()).expect_err(text).to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}
