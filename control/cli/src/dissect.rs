//! A packet's headers, a line of them: `Ethernet a > b · IPv4 c > d ttl 64 · UDP 1234 > 53 len 8`.
//!
//! The bytes may be cut anywhere (a trace keeps the first of them) and may be wrong; what can not be read is not said.

mod icmp;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, Ipv6Addr};

use ze_packet::ethernet::{self, ethertype};
use ze_packet::ipv4::{self, protocol};
use ze_packet::ipv6::{self, next_header};
use ze_packet::{MacAddr, arp};

/// Extension headers that are looked behind; more are an attack, not a packet.
const EXTENSION_HEADERS_MAX: usize = 8;
/// VLAN tags that are looked behind.
const TAGS_MAX: usize = 4;

/// The headers of a frame, from L2 on, one text a header.
pub fn layers(frame: &[u8]) -> Vec<String> {
    let mut layers = Vec::new();
    link(frame, &mut layers);
    layers
}

fn link(frame: &[u8], out: &mut Vec<String>) {
    let (Some(destination), Some(source), Some(mut kind)) = (mac(frame, 0), mac(frame, 6), be16(frame, 12))
    else {
        out.push(format!("runt of {} bytes", frame.len()));
        return;
    };
    out.push(format!("Ethernet {source} > {destination}"));
    let mut at = ethernet::HEADER_BYTES;
    for _ in 0..TAGS_MAX {
        let (true, Some(tag), Some(next)) = (ethernet::is_tag(kind), be16(frame, at), be16(frame, at + 2))
        else {
            break;
        };
        let priority = if tag >> 13 > 0 { format!(" priority {}", tag >> 13) } else { String::new() };
        out.push(format!("VLAN {}{priority}", tag & 0x0fff));
        (kind, at) = (next, at + ethernet::TAG_BYTES);
    }
    let payload = frame.get(at..).unwrap_or_default();
    match kind {
        ethertype::IPV4 => ip4(payload, out),
        ethertype::IPV6 => ip6(payload, out),
        ethertype::ARP => out.push(arp_text(payload)),
        0..ethernet::FIRST_ETHERTYPE => out.push(llc(kind, payload)),
        _ => out.push(format!("EtherType 0x{kind:04x}")),
    }
}

/// IEEE 802.2: the type field was a length.
fn llc(len: u16, payload: &[u8]) -> String {
    match payload {
        [0xfe, 0xfe, ..] => format!("LLC IS-IS len {len}"),
        [0x42, 0x42, ..] => format!("LLC STP len {len}"),
        [dsap, ssap, ..] => format!("LLC {ssap:02x} > {dsap:02x} len {len}"),
        _ => format!("LLC len {len}"),
    }
}

fn arp_text(payload: &[u8]) -> String {
    let message = match arp::Message::decode(payload) {
        Ok(message) => message,
        Err(error) => return error.to_string(),
    };
    let arp::Message { sender, sender_mac, target, .. } = message;
    match message.operation {
        arp::Operation::Request if sender == target => format!("ARP announces {sender} at {sender_mac}"),
        arp::Operation::Request if sender.is_unspecified() => format!("ARP probes for {target}"),
        arp::Operation::Request => format!("ARP who has {target}? tell {sender}"),
        arp::Operation::Reply => format!("ARP {sender} is at {sender_mac}"),
    }
}

fn ip4(packet: &[u8], out: &mut Vec<String>) {
    let Some(header) = packet.first_chunk() else {
        out.push(format!("IPv4 cut after {} bytes", packet.len()));
        return;
    };
    let view = ipv4::View(header);
    if view.version() != 4 || view.header_len_bytes() < ipv4::HEADER_BYTES {
        out.push(format!(
            "IPv4 malformed: version {}, header of {} bytes",
            view.version(),
            view.header_len_bytes()
        ));
        return;
    }
    let (source, destination) = (Ipv4Addr::from(view.source()), Ipv4Addr::from(view.destination()));
    let mut text = format!("IPv4 {source} > {destination} ttl {} len {}", view.ttl(), view.total_len_bytes());
    if view.traffic_class() != 0 {
        text += &format!(" tos 0x{:02x}", view.traffic_class());
    }
    if view.fragment() & ipv4::DONT_FRAGMENT != 0 {
        text += " DF";
    }
    if view.header_len_bytes() > ipv4::HEADER_BYTES {
        text += &format!(" options {}", view.header_len_bytes() - ipv4::HEADER_BYTES);
    }
    let offset = usize::from(view.fragment() & ipv4::OFFSET_MASK) * 8;
    let more = view.fragment() & ipv4::MORE_FRAGMENTS != 0;
    text += &fragment(offset, more, view.identification().into());
    out.push(text);
    transport(view.protocol(), packet.get(view.header_len_bytes()..).unwrap_or_default(), offset, out);
}

