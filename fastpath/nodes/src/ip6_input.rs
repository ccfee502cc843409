//! `ip6_input`: is this an IPv6 packet that we may handle? RFC 8200 §3, RFC 4291.
//!
//! takes frames whose EtherType is IPv6 · reads `l3_offset`, `data_offset`, `len`, `flags`, the fixed header, and
//! of multicast packets the extension headers · writes `destination`, `l3_len`, `l4_offset`, `ttl`, `protocol`,
//! `flags`, `len` (padding is cut off), `punt_reason` · leaves by `ip6_lookup`, `control` (neighbour discovery),
//! `punt` (other multicast), `drop`.

use ze_graph::{Batch, CHUNK_BYTES, Cx, DropReason, Fanout, Meta, Node, PuntReason, flag};
use ze_packet::ipv4::protocol;
use ze_packet::ipv6::{self, next_header};
use ze_packet::nd;

use crate::bytes::{l3, l3_available, window};
use crate::forward::OURS;
use crate::ip6_chain::{self, ChainError};

ze_graph::edges! {
    /// The ways out of `ip6_input`.
    pub enum Next {
        Ip6Lookup = "ip6_lookup",
        Control = "control",
        Punt = "punt",
        Drop = "drop",
    }
}

/// The node.
#[derive(Debug, Default)]
pub struct Ip6Input;

impl Node for Ip6Input {
    const NAME: &'static str = "ip6_input";
    type Next = Next;

    fn process(&mut self, cx: &Cx<'_>, batch: &mut Batch, out: &mut Fanout<'_, Next>) {
        batch.each(out, |frame| {
            let (meta, chunk) = cx.arena.parts_mut(frame);
            check(meta, chunk).unwrap_or_else(|reason| {
                meta.drop_reason = reason;
                Next::Drop
            })
        });
    }
}

#[inline]
fn check(meta: &mut Meta, chunk: &[u8; CHUNK_BYTES]) -> Result<Next, DropReason> {
    let available = l3_available(meta);
    let header: Option<&[u8; ipv6::HEADER_BYTES]> = window(chunk, usize::from(meta.l3_offset));
    let Some(header) = header.filter(|_| available >= ipv6::HEADER_BYTES) else {
        return Err(DropReason::Ip6Short);
    };
    let view = ipv6::View(header);
    if view.version() != 6 {
        return Err(DropReason::Ip6Version);
    }
    let (payload, next) = (usize::from(view.payload_len_bytes()), view.next_header());
    // A payload length of 0 before hop-by-hop options is a jumbogram (RFC 2675 §2), longer than any frame here.
    if ipv6::HEADER_BYTES + payload > available || (payload == 0 && next == next_header::HOP_BY_HOP) {
        return Err(DropReason::Ip6PayloadLength);
    }
    let (source, destination) = (view.source(), view.destination());
    meta.destination = destination;
    meta.l3_len = (ipv6::HEADER_BYTES + payload) as u16;
    meta.len = (meta.l3_offset - meta.data_offset) + meta.l3_len;
    meta.ttl = view.hop_limit();
    meta.protocol = next;
    meta.l4_offset = if ip6_chain::is_extension(next) { 0 } else { ipv6::HEADER_BYTES as u16 };
    // No router fragments IPv6 (RFC 8200 §5): "don't fragment" is always set.
    meta.flags |= flag::IPV6 | flag::DONT_FRAGMENT;
    if is_global_unicast(source) & is_global_unicast(destination) {
        return Ok(Next::Ip6Lookup);
    }
    judge_unusual(meta, chunk, source, destination)
}

/// 2000::/3 (RFC 4291 §2.4): nothing in it is special here.
#[inline]
const fn is_global_unicast(address: u128) -> bool {
    address >> 125 == 0b001
}

