//! `interface_output`: the last look at what leaves by a network port.
//!
//! takes finished frames · reads `tx_interface`, `tx_port`, `len`, interfaces, ports · writes nothing but counters ·
//! leaves by `transmit`, `drop` (interface down, port gone).
//!
//! The interface's tx counters say what was given to the port's queue; what the queue then refuses is counted as
//! dropped by `tx_ring_full`. The law's term `tx` is counted by the worker, when the ring accepts the frame.

use ze_graph::{Batch, Cx, DropReason, Fanout, Node};
use ze_packet::{InterfaceId, PortId};

use crate::run::Run;

ze_graph::edges! {
    /// The ways out of `interface_output`.
    pub enum Next {
        Transmit = "transmit",
        Drop = "drop",
    }
}

/// The node.
#[derive(Debug, Default)]
pub struct InterfaceOutput;

impl Node for InterfaceOutput {
    const NAME: &'static str = "interface_output";
    type Next = Next;

    fn process(&mut self, cx: &Cx<'_>, batch: &mut Batch, out: &mut Fanout<'_, Next>) {
        let mut way_out = WayOut::unknown();
        let mut run = Run::new(InterfaceId(0));
        let count = |id, packets, bytes| {
            if let Some(counters) = cx.counters.interface(id) {
                counters.tx.add(packets, bytes);
            }
        };
        batch.each(out, |frame| {
            let meta = cx.arena.meta_mut(frame);
            if (way_out.interface, way_out.port) != (meta.tx_interface, meta.tx_port) {
                way_out = WayOut::find(cx, meta.tx_interface, meta.tx_port);
            }
            if let Some(reason) = way_out.closed {
                meta.drop_reason = reason;
                return Next::Drop;
            }
            run.add(meta.tx_interface, u64::from(meta.len), count);
            Next::Transmit
        });
        run.end(count);
    }
}

/// A way out and whether it is open. The last one is remembered: batches mostly share it.
struct WayOut {
    interface: InterfaceId,
    port: PortId,
    closed: Option<DropReason>,
}

impl WayOut {
    /// Interface 0 is none: nothing leaves by it.
    const fn unknown() -> Self {
        Self { interface: InterfaceId(0), port: PortId(0), closed: Some(DropReason::NoInterface) }
    }

    fn find(cx: &Cx<'_>, interface: InterfaceId, port: PortId) -> Self {
        let is_up = cx.fib.interface(interface).is_some_and(|interface| interface.up);
        let closed = match (is_up, cx.fib.port(port)) {
            (false, _) => Some(DropReason::InterfaceDown),
            (true, None) => Some(DropReason::PortGone),
            (true, Some(_)) => None,
        };
        Self { interface, port, closed }
    }
}
