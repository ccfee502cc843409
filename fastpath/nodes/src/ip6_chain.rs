//! The IPv6 extension header chain, walked as far as the transport header.
//!
//! Only where somebody wants to know what is inside: local delivery and multicast. Transit packets are forwarded
//! by the fixed header alone (RFC 8200 §4: extension headers are for the destination, and hop-by-hop options are
//! processed only where that is configured).

use ze_packet::ipv6::{self, next_header};

use crate::bytes::be16;

/// So many extension headers are walked. RFC 8883 §3 lets a node limit them; eight is what Linux allows by default
/// for options and far more than any real packet has.
pub const EXTENSION_HEADERS_MAX: usize = 8;

/// Where the chain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The transport protocol, or what cannot be looked behind (ESP, no next header).
    pub protocol: u8,
    /// Where its header starts, from the IPv6 header on; beyond the packet in later fragments.
    pub l4_offset: usize,
    /// There is a fragment header.
    pub is_fragment: bool,
    /// The fragment is not the first: no transport header.
    pub is_later_fragment: bool,
}

/// Why a chain has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainError {
    /// Malformed, or more than [`EXTENSION_HEADERS_MAX`] headers.
    Malformed,
    /// A first fragment that does not hold the whole chain, RFC 7112 §5.
    FirstFragmentTooShort,
}

/// Walks the chain of a packet, which begins with its fixed header and has the length that this states.
///
/// # Errors
/// When the chain runs out of the packet, or is too long.
pub fn walk(packet: &[u8]) -> Result<Chain, ChainError> {
    let head: &[u8; ipv6::HEADER_BYTES] = packet.first_chunk().ok_or(ChainError::Malformed)?;
    let mut chain = Chain {
        protocol: ipv6::View(head).next_header(),
        l4_offset: ipv6::HEADER_BYTES,
        is_fragment: false,
        is_later_fragment: false,
    };
    for _ in 0..=EXTENSION_HEADERS_MAX {
        if !is_extension(chain.protocol) {
            return Ok(chain);
        }
        let too_short =
            if chain.is_fragment { ChainError::FirstFragmentTooShort } else { ChainError::Malformed };
        chain.step(packet).ok_or(too_short)?;
        if chain.is_later_fragment {
            return Ok(chain);
        }
        if chain.l4_offset > packet.len() {
            return Err(too_short);
        }
    }
    Err(ChainError::Malformed)
}

impl Chain {
    /// Steps over one extension header; none if the packet ends before it does.
    fn step(&mut self, packet: &[u8]) -> Option<()> {
        let &[next, units, ..] = packet.get(self.l4_offset..)?.first_chunk::<8>()?;
        let len = match self.protocol {
            next_header::FRAGMENT => {
                self.is_fragment = true;
                self.is_later_fragment = be16(packet, self.l4_offset + 2)? & 0xfff8 != 0;
                8
            }
            next_header::AUTHENTICATION => usize::from(units) * 4 + 8, // RFC 4302 §2.2
            _ => usize::from(units) * 8 + 8,                           // RFC 8200 §4.3, §4.4, §4.6
        };
        self.protocol = next;
        self.l4_offset += len;
        Some(())
    }
}

/// Can what follows be stepped over?
#[inline]
#[must_use]
pub const fn is_extension(kind: u8) -> bool {
    matches!(
        kind,
        next_header::HOP_BY_HOP
            | next_header::ROUTING
            | next_header::FRAGMENT
            | next_header::AUTHENTICATION
            | next_header::DESTINATION
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet whose chain is made of (type, length in bytes); the last is the transport protocol.
    fn packet(chain: &[(u8, usize)], fragment_offset: u16) -> Vec<u8> {
        let mut bytes = vec![0; ipv6::HEADER_BYTES];
        bytes[0] = 0x60;
        bytes[6] = chain[0].0;
        for pair in chain.windows(2) {
            let (kind, len) = pair[0];
            let mut header = vec![0; len];
            header[0] = pair[1].0;
            header[1] = if kind == next_header::AUTHENTICATION { len / 4 - 2 } else { len / 8 - 1 } as u8;
            if kind == next_header::FRAGMENT {
                header[1] = 0;
                header[2..4].copy_from_slice(&(fragment_offset << 3 | 1).to_be_bytes());
            }
            bytes.extend(header);
        }
        bytes.extend(vec![0; chain[chain.len() - 1].1]);
        bytes
    }

    #[test]
    fn a_chain_ends_at_the_transport_header() {
        let plain = walk(&packet(&[(6, 20)], 0)).unwrap();
        assert_eq!((plain.protocol, plain.l4_offset, plain.is_fragment), (6, 40, false));
        let long = walk(&packet(&[(0, 8), (43, 24), (60, 16), (51, 24), (17, 8)], 0)).unwrap();
        assert_eq!((long.protocol, long.l4_offset), (17, 40 + 8 + 24 + 16 + 24));
        let opaque = walk(&packet(&[(0, 8), (50, 8)], 0)).unwrap();
        assert_eq!(opaque.protocol, next_header::ESP);
    }

    #[test]
    fn a_first_fragment_holds_the_chain_and_a_later_one_shows_nothing() {
        let first = walk(&packet(&[(44, 8), (17, 8)], 0)).unwrap();
        assert_eq!((first.protocol, first.is_fragment, first.is_later_fragment), (17, true, false));
        let later = walk(&packet(&[(44, 8), (60, 0)], 185)).unwrap();
        assert!(later.is_later_fragment);
        assert_eq!(walk(&packet(&[(44, 8), (60, 0)], 0)), Err(ChainError::FirstFragmentTooShort));
        let mut cut = packet(&[(44, 8), (60, 32), (17, 8)], 0);
        cut.truncate(60);
        assert_eq!(walk(&cut), Err(ChainError::FirstFragmentTooShort));
    }

    #[test]
    fn the_limit_holds_from_both_sides_and_lies_are_malformed() {
        let mut chain = vec![(60, 8); EXTENSION_HEADERS_MAX];
        chain.push((17, 8));
        assert_eq!(walk(&packet(&chain, 0)).unwrap().protocol, 17);
        chain.insert(0, (60, 8));
        assert_eq!(walk(&packet(&chain, 0)), Err(ChainError::Malformed));
        let mut lie = packet(&[(60, 8), (17, 8)], 0);
        lie[41] = 200;
        assert_eq!(walk(&lie), Err(ChainError::Malformed));
        assert_eq!(walk(&[0x60; 39]), Err(ChainError::Malformed));
    }
}
