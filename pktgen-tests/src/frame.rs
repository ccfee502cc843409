//! Frames for scenarios, made and read without the code under test.
//!
//! Every checksum and length is right unless a test makes it wrong afterwards.

mod arp_nd;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use arp_nd::{arp_reply, arp_request, neighbor_advertisement, neighbor_solicitation};

/// An Ethernet address.
pub type Mac = [u8; 6];

/// All stations.
pub const BROADCAST: Mac = [0xff; 6];
/// EtherType numbers.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub const ETHERTYPE_ARP: u16 = 0x0806;
/// EtherType of IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
/// TPID of a VLAN tag.
pub const ETHERTYPE_VLAN: u16 = 0x8100;
/// Protocol numbers.
pub const ICMP: u8 = 1;
/// Protocol number of TCP.
pub const TCP: u8 = 6;
/// Protocol number of UDP.
pub const UDP: u8 = 17;
/// Protocol number of ICMPv6.
pub const ICMPV6: u8 = 58;
/// Bytes of an Ethernet header.
pub const ETHERNET_BYTES: usize = 14;

/// Where a frame goes and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The destination.
    pub to: Mac,
    /// The source.
    pub from: Mac,
}

impl Link {
    /// The way back.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self { to: self.from, from: self.to }
    }
}

/// An Ethernet frame, not padded.
#[must_use]
pub fn ethernet(link: Link, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&link.to, &link.from, &ethertype.to_be_bytes()[..], payload].concat()
}

/// A frame that carries an IP packet; the version in the packet chooses the EtherType.
#[must_use]
pub fn carry(link: Link, packet: &[u8]) -> Vec<u8> {
    let is_ip6 = packet.first().is_some_and(|first| first >> 4 == 6);
    ethernet(link, if is_ip6 { ETHERTYPE_IPV6 } else { ETHERTYPE_IPV4 }, packet)
}

/// The same frame with a VLAN tag; `tci` is the VLAN number with the priority above it.
#[must_use]
pub fn tagged(frame: &[u8], tci: u16) -> Vec<u8> {
    let (addresses, rest) = frame.split_at(12);
    [addresses, &ETHERTYPE_VLAN.to_be_bytes(), &tci.to_be_bytes(), rest].concat()
}

/// An IPv4 header to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ip4 {
    /// The source.
    pub from: Ipv4Addr,
    /// The destination.
    pub to: Ipv4Addr,
    /// Time to live.
    pub ttl: u8,
    /// What is inside.
    pub protocol: u8,
    /// Type of service.
    pub tos: u8,
    /// Identification.
    pub id: u16,
    /// Flags and fragment offset, as they are in the header.
    pub fragment: u16,
    /// Options; a multiple of 4 bytes.
    pub options: Vec<u8>,
}

/// "Don't fragment".
pub const DONT_FRAGMENT: u16 = 0x4000;
/// "More fragments".
pub const MORE_FRAGMENTS: u16 = 0x2000;

impl Ip4 {
    /// A plain header for UDP with TTL 64 that forbids fragmentation.
    #[must_use]
    pub fn new(from: Ipv4Addr, to: Ipv4Addr) -> Self {
        let (ttl, protocol, fragment) = (64, UDP, DONT_FRAGMENT);
        Self { from, to, ttl, protocol, tos: 0, id: 0x1234, fragment, options: Vec::new() }
    }

    /// The packet with this header.
    #[must_use]
    pub fn packet(&self, payload: &[u8]) -> Vec<u8> {
        let header_bytes = 20 + self.options.len();
        let mut packet = vec![0x40 | (header_bytes / 4) as u8, self.tos];
        packet.extend(((header_bytes + payload.len()) as u16).to_be_bytes());
        packet.extend(self.id.to_be_bytes());
        packet.extend(self.fragment.to_be_bytes());
        packet.extend([self.ttl, self.protocol, 0, 0]);
        packet.extend(self.from.octets());
        packet.extend(self.to.octets());
        packet.extend(&self.options);
        fix_header_checksum(&mut packet);
        packet.extend(payload);
        packet
    }

