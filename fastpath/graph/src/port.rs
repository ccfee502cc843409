//! What a worker asks of a port: receive, transmit, recycle, refill, wake.

use std::os::fd::BorrowedFd;

use ze_packet::{PortId, WorkerId};
use ze_sync::Counter;

use crate::{Arena, Batch, Frame, FramePool};

/// One queue pair of a port, in the hands of one worker. AF_XDP sockets and the in-memory port implement it.
///
/// Conservation: every frame given by `refill` and `transmit` comes back by `receive`, `complete` or `close`.
pub trait Port: Send {
    /// The port that this queue pair belongs to.
    fn id(&self) -> PortId;

    /// The worker that will have it. Told once, before it is handed over.
    fn assign(&mut self, worker: WorkerId) {
        let _ = worker;
    }

    /// Adds received frames to `batch` until it is full or nothing waits, with `Meta::received` called on each.
    /// Returns how many.
    fn receive(&mut self, arena: &Arena, batch: &mut Batch) -> usize;

    /// Takes frames from the front of `queue` for transmission, as many as the ring has room for, and leaves the
    /// rest in place, in order. Returns how many it took.
    fn transmit(&mut self, arena: &Arena, queue: &mut Vec<Frame>) -> usize;

    /// Gives transmitted frames back to the pool. Returns how many.
    fn complete(&mut self, pool: &mut FramePool) -> usize;

    /// Gives free frames to the receive side, as many as it takes and the pool has above `reserve`, whatever the
    /// state of transmission. Returns how many.
    fn refill(&mut self, pool: &mut FramePool, reserve: usize) -> usize;

    /// Tells the kernel that there is work, where it asked to be told (need-wakeup). Cheap when it did not.
    fn wake(&mut self);

    /// The worker gives the queue pair back, and will not come to it again.
    fn retire(&mut self) {}

    /// The worker is about to sleep. What comes from now on must show at [`Port::poll_fd`], or at [`Port::is_waiting`],
    /// which are both asked after this.
    fn prepare_sleep(&mut self) {}

    /// What to poll for input when idle; none when there is nothing to wait for.
    fn poll_fd(&self) -> Option<BorrowedFd<'_>>;

    /// Does something wait that no descriptor tells of: frames that the device has not taken for transmission yet, or a
    /// receive side that is short of frames? Then a worker may not sleep for long.
    fn is_waiting(&mut self) -> bool {
        false
    }

    /// Frames that are in the port's hands: fill, receive, transmit and completion.
    fn held(&self) -> usize;

    /// Figures that the control thread reads while the worker runs.
    fn stats(&self) -> std::sync::Arc<QueueStats>;

    /// Ends the port (control thread, may block) and returns every frame it still held.
    fn close(self: Box<Self>) -> Vec<Frame>;
}

/// Figures of one queue pair. Written by its worker only, read by anyone.
#[derive(Debug, Default)]
pub struct QueueStats {
    /// Frames received.
    pub rx_packets: Counter,
    /// Bytes received, from L2 on, without FCS.
    pub rx_bytes: Counter,
    /// Frames handed to the kernel or the device for transmission.
    pub tx_packets: Counter,
    /// Bytes likewise.
    pub tx_bytes: Counter,
    /// Of the frames received, those that came in exchange for a page, and not by the socket.
    pub rx_exchanged: Counter,
    /// Of the frames sent, those that a received frame's page carried, and not the socket.
    pub tx_carried: Counter,
    /// Frames that waited for a page in vain, and were sent by the socket.
    pub tx_taken_back: Counter,
    /// Wake-up system calls for transmission.
    pub tx_wakes: Counter,
    /// Wake-up system calls for reception.
    pub rx_wakes: Counter,
    /// Times that the transmit ring had no room for what waited.
    pub tx_ring_full: Counter,
    /// Times that the pool could not refill the fill ring as far as wished.
    pub fill_starved: Counter,
    /// Wake-up calls that failed in a way that is not "try again".
    pub errors: Counter,
    /// Level of the fill ring at the last look, frames.
    pub fill_level: Counter,
    /// Level of the transmit ring (given, not completed) at the last look, frames.
    pub tx_level: Counter,
}
