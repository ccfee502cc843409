//! ICMPv6 errors, RFC 4443.

use ze_graph::{CHUNK_BYTES, Cx, Meta, flag};
use ze_packet::ipv4::protocol;
use ze_packet::ipv6::{self, MIN_MTU_BYTES};
use ze_packet::{checksum, icmp};

use super::{Reply, TTL, describe};
use crate::bytes::l3;
use crate::ip6_chain;

/// Bytes of an ICMPv6 error's header.
const ICMP_BYTES: usize = 8;
/// What goes in front of the quoted packet.
const FRONT_BYTES: usize = ipv6::HEADER_BYTES + ICMP_BYTES;

/// The error that is due about the packet; none where RFC 4443 §2.4 (e) forbids one.
pub(super) fn reply(cx: &Cx<'_>, meta: &Meta, chunk: &[u8; CHUNK_BYTES]) -> Option<Reply<u128>> {
    let packet = l3(meta, chunk);
    let view = ipv6::View(packet.first_chunk()?);
    let (source, destination) = (view.source(), view.destination());
    let is_to_many = meta.has(flag::L2_GROUP) || ipv6::is_multicast(destination);
    // (e.3): path MTU discovery works for multicast too.
    let is_silent_to_many = is_to_many && meta.icmp_type != icmp::v6::PACKET_TOO_BIG;
    let is_silent = meta.has(flag::GENERATED) || is_silent_to_many || ipv6::is_martian_source(source);
    if is_silent || !may_be_answered(packet) {
        return None;
    }
    Some(Reply {
        source: our_address(cx, meta, source)?,
        destination: source,
        kind: meta.icmp_type,
        code: meta.icmp_code,
        mtu: meta.icmp_mtu,
        quoted: packet.len().min(MIN_MTU_BYTES - FRONT_BYTES),
    })
}

/// (e.1), (e.2): neither about errors nor about redirects; nor about what cannot be told from one.
fn may_be_answered(packet: &[u8]) -> bool {
    let Ok(chain) = ip6_chain::walk(packet) else { return false };
    if chain.is_later_fragment {
        return false;
    }
    let kind = || packet.get(chain.l4_offset).copied();
    chain.protocol != protocol::ICMPV6 || kind().is_some_and(|kind| !icmp::v6::is_error(kind))
}

/// RFC 4443 §2.2: an address of ours; of the way in if it has one of the right scope.
fn our_address(cx: &Cx<'_>, meta: &Meta, to: u128) -> Option<u128> {
    let interface = cx.fib.interface(meta.rx_interface);
    if ipv6::is_link_local(to) {
        return interface.map(|interface| interface.link_local).filter(|address| *address != 0);
    }
    let own = interface.and_then(|interface| interface.addresses6.first()).map(|own| own.address);
    let fallback = || cx.fib.vrf(meta.vrf).map(|vrf| vrf.icmp_source6).filter(|address| *address != 0);
    own.or_else(fallback)
}

/// Writes the error in front of what it quotes; none if there is no room, which frames always have.
pub(super) fn write(reply: &Reply<u128>, meta: &mut Meta, chunk: &mut [u8; CHUNK_BYTES]) -> Option<()> {
    let start = usize::from(meta.l3_offset).checked_sub(FRONT_BYTES)?;
    let total = FRONT_BYTES + reply.quoted;
    let error = chunk.get_mut(start..start + total)?;
    let header = ipv6::Header {
        traffic_class: 0,
        flow_label: 0,
        payload_len_bytes: (total - ipv6::HEADER_BYTES) as u16,
        next_header: protocol::ICMPV6,
        hop_limit: TTL,
        source: reply.source.into(),
        destination: reply.destination.into(),
    };
    let (ip, message) = error.split_first_chunk_mut()?;
    *ip = header.to_bytes();
    let mtu = if reply.kind == icmp::v6::PACKET_TOO_BIG { reply.mtu } else { 0 };
    let [m0, m1] = mtu.to_be_bytes();
    *message.first_chunk_mut()? = [reply.kind, reply.code, 0, 0, 0, 0, m0, m1];
    let (source, destination) = (reply.source.to_be_bytes(), reply.destination.to_be_bytes());
    let sum = checksum::Sum::new()
        .pseudo_header(&source, &destination, protocol::ICMPV6, message.len() as u32)
        .bytes(message)
        .fold();
    let [c0, c1] = sum.to_be_bytes();
    *message.first_chunk_mut()? = [reply.kind, reply.code, c0, c1];
    let family = flag::IPV6 | flag::DONT_FRAGMENT;
    describe(meta, start as u16, total as u16, ipv6::HEADER_BYTES as u16, protocol::ICMPV6, family);
    meta.destination = reply.destination;
    if ipv6::is_link_local(reply.destination) {
        meta.flags |= flag::LINK_LOCAL;
    }
    Some(())
}
