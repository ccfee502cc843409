//! `interface_send`: an untagged frame leaves by an interface as it is, plus the interface's tags.
//!
//! takes Ethernet frames with `tx_interface` · reads `data_offset`, `len`, interfaces · writes the tags,
//! `data_offset`, `len`, `tx_port` · leaves by `interface_output`, `drop`.

use ze_graph::{Batch, CHUNK_BYTES, Cx, DropReason, Fanout, Meta, Node};
use ze_packet::ethernet;

use crate::l2;

ze_graph::edges! {
    /// The ways out of `interface_send`.
    pub enum Next {
        InterfaceOutput = "interface_output",
        Drop = "drop",
    }
}

/// The node.
#[derive(Debug, Default)]
pub struct InterfaceSend;

impl Node for InterfaceSend {
    const NAME: &'static str = "interface_send";
    type Next = Next;

    fn process(&mut self, cx: &Cx<'_>, batch: &mut Batch, out: &mut Fanout<'_, Next>) {
        batch.each(out, |frame| {
            let (meta, chunk) = cx.arena.parts_mut(frame);
            match dress(cx, meta, chunk) {
                Ok(()) => Next::InterfaceOutput,
                Err(reason) => {
                    meta.drop_reason = reason;
                    Next::Drop
                }
            }
        });
    }
}

fn dress(cx: &Cx<'_>, meta: &mut Meta, chunk: &mut [u8; CHUNK_BYTES]) -> Result<(), DropReason> {
    if usize::from(meta.len) < ethernet::HEADER_BYTES {
        return Err(DropReason::RuntFrame);
    }
    let interface = cx.fib.interface(meta.tx_interface).ok_or(DropReason::NoInterface)?;
    meta.tx_port = interface.port;
    l2::tag(meta, chunk, &interface.tags).ok_or(DropReason::RuntFrame)
}
