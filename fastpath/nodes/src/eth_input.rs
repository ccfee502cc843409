//! `eth_input`: what kind of frame is this, and which interface did it come by?
//!
//! takes frames of network ports from rx · reads `rx_port`, `data_offset`, `len`, the Ethernet header, ports,
//! interfaces · writes `l3_offset`, `ethertype`, `rx_interface`, `vrf`, `flags`, `punt_reason` · leaves by
//! `ip4_input`, `ip6_input`, `control` (ARP), `punt` (LLC frames, unknown group frames), `drop`.

use ze_graph::{Batch, CHUNK_BYTES, Cx, DropReason, Fanout, Meta, Node, PuntReason, flag};
use ze_packet::ethernet::{self, ethertype};
use ze_packet::{InterfaceId, MacAddr, PortId, VrfId};

use crate::bytes::window;
use crate::run::Run;

ze_graph::edges! {
    /// The ways out of `eth_input`.
    pub enum Next {
        Ip4Input = "ip4_input",
        Ip6Input = "ip6_input",
        Control = "control",
        Punt = "punt",
        Drop = "drop",
    }
}

/// The node.
#[derive(Debug, Default)]
pub struct EthInput;

impl Node for EthInput {
    const NAME: &'static str = "eth_input";
    type Next = Next;

    fn process(&mut self, cx: &Cx<'_>, batch: &mut Batch, out: &mut Fanout<'_, Next>) {
        let mut entry = Entry::unknown();
        let mut run = Run::new(InterfaceId(0));
        let count = |id, packets, bytes| count_rx(cx, id, packets, bytes);
        batch.each(out, |frame| {
            let (meta, chunk) = cx.arena.parts_mut(frame);
            let next = arrive(cx, &mut entry, meta, chunk).unwrap_or_else(|reason| {
                meta.drop_reason = reason;
                Next::Drop
            });
            run.add(meta.rx_interface, u64::from(meta.len), count);
            next
        });
        run.end(count);
    }
}

/// Where frames of one port and VLAN come in. The last one is remembered: batches mostly share it.
#[derive(Clone, Copy)]
struct Entry {
    port: PortId,
    vlan: u16,
    interface: InterfaceId,
    vrf: VrfId,
    mac: u64,
}

impl Entry {
    /// Matches no frame: no VLAN has this number.
    const fn unknown() -> Self {
        Self { port: PortId(0), vlan: u16::MAX, interface: InterfaceId(0), vrf: VrfId(0), mac: 0 }
    }

    #[cold]
    fn find(cx: &Cx<'_>, port: PortId, vlan: u16) -> Result<Self, DropReason> {
        let table = cx.fib.port(port).ok_or(DropReason::NoInterface)?;
        let id = table.interface(vlan);
        let missing = if vlan == 0 { DropReason::NoInterface } else { DropReason::UnknownVlan };
        let interface = cx.fib.interface(id).filter(|_| id.0 != 0).ok_or(missing)?;
        if !interface.up {
            return Err(DropReason::InterfaceDown);
        }
        Ok(Self { port, vlan, interface: id, vrf: interface.vrf, mac: interface.mac.to_u64() })
    }
}

/// Bytes of Ethernet header with one tag: all that is ever looked at.
const LOOK_BYTES: usize = ethernet::HEADER_BYTES + ethernet::TAG_BYTES;

#[inline]
fn arrive(
    cx: &Cx<'_>,
    entry: &mut Entry,
    meta: &mut Meta,
    chunk: &[u8; CHUNK_BYTES],
) -> Result<Next, DropReason> {
    meta.rx_interface = InterfaceId(0);
    let head: Option<&[u8; LOOK_BYTES]> = window(chunk, usize::from(meta.data_offset));
    let Some(head) = head.filter(|_| usize::from(meta.len) >= ethernet::HEADER_BYTES) else {
        return Err(DropReason::RuntFrame);
    };
    let [d0, d1, d2, d3, d4, d5, s0, _, _, _, _, _, t0, t1, ..] = *head;
    let mut kind = u16::from_be_bytes([t0, t1]);
    let (mut vlan, mut header_bytes) = (0, ethernet::HEADER_BYTES as u16);
    if ethernet::is_tag(kind) {
        (vlan, kind) = untag(head, meta.len)?;
        header_bytes = LOOK_BYTES as u16;
        meta.flags |= flag::TAGGED;
    }
    if (entry.port, entry.vlan) != (meta.rx_port, vlan) {
        *entry = Entry::find(cx, meta.rx_port, vlan)?;
    }
    meta.rx_interface = entry.interface;
    meta.vrf = entry.vrf;
    meta.l3_offset = meta.data_offset + header_bytes;
    meta.ethertype = kind;
    let destination = u64::from_be_bytes([0, 0, d0, d1, d2, d3, d4, d5]);
    if destination != entry.mac {
        meta.flags |= group_flags(destination)?;
    }
    if s0 & 1 != 0 {
        return Err(DropReason::SourceIsGroup);
    }
    match kind {
        ethertype::IPV4 => Ok(Next::Ip4Input),
        ethertype::IPV6 => Ok(Next::Ip6Input),
        _ => other_kind(meta, kind),
    }
}

/// What the destination says about a frame that is not for our own address.
fn group_flags(destination: u64) -> Result<u16, DropReason> {
    if destination == MacAddr::BROADCAST.to_u64() {
        return Ok(flag::L2_BROADCAST | flag::L2_GROUP);
    }
    // The XDP program lets other stations' unicast pass by already; a port in promiscuous mode does not.
    let is_group = destination >> 40 & 1 == 1;
    is_group.then_some(flag::L2_GROUP).ok_or(DropReason::NotOurMac)
}

#[cold]
fn other_kind(meta: &mut Meta, kind: u16) -> Result<Next, DropReason> {
    if kind == ethertype::ARP {
        meta.punt_reason = PuntReason::Arp;
        return Ok(Next::Control);
    }
    if kind < ethernet::FIRST_ETHERTYPE {
        meta.punt_reason = PuntReason::Llc;
        return Ok(Next::Punt);
    }
    if meta.has(flag::L2_GROUP) {
        meta.punt_reason = PuntReason::L2Multicast;
        return Ok(Next::Punt);
    }
    Err(DropReason::UnknownEthertype)
}

/// The VLAN number and the EtherType behind one tag. A priority tag (VLAN 0) is as good as none: IEEE 802.1Q §9.6.
fn untag(head: &[u8; LOOK_BYTES], len_bytes: u16) -> Result<(u16, u16), DropReason> {
    if usize::from(len_bytes) < LOOK_BYTES {
        return Err(DropReason::RuntFrame);
    }
    let [.., c0, c1, k0, k1] = *head;
    let (vlan, kind) = (u16::from_be_bytes([c0, c1]) & 0x0fff, u16::from_be_bytes([k0, k1]));
    if vlan == 0x0fff {
        return Err(DropReason::ReservedVlan); // IEEE 802.1Q table 9-2
    }
    if ethernet::is_tag(kind) {
        return Err(DropReason::UnknownVlan); // interfaces have one tag at most
    }
    Ok((vlan, kind))
}

fn count_rx(cx: &Cx<'_>, id: InterfaceId, packets: u64, bytes: u64) {
    if let Some(counters) = cx.counters.interface(id).filter(|_| id.0 != 0) {
        counters.rx.add(packets, bytes);
    }
}