/// Everything outside 2000::/3: martian, multicast, link-local, or plain after all (fc00::/7, 64:ff9b::/96).
#[cold]
fn judge_unusual(
    meta: &mut Meta,
    chunk: &[u8; CHUNK_BYTES],
    source: u128,
    destination: u128,
) -> Result<Next, DropReason> {
    let is_ours = meta.flags & OURS != 0;
    let is_multicast = ipv6::is_multicast(destination);
    // Duplicate address detection and MLD speak from :: to groups (RFC 4862 §5.4.2, RFC 3590).
    let is_nameless = source == 0 && is_multicast;
    if ipv6::is_martian_source(source) && !is_nameless && !is_ours {
        return Err(DropReason::Ip6SourceMartian);
    }
    if ipv6::is_martian_destination(destination) {
        return Err(DropReason::Ip6DestinationMartian);
    }
    if is_multicast {
        return multicast(meta, chunk, destination, is_ours);
    }
    if ipv6::is_link_local(source) || ipv6::is_link_local(destination) {
        meta.flags |= flag::LINK_LOCAL;
    }
    Ok(Next::Ip6Lookup)
}

/// Multicast is not routed: it is for the neighbour engine, or for the host stack.
fn multicast(
    meta: &mut Meta,
    chunk: &[u8; CHUNK_BYTES],
    group: u128,
    is_ours: bool,
) -> Result<Next, DropReason> {
    // RFC 4291 §2.7: scope 0 is reserved, scope 1 never leaves a node.
    if group >> 112 & 0xf <= 1 {
        return Err(DropReason::Ip6DestinationMartian);
    }
    if is_ours {
        return Err(DropReason::MulticastNotRouted); // what the host stack sends to groups has left by L2 already
    }
    meta.punt_reason = classify(meta, l3(meta, chunk))?;
    if meta.punt_reason == PuntReason::NeighborDiscovery {
        return Ok(Next::Control);
    }
    Ok(Next::Punt)
}

/// The punt class of a packet to the router, by its transport header. Also for unicast, in `punt`.
pub(crate) fn classify(meta: &mut Meta, packet: &[u8]) -> Result<PuntReason, DropReason> {
    let chain = ip6_chain::walk(packet).map_err(|error| match error {
        ChainError::Malformed => DropReason::Ip6ExtensionChain,
        ChainError::FirstFragmentTooShort => DropReason::Ip6FragmentChain,
    })?;
    meta.protocol = chain.protocol;
    meta.l4_offset = chain.l4_offset as u16;
    let is_multicast = ipv6::is_multicast(meta.destination);
    let unknown = if is_multicast { PuntReason::Multicast } else { PuntReason::Local };
    if chain.is_later_fragment {
        meta.flags |= flag::LATER_FRAGMENT;
        return Ok(unknown);
    }
    match chain.protocol {
        protocol::ICMPV6 => {
            let kind = packet.get(chain.l4_offset).copied().ok_or(DropReason::Ip6Short)?;
            icmp_class(meta, kind, chain.is_fragment)
        }
        protocol::OSPF | protocol::PIM | protocol::VRRP => Ok(PuntReason::Igp),
        _ => Ok(unknown),
    }
}

fn icmp_class(meta: &Meta, kind: u8, is_fragment: bool) -> Result<PuntReason, DropReason> {
    let is_discovery = matches!(kind, nd::ROUTER_SOLICITATION..=nd::REDIRECT);
    if !is_discovery {
        let is_multicast = ipv6::is_multicast(meta.destination);
        return Ok(if is_multicast { PuntReason::Multicast } else { PuntReason::Icmp });
    }
    if meta.ttl != nd::HOP_LIMIT {
        return Err(DropReason::NdHopLimit);
    }
    if is_fragment {
        return Err(DropReason::Ip6ExtensionChain); // RFC 6980 §5: never fragmented
    }
    match kind {
        nd::NEIGHBOR_SOLICITATION | nd::NEIGHBOR_ADVERTISEMENT => Ok(PuntReason::NeighborDiscovery),
        nd::ROUTER_SOLICITATION | nd::ROUTER_ADVERTISEMENT => Ok(PuntReason::RouterDiscovery),
        _ => Ok(PuntReason::Icmp), // redirects: the host stack ignores them, being a router
    }
}
