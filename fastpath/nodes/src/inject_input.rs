//! `inject_input`: frames that the host stack sends through a representor.
//!
//! takes frames of representor ports from rx · reads `rx_port`, `data_offset`, `len`, the Ethernet header, ports,
//! interfaces · writes `l3_offset`, `ethertype`, `rx_interface`, `vrf`, `tx_interface`, `flags` · leaves by
//! `ip4_input`, `ip6_input` (to the interface's own address: the FIB decides where they go), `interface_send`
//! (to groups and other stations: OSPF, IS-IS, VRRP and LLC frames keep their L2), `drop`.

use ze_fib::PortKind;
use ze_graph::{Batch, CHUNK_BYTES, Cx, DropReason, Fanout, Meta, Node, flag};
use ze_packet::ethernet::{self, ethertype};
use ze_packet::ipv4::protocol;
use ze_packet::{InterfaceId, MacAddr, ipv6, nd};

use crate::bytes::window;
use crate::run::Run;

ze_graph::edges! {
    /// The ways out of `inject_input`.
    pub enum Next {
        Ip4Input = "ip4_input",
        Ip6Input = "ip6_input",
        InterfaceSend = "interface_send",
        Drop = "drop",
    }
}

/// The node.
#[derive(Debug, Default)]
pub struct InjectInput;

impl Node for InjectInput {
    const NAME: &'static str = "inject_input";
    type Next = Next;

    fn process(&mut self, cx: &Cx<'_>, batch: &mut Batch, out: &mut Fanout<'_, Next>) {
        let mut run = Run::new(InterfaceId(0));
        let count = |id, packets, bytes| count_inject(cx, id, packets, bytes);
        batch.each(out, |frame| {
            let (meta, chunk) = cx.arena.parts_mut(frame);
            let next = arrive(cx, meta, chunk).unwrap_or_else(|reason| {
                meta.drop_reason = reason;
                Next::Drop
            });
            run.add(meta.rx_interface, u64::from(meta.len), count);
            next
        });
        run.end(count);
    }
}

fn arrive(cx: &Cx<'_>, meta: &mut Meta, chunk: &[u8; CHUNK_BYTES]) -> Result<Next, DropReason> {
    meta.rx_interface = InterfaceId(0);
    let kind = cx.fib.port(meta.rx_port).map(|port| port.kind);
    let Some(PortKind::Representor(id)) = kind else {
        return Err(DropReason::NoInterface);
    };
    let interface = cx.fib.interface(id).ok_or(DropReason::NoInterface)?;
    (meta.rx_interface, meta.vrf) = (id, interface.vrf);
    if !interface.up {
        return Err(DropReason::InterfaceDown);
    }
    let head: Option<&[u8; ethernet::HEADER_BYTES]> = window(chunk, usize::from(meta.data_offset));
    let Some(head) = head.filter(|_| usize::from(meta.len) >= ethernet::HEADER_BYTES) else {
        return Err(DropReason::InjectMalformed);
    };
    let [d0, d1, d2, d3, d4, d5, _, _, _, _, _, _, t0, t1] = *head;
    meta.ethertype = u16::from_be_bytes([t0, t1]);
    meta.l3_offset = meta.data_offset + ethernet::HEADER_BYTES as u16;
    meta.flags |= flag::INJECTED;
    if MacAddr([d0, d1, d2, d3, d4, d5]) == interface.mac {
        return to_router(meta);
    }
    to_link(meta, chunk)
}

/// To the interface's own address, which is how the host stack says "route this".
fn to_router(meta: &Meta) -> Result<Next, DropReason> {
    match meta.ethertype {
        ethertype::IPV4 => Ok(Next::Ip4Input),
        ethertype::IPV6 => Ok(Next::Ip6Input),
        _ => Err(DropReason::InjectMalformed),
    }
}

/// To a group or another station: out by the very interface that the representor stands for.
fn to_link(meta: &mut Meta, chunk: &[u8; CHUNK_BYTES]) -> Result<Next, DropReason> {
    // Neighbours are the fast path's, and so are tags: the host stack has no say in either.
    let is_refused = meta.ethertype == ethertype::ARP || ethernet::is_tag(meta.ethertype);
    if is_refused || is_neighbor_discovery(meta, chunk) {
        return Err(DropReason::InjectMalformed);
    }
    meta.tx_interface = meta.rx_interface;
    Ok(Next::InterfaceSend)
}

fn is_neighbor_discovery(meta: &Meta, chunk: &[u8; CHUNK_BYTES]) -> bool {
    const HEAD_BYTES: usize = ipv6::HEADER_BYTES + 1;
    if meta.ethertype != ethertype::IPV6 || usize::from(meta.len) < ethernet::HEADER_BYTES + HEAD_BYTES {
        return false;
    }
    let Some(head) = window::<HEAD_BYTES>(chunk, usize::from(meta.l3_offset)) else { return false };
    head[6] == protocol::ICMPV6
        && matches!(head[ipv6::HEADER_BYTES], nd::NEIGHBOR_SOLICITATION | nd::NEIGHBOR_ADVERTISEMENT)
}

fn count_inject(cx: &Cx<'_>, id: InterfaceId, packets: u64, bytes: u64) {
    if let Some(counters) = cx.counters.interface(id).filter(|_| id.0 != 0) {
        counters.inject.add(packets, bytes);
    }
}
