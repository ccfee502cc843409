//! IPv6 headers, RFC 8200.

use std::net::Ipv6Addr;

/// Bytes of the fixed header.
pub const HEADER_BYTES: usize = 40;
/// The MTU that every IPv6 link has at least, RFC 8200 §5.
pub const MIN_MTU_BYTES: usize = 1280;

/// Next-header numbers that are extension headers, RFC 8200 §4.1.
pub mod next_header {
    /// Hop-by-hop options.
    pub const HOP_BY_HOP: u8 = 0;
    /// Routing.
    pub const ROUTING: u8 = 43;
    /// Fragment.
    pub const FRAGMENT: u8 = 44;
    /// Encapsulating security payload: what follows cannot be read.
    pub const ESP: u8 = 50;
    /// Authentication header.
    pub const AUTHENTICATION: u8 = 51;
    /// No next header.
    pub const NONE: u8 = 59;
    /// Destination options.
    pub const DESTINATION: u8 = 60;
    /// ICMPv6.
    pub const ICMPV6: u8 = 58;
}

/// A view of the fixed header. Fields are read when asked for.
#[derive(Clone, Copy, Debug)]
pub struct View<'a>(pub &'a [u8; HEADER_BYTES]);

impl View<'_> {
    /// Version; 6 in a right header.
    #[inline]
    pub const fn version(&self) -> u8 {
        self.0[0] >> 4
    }
    /// Bytes after the fixed header.
    #[inline]
    pub const fn payload_len_bytes(&self) -> u16 {
        u16::from_be_bytes([self.0[4], self.0[5]])
    }
    /// The type of what follows the fixed header.
    #[inline]
    pub const fn next_header(&self) -> u8 {
        self.0[6]
    }
    /// Hop limit.
    #[inline]
    pub const fn hop_limit(&self) -> u8 {
        self.0[7]
    }
    /// Source address, host order.
    #[inline]
    pub fn source(&self) -> u128 {
        let mut out = [0; 16];
        out.copy_from_slice(&self.0[8..24]);
        u128::from_be_bytes(out)
    }
    /// Destination address, host order.
    #[inline]
    pub fn destination(&self) -> u128 {
        let mut out = [0; 16];
        out.copy_from_slice(&self.0[24..40]);
        u128::from_be_bytes(out)
    }
}

/// What `to_bytes` writes: a fixed header.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// Flow label, 20 bits.
    pub flow_label: u32,
    /// Bytes after the fixed header.
    pub payload_len_bytes: u16,
    /// The type of what follows.
    pub next_header: u8,
    /// Hop limit.
    pub hop_limit: u8,
    /// Source address.
    pub source: Ipv6Addr,
    /// Destination address.
    pub destination: Ipv6Addr,
}

impl Header {
    /// The header's bytes.
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        let first = 6 << 28 | u32::from(self.traffic_class) << 20 | (self.flow_label & 0xf_ffff);
        out[0..4].copy_from_slice(&first.to_be_bytes());
        out[4..6].copy_from_slice(&self.payload_len_bytes.to_be_bytes());
        out[6] = self.next_header;
        out[7] = self.hop_limit;
        out[8..24].copy_from_slice(&self.source.octets());
        out[24..40].copy_from_slice(&self.destination.octets());
        out
    }
}

/// Multicast, ff00::/8.
#[inline]
pub const fn is_multicast(address: u128) -> bool {
    address >> 120 == 0xff
}
/// Link-local unicast, fe80::/10. RFC 4291 §2.5.6: never forwarded.
#[inline]
pub const fn is_link_local(address: u128) -> bool {
    address >> 118 == 0xfe80 >> 6
}
/// Unspecified or loopback, RFC 4291 §2.5.2 and §2.5.3: never on a wire.
#[inline]
pub const fn is_unspecified_or_loopback(address: u128) -> bool {
    address <= 1
}
/// A source no forwarded packet may carry: multicast, unspecified, loopback, IPv4-mapped.
#[inline]
pub const fn is_martian_source(address: u128) -> bool {
    is_multicast(address) || is_unspecified_or_loopback(address) || is_ipv4_mapped(address)
}
/// A destination no router forwards to: unspecified, loopback, IPv4-mapped (RFC 4291 §2.5.5.2).
#[inline]
pub const fn is_martian_destination(address: u128) -> bool {
    is_unspecified_or_loopback(address) || is_ipv4_mapped(address)
}
#[inline]
const fn is_ipv4_mapped(address: u128) -> bool {
    address >> 32 == 0xffff
}

/// The solicited-node multicast group of an address, RFC 4291 §2.7.1.
pub const fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | a as u16, u16::from_be_bytes([b, c]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emitted_header_reads_back() {
        let header = Header {
            traffic_class: 0xb8,
            flow_label: 0xabcde,
            payload_len_bytes: 20,
            next_header: 6,
            hop_limit: 64,
            source: "2001:db8::1".parse().unwrap(),
            destination: "2001:db8:1::2".parse().unwrap(),
        };
        let bytes = header.to_bytes();
        let view = View(&bytes);
        assert_eq!((view.version(), view.payload_len_bytes()), (6, 20));
        assert_eq!((view.next_header(), view.hop_limit()), (6, 64));
        assert_eq!(Ipv6Addr::from(view.source()), header.source);
        assert_eq!(Ipv6Addr::from(view.destination()), header.destination);
        assert_eq!(bytes[..4], [0x6b, 0x8a, 0xbc, 0xde]);
    }

    #[test]
    fn scopes_are_those_of_rfc_4291() {
        let ip = |text: &str| u128::from(text.parse::<Ipv6Addr>().unwrap());
        assert!(is_multicast(ip("ff02::1")) && !is_multicast(ip("fe80::1")));
        assert!(
            is_link_local(ip("fe80::1")) && is_link_local(ip("febf::1")) && !is_link_local(ip("fec0::1"))
        );
        for martian in ["::", "::1", "::ffff:192.0.2.1", "ff02::1"] {
            assert!(is_martian_source(ip(martian)), "{martian}");
        }
        assert!(!is_martian_source(ip("2001:db8::1")) && !is_martian_destination(ip("ff02::1")));
        let node = solicited_node("2001:db8::28:9c5a".parse().unwrap());
        assert_eq!(node, "ff02::1:ff28:9c5a".parse::<Ipv6Addr>().unwrap());
    }
}
