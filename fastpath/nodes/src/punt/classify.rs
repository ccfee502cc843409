//! The punt matrix: which class a packet to the router belongs to.
//!
//! | arrives as | what it is | class |
//! |---|---|---|
//! | `Llc`, `L2Multicast` | frames that are not IP | as it arrives |
//! | `Broadcast` | IPv4 limited or subnet broadcast | `Broadcast` |
//! | `Multicast` IPv4 | OSPF, PIM, VRRP, IGMP | `Igp` |
//! | | LDP hellos (UDP 646 to 224.0.0.2) | `Ldp` |
//! | | anything else | `Multicast` |
//! | `Local` | with IPv4 options | `Options` |
//! | | TCP 179, either side | `Bgp` |
//! | | UDP 3784, 3785, 4784 | `Bfd` |
//! | | TCP or UDP 646, either side | `Ldp` |
//! | | OSPF, PIM, VRRP, IGMP | `Igp` |
//! | | ICMP, ICMPv6 | `Icmp` |
//! | | ND to one of our addresses | `NeighborDiscovery`, to `control` |
//! | | RS, RA | `RouterDiscovery` |
//! | | anything else, and later fragments | `Local` |
//! | IPv6 multicast | by `ip6_input`, from the same table | |

use ze_graph::{CHUNK_BYTES, DropReason, Meta, PuntReason, flag};
use ze_packet::ipv4::protocol;
use ze_packet::ports;

use crate::bytes::{be16, l3};
use crate::ip6_input;

/// The class of a packet that goes to the host stack.
pub(super) fn classify(meta: &mut Meta, chunk: &[u8; CHUNK_BYTES]) -> Result<PuntReason, DropReason> {
    let reason = meta.punt_reason;
    if !matches!(reason, PuntReason::Local | PuntReason::Multicast) {
        return Ok(reason);
    }
    let packet = l3(meta, chunk);
    let class = if meta.has(flag::IPV6) {
        ip6_input::classify(meta, packet)?
    } else if reason == PuntReason::Local && meta.has(flag::OPTIONS) {
        return Ok(PuntReason::Options);
    } else {
        by_protocol(meta.protocol, reason)
    };
    if meta.has(flag::LATER_FRAGMENT) {
        return Ok(class);
    }
    Ok(by_ports(meta, packet).unwrap_or(class))
}

const fn by_protocol(kind: u8, otherwise: PuntReason) -> PuntReason {
    match (kind, otherwise) {
        (protocol::OSPF | protocol::PIM | protocol::VRRP | protocol::IGMP, _) => PuntReason::Igp,
        (protocol::ICMP, PuntReason::Local) => PuntReason::Icmp,
        _ => otherwise,
    }
}

fn by_ports(meta: &Meta, packet: &[u8]) -> Option<PuntReason> {
    let l4 = packet.get(usize::from(meta.l4_offset)..)?;
    let (source, destination) = (be16(l4, 0)?, be16(l4, 2)?);
    let is = |port: u16| source == port || destination == port;
    match meta.protocol {
        protocol::TCP if is(ports::BGP) => Some(PuntReason::Bgp),
        protocol::TCP | protocol::UDP if is(ports::LDP) => Some(PuntReason::Ldp),
        // Only the destination tells: the source port is free (RFC 5881 §4).
        protocol::UDP if matches!(destination, ports::BFD | ports::BFD_ECHO | ports::BFD_MULTIHOP) => {
            Some(PuntReason::Bfd)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
