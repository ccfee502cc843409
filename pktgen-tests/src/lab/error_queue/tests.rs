use super::*;

fn report(ipv6: bool, icmp_type: u8, icmp_code: u8, errno: i32) -> IcmpReport {
    let from = Some(Ipv4Addr::LOCALHOST.into());
    IcmpReport { from, ipv6, icmp_type, icmp_code, mtu_bytes: None, errno }
}

#[test]
fn each_message_is_known_by_the_numbers_of_its_family() {
    // Type 3 is unreachable in one family, and time exceeded in the other.
    let cases = [
        (report(false, 11, 0, libc::EHOSTUNREACH), (true, false, false)),
        (report(false, 3, 3, libc::ECONNREFUSED), (false, true, false)),
        (report(false, 3, 4, libc::EMSGSIZE), (false, false, true)),
        (report(true, 3, 0, libc::EHOSTUNREACH), (true, false, false)),
        (report(true, 1, 4, libc::ECONNREFUSED), (false, true, false)),
        (report(true, 2, 0, libc::EMSGSIZE), (false, false, true)),
        (report(false, 3, 1, libc::EHOSTUNREACH), (false, false, false)),
    ];
    for (report, expected) in cases {
        let found = (report.is_time_exceeded(), report.is_port_unreachable(), report.is_too_big());
        assert_eq!(found, expected, "{report:?}");
    }
}

#[test]
fn what_this_host_refused_is_nobodys_message() {
    let local = IcmpReport { from: None, ..report(false, 0, 0, libc::EMSGSIZE) };
    assert!(local.is_too_big());
    let local = IcmpReport { from: None, ..report(true, 3, 0, libc::EHOSTUNREACH) };
    assert!(!local.is_time_exceeded() && !local.is_port_unreachable());
}
