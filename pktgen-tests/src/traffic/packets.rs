//! Packets of many flows, written into frames fast: a template for each size, and for each flow what differs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ze_packet::checksum::{self, Sum};
use ze_packet::{MacAddr, ethernet, ipv4};

use super::layers::{self, Layer, ethertype_of, ip_bytes, sum};
use super::signature::{SIGNATURE_BYTES, Signature};
use super::sizes::{FCS_BYTES, FRAME_MIN_BYTES, Sizes};
use super::values::{Addresses, Ports, Random};

/// The most flows: their table stays below 256 MiB.
pub const FLOWS_MAX: u32 = 1 << 22;

/// What the packets of the flows carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP segments with ACK set, of no connection.
    Tcp,
    /// Echo requests, of ICMP or ICMPv6 by the family.
    Icmp,
}

/// What to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketSpec {
    /// Ethernet destination.
    pub to_mac: MacAddr,
    /// Ethernet source.
    pub from_mac: MacAddr,
    /// Between Ethernet and the flow's packet, from outside in.
    pub layers: Vec<Layer>,
    /// The protocol of the flow's packet.
    pub transport: Transport,
    /// Sources.
    pub sources: Addresses,
    /// Destinations, of the same family.
    pub destinations: Addresses,
    /// Source ports; identifiers of ICMP.
    pub source_ports: Ports,
    /// Destination ports; numbers of ICMP.
    pub destination_ports: Ports,
    /// How many flows; they come by turns.
    pub flows: u32,
    /// Sizes of frames.
    pub sizes: Sizes,
    /// What random values start from.
    pub seed: u64,
}

impl PacketSpec {
    /// The least size of a frame of these headers with its signature, FCS included.
    #[must_use]
    pub fn least_bytes(&self) -> usize {
        let ip = if self.sources.are_ip4() { ip_bytes(Ipv4Addr::UNSPECIFIED.into()) } else { 40 };
        let layers: usize = self.layers.iter().map(Layer::len_bytes).sum();
        let all =
            ethernet::HEADER_BYTES + layers + ip + self.transport.len_bytes() + SIGNATURE_BYTES + FCS_BYTES;
        all.max(FRAME_MIN_BYTES)
    }
}

impl Transport {
    /// Bytes of its header.
    const fn len_bytes(self) -> usize {
        match self {
            Self::Udp | Self::Icmp => 8,
            Self::Tcp => 20,
        }
    }

    const fn protocol(self, is_ip4: bool) -> u8 {
        match self {
            Self::Udp => ipv4::protocol::UDP,
            Self::Tcp => ipv4::protocol::TCP,
            Self::Icmp if is_ip4 => ipv4::protocol::ICMP,
            Self::Icmp => ipv4::protocol::ICMPV6,
        }
    }

    /// Where ports, or what stands for them, are in the header.
    const fn ports_at(self) -> usize {
        match self {
            Self::Udp | Self::Tcp => 0,
            Self::Icmp => 4,
        }
    }

    const fn checksum_at(self) -> usize {
        match self {
            Self::Udp => 6,
            Self::Tcp => 16,
            Self::Icmp => 2,
        }
    }

    /// Does the checksum cover addresses? Not that of ICMP for IPv4 (RFC 792).
    const fn has_pseudo_header(self, is_ip4: bool) -> bool {
        !matches!(self, Self::Icmp) || !is_ip4
    }
}

/// What differs from flow to flow.
struct Flow {
    source: [u8; 16],
    destination: [u8; 16],
    ports: [u8; 4],
    /// Sums of addresses and of ports.
    addresses_sum: u32,
    ports_sum: u32,
}

/// A frame of one size, complete but for flow and signature, without FCS.
struct Template {
    bytes: Vec<u8>,
    /// Sum of the IPv4 header, addresses and checksum 0.
    ip_sum: u32,
    /// Sum of pseudo-header and L4, addresses, ports, signature and checksum 0.
    l4_sum: u32,
}

/// Writes packets.
pub struct Packets {
    templates: Vec<Template>,
    /// Which template comes when.
    turn: Vec<u16>,
    flows: Vec<Flow>,
    transport: Transport,
    is_ip4: bool,
    ip_at: usize,
    l4_at: usize,
}

