use super::*;

const A: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const B: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);

#[test]
fn the_checksum_is_that_of_the_rfc() {
    // RFC 1071 §3, the example's sum is ddf2.
    assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    assert_eq!(checksum(&[0xff]), !0xff00);
}

#[test]
fn a_packet_checks_out_and_says_its_length() {
    let packet = Ip4 { options: vec![1; 4], ..Ip4::new(A, B) }.udp((5, 6), b"hello");
    assert_eq!((packet[0], packet.len()), (0x46, 24 + 8 + 5));
    assert_eq!(checksum(&packet[..24]), 0);
    assert_eq!(u16::from_be_bytes([packet[2], packet[3]]), packet.len() as u16);
    assert_eq!(transport_checksum(A.into(), B.into(), UDP, &packet[24..]), 0);
    let (a, b) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
    let packet = Ip6::new(a, b).icmp(128, 0, [1, 2, 3, 4], b"odd");
    assert_eq!(transport_checksum(a.into(), b.into(), ICMPV6, &packet[40..]), 0);
}

#[test]
fn a_hop_takes_one_from_the_ttl_and_keeps_the_checksum_right() {
    let packet = Ip4::new(A, B).udp((5, 6), b"x");
    let next = one_hop_on(&packet);
    assert_eq!((next[8], checksum(&next[..20])), (63, 0));
    assert_eq!(packet[12..], next[12..]);
}

#[test]
fn a_tag_goes_between_the_addresses_and_the_type() {
    let link = Link { to: [1; 6], from: [2; 6] };
    let frame = tagged(&ethernet(link, 0x0800, b"x"), 100);
    assert_eq!(frame[12..19], [0x81, 0, 0, 100, 8, 0, b'x']);
}
