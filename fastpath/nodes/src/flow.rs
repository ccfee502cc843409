//! The hash of a flow: all packets of a flow take the same member of a nexthop group.
//!
//! Ports count only where every packet of the flow shows them: a datagram that comes in fragments is hashed on
//! addresses and protocol alone, the first fragment too, so that its pieces stay together. The seed differs from
//! router to router; otherwise a second router would find all flows in the same bucket (polarisation).

use ze_packet::ipv4::protocol;
use ze_packet::{ipv4, ipv6};

use crate::bytes::be16;

/// The flow hash of an IPv4 packet.
pub(crate) fn hash4(seed: u64, packet: &[u8]) -> u32 {
    let Some(header) = packet.first_chunk::<{ ipv4::HEADER_BYTES }>() else { return 0 };
    let view = ipv4::View(header);
    let is_whole = view.fragment() & (ipv4::MORE_FRAGMENTS | ipv4::OFFSET_MASK) == 0;
    let l4 = packet.get(view.header_len_bytes()..).filter(|_| is_whole).unwrap_or_default();
    let addresses = u64::from(view.source()) << 32 | u64::from(view.destination());
    finish(mix(seed, addresses), view.protocol(), l4)
}

/// The flow hash of an IPv6 packet. Behind extension headers ports are not looked for.
pub(crate) fn hash6(seed: u64, packet: &[u8]) -> u32 {
    let Some(header) = packet.first_chunk::<{ ipv6::HEADER_BYTES }>() else { return 0 };
    let view = ipv6::View(header);
    let l4 = packet.get(ipv6::HEADER_BYTES..).unwrap_or_default();
    let halves = |address: u128| [(address >> 64) as u64, address as u64];
    let words = [halves(view.source()), halves(view.destination())];
    let state = words.as_flattened().iter().fold(seed, |state, word| mix(state, *word));
    finish(state, view.next_header(), l4)
}

fn finish(state: u64, protocol: u8, l4: &[u8]) -> u32 {
    let has_ports = matches!(protocol, protocol::TCP | protocol::UDP);
    let ports = be16(l4, 0).zip(be16(l4, 2)).filter(|_| has_ports);
    let ports = ports.map_or(0, |(source, destination)| u64::from(source) << 16 | u64::from(destination));
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
        assert_eq!(hash4(1, &packet(7, 1000, 0)), hash4(1, &packet(7, 1000, ipv4::DONT_FRAGMENT)));
        assert_ne!(hash4(1, &packet(7, 1000, 0)), hash4(1, &packet(7, 1001, 0)));
        assert_ne!(hash4(1, &packet(7, 1000, 0)), hash4(2, &packet(7, 1000, 0)));
    }

    #[test]
    fn all_fragments_of_a_datagram_share_a_hash() {
        let first = hash4(1, &packet(7, 1000, ipv4::MORE_FRAGMENTS));
        assert_eq!(first, hash4(1, &packet(7, 4711, 185)), "payload in place of ports");
        assert_eq!(first, hash4(1, &packet(7, 1, ipv4::MORE_FRAGMENTS | 20)));
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
            let by_port = chi(&mut (0..60_000).map(|port| hash4(seed, &packet(7, port, 0))));
            let by_address = chi(&mut (0..60_000).map(|source| hash4(seed, &packet(source, 9, 0))));
            assert!(by_port < 103.4 && by_address < 103.4, "seed {seed}: {by_port} {by_address}");
        }
    }
}
