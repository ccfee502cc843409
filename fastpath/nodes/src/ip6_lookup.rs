//! `ip6_lookup`: where does this packet go?
//!
//! takes checked IPv6 packets · reads `destination`, `vrf`, `flags`, `rx_interface`, routes, groups, nexthops,
//! interfaces (of link-local packets) · writes `nexthop`, `flow_hash`, `tx_interface` and `destination` (of packets
//! that wait for a neighbour), `icmp_type`, `icmp_code`, `punt_reason`, `drop_reason` · leaves by `ip6_rewrite`,
//! `punt` (local), `control` (neighbour not resolved), `icmp_error` (no route, reject routes), `drop`.
//!
//! Link-local destinations have no route: they are valid on one link only, which is the ingress interface (of
//! packets from the host stack: the representor's). There they are our own address, or a neighbour to ask for.

use ze_graph::{BATCH_MAX, Batch, Cx, DropReason, Fanout, Frame, Meta, Node, PuntReason, flag};
use ze_packet::icmp::v6;
use ze_packet::{VrfId, ipv6};

use crate::bytes::l3;
use crate::flow;
use crate::forward::{self, OURS, Refusals, Settled, Way};

ze_graph::edges! {
    /// The ways out of `ip6_lookup`.
    pub enum Next {
        Ip6Rewrite = "ip6_rewrite",
        Punt = "punt",
        Control = "control",
        IcmpError = "icmp_error",
        Drop = "drop",
    }
}

/// The node.
#[derive(Debug)]
pub struct Ip6Lookup {
    hash_seed: u64,
    // Of one batch; kept here so that no batch has to clear them.
    destinations: [u128; BATCH_MAX],
    values: [u32; BATCH_MAX],
}

/// RFC 4443 §3.1.
const REFUSALS: Refusals = Refusals {
    kind: v6::UNREACHABLE,
    no_route: v6::code::NO_ROUTE,
    unreachable: v6::code::REJECT,
    prohibited: v6::code::ADMINISTRATIVELY_PROHIBITED,
    link_local: (DropReason::Ip6LinkLocal, Some(v6::code::BEYOND_SCOPE)),
};

impl Ip6Lookup {
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
            let value = cx.fib.lpm6(vrf).lookup(meta.destination);
            follow(cx, self.hash_seed, frame, value, &mut Settled::none())
        });
    }
}

impl Node for Ip6Lookup {
    const NAME: &'static str = "ip6_lookup";
    type Next = Next;

    fn process(&mut self, cx: &Cx<'_>, batch: &mut Batch, out: &mut Fanout<'_, Next>) {
        let Some(vrf) = gather(cx, batch, &mut self.destinations).and_then(|vrf| cx.fib.vrf(vrf)) else {
            return self.process_mixed(cx, batch, out);
        };
        let count = batch.len();
        if let (Some(addresses), Some(values)) =
            (self.destinations.get(..count), self.values.get_mut(..count))
        {
            cx.fib.lpm6(vrf).lookup_batch(addresses, values);
        }
        let mut settled = Settled::none();
        batch.each_with(&self.values, out, |frame, value| {
            if settled.leads(cx.arena.meta_mut(frame), value) {
                return Next::Ip6Rewrite;
            }
            follow(cx, self.hash_seed, frame, value, &mut settled)
        });
    }
}

#[inline(never)] // once a run of packets with one nexthop: the loop keeps its registers
fn follow(cx: &Cx<'_>, hash_seed: u64, frame: &mut Frame, value: u32, settled: &mut Settled) -> Next {
    let (meta, chunk) = cx.arena.parts_mut(frame);
    if meta.has(flag::LINK_LOCAL) && ipv6::is_link_local(meta.destination) {
        return exit(on_link(cx, meta));
    }
    let way = forward::follow(cx, meta, value, &REFUSALS, |meta, symmetric| {
        flow::hash6(hash_seed, symmetric, l3(meta, chunk))
    });
    if way == Way::Rewrite {
        settled.note(meta, value);
    }
    exit(way)
}

#[inline]
const fn exit(way: Way) -> Next {
    match way {
        Way::Rewrite => Next::Ip6Rewrite,
        Way::Punt => Next::Punt,
        Way::Control => Next::Control,
        Way::IcmpError => Next::IcmpError,
        Way::Drop => Next::Drop,
    }
}

/// A link-local destination.
#[cold]
fn on_link(cx: &Cx<'_>, meta: &mut Meta) -> Way {
    let is_ours = meta.flags & OURS != 0;
    let Some(interface) = cx.fib.interface(meta.rx_interface) else {
        return forward::drop(meta, DropReason::NoInterface);
    };
    if interface.link_local == meta.destination {
        if meta.has(flag::L2_GROUP) {
            return forward::drop(meta, DropReason::L2BroadcastUnicast);
        }
        return forward::punt(meta, PuntReason::Local);
    }
    if !is_ours {
        return forward::drop(meta, DropReason::Ip6LinkLocal);
    }
    forward::ask(meta, interface.id, None)
}

/// Collects the destinations; returns the VRF if all packets share it.
fn gather(cx: &Cx<'_>, batch: &Batch, destinations: &mut [u128; BATCH_MAX]) -> Option<VrfId> {
    let vrf = cx.arena.meta(batch.frames().first()?).vrf;
    let mut others = 0;
    for (frame, destination) in batch.frames().iter().zip(destinations) {
        let meta = cx.arena.meta(frame);
        *destination = meta.destination;
        others |= meta.vrf.0 ^ vrf.0;
    }
    (others == 0).then_some(vrf)
}
