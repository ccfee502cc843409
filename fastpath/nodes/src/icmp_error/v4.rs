//! ICMP errors, RFC 792 and RFC 1812 §4.3.2.

use ze_graph::{CHUNK_BYTES, Cx, Meta, flag};
use ze_packet::ipv4::{self, protocol};
use ze_packet::{checksum, icmp};

use super::{Reply, TTL, describe};
use crate::bytes::l3;

/// Bytes of an ICMP error's header.
const ICMP_BYTES: usize = 8;
/// What goes in front of the quoted packet.
const FRONT_BYTES: usize = ipv4::HEADER_BYTES + ICMP_BYTES;
/// RFC 1812 §4.3.2.3: as much of the original as fits without exceeding 576 bytes.
const ERROR_BYTES_MAX: usize = 576;
/// RFC 1812 §4.3.2.5: precedence 6, "internetwork control".
const TRAFFIC_CLASS: u8 = 6 << 5;

/// The error that is due about the packet; none where RFC 1812 §4.3.2.7 forbids one.
pub(super) fn reply(cx: &Cx<'_>, meta: &Meta, chunk: &[u8; CHUNK_BYTES]) -> Option<Reply<u32>> {
    let packet = l3(meta, chunk);
    let view = ipv4::View(packet.first_chunk()?);
    let (source, destination) = (view.source(), view.destination());
    let is_later_fragment = view.fragment() & ipv4::OFFSET_MASK != 0;
    let is_to_many = meta.has(flag::L2_GROUP) || ipv4::is_multicast(destination) || destination == u32::MAX;
    let is_silent = meta.has(flag::GENERATED) || is_later_fragment || is_to_many;
    if is_silent || ipv4::is_martian_source(source) || is_icmp_error(view, packet) {
        return None;
    }
    Some(Reply {
        source: our_address(cx, meta)?,
        destination: source,
        kind: meta.icmp_type,
        code: meta.icmp_code,
        mtu: meta.icmp_mtu,
        quoted: packet.len().min(ERROR_BYTES_MAX - FRONT_BYTES),
    })
}

fn is_icmp_error(view: ipv4::View<'_>, packet: &[u8]) -> bool {
    if view.protocol() != protocol::ICMP {
        return false;
    }
    // A packet too short to show its type may be anything, an error too.
    packet.get(view.header_len_bytes()).is_none_or(|kind| icmp::v4::is_error(*kind))
}

/// RFC 1812 §4.3.2.4 wants the way out's address; every router since traceroute says the way in's.
fn our_address(cx: &Cx<'_>, meta: &Meta) -> Option<u32> {
    let interface = cx.fib.interface(meta.rx_interface);
    let own = interface.and_then(|interface| interface.addresses4.first()).map(|own| own.address);
    let fallback = || cx.fib.vrf(meta.vrf).map(|vrf| vrf.icmp_source4).filter(|address| *address != 0);
    own.or_else(fallback)
}

/// Writes the error in front of what it quotes; none if there is no room, which frames always have.
pub(super) fn write(reply: &Reply<u32>, meta: &mut Meta, chunk: &mut [u8; CHUNK_BYTES]) -> Option<()> {
    let start = usize::from(meta.l3_offset).checked_sub(FRONT_BYTES)?;
    let total = FRONT_BYTES + reply.quoted;
    let error = chunk.get_mut(start..start + total)?;
    let header = ipv4::Header {
        traffic_class: TRAFFIC_CLASS,
        total_len_bytes: total as u16,
        identification: 0, // RFC 6864 §4.1: an atomic datagram needs none
        fragment: ipv4::DONT_FRAGMENT,
        ttl: TTL,
        protocol: protocol::ICMP,
        source: reply.source.into(),
        destination: reply.destination.into(),
    };
    let (ip, message) = error.split_first_chunk_mut()?;
    *ip = header.to_bytes();
    let [m0, m1] =
        if reply.code == icmp::v4::code::FRAGMENTATION_NEEDED && reply.kind == icmp::v4::UNREACHABLE {
            reply.mtu.to_be_bytes() // RFC 1191 §4
        } else {
            [0, 0]
        };
    *message.first_chunk_mut()? = [reply.kind, reply.code, 0, 0, 0, 0, m0, m1];
    let [c0, c1] = checksum::of(message).to_be_bytes();
    *message.first_chunk_mut()? = [reply.kind, reply.code, c0, c1];
    let dont_fragment = flag::DONT_FRAGMENT;
    describe(meta, start as u16, total as u16, ipv4::HEADER_BYTES as u16, protocol::ICMP, dont_fragment);
    meta.destination = reply.destination.into();
    Some(())
}
