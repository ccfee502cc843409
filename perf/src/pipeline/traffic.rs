//! Packets: which destinations, in what order, of what sizes, byte by byte.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use anyhow::{Result, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use ze_graph::{CHUNK_BYTES, HEADROOM_BYTES};
use ze_packet::ethernet::{self, ethertype};
use ze_packet::{MacAddr, ipv4, ipv6};
use ze_xsk::Template;

use super::random::Random;
use super::routes::{Family, Routes, number, random_address};

/// Bytes of the frame check sequence: part of the size of a frame, but never in memory.
const FCS_BYTES: usize = 4;
/// The smallest and the largest untagged frame: IEEE 802.3 §3.2.7 and §3.2.8.
const SIZE_MIN_BYTES: usize = 64;
const SIZE_MAX_BYTES: usize = 1518;
/// Sizes of one turn of IMIX, frames with FCS: 7 of 64, 4 of 594, 1 of 1518, spread evenly.
const IMIX: [usize; 12] = [64, 594, 64, 64, 594, 64, 1518, 64, 594, 64, 594, 64];
/// Bytes at the start of the L4 header that number the packet: UDP's ports, so that every packet is a flow of its own.
const TAG_BYTES: usize = 4;
/// Draws of a Zipf distribution before it repeats.
const ZIPF_DRAWS: usize = 1 << 20;
/// A route of which no host was fit in so many tries is given up.
const TRIES: usize = 64;

/// The router's Ethernet address that packets are sent to.
pub const ROUTER_IN: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
/// The router's Ethernet address that packets leave with.
pub const ROUTER_OUT: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
/// The host that sends.
const HOST: MacAddr = MacAddr([2, 0, 0, 0, 1, 1]);
const HOST4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const HOST6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 2);
/// Hops that a packet still has: what most systems begin with.
pub const TTL: u8 = 64;

/// How destinations vary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pattern {
    /// One destination
    Fixed,
    /// Anywhere in unicast space (IPv6: in 2000::/3); a default route takes what no other does
    Uniform,
    /// A random route, then a random host in it
    Covered,
    /// As covered, the k-th destination with a share of 1/k
    Zipf,
}

impl Pattern {
    /// Its name on the command line and in results.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Uniform => "uniform",
            Self::Covered => "covered",
            Self::Zipf => "zipf",
        }
    }
}

/// Sizes of the frames that come in turn, with FCS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes(Vec<usize>);

impl Sizes {
    /// Frames of 64 bytes, than which there is nothing smaller.
    #[must_use]
    pub fn smallest() -> Self {
        Self(vec![SIZE_MIN_BYTES])
    }
}

impl FromStr for Sizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "imix" {
            return Ok(Self(IMIX.to_vec()));
        }
        let bytes = text.parse().map_err(|_| format!("'{text}' is neither a number nor imix"))?;
        if !(SIZE_MIN_BYTES..=SIZE_MAX_BYTES).contains(&bytes) {
            return Err(format!("{bytes} is not in 64 to 1518"));
        }
        Ok(Self(vec![bytes]))
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => write!(out, "{one}"),
            _ => out.write_str("imix"),
        }
    }
}

/// Is this an ordinary unicast address, and not one that this router itself has to do with?
#[must_use]
pub fn is_plain(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            // The links of the router: see `Router`.
            let is_link = matches!((a, b, c), (192, 0, 2) | (203, 0, 113));
            // 0/8, 127/8, link-local, multicast and above: RFC 6890.
            !is_link && !matches!(a, 0 | 127 | 224..) && (a, b) != (169, 254)
        }
        IpAddr::V6(address) => {
            let [a, b, ..] = address.segments();
            a >> 13 == 0b001 && (a, b) != (0x2001, 0xdb8)
        }
    }
}

/// Destinations in the order of their packets. Small, because reading them is part of the harness's cost.
pub enum Destinations {
    /// IPv4.
    V4(Vec<u32>),
    /// IPv6.
    V6(Vec<u128>),
}

/// Everything that is received, again and again: packet `n` goes to destination `n` and has size `n mod sizes`.
pub struct Traffic {
    /// Where packets go.
    pub destinations: Destinations,
    sizes: Sizes,
    /// One's-complement sum of the IPv4 header by size, without its destination.
    sums: Vec<u32>,
}

impl Traffic {
    /// Packets to hosts behind these routes.
    ///
    /// # Errors
    /// When no route leads to an ordinary unicast address.
    pub fn new(routes: &Routes, pattern: Pattern, flows: usize, sizes: &Sizes) -> Result<Self> {
        let family = routes.family;
        let mut all = draw(routes, pattern, flows, &mut Random::new(2))?;
        // A packet's number says its size too.
        let drawn = all.len();
        (drawn..drawn.next_multiple_of(sizes.0.len())).for_each(|at| all.push(all[at % drawn]));
        let destinations = match family {
            Family::V4 => Destinations::V4(all.into_iter().map(|address| address as u32).collect()),
            Family::V6 => Destinations::V6(all),
        };
        let mut traffic = Self { destinations, sizes: sizes.clone(), sums: Vec::new() };
        if family == Family::V4 {
            let sum = |size: &usize| u32::from(!header_sum(&traffic.packet(*size, 0, 0)));
            traffic.sums = traffic.sizes.0.iter().map(sum).collect();
        }
        Ok(traffic)
    }

