//! `drop`: the early door. Every packet that ends here has a reason.
//!
//! takes packets with a `drop_reason` · reads `rx_port`, `drop_reason` · writes nothing but counters · leaves by
//! `free`.

use ze_graph::{Batch, Cx, DropReason, Fanout, Node};

ze_graph::edges! {
    /// The way out of `drop`.
    pub enum Next {
        Free = "free",
    }
}

/// The node.
#[derive(Debug, Default)]
pub struct DropPacket;

impl Node for DropPacket {
    const NAME: &'static str = "drop";
    type Next = Next;

    fn process(&mut self, cx: &Cx<'_>, batch: &mut Batch, out: &mut Fanout<'_, Next>) {
        batch.each(out, |frame| {
            let meta = cx.arena.meta(frame);
            debug_assert_ne!(meta.drop_reason, DropReason::None, "a packet is dropped for a reason");
            cx.counters.dropped(meta.rx_port, meta.drop_reason);
            Next::Free
        });
    }
}
