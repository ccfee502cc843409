use super::*;

fn auxiliary_bytes(status: u32, tci: u16, tpid: u16) -> Vec<u8> {
    let words = [status, 60, 60].map(u32::to_ne_bytes).concat();
    let halves = [0, 14, tci, tpid].map(u16::to_ne_bytes).concat();
    [words, halves].concat()
}

#[test]
fn the_auxiliary_data_has_the_layout_of_the_kernel() {
    assert_eq!(auxiliary_bytes(0, 0, 0).len(), size_of::<libc::tpacket_auxdata>());
    let parse = |status| Auxiliary::parse_bytes(&auxiliary_bytes(status, 100, 0x8100)).expect("long enough");
    assert_eq!(parse(libc::TP_STATUS_VLAN_VALID).vlan, Some((0x8100, 100)));
    assert_eq!(parse(0).vlan, None, "the fields mean nothing without the flag");
    assert!(parse(libc::TP_STATUS_CSUMNOTREADY).checksum_pending);
    assert!(!parse(libc::TP_STATUS_VLAN_VALID).checksum_pending);
    assert!(Auxiliary::parse_bytes(&[0; 19]).is_none());
}

#[test]
fn a_tag_goes_back_between_the_addresses_and_the_type() {
    let frame: Vec<u8> = (0..20).collect();
    let tagged = Auxiliary { vlan: Some((0x88a8, 0x2064)), checksum_pending: true };
    let rebuilt = rebuild(&frame, tagged);
    assert_eq!(rebuilt.bytes, [&frame[..12], &[0x88, 0xa8, 0x20, 0x64], &frame[12..]].concat());
    assert!(rebuilt.checksum_pending);
    assert_eq!(rebuild(&frame, Auxiliary::default()).bytes, frame);
    assert_eq!(rebuild(&frame[..11], tagged).bytes, frame[..11], "no place for a tag");
}
