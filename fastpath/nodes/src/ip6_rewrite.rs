//! `ip6_rewrite`: hop limit, MTU, and the L2 header of the way out.
//!
//! takes IPv6 packets with a nexthop · reads `nexthop`, `ttl`, `l3_offset`, `l3_len`, `flags`, adjacencies ·
//! writes the hop limit and the L2 header, `data_offset`, `len`, `tx_port`, `tx_interface`, `icmp_type`,
//! `icmp_code`, `icmp_mtu` · leaves by `interface_output`, `icmp_error` (hop limit ran out, too big), `drop`.

use ze_fib::{Adjacency, REWRITE_BYTES};
use ze_graph::{Batch, CHUNK_BYTES, Cx, DropReason, Fanout, Meta, Node};
use ze_packet::ethernet::ethertype;
use ze_packet::icmp::v6;
use ze_packet::ipv6;

use crate::bytes::window_mut;
use crate::forward::{self, OURS};
use crate::hop::Hop;

ze_graph::edges! {
    /// The ways out of `ip6_rewrite`.
    pub enum Next {
        InterfaceOutput = "interface_output",
        IcmpError = "icmp_error",
        Drop = "drop",
    }
}

/// The node.
#[derive(Debug, Default)]
pub struct Ip6Rewrite;

impl Node for Ip6Rewrite {
    const NAME: &'static str = "ip6_rewrite";
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
            if next == Next::InterfaceOutput {
                hop.count(meta.len);
            }
            next
        });
        hop.end(cx);
    }
}

/// The L2 header to write and the part of the fixed header up to the hop limit.
const WINDOW_BYTES: usize = REWRITE_BYTES + 8;
const HOP_LIMIT: usize = REWRITE_BYTES + 7;

#[inline]
fn rewrite(adjacency: &Adjacency, meta: &mut Meta, chunk: &mut [u8; CHUNK_BYTES]) -> Next {
    let is_ours = meta.flags & OURS != 0;
    // Before any change to the packet: the error quotes it as it came.
    if meta.ttl <= 1 && !is_ours {
        forward::refuse(meta, v6::TIME_EXCEEDED, 0, DropReason::TtlExceeded);
        return Next::IcmpError;
    }
    if meta.l3_len > adjacency.mtu {
        // RFC 8201 §4: nobody can go below the minimum, so nobody is told to.
        meta.icmp_mtu = adjacency.mtu.max(ipv6::MIN_MTU_BYTES as u16);
        forward::refuse(meta, v6::PACKET_TOO_BIG, 0, DropReason::TooBig);
        return Next::IcmpError;
    }
    let start = usize::from(meta.l3_offset).wrapping_sub(REWRITE_BYTES);
    let Some(window) = window_mut::<WINDOW_BYTES>(chunk, start) else {
        meta.drop_reason = DropReason::Ip6Short; // no room before the header: frames always have headroom
        return Next::Drop;
    };
    forward::write_header(window, adjacency, ethertype::IPV6);
    if !is_ours {
        window[HOP_LIMIT] = window[HOP_LIMIT].wrapping_sub(1);
    }
    let header_len = u16::from(adjacency.header_len);
    meta.data_offset = meta.l3_offset - header_len;
    meta.len = meta.l3_len + header_len;
    (meta.tx_interface, meta.tx_port) = (adjacency.interface, adjacency.port);
    Next::InterfaceOutput
}
