//! IPv4 headers, RFC 791.

use std::net::Ipv4Addr;

use crate::checksum;

/// Bytes of a header without options.
pub const HEADER_BYTES: usize = 20;
/// "Don't fragment", in host order of the flags-and-offset word.
pub const DONT_FRAGMENT: u16 = 0x4000;
/// "More fragments".
pub const MORE_FRAGMENTS: u16 = 0x2000;
/// The fragment offset, in 8-byte units.
pub const OFFSET_MASK: u16 = 0x1fff;

/// Protocol numbers, IANA.
pub mod protocol {
    /// ICMP, RFC 792.
    pub const ICMP: u8 = 1;
    /// IGMP, RFC 3376.
    pub const IGMP: u8 = 2;
    /// TCP, RFC 9293.
    pub const TCP: u8 = 6;
    /// UDP, RFC 768.
    pub const UDP: u8 = 17;
    /// ICMPv6, RFC 4443.
    pub const ICMPV6: u8 = 58;
    /// OSPF, RFC 2328.
    pub const OSPF: u8 = 89;
    /// PIM, RFC 7761.
    pub const PIM: u8 = 103;
    /// VRRP, RFC 9568.
    pub const VRRP: u8 = 112;
}

/// A view of the first twenty bytes of a header. Fields are read when asked for.
#[derive(Clone, Copy, Debug)]
pub struct View<'a>(pub &'a [u8; HEADER_BYTES]);

impl View<'_> {
    /// Version; 4 in a right header.
    #[inline]
    pub const fn version(&self) -> u8 {
        self.0[0] >> 4
    }
    /// Header length in bytes, with options. Below 20 is malformed.
    #[inline]
    pub const fn header_len_bytes(&self) -> usize {
        (self.0[0] & 0x0f) as usize * 4
    }
    /// DSCP and ECN.
    #[inline]
    pub const fn traffic_class(&self) -> u8 {
        self.0[1]
    }
    /// Total length in bytes.
    #[inline]
    pub const fn total_len_bytes(&self) -> u16 {
        u16::from_be_bytes([self.0[2], self.0[3]])
    }
    /// Identification.
    #[inline]
    pub const fn identification(&self) -> u16 {
        u16::from_be_bytes([self.0[4], self.0[5]])
    }
    /// Flags and fragment offset, as one word.
    #[inline]
    pub const fn fragment(&self) -> u16 {
        u16::from_be_bytes([self.0[6], self.0[7]])
    }
    /// Time to live.
    #[inline]
    pub const fn ttl(&self) -> u8 {
        self.0[8]
    }
    /// Protocol of the payload.
    #[inline]
    pub const fn protocol(&self) -> u8 {
        self.0[9]
    }
    /// Source address, host order.
    #[inline]
    pub const fn source(&self) -> u32 {
        u32::from_be_bytes([self.0[12], self.0[13], self.0[14], self.0[15]])
    }
    /// Destination address, host order.
    #[inline]
    pub const fn destination(&self) -> u32 {
        u32::from_be_bytes([self.0[16], self.0[17], self.0[18], self.0[19]])
    }
}

/// What `emit` writes: a header without options.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// Header and payload, in bytes.
    pub total_len_bytes: u16,
    /// Identification; RFC 6864 lets it be 0 in atomic datagrams.
    pub identification: u16,
    /// Flags and fragment offset.
    pub fragment: u16,
    /// Time to live.
    pub ttl: u8,
    /// Protocol of the payload.
    pub protocol: u8,
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
}

impl Header {
    /// The header's bytes, with its checksum.
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[0] = 0x45;
        out[1] = self.traffic_class;
        out[2..4].copy_from_slice(&self.total_len_bytes.to_be_bytes());
        out[4..6].copy_from_slice(&self.identification.to_be_bytes());
        out[6..8].copy_from_slice(&self.fragment.to_be_bytes());
        out[8] = self.ttl;
        out[9] = self.protocol;
        out[12..16].copy_from_slice(&self.source.octets());
        out[16..20].copy_from_slice(&self.destination.octets());
        let sum = checksum::of(&out).to_be_bytes();
        out[10..12].copy_from_slice(&sum);
        out
    }
}

/// Is this address one that no packet on the wire may carry as its source (RFC 1812 §5.3.7, RFC 6890)?
/// Loopback, "this network", multicast, class E and the limited broadcast.
#[inline]
pub const fn is_martian_source(address: u32) -> bool {
    let first = address >> 24;
    first == 0 || first == 127 || first >= 224
}

/// Is this address one that a router never forwards to (RFC 1812 §5.3.7)? Multicast is not decided here.
#[inline]
pub const fn is_martian_destination(address: u32) -> bool {
    let first = address >> 24;
    first == 0 || first == 127 || first >= 240
}

/// Is this a multicast group, 224/4?
#[inline]
pub const fn is_multicast(address: u32) -> bool {
    address >> 28 == 0xe
}
/// Is this link-local, 169.254/16? RFC 3927 §2.7: never forwarded.
#[inline]
pub const fn is_link_local(address: u32) -> bool {
    address >> 16 == 0xa9fe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emitted_header_reads_back_and_its_checksum_is_right() {
        let header = Header {
            traffic_class: 0xb8,
            total_len_bytes: 1500,
            identification: 0x1234,
            fragment: DONT_FRAGMENT,
            ttl: 63,
            protocol: protocol::UDP,
            source: Ipv4Addr::new(192, 0, 2, 1),
            destination: Ipv4Addr::new(198, 51, 100, 2),
        };
        let bytes = header.to_bytes();
        let view = View(&bytes);
        assert!(checksum::ipv4_header_is_right(&bytes));
        assert_eq!((view.version(), view.header_len_bytes(), view.ttl()), (4, 20, 63));
        assert_eq!((view.total_len_bytes(), view.identification()), (1500, 0x1234));
        assert_eq!((view.fragment(), view.protocol()), (DONT_FRAGMENT, 17));
        assert_eq!((view.source(), view.destination()), (0xc000_0201, 0xc633_6402));
        assert_eq!(view.traffic_class(), 0xb8);
    }

    #[test]
    fn martians_are_the_blocks_of_rfc_1812() {
        let ip = |text: &str| u32::from(text.parse::<Ipv4Addr>().unwrap());
        for martian in ["0.0.0.1", "127.0.0.1", "224.0.0.5", "240.0.0.1", "255.255.255.255"] {
            assert!(is_martian_source(ip(martian)), "{martian}");
        }
        for fine in ["1.0.0.1", "10.0.0.1", "126.255.255.255", "128.0.0.1", "223.255.255.255"] {
            assert!(!is_martian_source(ip(fine)) && !is_martian_destination(ip(fine)), "{fine}");
        }
        assert!(is_multicast(ip("224.0.0.5")) && !is_multicast(ip("223.255.255.255")));
        assert!(is_link_local(ip("169.254.1.1")) && !is_link_local(ip("169.253.1.1")));
    }
}
