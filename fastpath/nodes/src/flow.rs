//! The hash of a flow: all packets of a flow take the same member of a nexthop group.
//!
//! Ports count only where every packet of the flow shows them: a datagram that comes in fragments is hashed on
//! addresses and protocol alone, the first fragment too, so that its pieces stay together. The seed differs from
//! router to router; otherwise a second router would find all flows in the same bucket (polarisation).

use std::net::IpAddr;

use ze_packet::ipv4::protocol;
use ze_packet::{ipv4, ipv6};

use crate::bytes::be16;

/// What makes a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Where it comes from.
    pub source: IpAddr,
    /// Where it goes; of the same family.
    pub destination: IpAddr,
    /// The protocol number.
    pub protocol: u8,
    /// Source and destination port; of TCP and UDP only.
    pub ports: Option<(u16, u16)>,
}

impl Flow {
    /// The hash that packets of this flow have in `ip4_lookup` and `ip6_lookup`. With `symmetric`, packets of the
    /// other direction have the same.
    pub fn hash(&self, seed: u64, symmetric: bool) -> u32 {
        let ports = self.ports.filter(|_| has_ports(self.protocol)).unwrap_or_default();
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                fold4(seed, symmetric, (source.into(), ports.0), (destination.into(), ports.1), self.protocol)
            }
            (source, destination) => {
                let wide = |address| match address {
                    IpAddr::V4(address) => address.to_ipv6_mapped().into(),
                    IpAddr::V6(address) => u128::from(address),
                };
                let ends = ((wide(source), ports.0), (wide(destination), ports.1));
                fold6(seed, symmetric, ends.0, ends.1, self.protocol)
            }
        }
    }
}

/// The flow hash of an IPv4 packet.
pub(crate) fn hash4(seed: u64, symmetric: bool, packet: &[u8]) -> u32 {
    let Some(header) = packet.first_chunk::<{ ipv4::HEADER_BYTES }>() else { return 0 };
    let view = ipv4::View(header);
    let is_whole = view.fragment() & (ipv4::MORE_FRAGMENTS | ipv4::OFFSET_MASK) == 0;
    let l4 = packet.get(view.header_len_bytes()..).filter(|_| is_whole).unwrap_or_default();
    let (from, to) = ports(view.protocol(), l4);
    fold4(seed, symmetric, (view.source(), from), (view.destination(), to), view.protocol())
}

/// The flow hash of an IPv6 packet. Behind extension headers ports are not looked for.
pub(crate) fn hash6(seed: u64, symmetric: bool, packet: &[u8]) -> u32 {
    let Some(header) = packet.first_chunk::<{ ipv6::HEADER_BYTES }>() else { return 0 };
    let view = ipv6::View(header);
    let l4 = packet.get(ipv6::HEADER_BYTES..).unwrap_or_default();
    let (from, to) = ports(view.next_header(), l4);
    fold6(seed, symmetric, (view.source(), from), (view.destination(), to), view.next_header())
}

const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, protocol::TCP | protocol::UDP)
}

fn ports(protocol: u8, l4: &[u8]) -> (u16, u16) {
    be16(l4, 0).zip(be16(l4, 2)).filter(|_| has_ports(protocol)).unwrap_or_default()
}

/// The ends in an order that does not depend on the direction, if that is wanted.
fn order<T: PartialOrd>(symmetric: bool, source: T, destination: T) -> (T, T) {
    if symmetric && destination < source { (destination, source) } else { (source, destination) }
}

fn fold4(seed: u64, symmetric: bool, source: (u32, u16), destination: (u32, u16), protocol: u8) -> u32 {
    let (one, other) = order(symmetric, source, destination);
    let state = mix(seed, u64::from(one.0) << 32 | u64::from(other.0));
    finish(state, protocol, one.1, other.1)
}

fn fold6(seed: u64, symmetric: bool, source: (u128, u16), destination: (u128, u16), protocol: u8) -> u32 {
    let (one, other) = order(symmetric, source, destination);
    let halves = |address: u128| [(address >> 64) as u64, address as u64];
    let words = [halves(one.0), halves(other.0)];
    let state = words.as_flattened().iter().fold(seed, |state, word| mix(state, *word));
    finish(state, protocol, one.1, other.1)
}

fn finish(state: u64, protocol: u8, one: u16, other: u16) -> u32 {
    let ports = u64::from(one) << 16 | u64::from(other);
    let state = mix(state, ports << 8 | u64::from(protocol));
    (state >> 32) as u32
}

