//! `punt`: packets for the host stack go to the representor of the interface that they came by.
//!
//! takes packets for the router, with a first `punt_reason` · reads `rx_interface`, `vrf`, `destination`, `flags`,
//! `l3_offset`, `l3_len`, the L3 and L4 headers, interfaces, routes (is the source one of ours?) · writes
//! `punt_reason` (the final class), `protocol`, `l4_offset`, `data_offset`, `len` (tags are taken out), `tx_port` ·
//! leaves by `transmit` (to the representor), `control` (neighbour discovery), `drop`.
//!
//! The law's term `punt` is counted by the worker when the representor's ring accepts the frame; the counters by
//! class and by interface are counted here.

pub mod class;
mod classify;

use ze_fib::{Interface, Nexthop, Target};
use ze_graph::{Batch, CHUNK_BYTES, Cx, DropReason, Fanout, Meta, Node, PuntReason, flag};
use ze_packet::ipv4;

use crate::bytes::l3;
use crate::forward::OURS;
use crate::l2;
use class::{Policers, PuntRates};

ze_graph::edges! {
    /// The ways out of `punt`.
    pub enum Next {
        Transmit = "transmit",
        Control = "control",
        Drop = "drop",
    }
}

/// The node.
#[derive(Debug)]
pub struct Punt {
    policers: Policers,
}

impl Punt {
    /// The node, with this worker's share of the classes' rates.
    #[must_use]
    pub fn new(rates: &PuntRates, workers: u8, hertz: u64) -> Self {
        Self { policers: Policers::new(rates, workers, hertz) }
    }

    fn send(
        &mut self,
        cx: &Cx<'_>,
        meta: &mut Meta,
        chunk: &mut [u8; CHUNK_BYTES],
    ) -> Result<Next, DropReason> {
        meta.punt_reason = classify::classify(meta, chunk)?;
        if meta.punt_reason == PuntReason::NeighborDiscovery {
            return Ok(Next::Control); // which polices the class
        }
        if claims_our_address(cx, meta, chunk) {
            return Err(DropReason::OwnSource);
        }
        let interface = cx.fib.interface(meta.rx_interface).ok_or(DropReason::NoInterface)?;
        meta.tx_port = interface.representor.ok_or(DropReason::NoRepresentor)?;
        if !self.policers.allow(meta.punt_reason, cx.now) {
            cx.counters.policed(meta.punt_reason);
            return Err(DropReason::PuntPoliced);
        }
        prepare(interface, meta, chunk).ok_or(DropReason::RuntFrame)?;
        cx.counters.punted(meta.punt_reason);
        if let Some(counters) = cx.counters.interface(meta.rx_interface) {
            counters.punt.add(1, u64::from(meta.len));
        }
        Ok(Next::Transmit)
    }
}

impl Node for Punt {
    const NAME: &'static str = "punt";
    type Next = Next;

    fn process(&mut self, cx: &Cx<'_>, batch: &mut Batch, out: &mut Fanout<'_, Next>) {
        batch.each(out, |frame| {
            let (meta, chunk) = cx.arena.parts_mut(frame);
            self.send(cx, meta, chunk).unwrap_or_else(|reason| {
                meta.drop_reason = reason;
                Next::Drop
            })
        });
    }
}

/// The frame as the representor wants it: untagged, and to the interface's own address if it has no L2 header.
fn prepare(interface: &Interface, meta: &mut Meta, chunk: &mut [u8; CHUNK_BYTES]) -> Option<()> {
    if l2::is_dressed(meta) {
        return l2::untag(meta, chunk);
    }
    l2::dress(meta, chunk, interface.mac)
}

/// Does a packet from outside name one of our addresses as its source? Asked only here, where it would do harm and
/// where a second lookup is affordable; the transit path does without.
fn claims_our_address(cx: &Cx<'_>, meta: &Meta, chunk: &[u8; CHUNK_BYTES]) -> bool {
    let is_local = meta.punt_reason != PuntReason::Llc && meta.punt_reason != PuntReason::L2Multicast;
    if !is_local || meta.flags & OURS != 0 {
        return false;
    }
    let Some(vrf) = cx.fib.vrf(meta.vrf) else { return false };
    let packet = l3(meta, chunk);
    let value = if meta.has(flag::IPV6) {
        packet.first_chunk().map(|header| cx.fib.lpm6(vrf).lookup(ze_packet::ipv6::View(header).source()))
    } else {
        packet.first_chunk().map(|header| cx.fib.lpm4(vrf).lookup(ipv4::View(header).source()))
    };
    let Some(Target::Nexthop(id)) = value.and_then(Target::unpack) else { return false };
    matches!(cx.fib.nexthop(id), Some(Nexthop::Local { .. }))
}
