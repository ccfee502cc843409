//! `control_input`: packets that the control thread hands over, by copy.
//!
//! takes frames that [`ControlInput::accept`] filled from messages · reads the exit that the message's kind gave ·
//! writes nothing more · leaves by `interface_send` (frames to send), `ip4_input`, `ip6_input` (packets whose
//! neighbour is resolved), `icmp_error` (packets whose neighbour does not answer), `drop`.
//!
//! A packet that waited is checked again by the input nodes: they know what later nodes must be told.

use ze_graph::{
    BATCH_MAX, Batch, CHUNK_BYTES, Cx, DropReason, Fanout, HEADROOM_BYTES, Message, MessageKind, Meta, Node,
    flag,
};
use ze_packet::ethernet::ethertype;
use ze_packet::icmp;
use ze_packet::{InterfaceId, PortId};

ze_graph::edges! {
    /// The ways out of `control_input`.
    pub enum Next {
        InterfaceSend = "interface_send",
        Ip4Input = "ip4_input",
        Ip6Input = "ip6_input",
        IcmpError = "icmp_error",
        Drop = "drop",
    }
}

/// The node. Remembers the exit of each frame from when the message was copied into it.
#[derive(Debug)]
pub struct ControlInput {
    exits: [Next; BATCH_MAX],
}

impl Default for ControlInput {
    fn default() -> Self {
        Self { exits: [Next::Drop; BATCH_MAX] }
    }
}

impl ControlInput {
    /// Copies a message into the frame that becomes number `place` of the next batch.
    pub(crate) fn accept(
        &mut self,
        cx: &Cx<'_>,
        place: usize,
        meta: &mut Meta,
        chunk: &mut [u8; CHUNK_BYTES],
        message: &Message,
    ) {
        let exit = fill(cx, meta, chunk, message).unwrap_or_else(|reason| {
            meta.drop_reason = reason;
            Next::Drop
        });
        if let Some(place) = self.exits.get_mut(place) {
            *place = exit;
        }
    }
}

impl Node for ControlInput {
    const NAME: &'static str = "control_input";
    type Next = Next;

    fn process(&mut self, _: &Cx<'_>, batch: &mut Batch, out: &mut Fanout<'_, Next>) {
        batch.each_with(&self.exits, out, |_, exit| exit);
    }
}

fn fill(
    cx: &Cx<'_>,
    meta: &mut Meta,
    chunk: &mut [u8; CHUNK_BYTES],
    message: &Message,
) -> Result<Next, DropReason> {
    let packet = message.packet();
    *meta = Meta { rx_interface: message.interface, ..Meta::default() };
    meta.received(PortId(0), HEADROOM_BYTES as u16, packet.len() as u16);
    meta.flags = flag::GENERATED;
    meta.l3_offset = meta.data_offset;
    let place = chunk.get_mut(HEADROOM_BYTES..HEADROOM_BYTES + packet.len());
    place.ok_or(DropReason::RuntFrame)?.copy_from_slice(packet);
    let interface = cx.fib.interface(message.interface).filter(|_| message.interface != InterfaceId(0));
    let interface = interface.ok_or(DropReason::NoInterface)?;
    (meta.rx_port, meta.vrf) = (interface.port, interface.vrf);
    match message.kind {
        MessageKind::Send => {
            meta.tx_interface = message.interface;
            Ok(Next::InterfaceSend)
        }
        MessageKind::Forward => {
            meta.flags = waited(message.flags);
            forward(meta, packet)
        }
        MessageKind::Unreachable => {
            meta.flags = waited(message.flags);
            unreachable(meta, packet)
        }
        // Kinds that only travel the other way.
        MessageKind::Frame(_) | MessageKind::Unresolved => Err(DropReason::InjectMalformed),
    }
}

/// Of a packet that waited, who made it is still true; all else the input nodes find out again.
const fn waited(flags: u16) -> u16 {
    flags & (flag::INJECTED | flag::GENERATED)
}

fn is_ip6(packet: &[u8]) -> Result<bool, DropReason> {
    match packet.first().map(|first| first >> 4) {
        Some(4) => Ok(false),
        Some(6) => Ok(true),
        _ => Err(DropReason::InjectMalformed),
    }
}

fn forward(meta: &mut Meta, packet: &[u8]) -> Result<Next, DropReason> {
    let is_ip6 = is_ip6(packet)?;
    meta.ethertype = if is_ip6 { ethertype::IPV6 } else { ethertype::IPV4 };
    Ok(if is_ip6 { Next::Ip6Input } else { Next::Ip4Input })
}

fn unreachable(meta: &mut Meta, packet: &[u8]) -> Result<Next, DropReason> {
    meta.l3_len = meta.len;
    meta.drop_reason = DropReason::NeighborFailed;
    (meta.icmp_type, meta.icmp_code) = if is_ip6(packet)? {
        meta.flags |= flag::IPV6;
        (icmp::v6::UNREACHABLE, icmp::v6::code::ADDRESS)
    } else {
        (icmp::v4::UNREACHABLE, icmp::v4::code::HOST)
    };
    Ok(Next::IcmpError)
}