impl Packets {
    /// Prepares everything, so that [`Packets::write`] only copies and adds.
    ///
    /// # Errors
    /// What can not be sent, as a sentence.
    pub fn new(spec: &PacketSpec) -> Result<Self, String> {
        let is_ip4 = spec.sources.are_ip4();
        if is_ip4 != spec.destinations.are_ip4() {
            return Err("sources and destinations are of different families".to_owned());
        }
        if spec.flows == 0 || spec.flows > FLOWS_MAX {
            return Err(format!("{} flows are not in 1 to {FLOWS_MAX}", spec.flows));
        }
        spec.layers.iter().try_for_each(Layer::check)?;
        let sizes = spec.sizes.at_least(spec.least_bytes())?;
        let mut distinct = sizes.turn().to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let turn = sizes.turn().iter().map(|size| distinct.partition_point(|other| other < size) as u16);
        let ip_at = ethernet::HEADER_BYTES + spec.layers.iter().map(Layer::len_bytes).sum::<usize>();
        let l4_at = ip_at + if is_ip4 { ipv4::HEADER_BYTES } else { 40 };
        let places = Places { is_ip4, ip_at, l4_at };
        Ok(Self {
            turn: turn.collect(),
            templates: distinct.iter().map(|size| template(spec, size - FCS_BYTES, &places)).collect(),
            flows: flows(spec)?,
            transport: spec.transport,
            is_ip4,
            ip_at,
            l4_at,
        })
    }

    /// How many flows there are.
    #[must_use]
    pub fn flows(&self) -> usize {
        self.flows.len()
    }

    /// The length of all frames, without FCS; none if they differ.
    #[must_use]
    pub fn only_bytes(&self) -> Option<usize> {
        match self.templates.as_slice() {
            [only] => Some(only.bytes.len()),
            _ => None,
        }
    }

    /// The longest frame, without FCS.
    #[must_use]
    pub fn longest_bytes(&self) -> usize {
        self.templates.iter().map(|template| template.bytes.len()).max().unwrap_or(0)
    }

    /// Mean length of the frames of one turn, without FCS.
    #[must_use]
    pub fn mean_bytes(&self) -> f64 {
        let all: usize = self.turn.iter().map(|at| self.templates[usize::from(*at)].bytes.len()).sum();
        all as f64 / self.turn.len() as f64
    }

    /// Writes packet number `number` of all to the start of `out`; returns its length. `out` has room for the longest.
    #[inline]
    pub fn write(&self, number: u64, signature: Signature, out: &mut [u8]) -> usize {
        let flow = &self.flows[(number % self.flows.len() as u64) as usize];
        let template = &self.templates[usize::from(self.turn[(number % self.turn.len() as u64) as usize])];
        let len_bytes = template.bytes.len();
        let frame = &mut out[..len_bytes];
        frame.copy_from_slice(&template.bytes);
        let (ip, l4) = frame.split_at_mut(self.l4_at);
        let ip = &mut ip[self.ip_at..];
        if self.is_ip4 {
            ip[12..16].copy_from_slice(&flow.source[..4]);
            ip[16..20].copy_from_slice(&flow.destination[..4]);
            ip[10..12].copy_from_slice(&folded(template.ip_sum + flow.addresses_sum).to_be_bytes());
        } else {
            ip[8..24].copy_from_slice(&flow.source);
            ip[24..40].copy_from_slice(&flow.destination);
        }
        let ports_at = self.transport.ports_at();
        l4[ports_at..ports_at + 4].copy_from_slice(&flow.ports);
        let signature_at = self.transport.len_bytes();
        l4[signature_at..signature_at + SIGNATURE_BYTES].copy_from_slice(&signature.to_bytes());
        let mut sum = template.l4_sum + flow.ports_sum + signature.sum();
        if self.transport.has_pseudo_header(self.is_ip4) {
            sum += flow.addresses_sum;
        }
        let mut checksum = folded(sum);
        // RFC 768: 0 would say that there is none.
        if checksum == 0 && self.transport == Transport::Udp {
            checksum = 0xffff;
        }
        let checksum_at = self.transport.checksum_at();
        l4[checksum_at..checksum_at + 2].copy_from_slice(&checksum.to_be_bytes());
        len_bytes
    }

    /// The signature of a frame of these packets that was received, if it is one: its place is known, whatever was
    /// rewritten before it, as long as no header was added or taken away.
    #[inline]
    #[must_use]
    pub fn signature(&self, frame: &[u8]) -> Option<Signature> {
        let at = self.l4_at + self.transport.len_bytes();
        let bytes = frame.get(at..at + SIGNATURE_BYTES)?;
        // An ARP request or a router's own packet must not be taken for one of ours.
        let wanted = if self.is_ip4 { 4 } else { 6 };
        let first = frame.get(self.ip_at)? >> 4;
        let protocol = *frame.get(self.ip_at + if self.is_ip4 { 9 } else { 6 })?;
        if first != wanted || protocol != self.transport.protocol(self.is_ip4) {
            return None;
        }
        Some(Signature::from_bytes(<[u8; SIGNATURE_BYTES]>::try_from(bytes).ok()?))
    }

