//! Neighbour discovery messages, RFC 4861: solicitations and advertisements.

use std::net::Ipv6Addr;

use crate::{MacAddr, checksum, ipv4::protocol};

/// ICMPv6 type of a router solicitation.
pub const ROUTER_SOLICITATION: u8 = 133;
/// ICMPv6 type of a router advertisement.
pub const ROUTER_ADVERTISEMENT: u8 = 134;
/// ICMPv6 type of a neighbour solicitation.
pub const NEIGHBOR_SOLICITATION: u8 = 135;
/// ICMPv6 type of a neighbour advertisement.
pub const NEIGHBOR_ADVERTISEMENT: u8 = 136;
/// ICMPv6 type of a redirect.
pub const REDIRECT: u8 = 137;
/// Bytes of a solicitation or advertisement with one link-layer address option.
pub const MESSAGE_BYTES: usize = 32;
/// The hop limit that proves that a message was not forwarded, RFC 4861 §7.1.1.
pub const HOP_LIMIT: u8 = 255;

/// A solicitation or an advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// Who has `target`?
    Solicitation {
        /// The address asked for.
        target: Ipv6Addr,
        /// The sender's link-layer address; absent in duplicate address detection.
        source_mac: Option<MacAddr>,
    },
    /// I have `target`.
    Advertisement {
        /// The address spoken of.
        target: Ipv6Addr,
        /// Where it is; may be absent in an answer to a unicast solicitation.
        target_mac: Option<MacAddr>,
        /// The sender is a router.
        router: bool,
        /// This answers a solicitation.
        solicited: bool,
        /// Replaces what is cached.
        override_cache: bool,
    },
}

/// Why bytes are not a neighbour message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Fewer than 24 bytes.
    #[error("neighbour message of {0} bytes, 24 needed")]
    Short(usize),
    /// Not a solicitation or advertisement, or a code other than 0.
    #[error("ICMPv6 type {0} code {1} is no neighbour message")]
    Type(u8, u8),
    /// The checksum is wrong.
    #[error("neighbour message with a wrong checksum")]
    Checksum,
    /// A multicast target, RFC 4861 §7.1.1.
    #[error("neighbour message about the multicast address {0}")]
    MulticastTarget(Ipv6Addr),
    /// An option of zero or overlong length, RFC 4861 §7.1.1.
    #[error("neighbour message with an option of wrong length at byte {0}")]
    Option(usize),
    /// A group or zero link-layer address.
    #[error("neighbour message with group or zero address {0}")]
    Mac(MacAddr),
}

const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;

impl Message {
    /// Decodes the ICMPv6 message between `source` and `destination`. The caller has checked the hop limit.
    ///
    /// # Errors
    /// Says what is wrong; such a message is dropped and counted.
    pub fn decode(source: Ipv6Addr, destination: Ipv6Addr, bytes: &[u8]) -> Result<Self, Error> {
        let Some(head) = bytes.first_chunk::<24>() else {
            return Err(Error::Short(bytes.len()));
        };
        let (kind, code) = (head[0], head[1]);
        if code != 0 || !matches!(kind, NEIGHBOR_SOLICITATION | NEIGHBOR_ADVERTISEMENT) {
            return Err(Error::Type(kind, code));
        }
        if icmp_checksum(source, destination, bytes) != 0 {
            return Err(Error::Checksum);
        }
        let target = Ipv6Addr::from(<[u8; 16]>::try_from(&head[8..24]).unwrap_or_default());
        if target.is_multicast() {
            return Err(Error::MulticastTarget(target));
        }
        if kind == NEIGHBOR_SOLICITATION {
            return Ok(Self::Solicitation { target, source_mac: link_layer(bytes, SOURCE_LINK_LAYER)? });
        }
        Ok(Self::Advertisement {
            target,
            target_mac: link_layer(bytes, TARGET_LINK_LAYER)?,
            router: head[4] & 0x80 != 0,
            solicited: head[4] & 0x40 != 0,
            override_cache: head[4] & 0x20 != 0,
        })
    }

