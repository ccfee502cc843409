//! `ip4_lookup`: where does this packet go?
//!
//! takes checked IPv4 packets · reads `destination`, `vrf`, `flags`, `rx_interface`, routes, groups, nexthops ·
//! writes `nexthop`, `flow_hash`, `tx_interface` and `destination` (of packets that wait for a neighbour),
//! `icmp_type`, `icmp_code`, `punt_reason`, `drop_reason` · leaves by `ip4_rewrite`, `punt` (local, subnet
//! broadcast), `control` (neighbour not resolved), `icmp_error` (no route, reject routes), `drop`.

use ze_graph::{BATCH_MAX, Batch, Cx, DropReason, Fanout, Frame, Node};
use ze_packet::VrfId;
use ze_packet::icmp::v4;

use crate::bytes::l3;
use crate::flow;
use crate::forward::{self, Refusals, Settled, Way};

ze_graph::edges! {
    /// The ways out of `ip4_lookup`.
    pub enum Next {
        Ip4Rewrite = "ip4_rewrite",
        Punt = "punt",
        Control = "control",
        IcmpError = "icmp_error",
        Drop = "drop",
    }
}

/// The node.
#[derive(Debug)]
pub struct Ip4Lookup {
    hash_seed: u64,
    // Of one batch; kept here so that no batch has to clear them.
    destinations: [u32; BATCH_MAX],
    values: [u32; BATCH_MAX],
}

/// RFC 1812 §5.2.7.1: net unreachable without a route, host unreachable by a reject route, and code 13.
const REFUSALS: Refusals = Refusals {
    kind: v4::UNREACHABLE,
    no_route: v4::code::NET,
    unreachable: v4::code::HOST,
    prohibited: v4::code::ADMINISTRATIVELY_PROHIBITED,
    link_local: (DropReason::Ip4LinkLocal, None),
};

impl Ip4Lookup {
    /// The node; `hash_seed` decides which flow takes which member of a group.
    #[must_use]
    pub const fn new(hash_seed: u64) -> Self {
        Self { hash_seed, destinations: [0; BATCH_MAX], values: [0; BATCH_MAX] }
    }

    /// Packets of several VRFs: one by one.
    #[cold]
    fn process_mixed(&self, cx: &Cx<'_>, batch: &mut Batch, out: &mut Fanout<'_, Next>) {
        batch.each(out, |frame| {
            let meta = cx.arena.meta_mut(frame);
            let Some(vrf) = cx.fib.vrf(meta.vrf) else {
                meta.drop_reason = DropReason::NoVrf;
                return Next::Drop;
            };
            let value = cx.fib.lpm4(vrf).lookup(meta.destination as u32);
            follow(cx, self.hash_seed, frame, value, &mut Settled::none())
        });
    }
}

impl Node for Ip4Lookup {
    const NAME: &'static str = "ip4_lookup";
    type Next = Next;

    fn process(&mut self, cx: &Cx<'_>, batch: &mut Batch, out: &mut Fanout<'_, Next>) {
        let Some(vrf) = gather(cx, batch, &mut self.destinations).and_then(|vrf| cx.fib.vrf(vrf)) else {
            return self.process_mixed(cx, batch, out);
        };
        let count = batch.len();
        if let (Some(addresses), Some(values)) =
            (self.destinations.get(..count), self.values.get_mut(..count))
        {
            cx.fib.lpm4(vrf).lookup_batch(addresses, values);
        }
        let mut settled = Settled::none();
        batch.each_with(&self.values, out, |frame, value| {
            if settled.leads(cx.arena.meta_mut(frame), value) {
                return Next::Ip4Rewrite;
            }
            follow(cx, self.hash_seed, frame, value, &mut settled)
        });
    }
}

#[inline(never)] // once a run of packets with one nexthop: the loop keeps its registers
fn follow(cx: &Cx<'_>, hash_seed: u64, frame: &mut Frame, value: u32, settled: &mut Settled) -> Next {
    let (meta, chunk) = cx.arena.parts_mut(frame);
    let way = forward::follow(cx, meta, value, &REFUSALS, |meta, symmetric| {
        flow::hash4(hash_seed, symmetric, l3(meta, chunk))
    });
    match way {
        Way::Rewrite => {
            settled.note(meta, value);
            Next::Ip4Rewrite
        }
        Way::Punt => Next::Punt,
        Way::Control => Next::Control,
        Way::IcmpError => Next::IcmpError,
        Way::Drop => Next::Drop,
    }
}

/// Collects the destinations; returns the VRF if all packets share it.
fn gather(cx: &Cx<'_>, batch: &Batch, destinations: &mut [u32; BATCH_MAX]) -> Option<VrfId> {
    let vrf = cx.arena.meta(batch.frames().first()?).vrf;
    let mut others = 0;
    for (frame, destination) in batch.frames().iter().zip(destinations) {
        let meta = cx.arena.meta(frame);
        *destination = meta.destination as u32;
        others |= meta.vrf.0 ^ vrf.0;
    }
    (others == 0).then_some(vrf)
}
