use super::*;

const SNMP: &str = "\
Ip: Forwarding DefaultTTL ForwDatagrams
Ip: 1 64 4711
IcmpMsg: InType3
IcmpMsg: 9
Tcp: RtoAlgorithm RetransSegs
Tcp: 1 18446744073709551615
";

#[test]
fn a_value_is_found_under_its_name_in_the_snmp_table() {
    assert_eq!(snmp_value(SNMP, "Ip:", "ForwDatagrams"), Some(4711));
    assert_eq!(snmp_value(SNMP, "Tcp:", "RetransSegs"), Some(u64::MAX));
    assert_eq!(snmp_value(SNMP, "Tcp:", "ForwDatagrams"), None);
    assert_eq!(snmp_value("", "Ip:", "ForwDatagrams"), None);
}

#[test]
fn counters_are_those_of_the_device_with_the_whole_name() {
    let table = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier
 eth01: 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9
  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
   cut: 1 2 3
";
    let expected = LinkCounters {
        rx_bytes: 1,
        rx_packets: 2,
        rx_dropped: 4,
        tx_bytes: 9,
        tx_packets: 10,
        tx_dropped: 12,
    };
    assert_eq!(parse_link_counters(table, "eth0"), Some(expected));
    assert_eq!(parse_link_counters(table, "eth"), None);
    assert_eq!(parse_link_counters(table, "cut"), None);
}
