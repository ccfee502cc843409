//! The filter and how it reads a frame.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use ze_packet::ethernet::{self, ethertype};
use ze_packet::{ipv4, ipv6};

/// Conditions on a frame; absent ones match everything. All that are present must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// EtherType behind the VLAN tags.
    pub ethertype: Option<u16>,
    /// L4 protocol, behind IPv6 extension headers.
    pub protocol: Option<u8>,
    /// Source prefix.
    pub source: Option<IpNet>,
    /// Destination prefix.
    pub destination: Option<IpNet>,
    /// Prefix of either address.
    pub host: Option<IpNet>,
    /// Source port.
    pub source_port: Option<u16>,
    /// Destination port.
    pub destination_port: Option<u16>,
    /// Either port.
    pub port: Option<u16>,
    /// Outer VLAN number.
    pub vlan: Option<u16>,
}

/// What a filter looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Key {
    ethertype: u16,
    vlan: Option<u16>,
    addresses: Option<(IpAddr, IpAddr)>,
    protocol: Option<u8>,
    ports: Option<(u16, u16)>,
}

/// Extension headers that are looked behind.
const EXTENSION_HEADERS_MAX: usize = 8;

impl Filter {
    /// Does the frame (from L2 on) match? A malformed frame matches only what it visibly carries.
    pub fn matches(&self, frame: &[u8]) -> bool {
        let Some(key) = Key::read(frame) else {
            return *self == Self::default();
        };
        let is = |wanted: Option<u16>, seen| wanted.is_none_or(|w| Some(w) == seen);
        let (source_port, destination_port) = (key.ports.map(|p| p.0), key.ports.map(|p| p.1));
        is(self.ethertype, Some(key.ethertype))
            && is(self.vlan, key.vlan)
            && self.protocol.is_none_or(|w| Some(w) == key.protocol)
            && is(self.source_port, source_port)
            && is(self.destination_port, destination_port)
            && (is(self.port, source_port) || is(self.port, destination_port))
            && self.addresses_match(&key)
    }

    fn addresses_match(&self, key: &Key) -> bool {
        if self.source.is_none() && self.destination.is_none() && self.host.is_none() {
            return true;
        }
        let Some((source, destination)) = key.addresses else {
            return false;
        };
        let within = |net: Option<IpNet>, address| net.is_none_or(|n| n.contains(&address));
        within(self.source, source)
            && within(self.destination, destination)
            && (within(self.host, source) || within(self.host, destination))
    }
}

impl Key {
    fn read(frame: &[u8]) -> Option<Self> {
        let mut key = Self { ethertype: be16(frame, 12)?, ..Self::default() };
        let mut at = ethernet::HEADER_BYTES;
        while ethernet::is_tag(key.ethertype) && at <= ethernet::HEADER_BYTES + ethernet::TAG_BYTES {
            key.vlan = key.vlan.or(Some(be16(frame, at)? & 0x0fff));
            key.ethertype = be16(frame, at + 2)?;
            at += ethernet::TAG_BYTES;
        }
        let packet = frame.get(at..).unwrap_or_default();
        match key.ethertype {
            ethertype::IPV4 => key.read_ip4(packet),
            ethertype::IPV6 => key.read_ip6(packet),
            ethertype::ARP => key.read_arp(packet),
            _ => {}
        }
        Some(key)
    }

    fn read_ip4(&mut self, packet: &[u8]) {
        let Some(header) = packet.first_chunk() else { return };
        let view = ipv4::View(header);
        let address = |raw: u32| IpAddr::V4(Ipv4Addr::from(raw));
        self.addresses = Some((address(view.source()), address(view.destination())));
        self.protocol = Some(view.protocol());
        if view.fragment() & ipv4::OFFSET_MASK == 0 {
            self.read_ports(packet.get(view.header_len_bytes()..).unwrap_or_default());
        }
    }

    fn read_ip6(&mut self, packet: &[u8]) {
        let Some(header) = packet.first_chunk() else { return };
        let view = ipv6::View(header);
        let address = |raw: u128| IpAddr::V6(Ipv6Addr::from(raw));
        self.addresses = Some((address(view.source()), address(view.destination())));
        let (mut kind, mut rest) = (view.next_header(), packet.get(ipv6::HEADER_BYTES..).unwrap_or_default());
        for _ in 0..EXTENSION_HEADERS_MAX {
            let Some((next, len)) = extension(kind, rest) else { break };
            (kind, rest) = (next, rest.get(len..).unwrap_or_default());
        }
        self.protocol = Some(kind);
        self.read_ports(rest);
    }

    fn read_arp(&mut self, packet: &[u8]) {
        if let Ok(message) = ze_packet::arp::Message::decode(packet) {
            self.addresses = Some((message.sender.into(), message.target.into()));
        }
    }

    fn read_ports(&mut self, transport: &[u8]) {
        if matches!(self.protocol, Some(ipv4::protocol::TCP | ipv4::protocol::UDP)) {
            self.ports = be16(transport, 0).zip(be16(transport, 2));
        }
    }
}

/// The next header behind an extension header, and its length; none if `kind` is no extension header.
fn extension(kind: u8, header: &[u8]) -> Option<(u8, usize)> {
    use ipv6::next_header as nh;
    let (&next, &units) = (header.first()?, header.get(1)?);
    match kind {
        nh::HOP_BY_HOP | nh::ROUTING | nh::DESTINATION => Some((next, usize::from(units) * 8 + 8)),
        nh::AUTHENTICATION => Some((next, usize::from(units) * 4 + 8)),
        // Only a first fragment shows what comes after.
        nh::FRAGMENT if be16(header, 2)? & 0xfff8 == 0 => Some((next, 8)),
        _ => None,
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_be_bytes(*b))
}
