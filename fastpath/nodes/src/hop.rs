//! The adjacency that a run of packets leaves by: neighbours in a batch mostly share it.

use ze_fib::{Adjacency, Nexthop};
use ze_graph::Cx;
use ze_packet::NexthopId;

/// The adjacency of the last packet's nexthop, and what left by it since it was found.
pub(crate) struct Hop<'a> {
    id: NexthopId,
    adjacency: Option<&'a Adjacency>,
    packets: u64,
    bytes: u64,
}

impl<'a> Hop<'a> {
    /// No nexthop yet: 0 is none.
    pub(crate) const fn new() -> Self {
        Self { id: NexthopId(0), adjacency: None, packets: 0, bytes: 0 }
    }

    /// The adjacency of a nexthop; none if it has vanished.
    #[inline]
    pub(crate) fn adjacency(&mut self, cx: &Cx<'a>, id: NexthopId) -> Option<&'a Adjacency> {
        if id != self.id {
            self.turn(cx, id);
        }
        self.adjacency
    }

    /// Counts a packet that leaves by the adjacency found last.
    #[inline]
    pub(crate) const fn count(&mut self, bytes: u16) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }

    /// Ends the run: writes its counts to the nexthop's counters.
    pub(crate) fn end(&mut self, cx: &Cx<'a>) {
        if let Some(traffic) = cx.counters.nexthop(self.id).filter(|_| self.packets > 0) {
            traffic.add(self.packets, self.bytes);
        }
        (self.packets, self.bytes) = (0, 0);
    }

    #[inline(never)] // once a run: the loop keeps its registers
    fn turn(&mut self, cx: &Cx<'a>, id: NexthopId) {
        self.end(cx);
        self.id = id;
        self.adjacency = match cx.fib.nexthop(id) {
            Some(Nexthop::Adjacency(adjacency)) => Some(adjacency),
            _ => None,
        };
    }
}
