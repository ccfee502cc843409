use super::*;

#[test]
fn the_checksum_is_that_of_rfc_1071() {
    // The example of RFC 1071 §3: the sum is ddf2.
    assert_eq!(internet_checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    // An odd byte counts as the high half of a word.
    assert_eq!(internet_checksum(&[0x01]), !0x0100);
    let request = echo_request(false, 0x1234, 7, 33);
    assert_eq!(internet_checksum(&request), 0, "a message with its checksum sums up to nothing");
}

#[test]
fn only_an_answer_to_us_is_taken() {
    let answer = |ipv6, kind, identifier| {
        let mut message = echo_request(ipv6, identifier, 258, 4);
        message[0] = kind;
        if ipv6 { message } else { [[0x46_u8; 1].as_slice(), &[0; 23], &message].concat() }
    };
    for (ipv6, reply, request) in
        [(false, ICMP4_ECHO_REPLY, ICMP4_ECHO), (true, ICMP6_ECHO_REPLY, ICMP6_ECHO)]
    {
        let expected = pattern(258, 4);
        assert_eq!(parse_echo_reply(ipv6, 9, &answer(ipv6, reply, 9)), Some((258, expected.as_slice())));
        assert_eq!(parse_echo_reply(ipv6, 9, &answer(ipv6, reply, 8)), None, "another's");
        assert_eq!(parse_echo_reply(ipv6, 9, &answer(ipv6, request, 9)), None, "a request");
        let whole = answer(ipv6, reply, 9);
        for length in 0..whole.len() - 4 {
            assert_eq!(parse_echo_reply(ipv6, 9, &whole[..length]), None, "cut to {length}");
        }
    }
}

#[test]
fn the_report_has_the_extremes_and_the_mean() {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
    let mut pinger = Pinger::new(socket, false, PingOptions::default());
    pinger.round_trips = [1, 2, 6].map(Duration::from_millis).to_vec();
    let [min, average, max] = [1, 3, 6].map(Duration::from_millis);
    assert_eq!(pinger.report().round_trip, Some(RoundTrip { min, average, max }));
}
