//! Ethernet II, IEEE 802.3 length frames, and VLAN tags.

use crate::MacAddr;

/// Bytes of an untagged Ethernet header.
pub const HEADER_BYTES: usize = 14;
/// Bytes of one VLAN tag.
pub const TAG_BYTES: usize = 4;
/// The smallest frame without its FCS (IEEE 802.3 §3.2.8); shorter ones are padded on the wire.
pub const MIN_FRAME_BYTES: usize = 60;
/// Values below this are an IEEE 802.3 length, not an EtherType (IEEE 802.3 §3.2.6).
pub const FIRST_ETHERTYPE: u16 = 0x0600;

/// The EtherTypes we know (IEEE registry).
pub mod ethertype {
    /// IPv4, RFC 894.
    pub const IPV4: u16 = 0x0800;
    /// ARP, RFC 826.
    pub const ARP: u16 = 0x0806;
    /// Customer VLAN tag, IEEE 802.1Q.
    pub const VLAN: u16 = 0x8100;
    /// IPv6, RFC 2464.
    pub const IPV6: u16 = 0x86dd;
    /// Service VLAN tag, IEEE 802.1ad.
    pub const SERVICE_VLAN: u16 = 0x88a8;
    /// The old QinQ tag of some vendors.
    pub const OLD_QINQ: u16 = 0x9100;
}

/// Writes an untagged Ethernet header.
pub fn emit(out: &mut [u8; HEADER_BYTES], destination: MacAddr, source: MacAddr, ethertype: u16) {
    let [d0, d1, d2, d3, d4, d5] = destination.0;
    let [s0, s1, s2, s3, s4, s5] = source.0;
    let [e0, e1] = ethertype.to_be_bytes();
    *out = [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, e0, e1];
}

/// Is this EtherType a VLAN tag's?
#[inline]
pub const fn is_tag(ethertype: u16) -> bool {
    matches!(ethertype, ethertype::VLAN | ethertype::SERVICE_VLAN | ethertype::OLD_QINQ)
}