    /// Are the checksums of a received frame right?
    #[must_use]
    pub fn is_intact(&self, frame: &[u8]) -> bool {
        let (Some(ip), Some(l4)) = (frame.get(self.ip_at..self.l4_at), frame.get(self.l4_at..)) else {
            return false;
        };
        let addresses = if self.is_ip4 { &ip[12..20] } else { &ip[8..40] };
        let (source, destination) = addresses.split_at(addresses.len() / 2);
        let protocol = self.transport.protocol(self.is_ip4);
        let whole = if self.transport.has_pseudo_header(self.is_ip4) {
            Sum::new().pseudo_header(source, destination, protocol, l4.len() as u32)
        } else {
            Sum::new()
        };
        let header_is_right = !self.is_ip4 || checksum::of(ip) == 0;
        header_is_right && whole.bytes(l4).fold() == 0
    }
}

struct Places {
    is_ip4: bool,
    ip_at: usize,
    l4_at: usize,
}

fn template(spec: &PacketSpec, len_bytes: usize, places: &Places) -> Template {
    let mut frame = vec![0; len_bytes];
    let nowhere: IpAddr =
        if places.is_ip4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let at = layers::write(&mut frame, spec.to_mac, spec.from_mac, &spec.layers, ethertype_of(nowhere));
    debug_assert_eq!(at, places.ip_at, "headers are as long as was counted");
    let protocol = spec.transport.protocol(places.is_ip4);
    layers::put_ip(&mut frame, at, nowhere, nowhere, protocol);
    if places.is_ip4 {
        frame[at + 10..at + 12].fill(0);
    }
    let l4_bytes = len_bytes - places.l4_at;
    let l4 = &mut frame[places.l4_at..];
    match spec.transport {
        Transport::Udp => l4[4..6].copy_from_slice(&(l4_bytes as u16).to_be_bytes()),
        // Five words of header, ACK, the largest window.
        Transport::Tcp => l4[12..16].copy_from_slice(&[5 << 4, 0x10, 0xff, 0xff]),
        // Echo request: RFC 792, RFC 4443 §4.1.
        Transport::Icmp => l4[0] = if places.is_ip4 { 8 } else { 128 },
    }
    let pseudo = if spec.transport.has_pseudo_header(places.is_ip4) {
        l4_bytes as u32 + u32::from(protocol)
    } else {
        0
    };
    let (ip_sum, l4_sum) = (sum(&frame[places.ip_at..places.l4_at]), sum(&frame[places.l4_at..]) + pseudo);
    Template { bytes: frame, ip_sum: if places.is_ip4 { ip_sum } else { 0 }, l4_sum }
}

fn flows(spec: &PacketSpec) -> Result<Vec<Flow>, String> {
    // A stream of random numbers for each field: changing one of them leaves the others as they were.
    let mut random: [Random; 4] = std::array::from_fn(|field| Random::new(spec.seed, field as u64 + 1));
    let mut all = Vec::with_capacity(spec.flows as usize);
    for flow in 0..spec.flows {
        let [for_source, for_destination, for_source_port, for_destination_port] = &mut random;
        let address = |values: &Addresses, random| {
            values.of(flow, random).ok_or_else(|| format!("there is no address for flow {flow}"))
        };
        let port = |values: &Ports, random| {
            values.of(flow, random).ok_or_else(|| format!("there is no port for flow {flow}"))
        };
        let source = address(&spec.sources, for_source)?;
        let destination = address(&spec.destinations, for_destination)?;
        let from = port(&spec.source_ports, for_source_port)?;
        let to = port(&spec.destination_ports, for_destination_port)?;
        let (source, destination) = (octets(source), octets(destination));
        let ports = [from.to_be_bytes(), to.to_be_bytes()].concat();
        all.push(Flow {
            addresses_sum: sum(&source) + sum(&destination),
            ports_sum: sum(&ports),
            source,
            destination,
            ports: [ports[0], ports[1], ports[2], ports[3]],
        });
    }
    Ok(all)
}

/// IPv4 in the first four.
fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&address.octets());
            octets
        }
        IpAddr::V6(address) => address.octets(),
    }
}

/// The checksum of a sum.
#[inline]
const fn folded(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    !(sum as u16)
}

#[cfg(test)]
mod tests;
