//! Counters: one set a worker, written by it alone, read by anyone.

use ze_packet::{InterfaceId, NexthopId, PortId, WorkerId};
use ze_sync::{CachePadded, Counter};

use crate::{DropReason, PuntReason};

/// The most exits a node may have.
pub const EXITS_MAX: usize = 16;

/// What one node did.
#[derive(Debug, Default)]
pub struct NodeCounters {
    /// The node's name.
    pub name: &'static str,
    /// The names of its exits.
    pub exits: &'static [&'static str],
    /// Batches it ran over.
    pub batches: Counter,
    /// Packets in them.
    pub packets: Counter,
    /// TSC cycles it took.
    pub cycles: Counter,
    /// Packets by exit.
    pub by_exit: [Counter; EXITS_MAX],
}

impl NodeCounters {
    #[inline]
    pub(crate) fn ran(&self, packets: usize, cycles: u64) {
        self.batches.add(1);
        self.packets.add(packets as u64);
        self.cycles.add(cycles);
    }

    #[inline]
    pub(crate) fn edge(&self, exit: u8, packets: u64) {
        if let Some(counter) = self.by_exit.get(usize::from(exit)) {
            counter.add(packets);
        }
    }
}

/// Packets and bytes, as a pair.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Packets.
    pub packets: Counter,
    /// Bytes from L2 on.
    pub bytes: Counter,
}

impl Traffic {
    /// Counts packets and their bytes.
    #[inline]
    pub fn add(&self, packets: u64, bytes: u64) {
        self.packets.add(packets);
        self.bytes.add(bytes);
    }
}

/// What one interface saw at one worker.
#[derive(Debug, Default)]
pub struct InterfaceCounters {
    /// Received, representors not counted.
    pub rx: Traffic,
    /// Sent.
    pub tx: Traffic,
    /// Punted to the interface's representor.
    pub punt: Traffic,
    /// Injected by the host stack through the representor.
    pub inject: Traffic,
}

/// The terms of the law `rx + inject + generated + handoff_in = tx + drop + punt + held + handoff_out`.
#[derive(Debug, Default)]
pub struct Law {
    /// Received from network ports.
    pub rx: Counter,
    /// Received from representors.
    pub inject: Counter,
    /// Made here or by the control thread.
    pub generated: Counter,
    /// Taken over from other workers.
    pub handoff_in: Counter,
    /// Accepted by the transmit rings of network ports.
    pub tx: Counter,
    /// Dropped, each with a reason.
    pub drop: Counter,
    /// Accepted by representors or copied to the control thread.
    pub punt: Counter,
    /// Level: waits for room in a transmit ring.
    pub held: Counter,
    /// Given to other workers.
    pub handoff_out: Counter,
}

impl Law {
    /// Both sides of the law: equal whenever the worker is between two rounds.
    pub fn sides(&self) -> (u64, u64) {
        let from = [&self.rx, &self.inject, &self.generated, &self.handoff_in];
        let to = [&self.tx, &self.drop, &self.punt, &self.held, &self.handoff_out];
        let sum = |terms: &[&Counter]| terms.iter().map(|c| c.get()).fold(0, u64::wrapping_add);
        (sum(&from), sum(&to))
    }
}

/// What the worker's loop itself did.
#[derive(Debug, Default)]
pub struct LoopCounters {
    /// Rounds of the loop.
    pub rounds: Counter,
    /// Rounds that moved no packet.
    pub idle_rounds: Counter,
    /// Cycles of rounds that moved packets.
    pub busy_cycles: Counter,
    /// Cycles of rounds that did not, sleeping included.
    pub idle_cycles: Counter,
    /// Times the worker went to sleep.
    pub sleeps: Counter,
    /// Batches that entered the graph.
    pub batches: Counter,
    /// Level: free frames in the pool.
    pub pool_free: Counter,
    /// Trace records lost because the trace ring was full.
    pub trace_lost: Counter,
}

/// All counters of one worker.
#[derive(Debug)]
pub struct WorkerCounters {
    /// The worker.
    pub worker: WorkerId,
    /// By node, in the order of the graph.
    pub nodes: Box<[CachePadded<NodeCounters>]>,
    /// The conservation law's terms.
    pub law: CachePadded<Law>,
    /// The loop.
    pub rounds: CachePadded<LoopCounters>,
    drops: Box<[Counter]>,
    punts: Box<[Counter]>,
    punts_policed: Box<[Counter]>,
    interfaces: Box<[InterfaceCounters]>,
    nexthops: Box<[Traffic]>,
}