    /// The family.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self.destinations {
            Destinations::V4(_) => Family::V4,
            Destinations::V6(_) => Family::V6,
        }
    }

    /// How many packets there are before they repeat.
    #[must_use]
    pub const fn len(&self) -> usize {
        match &self.destinations {
            Destinations::V4(all) => all.len(),
            Destinations::V6(all) => all.len(),
        }
    }

    /// Are there none? There never are.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The destination of packet `n`.
    #[must_use]
    pub fn destination(&self, n: usize) -> u128 {
        match &self.destinations {
            Destinations::V4(all) => u128::from(all[n]),
            Destinations::V6(all) => all[n],
        }
    }

    /// Where the number of a packet stands in it.
    const fn tag_offset(&self) -> usize {
        ethernet::HEADER_BYTES
            + match self.destinations {
                Destinations::V4(_) => ipv4::HEADER_BYTES,
                Destinations::V6(_) => ipv6::HEADER_BYTES,
            }
    }

    /// The number that a packet carries.
    #[must_use]
    pub fn number_in(&self, packet: &[u8]) -> Option<usize> {
        let tag = packet.get(self.tag_offset()..)?.first_chunk()?;
        Some(u32::from_be_bytes(*tag) as usize).filter(|n| *n < self.len())
    }

    /// Packet `n` as it is received, whole.
    #[must_use]
    pub fn input(&self, n: usize) -> Vec<u8> {
        self.packet(self.sizes.0[n % self.sizes.0.len()], self.destination(n), n as u32)
    }

    /// One packet of each size, in turn, which [`stamp`](Self::stamp) completes.
    #[must_use]
    pub fn templates(&self) -> Vec<Template> {
        self.sizes.0.iter().map(|size| Template::new(&self.packet(*size, 0, 0))).collect()
    }

    /// Makes packet `n` of its template: writes destination, number and checksum.
    #[inline]
    pub fn stamp(&self, n: usize, size_at: usize, chunk: &mut [u8; CHUNK_BYTES]) {
        const L3: usize = HEADROOM_BYTES + ethernet::HEADER_BYTES;
        let tag = (n as u32).to_be_bytes();
        match &self.destinations {
            Destinations::V4(all) => {
                let destination = all[n];
                let sum = self.sums[size_at] + (destination >> 16) + (destination & 0xffff);
                let sum = (sum & 0xffff) + (sum >> 16);
                let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
                chunk[L3 + 10..L3 + 12].copy_from_slice(&sum.to_be_bytes());
                chunk[L3 + 16..L3 + 20].copy_from_slice(&destination.to_be_bytes());
                chunk[L3 + 20..L3 + 20 + TAG_BYTES].copy_from_slice(&tag);
            }
            Destinations::V6(all) => {
                chunk[L3 + 24..L3 + 40].copy_from_slice(&all[n].to_be_bytes());
                chunk[L3 + 40..L3 + 40 + TAG_BYTES].copy_from_slice(&tag);
            }
        }
    }

    fn packet(&self, size: usize, destination: u128, tag: u32) -> Vec<u8> {
        let l3_len = size - FCS_BYTES - ethernet::HEADER_BYTES;
        let mut out = [0; ethernet::HEADER_BYTES];
        let header = match self.family() {
            Family::V4 => {
                ethernet::emit(&mut out, ROUTER_IN, HOST, ethertype::IPV4);
                header4(l3_len, destination as u32).to_bytes().to_vec()
            }
            Family::V6 => {
                ethernet::emit(&mut out, ROUTER_IN, HOST, ethertype::IPV6);
                header6(l3_len, destination).to_bytes().to_vec()
            }
        };
        let mut packet = [&out[..], &header].concat();
        packet.extend(tag.to_be_bytes());
        if self.family() == Family::V4 {
            let len_bytes = (l3_len - header.len()) as u16;
            packet.extend(len_bytes.to_be_bytes());
            packet.extend([0, 0]); // no checksum: RFC 768
        }
        let filled = packet.len();
        packet.extend((filled..size - FCS_BYTES).map(|at| at as u8));
        packet
    }
}

fn header4(l3_len: usize, destination: u32) -> ipv4::Header {
    ipv4::Header {
        traffic_class: 0,
        total_len_bytes: l3_len as u16,
        identification: 0,
        fragment: 0,
        ttl: TTL,
        protocol: ipv4::protocol::UDP,
        source: HOST4,
        destination: destination.into(),
    }
}

/// The smallest frame has no room for UDP behind IPv6: what follows is "no next header" (RFC 8200 §4.7), of which a
/// router knows nothing, and has to leave as it is.
fn header6(l3_len: usize, destination: u128) -> ipv6::Header {
    ipv6::Header {
        traffic_class: 0,
        flow_label: 0,
        payload_len_bytes: (l3_len - ipv6::HEADER_BYTES) as u16,
        next_header: ipv6::next_header::NONE,
        hop_limit: TTL,
        source: HOST6,
        destination: destination.into(),
    }
}