    /// The ICMPv6 message's bytes with its checksum; returns how many of the 32 count.
    pub fn emit(&self, source: Ipv6Addr, destination: Ipv6Addr, out: &mut [u8; MESSAGE_BYTES]) -> usize {
        *out = [0; MESSAGE_BYTES];
        let (target, option, mac) = match *self {
            Self::Solicitation { target, source_mac } => {
                out[0] = NEIGHBOR_SOLICITATION;
                (target, SOURCE_LINK_LAYER, source_mac)
            }
            Self::Advertisement { target, target_mac, router, solicited, override_cache } => {
                out[0] = NEIGHBOR_ADVERTISEMENT;
                out[4] = u8::from(router) << 7 | u8::from(solicited) << 6 | u8::from(override_cache) << 5;
                (target, TARGET_LINK_LAYER, target_mac)
            }
        };
        out[8..24].copy_from_slice(&target.octets());
        let len = if let Some(mac) = mac {
            out[24] = option;
            out[25] = 1;
            out[26..32].copy_from_slice(&mac.0);
            MESSAGE_BYTES
        } else {
            24
        };
        let sum = icmp_checksum(source, destination, &out[..len]).to_be_bytes();
        out[2..4].copy_from_slice(&sum);
        len
    }
}

fn icmp_checksum(source: Ipv6Addr, destination: Ipv6Addr, bytes: &[u8]) -> u16 {
    checksum::Sum::new()
        .pseudo_header(&source.octets(), &destination.octets(), protocol::ICMPV6, bytes.len() as u32)
        .bytes(bytes)
        .fold()
}

/// Walks the options; all must be well-formed even if only one is wanted (RFC 4861 §7.1.1).
fn link_layer(bytes: &[u8], wanted: u8) -> Result<Option<MacAddr>, Error> {
    let mut found = None;
    let mut at = 24;
    while let Some(&[kind, units]) = bytes.get(at..).and_then(|rest| rest.first_chunk::<2>()) {
        let len = usize::from(units) * 8;
        let Some(body) = bytes.get(at + 2..at + len).filter(|_| units > 0) else {
            return Err(Error::Option(at));
        };
        if kind == wanted {
            let mac = MacAddr(*body.first_chunk::<6>().ok_or(Error::Option(at))?);
            if mac.is_group() || mac == MacAddr::ZERO {
                return Err(Error::Mac(mac));
            }
            found = found.or(Some(mac));
        }
        at += len;
    }
    if at == bytes.len() { Ok(found) } else { Err(Error::Option(at)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);

    fn ip(text: &str) -> Ipv6Addr {
        text.parse().unwrap()
    }

    fn all() -> Vec<Message> {
        let target = ip("2001:db8::7");
        let mut out = vec![
            Message::Solicitation { target, source_mac: Some(MAC) },
            Message::Solicitation { target, source_mac: None },
        ];
        for bits in 0..8 {
            out.push(Message::Advertisement {
                target,
                target_mac: (bits != 3).then_some(MAC),
                router: bits & 1 != 0,
                solicited: bits & 2 != 0,
                override_cache: bits & 4 != 0,
            });
        }
        out
    }

    #[test]
    fn emit_and_decode_round_trip() {
        let (a, b) = (ip("fe80::1"), ip("ff02::1:ff00:7"));
        for message in all() {
            let mut out = [0; MESSAGE_BYTES];
            let len = message.emit(a, b, &mut out);
            assert_eq!(Message::decode(a, b, &out[..len]), Ok(message));
        }
    }

    #[test]
    fn every_malformation_is_named() {
        let (a, b) = (ip("fe80::1"), ip("ff02::1:ff00:7"));
        let mut right = [0; MESSAGE_BYTES];
        all()[0].emit(a, b, &mut right);
        assert_eq!(Message::decode(a, b, &right[..23]), Err(Error::Short(23)));
        assert_eq!(Message::decode(b, b, &right), Err(Error::Checksum));
        let resum = |mut bytes: Vec<u8>| {
            bytes[2] = 0;
            bytes[3] = 0;
            let sum = icmp_checksum(a, b, &bytes).to_be_bytes();
            bytes[2..4].copy_from_slice(&sum);
            bytes
        };
        let with = |at: usize, value: u8| {
            let mut bytes = right.to_vec();
            bytes[at] = value;
            resum(bytes)
        };
        assert_eq!(Message::decode(a, b, &with(1, 1)), Err(Error::Type(135, 1)));
        assert_eq!(Message::decode(a, b, &with(0, 137)), Err(Error::Type(137, 0)));
        assert!(matches!(Message::decode(a, b, &with(8, 0xff)), Err(Error::MulticastTarget(_))));
        assert_eq!(Message::decode(a, b, &with(25, 0)), Err(Error::Option(24)));
        assert_eq!(Message::decode(a, b, &with(25, 2)), Err(Error::Option(24)));
        assert!(matches!(Message::decode(a, b, &with(26, 1)), Err(Error::Mac(_))));
        let mut odd = right.to_vec();
        odd.push(1);
        assert_eq!(Message::decode(a, b, &resum(odd)), Err(Error::Option(32)));
    }
}
