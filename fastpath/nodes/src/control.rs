//! `control`: packets for the control thread's neighbour engine, by copy.
//!
//! takes ARP and neighbour discovery frames, and L3 packets whose neighbour is not resolved · reads `punt_reason`,
//! `rx_interface`, `tx_interface`, `destination` (the gateway, of unresolved packets), `flags`, the whole packet ·
//! writes `data_offset`, `len` (tags are taken out) · leaves by `free` (copied), `drop` (over its class's rate, or
//! the queue is full).
//!
//! The law's term `punt` is counted here: the copy is what goes on.

use rtrb::Producer;
use ze_graph::{
    Batch, CHUNK_BYTES, Cx, DropReason, Fanout, Message, MessageKind, Meta, Node, PuntReason, flag,
};

use crate::bytes::l3;
use crate::l2;
use crate::punt::class::{Policers, PuntRates};

ze_graph::edges! {
    /// The ways out of `control`.
    pub enum Next {
        Free = "free",
        Drop = "drop",
    }
}

/// The node.
pub struct Control {
    policers: Policers,
    messages: Producer<Message>,
}

impl Control {
    /// The node, with this worker's share of the classes' rates and its queue to the control thread.
    #[must_use]
    pub fn new(rates: &PuntRates, workers: u8, hertz: u64, messages: Producer<Message>) -> Self {
        Self { policers: Policers::new(rates, workers, hertz), messages }
    }

    fn send(
        &mut self,
        cx: &Cx<'_>,
        meta: &mut Meta,
        chunk: &mut [u8; CHUNK_BYTES],
    ) -> Result<(), DropReason> {
        if !self.policers.allow(meta.punt_reason, cx.now) {
            cx.counters.policed(meta.punt_reason);
            return Err(DropReason::PuntPoliced);
        }
        if self.messages.is_full() {
            return Err(DropReason::ControlQueueFull);
        }
        let message = message(meta, chunk).ok_or(DropReason::RuntFrame)?;
        self.messages.push(message).map_err(|_| DropReason::ControlQueueFull)?;
        cx.counters.punted(meta.punt_reason);
        cx.counters.law.punt.add(1);
        Ok(())
    }
}

impl Node for Control {
    const NAME: &'static str = "control";
    type Next = Next;

    fn process(&mut self, cx: &Cx<'_>, batch: &mut Batch, out: &mut Fanout<'_, Next>) {
        batch.each(out, |frame| {
            let (meta, chunk) = cx.arena.parts_mut(frame);
            match self.send(cx, meta, chunk) {
                Ok(()) => Next::Free,
                Err(reason) => {
                    meta.drop_reason = reason;
                    Next::Drop
                }
            }
        });
    }
}

/// None for a packet that is not where its metadata says.
fn message(meta: &mut Meta, chunk: &mut [u8; CHUNK_BYTES]) -> Option<Message> {
    if meta.punt_reason == PuntReason::Unresolved {
        return unresolved(meta, chunk);
    }
    l2::untag(meta, chunk)?;
    let start = usize::from(meta.data_offset);
    let frame = chunk.get(start..start + usize::from(meta.len))?;
    let kind = MessageKind::Frame(meta.punt_reason);
    let mut message = Message::new(kind, meta.rx_interface, frame)?;
    message.flags = meta.flags;
    Some(message)
}

fn unresolved(meta: &Meta, chunk: &[u8; CHUNK_BYTES]) -> Option<Message> {
    let mut message = Message::new(MessageKind::Unresolved, meta.rx_interface, l3(meta, chunk))?;
    message.tx_interface = meta.tx_interface;
    message.gateway = meta.destination;
    message.gateway_is_ip6 = meta.has(flag::GATEWAY6);
    message.flags = meta.flags;
    Some(message)
}
