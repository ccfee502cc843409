//! `ip4_rewrite`: TTL, MTU, and the L2 header of the way out.
//!
//! takes IPv4 packets with a nexthop · reads `nexthop`, `ttl`, `l3_offset`, `l3_len`, `flags`, adjacencies ·
//! writes the TTL, its checksum and the L2 header, `data_offset`, `len`, `tx_port`, `tx_interface`, `icmp_type`,
//! `icmp_code`, `icmp_mtu` · leaves by `interface_output`, `icmp_error` (TTL ran out, too big and DF is set),
//! `ip4_fragment` (too big), `drop`.

use ze_fib::{Adjacency, REWRITE_BYTES};
use ze_graph::{Batch, CHUNK_BYTES, Cx, DropReason, Fanout, Meta, Node, flag};
use ze_packet::ethernet::ethertype;
use ze_packet::icmp::v4;
use ze_packet::ipv4;

use crate::bytes::window_mut;
use crate::forward::{self, OURS};
use crate::hop::Hop;

ze_graph::edges! {
    /// The ways out of `ip4_rewrite`.
    pub enum Next {
        InterfaceOutput = "interface_output",
        IcmpError = "icmp_error",
        Ip4Fragment = "ip4_fragment",
        Drop = "drop",
    }
}

/// The node.
#[derive(Debug, Default)]
pub struct Ip4Rewrite;

impl Node for Ip4Rewrite {
    const NAME: &'static str = "ip4_rewrite";
    type Next = Next;

    fn process(&mut self, cx: &Cx<'_>, batch: &mut Batch, out: &mut Fanout<'_, Next>) {
        let mut hop = Hop::new();
        batch.each(out, |frame| {
            let (meta, chunk) = cx.arena.parts_mut(frame);
            let Some(adjacency) = hop.adjacency(cx, meta.nexthop) else {
                meta.drop_reason = DropReason::NoAdjacency;
                return Next::Drop;
            };
            let next = rewrite(adjacency, meta, chunk);
            if matches!(next, Next::InterfaceOutput | Next::Ip4Fragment) {
                hop.count(meta.len);
            }
            next
        });
        hop.end(cx);
    }
}

/// The L2 header to write and the L3 header behind it.
const WINDOW_BYTES: usize = REWRITE_BYTES + ipv4::HEADER_BYTES;

#[inline]
fn rewrite(adjacency: &Adjacency, meta: &mut Meta, chunk: &mut [u8; CHUNK_BYTES]) -> Next {
    let is_ours = meta.flags & OURS != 0;
    // Before any change to the packet: the error quotes it as it came.
    if meta.ttl <= 1 && !is_ours {
        forward::refuse(meta, v4::TIME_EXCEEDED, 0, DropReason::TtlExceeded);
        return Next::IcmpError;
    }
    let is_too_big = meta.l3_len > adjacency.mtu;
    if is_too_big && meta.has(flag::DONT_FRAGMENT) {
        meta.icmp_mtu = adjacency.mtu;
        forward::refuse(meta, v4::UNREACHABLE, v4::code::FRAGMENTATION_NEEDED, DropReason::TooBig);
        return Next::IcmpError;
    }
    let start = usize::from(meta.l3_offset).wrapping_sub(REWRITE_BYTES);
    let Some(window) = window_mut::<WINDOW_BYTES>(chunk, start) else {
        meta.drop_reason = DropReason::Ip4Short; // no room before the header: frames always have headroom
        return Next::Drop;
    };
    forward::write_header(window, adjacency, ethertype::IPV4);
    if !is_ours {
        decrement_ttl(window);
    }
    let header_len = u16::from(adjacency.header_len);
    meta.data_offset = meta.l3_offset - header_len;
    meta.len = meta.l3_len + header_len;
    (meta.tx_interface, meta.tx_port) = (adjacency.interface, adjacency.port);
    if is_too_big {
        meta.icmp_mtu = adjacency.mtu;
        return Next::Ip4Fragment;
    }
    Next::InterfaceOutput
}

/// One hop less, and the checksum follows.
#[inline]
fn decrement_ttl(window: &mut [u8; WINDOW_BYTES]) {
    const TTL: usize = REWRITE_BYTES + 8;
    const CHECKSUM: usize = REWRITE_BYTES + 10;
    let sum = u16::from_ne_bytes([window[CHECKSUM], window[CHECKSUM + 1]]);
    window[TTL] = window[TTL].wrapping_sub(1);
    window[CHECKSUM..CHECKSUM + 2].copy_from_slice(&after_one_hop(sum).to_ne_bytes());
}

/// The checksum after the TTL went down by one: RFC 1624 §3, equation 3, for the only change that is ever made.
///
/// TTL is the high byte of its word, so the sum of the header falls by 0x0100 and its complement rises by as much,
/// with the carry around the end. 0xffff, which no sum of a header gives, becomes 0. A one's-complement sum does not
/// depend on byte order (RFC 1071 §2(B)): bytes are taken as they lie.
#[inline]
const fn after_one_hop(sum: u16) -> u16 {
    let sum = sum as u32 + 0x0100u16.to_be() as u32;
    (sum + (sum >= 0xffff) as u32) as u16
}

#[cfg(test)]
mod tests {
    use ze_packet::checksum;

    #[test]
    fn the_short_update_is_equation_3_of_rfc_1624_for_every_checksum() {
        for sum in 0..u16::MAX {
            for old in [0x0100, 0x4011, 0xff06, 0x01ff] {
                let expected = checksum::update(sum, old, old - 0x0100);
                let short = u16::from_be(super::after_one_hop(sum.to_be()));
                assert_eq!(short, expected, "checksum {sum:#06x}, word {old:#06x}");
            }
        }
    }
}