fn ip6(packet: &[u8], out: &mut Vec<String>) {
    let Some(header) = packet.first_chunk() else {
        out.push(format!("IPv6 cut after {} bytes", packet.len()));
        return;
    };
    let view = ipv6::View(header);
    if view.version() != 6 {
        out.push(format!("IPv6 malformed: version {}", view.version()));
        return;
    }
    let (source, destination) = (Ipv6Addr::from(view.source()), Ipv6Addr::from(view.destination()));
    out.push(format!(
        "IPv6 {source} > {destination} hop limit {} len {}",
        view.hop_limit(),
        view.payload_len_bytes()
    ));
    let (mut kind, mut rest, mut offset) =
        (view.next_header(), packet.get(ipv6::HEADER_BYTES..).unwrap_or_default(), 0);
    for _ in 0..EXTENSION_HEADERS_MAX {
        let Some((text, next, len)) = extension(kind, rest, &mut offset) else { break };
        out.push(text);
        (kind, rest) = (next, rest.get(len..).unwrap_or_default());
        if offset > 0 {
            break;
        }
    }
    transport(kind, rest, offset, out);
}

/// What an extension header is, what comes behind it, and its length.
fn extension(kind: u8, header: &[u8], offset: &mut usize) -> Option<(String, u8, usize)> {
    let [next, units, ..] = *header else { return None };
    let len = usize::from(units) * 8 + 8;
    match kind {
        next_header::HOP_BY_HOP => Some(("hop-by-hop options".to_owned(), next, len)),
        next_header::DESTINATION => Some(("destination options".to_owned(), next, len)),
        next_header::ROUTING => Some((format!("routing header type {}", header.get(2)?), next, len)),
        // RFC 4302 §2.2: in units of 4 bytes, minus 2.
        next_header::AUTHENTICATION => Some(("AH".to_owned(), next, usize::from(units) * 4 + 8)),
        next_header::FRAGMENT => {
            let word = be16(header, 2)?;
            *offset = usize::from(word & 0xfff8);
            Some((fragment(*offset, word & 1 == 1, be32(header, 4)?).trim_start().to_owned(), next, 8))
        }
        _ => None,
    }
}

fn fragment(offset: usize, more: bool, id: u32) -> String {
    if offset == 0 && !more {
        String::new()
    } else {
        format!(" fragment {id} at {offset}{}", if more { "+" } else { "" })
    }
}

fn transport(kind: u8, bytes: &[u8], offset: usize, out: &mut Vec<String>) {
    let name = protocol_name(kind);
    if offset > 0 {
        // Only the first fragment has the header.
        out.extend(name.map(|name| format!("{name} (further fragment)")));
        return;
    }
    let text = match kind {
        protocol::TCP => tcp(bytes),
        protocol::UDP => udp(bytes),
        protocol::ICMP => icmp::v4(bytes),
        protocol::ICMPV6 => icmp::v6(bytes),
        _ => None,
    };
    out.push(text.or_else(|| name.map(str::to_owned)).unwrap_or_else(|| format!("protocol {kind}")));
}

fn protocol_name(kind: u8) -> Option<&'static str> {
    match kind {
        protocol::TCP => Some("TCP"),
        protocol::UDP => Some("UDP"),
        protocol::ICMP => Some("ICMP"),
        protocol::ICMPV6 => Some("ICMPv6"),
        protocol::IGMP => Some("IGMP"),
        protocol::OSPF => Some("OSPF"),
        protocol::PIM => Some("PIM"),
        protocol::VRRP => Some("VRRP"),
        next_header::ESP => Some("ESP"),
        next_header::NONE => Some("no next header"),
        _ => None,
    }
}

fn tcp(bytes: &[u8]) -> Option<String> {
    let (source, destination) = (be16(bytes, 0)?, be16(bytes, 2)?);
    let (Some(seq), Some(ack), Some(flags), Some(window)) =
        (be32(bytes, 4), be32(bytes, 8), bytes.get(13), be16(bytes, 14))
    else {
        return Some(format!("TCP {source} > {destination}"));
    };
    // RFC 9293 §3.1, from the lowest bit.
    let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
    let set: Vec<_> =
        names.iter().enumerate().filter(|(i, _)| flags >> i & 1 == 1).map(|(_, n)| *n).collect();
    Some(format!("TCP {source} > {destination} [{}] seq {seq} ack {ack} window {window}", set.join(" ")))
}

fn udp(bytes: &[u8]) -> Option<String> {
    let (source, destination) = (be16(bytes, 0)?, be16(bytes, 2)?);
    let len = be16(bytes, 4).map(|len| format!(" len {len}")).unwrap_or_default();
    Some(format!("UDP {source} > {destination}{len}"))
}

fn mac(bytes: &[u8], at: usize) -> Option<MacAddr> {
    bytes.get(at..)?.first_chunk().map(|m| MacAddr(*m))
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_be_bytes(*b))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_be_bytes(*b))
}
