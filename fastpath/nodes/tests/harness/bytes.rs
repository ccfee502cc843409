//! Packets, byte by byte.

use ze_graph::{Message, MessageKind};
use ze_packet::ipv4::{self, protocol};
use ze_packet::{InterfaceId, MacAddr, checksum, ipv6};

use super::{host_mac, mac};

/// An Ethernet frame from a host to interface 1.
pub fn frame(kind: u16, payload: &[u8]) -> Vec<u8> {
    ethernet(mac(1), host_mac(1), &[], kind, payload)
}

pub fn ethernet(to: MacAddr, from: MacAddr, tags: &[(u16, u16)], kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = [to.0, from.0].concat();
    for (tpid, tci) in tags {
        out.extend(tpid.to_be_bytes());
        out.extend(tci.to_be_bytes());
    }
    out.extend(kind.to_be_bytes());
    out.extend(payload);
    out
}

/// An IPv4 packet that is to be changed before it is built.
#[derive(Clone)]
pub struct Ip4 {
    pub source: &'static str,
    pub destination: &'static str,
    pub ttl: u8,
    pub protocol: u8,
    pub fragment: u16,
    pub options: Vec<u8>,
    pub payload: Vec<u8>,
}

/// A UDP packet from a host on the link of interface 1.
pub fn to4(destination: &'static str) -> Ip4 {
    Ip4 {
        source: "192.0.2.10",
        destination,
        ttl: 64,
        protocol: protocol::UDP,
        fragment: 0,
        options: vec![],
        payload: udp(1000, 2000, 26),
    }
}

impl Ip4 {
    pub fn bytes(&self) -> Vec<u8> {
        let len = 20 + self.options.len() + self.payload.len();
        let header = ipv4::Header {
            traffic_class: 0,
            total_len_bytes: len as u16,
            identification: 0x1234,
            fragment: self.fragment,
            ttl: self.ttl,
            protocol: self.protocol,
            source: self.source.parse().unwrap(),
            destination: self.destination.parse().unwrap(),
        };
        let mut out = header.to_bytes().to_vec();
        out[0] = 0x40 | ((20 + self.options.len()) / 4) as u8;
        out.extend(&self.options);
        fix4(&mut out);
        out.extend(&self.payload);
        out
    }

    pub fn frame(&self) -> Vec<u8> {
        frame(0x0800, &self.bytes())
    }

    pub fn frame_to(&self, to: MacAddr) -> Vec<u8> {
        ethernet(to, host_mac(1), &[], 0x0800, &self.bytes())
    }
}

/// Writes the right checksum into an IPv4 header.
pub fn fix4(packet: &mut [u8]) {
    let header_len = usize::from(packet[0] & 15) * 4;
    packet[10..12].fill(0);
    let sum = checksum::of(&packet[..header_len]).to_be_bytes();
    packet[10..12].copy_from_slice(&sum);
}

#[derive(Clone)]
pub struct Ip6 {
    pub source: &'static str,
    pub destination: &'static str,
    pub hop_limit: u8,
    pub next: u8,
    pub payload: Vec<u8>,
}

pub fn to6(destination: &'static str) -> Ip6 {
    Ip6 {
        source: "2001:db8:1::10",
        destination,
        hop_limit: 64,
        next: protocol::UDP,
        payload: udp(1000, 2000, 26),
    }
}

impl Ip6 {
    pub fn bytes(&self) -> Vec<u8> {
        let header = ipv6::Header {
            traffic_class: 0,
            flow_label: 0x12345,
            payload_len_bytes: self.payload.len() as u16,
            next_header: self.next,
            hop_limit: self.hop_limit,
            source: self.source.parse().unwrap(),
            destination: self.destination.parse().unwrap(),
        };
        [&header.to_bytes()[..], &self.payload].concat()
    }

    pub fn frame(&self) -> Vec<u8> {
        frame(0x86dd, &self.bytes())
    }

    pub fn frame_to(&self, to: MacAddr) -> Vec<u8> {
        ethernet(to, host_mac(1), &[], 0x86dd, &self.bytes())
    }
}

pub fn udp(source: u16, destination: u16, len: usize) -> Vec<u8> {
    let mut out =
        [source.to_be_bytes(), destination.to_be_bytes(), (len as u16).to_be_bytes(), [0, 0]].concat();
    out.extend((8..len).map(|i| i as u8));
    out
}

/// An ICMP or ICMPv6 message of a type; its checksum is not looked at by the graph.
pub fn icmp(kind: u8) -> Vec<u8> {
    let mut out = vec![0; 24];
    out[0] = kind;
    out
}

pub fn message(kind: MessageKind, interface: u16, packet: &[u8]) -> Box<Message> {
    Box::new(Message::new(kind, InterfaceId(interface), packet).unwrap())
}