fn header_sum(packet: &[u8]) -> u16 {
    let at = ethernet::HEADER_BYTES + 10;
    u16::from_be_bytes([packet[at], packet[at + 1]])
}

fn draw(routes: &Routes, pattern: Pattern, flows: usize, random: &mut Random) -> Result<Vec<u128>> {
    match pattern {
        Pattern::Fixed => Ok(vec![covered(routes, random)?; flows]),
        Pattern::Uniform => Ok((0..flows).map(|_| uniform(routes.family, random)).collect()),
        Pattern::Covered => (0..flows).map(|_| covered(routes, random)).collect(),
        Pattern::Zipf => {
            let ranks: Result<Vec<_>> = (0..flows).map(|_| covered(routes, random)).collect();
            let ranks = ranks?;
            Ok((0..flows.max(ZIPF_DRAWS)).map(|_| ranks[random.zipf(flows)]).collect())
        }
    }
}

fn uniform(family: Family, random: &mut Random) -> u128 {
    loop {
        let address = random_address(family, random);
        if is_plain(family.address(address)) {
            return address;
        }
    }
}

/// A host behind a random route. Routes for what is not ordinary unicast are passed over.
fn covered(routes: &Routes, random: &mut Random) -> Result<u128> {
    for _ in 0..TRIES * TRIES {
        let (net, _) = routes.all[random.below(routes.all.len())];
        let host_bits =
            random.wide().checked_shr(u32::from(net.prefix_len()) + 128 - u32::from(net.max_prefix_len()));
        let address = number(net.addr()) | host_bits.unwrap_or(0);
        if is_plain(routes.family.address(address)) {
            return Ok(address);
        }
    }
    bail!("the routes lead to no ordinary unicast address")
}

#[cfg(test)]
mod tests {
    use super::super::routes::Source;
    use super::*;
    use std::collections::HashSet;
    use ze_graph::Arena;
    use ze_packet::checksum;

    fn traffic(family: Family, pattern: Pattern, flows: usize, size: &str) -> Traffic {
        let mut routes = Routes::load(&Source::Synthetic(100), family).unwrap();
        routes.add_default();
        Traffic::new(&routes, pattern, flows, &size.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_stamped_template_is_the_packet_byte_by_byte() {
        let (arena, mut frames) = Arena::allocate(1, false).unwrap();
        for family in [Family::V4, Family::V6] {
            for size in ["64", "1518", "imix"] {
                let traffic = traffic(family, Pattern::Covered, 1000, size);
                for n in 0..traffic.len() {
                    let size_at = n % traffic.sizes.0.len();
                    let template = traffic.packet(traffic.sizes.0[size_at], 0, 0);
                    let chunk = arena.chunk_mut(&mut frames[0]);
                    chunk[HEADROOM_BYTES..HEADROOM_BYTES + template.len()].copy_from_slice(&template);
                    traffic.stamp(n, size_at, chunk);
                    let input = traffic.input(n);
                    assert_eq!(
                        chunk[HEADROOM_BYTES..HEADROOM_BYTES + template.len()],
                        input,
                        "{family:?} {size} {n}"
                    );
                    assert_eq!(traffic.number_in(&input), Some(n));
                    if family == Family::V4 {
                        assert_eq!(checksum::of(&input[14..34]), 0);
                    }
                }
            }
        }
    }

    #[test]
    fn patterns_are_what_they_are_called() {
        let distinct = |traffic: &Traffic| {
            (0..traffic.len()).map(|n| traffic.destination(n)).collect::<HashSet<_>>().len()
        };
        assert_eq!(distinct(&traffic(Family::V4, Pattern::Fixed, 500, "64")), 1);
        assert_eq!(traffic(Family::V4, Pattern::Fixed, 500, "64").len(), 500);
        assert!(distinct(&traffic(Family::V6, Pattern::Covered, 500, "64")) > 490);
        assert!(distinct(&traffic(Family::V4, Pattern::Uniform, 500, "imix")) > 490);
        let zipf = traffic(Family::V4, Pattern::Zipf, 100, "64");
        assert_eq!(zipf.len(), ZIPF_DRAWS);
        assert!((90..=100).contains(&distinct(&zipf)), "two ranks may be one host");
    }

    #[test]
    fn only_sizes_that_exist_are_taken() {
        for bad in ["63", "1519", "big", "", "-1"] {
            assert!(bad.parse::<Sizes>().is_err(), "{bad}");
        }
        let imix: Sizes = "imix".parse().unwrap();
        assert_eq!(
            (imix.0.iter().sum::<usize>(), imix.to_string()),
            (7 * 64 + 4 * 594 + 1518, "imix".into())
        );
    }

    #[test]
    fn routes_to_nowhere_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table");
        std::fs::write(&path, "127.0.0.0/8 1\n").unwrap();
        let routes = Routes::load(&Source::File(path), Family::V4).unwrap();
        assert!(Traffic::new(&routes, Pattern::Covered, 10, &Sizes(vec![64])).is_err());
    }
}