impl WorkerCounters {
    /// Counters at zero for a graph of `nodes` (name and exits) and tables of `limits`.
    pub fn new(
        worker: WorkerId,
        nodes: &[(&'static str, &'static [&'static str])],
        limits: &ze_fib::Limits,
    ) -> Self {
        let node = |&(name, exits)| {
            assert!(exits_fit(exits), "{name} has more than {EXITS_MAX} exits");
            CachePadded::new(NodeCounters { name, exits, ..NodeCounters::default() })
        };
        Self {
            worker,
            nodes: nodes.iter().map(node).collect(),
            law: CachePadded::default(),
            rounds: CachePadded::default(),
            drops: zeros(limits.ports * (DropReason::COUNT + 1)),
            punts: zeros(PuntReason::COUNT + 1),
            punts_policed: zeros(PuntReason::COUNT + 1),
            interfaces: zeros(limits.interfaces),
            nexthops: zeros(limits.nexthops),
        }
    }

    /// Counts one drop of a packet that came by `port`, in the reason's counter and in the law.
    #[inline]
    pub fn dropped(&self, port: PortId, reason: DropReason) {
        let at = port.index() * (DropReason::COUNT + 1) + reason.index();
        if let Some(counter) = self.drops.get(at) {
            counter.add(1);
        }
        self.law.drop.add(1);
    }

    /// Drops of packets that came by `port`, for `reason`.
    pub fn drops(&self, port: PortId, reason: DropReason) -> u64 {
        let at = port.index() * (DropReason::COUNT + 1) + reason.index();
        self.drops.get(at).map_or(0, Counter::get)
    }

    /// Counts one punt (the law's term is counted where the packet is accepted).
    #[inline]
    pub fn punted(&self, reason: PuntReason) {
        if let Some(counter) = self.punts.get(reason.index()) {
            counter.add(1);
        }
    }

    /// Punts for `reason`.
    pub fn punts(&self, reason: PuntReason) -> u64 {
        self.punts.get(reason.index()).map_or(0, Counter::get)
    }

    /// Counts one packet that its punt class's policer refused.
    #[inline]
    pub fn policed(&self, reason: PuntReason) {
        if let Some(counter) = self.punts_policed.get(reason.index()) {
            counter.add(1);
        }
    }

    /// Packets that the policer of `reason` refused.
    pub fn punts_policed(&self, reason: PuntReason) -> u64 {
        self.punts_policed.get(reason.index()).map_or(0, Counter::get)
    }

    /// The counters of an interface.
    #[inline]
    pub fn interface(&self, id: InterfaceId) -> Option<&InterfaceCounters> {
        self.interfaces.get(id.index())
    }

    /// Traffic sent by a nexthop.
    #[inline]
    pub fn nexthop(&self, id: NexthopId) -> Option<&Traffic> {
        self.nexthops.get(id.index())
    }
}

const fn exits_fit(exits: &[&str]) -> bool {
    exits.len() <= EXITS_MAX
}

fn zeros<T: Default>(count: usize) -> Box<[T]> {
    std::iter::repeat_with(T::default).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drop_counts_by_port_and_reason_and_in_the_law() {
        let counters = WorkerCounters::new(WorkerId(0), &[], &ze_fib::Limits::default());
        counters.dropped(PortId(2), DropReason::NoRoute);
        counters.dropped(PortId(2), DropReason::NoRoute);
        counters.dropped(PortId(3), DropReason::Blackhole);
        assert_eq!(counters.drops(PortId(2), DropReason::NoRoute), 2);
        assert_eq!(counters.drops(PortId(3), DropReason::NoRoute), 0);
        assert_eq!(counters.law.drop.get(), 3);
    }

    #[test]
    fn the_law_holds_only_when_every_frame_is_accounted_for() {
        let law = Law::default();
        law.rx.add(3);
        law.generated.add(1);
        law.tx.add(2);
        law.drop.add(1);
        assert_ne!(law.sides().0, law.sides().1);
        law.held.set(1);
        assert_eq!(law.sides(), (4, 4));
    }
}