    /// The packet with UDP inside.
    #[must_use]
    pub fn udp(&self, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
        let udp = udp(self.from.into(), self.to.into(), ports, payload);
        Self { protocol: UDP, ..self.clone() }.packet(&udp)
    }

    /// The packet with an ICMP message inside.
    #[must_use]
    pub fn icmp(&self, kind: u8, code: u8, rest: [u8; 4], payload: &[u8]) -> Vec<u8> {
        let mut message = [&[kind, code, 0, 0], &rest[..], payload].concat();
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        Self { protocol: ICMP, ..self.clone() }.packet(&message)
    }
}

/// An IPv6 header to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip6 {
    /// The source.
    pub from: Ipv6Addr,
    /// The destination.
    pub to: Ipv6Addr,
    /// Hop limit.
    pub hop_limit: u8,
    /// What is inside.
    pub next_header: u8,
}

impl Ip6 {
    /// A plain header for UDP with hop limit 64.
    #[must_use]
    pub const fn new(from: Ipv6Addr, to: Ipv6Addr) -> Self {
        Self { from, to, hop_limit: 64, next_header: UDP }
    }

    /// The packet with this header.
    #[must_use]
    pub fn packet(&self, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend((payload.len() as u16).to_be_bytes());
        packet.extend([self.next_header, self.hop_limit]);
        packet.extend(self.from.octets());
        packet.extend(self.to.octets());
        packet.extend(payload);
        packet
    }

    /// The packet with UDP inside.
    #[must_use]
    pub fn udp(&self, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
        let udp = udp(self.from.into(), self.to.into(), ports, payload);
        Self { next_header: UDP, ..*self }.packet(&udp)
    }

    /// The packet with an ICMPv6 message inside.
    #[must_use]
    pub fn icmp(&self, kind: u8, code: u8, rest: [u8; 4], payload: &[u8]) -> Vec<u8> {
        let mut message = [&[kind, code, 0, 0], &rest[..], payload].concat();
        let sum = transport_checksum(self.from.into(), self.to.into(), ICMPV6, &message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        Self { next_header: ICMPV6, ..*self }.packet(&message)
    }
}

/// A UDP datagram with its checksum.
#[must_use]
pub fn udp(from: IpAddr, to: IpAddr, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    let mut datagram = Vec::with_capacity(payload.len() + 8);
    for word in [ports.0, ports.1, length, 0] {
        datagram.extend(word.to_be_bytes());
    }
    datagram.extend(payload);
    let sum = transport_checksum(from, to, UDP, &datagram);
    // RFC 768: zero means "none", so zero is sent as all ones.
    let sum = if sum == 0 { 0xffff } else { sum };
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    datagram
}

/// The checksum of a message under its pseudo-header (RFC 793 §3.1, RFC 8200 §8.1); the field counts as zero.
#[must_use]
pub fn transport_checksum(from: IpAddr, to: IpAddr, protocol: u8, message: &[u8]) -> u16 {
    let bytes = |address: IpAddr| match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let length = (message.len() as u32).to_be_bytes();
    checksum(&[&bytes(from)[..], &bytes(to), &length, &[0, 0, 0, protocol], message].concat())
}

/// The Internet checksum of bytes (RFC 1071).
#[must_use]
pub fn checksum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from);
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Writes the right header checksum into an IPv4 packet, after its header was changed.
pub fn fix_header_checksum(packet: &mut [u8]) {
    let header_bytes = usize::from(packet[0] & 0xf) * 4;
    packet[10..12].fill(0);
    let sum = checksum(&packet[..header_bytes]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// The packet one hop on: TTL or hop limit less one, the checksum right again.
#[must_use]
pub fn one_hop_on(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if packet[0] >> 4 == 6 {
        packet[7] -= 1;
    } else {
        packet[8] -= 1;
        fix_header_checksum(&mut packet);
    }
    packet
}

/// Bytes that differ from place to place, for payloads.
#[must_use]
pub fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 256) as u8).collect()
}

#[cfg(test)]
mod tests;
