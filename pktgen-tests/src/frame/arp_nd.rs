//! Address resolution: ARP (RFC 826) and neighbour discovery (RFC 4861).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{BROADCAST, ETHERTYPE_ARP, Ip6, Link, Mac, carry, ethernet};

/// RFC 4861 §7.1.1: a message with any other hop limit has crossed a router.
const HOP_LIMIT: u8 = 255;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// Option types, RFC 4861 §4.6.1.
const SOURCE_ADDRESS_OPTION: u8 = 1;
const TARGET_ADDRESS_OPTION: u8 = 2;

/// `asker` asks everybody for the address of `target`.
#[must_use]
pub fn arp_request(asker: (Mac, Ipv4Addr), target: Ipv4Addr) -> Vec<u8> {
    let link = Link { to: BROADCAST, from: asker.0 };
    ethernet(link, ETHERTYPE_ARP, &arp(1, asker, ([0; 6], target)))
}

/// `owner` answers `asker`.
#[must_use]
pub fn arp_reply(owner: (Mac, Ipv4Addr), asker: (Mac, Ipv4Addr)) -> Vec<u8> {
    let link = Link { to: asker.0, from: owner.0 };
    ethernet(link, ETHERTYPE_ARP, &arp(2, owner, asker))
}

fn arp(operation: u16, sender: (Mac, Ipv4Addr), target: (Mac, Ipv4Addr)) -> Vec<u8> {
    let mut message = vec![0, 1, 8, 0, 6, 4];
    message.extend(operation.to_be_bytes());
    for (mac, address) in [sender, target] {
        message.extend(mac);
        message.extend(address.octets());
    }
    message
}

/// `asker` asks the solicited-node group of `target`.
#[must_use]
pub fn neighbor_solicitation(asker: (Mac, Ipv6Addr), target: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = target.octets();
    // RFC 4291 §2.7.1 and RFC 2464 §7.
    let group = Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]);
    let link = Link { to: [0x33, 0x33, 0xff, a, b, c], from: asker.0 };
    carry(link, &message(SOLICITATION, 0, (asker.1, group), target, (SOURCE_ADDRESS_OPTION, asker.0)))
}

/// `owner` answers `asker`. `flags` are router, solicited, override, from the top bit down.
#[must_use]
pub fn neighbor_advertisement(owner: (Mac, Ipv6Addr), asker: (Mac, Ipv6Addr), flags: u8) -> Vec<u8> {
    let link = Link { to: asker.0, from: owner.0 };
    carry(link, &message(ADVERTISEMENT, flags, (owner.1, asker.1), owner.1, (TARGET_ADDRESS_OPTION, owner.0)))
}

fn message(
    kind: u8,
    flags: u8,
    (from, to): (Ipv6Addr, Ipv6Addr),
    target: Ipv6Addr,
    (option, mac): (u8, Mac),
) -> Vec<u8> {
    let body = [&target.octets()[..], &[option, 1], &mac].concat();
    Ip6 { hop_limit: HOP_LIMIT, ..Ip6::new(from, to) }.icmp(kind, 0, [flags, 0, 0, 0], &body)
}
