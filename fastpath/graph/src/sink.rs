//! Where the graph's frames end: transmit queues and the free pool, both the worker's.

use crate::{Batch, Cx, Frame};

/// The worker's side of the graph's last exits. Both take every frame of the batch.
pub trait Sink {
    /// Queues frames for transmission, each by the port in its metadata.
    fn transmit(&mut self, cx: &Cx<'_>, batch: &mut Batch);
    /// Takes frames back that nobody needs any more.
    fn free(&mut self, batch: &mut Batch);
    /// A free frame, for packets that become several.
    fn take(&mut self) -> Option<Frame>;
}