/// One round: multiply wide and fold, so that every bit of the input reaches every bit of the state.
pub(crate) const fn mix(state: u64, word: u64) -> u64 {
    // Odd constants with evenly spread bits (the fractions of the golden ratio and of the square root of 3).
    let product = (state ^ word ^ 0x9e37_79b9_7f4a_7c15) as u128 * 0xbb67_ae85_84ca_a73b_u128;
    (product as u64 ^ (product >> 64) as u64).wrapping_add(word.rotate_left(32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(source: u32, port: u16, fragment: u16) -> Vec<u8> {
        let header = ipv4::Header {
            traffic_class: 0,
            total_len_bytes: 28,
            identification: 1,
            fragment,
            ttl: 64,
            protocol: protocol::UDP,
            source: source.into(),
            destination: 0x0a00_0001.into(),
        };
        [&header.to_bytes()[..], &port.to_be_bytes(), &[0, 53, 0, 8, 0, 0]].concat()
    }

    #[test]
    fn a_flow_keeps_its_hash_and_flows_differ() {
        assert_eq!(
            hash4(1, false, &packet(7, 1000, 0)),
            hash4(1, false, &packet(7, 1000, ipv4::DONT_FRAGMENT))
        );
        assert_ne!(hash4(1, false, &packet(7, 1000, 0)), hash4(1, false, &packet(7, 1001, 0)));
        assert_ne!(hash4(1, false, &packet(7, 1000, 0)), hash4(2, false, &packet(7, 1000, 0)));
    }

    #[test]
    fn all_fragments_of_a_datagram_share_a_hash() {
        let first = hash4(1, false, &packet(7, 1000, ipv4::MORE_FRAGMENTS));
        assert_eq!(first, hash4(1, false, &packet(7, 4711, 185)), "payload in place of ports");
        assert_eq!(first, hash4(1, false, &packet(7, 1, ipv4::MORE_FRAGMENTS | 20)));
    }

    #[test]
    fn buckets_fill_evenly_by_port_and_by_address() {
        // Chi-square with 63 degrees of freedom stays below 103.4 with p = 0.999.
        let chi = |hashes: &mut dyn Iterator<Item = u32>| {
            let mut buckets = [0f64; 64];
            let mut count = 0.0;
            hashes.for_each(|hash| {
                buckets[hash as usize & 63] += 1.0;
                count += 1.0;
            });
            let expected = count / 64.0;
            buckets.iter().map(|seen| (seen - expected).powi(2) / expected).sum::<f64>()
        };
        for seed in [0, 1, 0xdead_beef] {
            let by_port = chi(&mut (0..60_000).map(|port| hash4(seed, false, &packet(7, port, 0))));
            let by_address = chi(&mut (0..60_000).map(|source| hash4(seed, false, &packet(source, 9, 0))));
            assert!(by_port < 103.4 && by_address < 103.4, "seed {seed}: {by_port} {by_address}");
        }
    }

    #[test]
    fn a_symmetric_hash_is_the_same_both_ways_and_the_plain_one_is_not() {
        let flow = |text: &str, ports| {
            let (source, destination) = text.split_once(' ').unwrap();
            let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
            Flow { source, destination, protocol: protocol::TCP, ports }
        };
        for (there, back) in
            [("10.0.0.1 10.0.0.2", "10.0.0.2 10.0.0.1"), ("2001:db8::1 ::9", "::9 2001:db8::1")]
        {
            let (there, back) = (flow(there, Some((1000, 80))), flow(back, Some((80, 1000))));
            assert_eq!(there.hash(1, true), back.hash(1, true));
            assert_ne!(there.hash(1, false), back.hash(1, false));
            assert_ne!(there.hash(1, true), there.hash(2, true));
        }
    }

    #[test]
    fn a_flow_in_words_has_the_hash_of_its_packets() {
        let flow = Flow {
            source: IpAddr::from([0, 0, 0, 7]),
            destination: IpAddr::from([10, 0, 0, 1]),
            protocol: protocol::UDP,
            ports: Some((1000, 53)),
        };
        for symmetric in [false, true] {
            assert_eq!(flow.hash(3, symmetric), hash4(3, symmetric, &packet(7, 1000, 0)));
        }
        let fragment = packet(7, 1000, ipv4::MORE_FRAGMENTS);
        assert_eq!(Flow { ports: None, ..flow }.hash(3, false), hash4(3, false, &fragment));
    }

    /// Jain's index of fairness and the chi-square statistic of the members' loads.
    fn spread(loads: &[f64]) -> (f64, f64) {
        let (sum, squares) = (loads.iter().sum::<f64>(), loads.iter().map(|load| load * load).sum::<f64>());
        let expected = sum / loads.len() as f64;
        let chi = loads.iter().map(|load| (load - expected).powi(2) / expected).sum();
        (sum * sum / (loads.len() as f64 * squares), chi)
    }

    #[test]
    fn flows_spread_evenly_over_eight_members_and_a_second_router_spreads_them_again() {
        let members: Vec<_> = (0..64).map(|bucket| ze_packet::NexthopId(bucket % 8)).collect();
        let group = ze_fib::Group::new(members).unwrap();
        // As two machines have them.
        let seeds =
            [(0x6a09_e667_f3bc_c908, 0xbb67_ae85_84ca_a73b), (0x3c6e_f372_fe94_f82b, 0xa54f_f53a_5f1d_36f1)];
        for ((seed, other_seed), symmetric) in seeds.into_iter().zip([false, true]) {
            let (mut first, mut second) = ([0.0; 8], [0.0; 8]);
            for flow in 0..100_000_u32 {
                let flow = Flow {
                    source: IpAddr::from((0x0a00_0000 + flow % 251).to_be_bytes()),
                    destination: IpAddr::from((0xc000_0200 + flow / 251).to_be_bytes()),
                    protocol: protocol::TCP,
                    ports: Some(((1024 + flow % 50_000) as u16, 443)),
                };
                let member = group.choose(flow.hash(seed, symmetric)).0 as usize;
                first[member] += 1.0;
                // What this router sends to its member 0 meets a router with another seed.
                if member == 0 {
                    second[group.choose(flow.hash(other_seed, symmetric)).0 as usize] += 1.0;
                }
            }
            for loads in [first, second] {
                let (jain, chi) = spread(&loads);
                // With 7 degrees of freedom, 18.48 is exceeded by chance once in a hundred.
                assert!(jain >= 0.99 && chi < 18.48, "seed {seed:x}: {jain} {chi} {loads:?}");
            }
        }
    }
}
