//! Rates between two samples of the statistics. Pure: two [`Stats`] in, one [`Rates`] out.
//!
//! The structures serialize as they are; the unit is in each field's name, `null` is "there was nothing to divide by".

mod law;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use ze_proto::v1::{DropStats, InterfaceState, NodeStats, QueueStats, Stats, Traffic, WorkerStats};

pub use law::{Law, Verdict};

/// What happened between two samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rates {
    /// Time between the samples, seconds.
    pub interval_s: f64,
    /// One a worker, in the order of their numbers.
    pub workers: Vec<WorkerRates>,
    /// One an interface.
    pub interfaces: Vec<InterfaceRates>,
    /// One a reason and port, over all workers; largest rate first.
    pub drops: Vec<DropRates>,
}

/// One worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WorkerRates {
    /// Its number.
    pub worker: u32,
    /// The core it runs on.
    pub core: u32,
    /// Is it held there?
    pub pinned: bool,
    /// Packets received from network ports.
    pub rx_packets_per_s: f64,
    /// Packets given to network ports.
    pub tx_packets_per_s: f64,
    /// Bits received, from L2 on.
    pub rx_bits_per_s: f64,
    /// Bits sent, from L2 on.
    pub tx_bits_per_s: f64,
    /// Packets dropped.
    pub drop_packets_per_s: f64,
    /// Packets punted.
    pub punt_packets_per_s: f64,
    /// Packets in a batch that entered the graph.
    pub packets_per_batch: Option<f64>,
    /// Cycles that a packet took, the loop's own included.
    pub cycles_per_packet: Option<f64>,
    /// Share of the time that moved no packet, 0 to 1.
    pub idle_share: Option<f64>,
    /// Times it went to sleep.
    pub sleeps_per_s: f64,
    /// Free frames, now.
    pub pool_free_frames: u64,
    /// The conservation law, since start.
    pub law: Law,
    /// Its nodes.
    pub nodes: Vec<NodeRates>,
    /// Its queues.
    pub queues: Vec<QueueRates>,
}

/// One node of one worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct NodeRates {
    /// Its name.
    pub node: String,
    /// Packets it took.
    pub packets_per_s: f64,
    /// Cycles it took.
    pub cycles_per_s: f64,
    /// Packets in a batch.
    pub packets_per_batch: Option<f64>,
    /// Cycles for a packet.
    pub cycles_per_packet: Option<f64>,
    /// Packets by exit.
    pub exits: Vec<ExitRate>,
}

/// One exit of one node.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ExitRate {
    /// Its name.
    pub exit: String,
    /// Packets that left by it.
    pub packets_per_s: f64,
}

/// One queue of one port.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct QueueRates {
    /// The port.
    pub port: String,
    /// Is the port the fast path's end of a representor?
    pub representor: bool,
    /// Its number at the port.
    pub queue: u32,
    /// Packets received.
    pub rx_packets_per_s: f64,
    /// Packets sent.
    pub tx_packets_per_s: f64,
    /// Bits received, from L2 on.
    pub rx_bits_per_s: f64,
    /// Bits sent, from L2 on.
    pub tx_bits_per_s: f64,
    /// Times the transmit ring had no room.
    pub tx_ring_full_per_s: f64,
    /// Times the fill ring was found empty.
    pub fill_starved_per_s: f64,
    /// Errors of the ring calls.
    pub errors_per_s: f64,
    /// Frames in the fill ring, now.
    pub fill_level_frames: u64,
    /// Frames in the transmit ring, now.
    pub tx_level_frames: u64,
    /// What the rings hold.
    pub ring_size_frames: u64,
    /// Fill ring found empty, since start.
    pub fill_starved: u64,
    /// Transmit ring without room, since start.
    pub tx_ring_full: u64,
    /// Errors, since start.
    pub errors: u64,
}

/// One interface, over all workers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct InterfaceRates {
    /// Its name.
    pub interface: String,
    /// Packets received.
    pub rx_packets_per_s: f64,
    /// Bits received.
    pub rx_bits_per_s: f64,
    /// Packets sent.
    pub tx_packets_per_s: f64,
    /// Bits sent.
    pub tx_bits_per_s: f64,
    /// Packets punted to its representor.
    pub punt_packets_per_s: f64,
    /// Packets injected by its representor.
    pub inject_packets_per_s: f64,
}

/// One reason at one port, over all workers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DropRates {
    /// The reason's name.
    pub reason: String,
    /// What it means.
    pub sentence: String,
    /// The port that the packets came by.
    pub port: String,
    /// Packets, now.
    pub packets_per_s: f64,
    /// Packets, since start.
    pub packets: u64,
}

impl Rates {
    /// The rates between two samples; none when they can not be compared: the daemon was restarted between them, or
    /// time did not advance.
    pub fn between(older: &Stats, newer: &Stats) -> Option<Self> {
        if older.instance != newer.instance || newer.at_ns <= older.at_ns {
            return None;
        }
        let interval_s = (newer.at_ns - older.at_ns) as f64 / 1e9;
        let per = Per { s: interval_s };
        let representors: HashSet<&str> =
            newer.ports.iter().filter(|p| p.representor).map(|p| p.name.as_str()).collect();
        let before: HashMap<u32, &WorkerStats> = older.workers.iter().map(|w| (w.worker, w)).collect();
        let nothing = WorkerStats::default();
        let mut workers: Vec<_> = newer
            .workers
            .iter()
            .map(|new| per.worker(before.get(&new.worker).copied().unwrap_or(&nothing), new, &representors))
            .collect();
        workers.sort_by_key(|w| w.worker);
        Some(Self {
            interval_s,
            workers,
            interfaces: per.interfaces(older, newer),
            drops: per.drops(older, newer),
        })
    }

    /// Sum of a figure over all workers.
    pub fn total(&self, figure: impl Fn(&WorkerRates) -> f64) -> f64 {
        self.workers.iter().map(figure).sum()
    }
}

/// Divides differences by the time that they took.
#[derive(Clone, Copy)]
struct Per {
    s: f64,
}

/// What a counter rose by. A counter that went back (it can not within one instance) counts as no change.
const fn rise(older: u64, newer: u64) -> u64 {
    newer.saturating_sub(older)
}

fn ratio(dividend: u64, divisor: u64) -> Option<f64> {
    (divisor > 0).then(|| dividend as f64 / divisor as f64)
}

impl Per {
    fn second(self, older: u64, newer: u64) -> f64 {
        rise(older, newer) as f64 / self.s
    }

    fn worker(self, old: &WorkerStats, new: &WorkerStats, representors: &HashSet<&str>) -> WorkerRates {
        let (old_law, law) = (old.law.unwrap_or_default(), new.law.unwrap_or_default());
        let queues = self.queues(&old.queues, &new.queues, representors);
        let bits =
            |figure: fn(&QueueRates) -> f64| queues.iter().filter(|q| !q.representor).map(figure).sum();
        let entered = rise(Law::entered(&old_law), Law::entered(&law));
        let (busy, idle) = (rise(old.busy_cycles, new.busy_cycles), rise(old.idle_cycles, new.idle_cycles));
        WorkerRates {
            worker: new.worker,
            core: new.core,
            pinned: new.pinned,
            rx_packets_per_s: self.second(old_law.rx, law.rx),
            tx_packets_per_s: self.second(old_law.tx, law.tx),
            rx_bits_per_s: bits(|q| q.rx_bits_per_s),
            tx_bits_per_s: bits(|q| q.tx_bits_per_s),
            drop_packets_per_s: self.second(old_law.drop, law.drop),
            punt_packets_per_s: self.second(old_law.punt, law.punt),
            packets_per_batch: ratio(entered, rise(old.batches, new.batches)),
            cycles_per_packet: ratio(busy, entered),
            idle_share: ratio(idle, busy + idle),
            sleeps_per_s: self.second(old.sleeps, new.sleeps),
            pool_free_frames: new.pool_free,
            law: Law::between(&old_law, &law),
            nodes: self.nodes(&old.nodes, &new.nodes),
            queues,
        }
    }

    fn nodes(self, older: &[NodeStats], newer: &[NodeStats]) -> Vec<NodeRates> {
        let nothing = NodeStats::default();
        let before: HashMap<&str, &NodeStats> = older.iter().map(|n| (n.name.as_str(), n)).collect();
        newer
            .iter()
            .map(|new| self.node(before.get(new.name.as_str()).copied().unwrap_or(&nothing), new))
            .collect()
    }

    fn node(self, old: &NodeStats, new: &NodeStats) -> NodeRates {
        let packets = rise(old.packets, new.packets);
        let exits_before: HashMap<&str, u64> = old.exits.iter().map(|e| (e.name.as_str(), e.value)).collect();
        let exit = |name: &str, value| self.second(exits_before.get(name).copied().unwrap_or(0), value);
        NodeRates {
            node: new.name.clone(),
            packets_per_s: self.second(old.packets, new.packets),
            cycles_per_s: self.second(old.cycles, new.cycles),
            packets_per_batch: ratio(packets, rise(old.batches, new.batches)),
            cycles_per_packet: ratio(rise(old.cycles, new.cycles), packets),
            exits: new
                .exits
                .iter()
                .map(|e| ExitRate { exit: e.name.clone(), packets_per_s: exit(&e.name, e.value) })
                .collect(),
        }
    }

    fn queues(
        self,
        older: &[QueueStats],
        newer: &[QueueStats],
        representors: &HashSet<&str>,
    ) -> Vec<QueueRates> {
        let nothing = QueueStats::default();
        let before: HashMap<_, _> = older.iter().map(|q| ((q.port.as_str(), q.queue), q)).collect();
        newer
            .iter()
            .map(|new| {
                let old = before.get(&(new.port.as_str(), new.queue)).copied().unwrap_or(&nothing);
                self.queue(old, new, representors.contains(new.port.as_str()))
            })
            .collect()
    }

    fn queue(self, old: &QueueStats, new: &QueueStats, representor: bool) -> QueueRates {
        QueueRates {
            port: new.port.clone(),
            representor,
            queue: new.queue,
            rx_packets_per_s: self.second(old.rx_packets, new.rx_packets),
            tx_packets_per_s: self.second(old.tx_packets, new.tx_packets),
            rx_bits_per_s: self.second(old.rx_bytes, new.rx_bytes) * 8.0,
            tx_bits_per_s: self.second(old.tx_bytes, new.tx_bytes) * 8.0,
            tx_ring_full_per_s: self.second(old.tx_ring_full, new.tx_ring_full),
            fill_starved_per_s: self.second(old.fill_starved, new.fill_starved),
            errors_per_s: self.second(old.errors, new.errors),
            fill_level_frames: new.fill_level,
            tx_level_frames: new.tx_level,
            ring_size_frames: new.ring_size,
            fill_starved: new.fill_starved,
            tx_ring_full: new.tx_ring_full,
            errors: new.errors,
        }
    }

    fn interfaces(self, older: &Stats, newer: &Stats) -> Vec<InterfaceRates> {
        let nothing = InterfaceState::default();
        let before: HashMap<&str, &InterfaceState> = older.interfaces.iter().map(|i| (name(i), i)).collect();
        newer
            .interfaces
            .iter()
            .map(|new| self.interface(before.get(name(new)).copied().unwrap_or(&nothing), new))
            .collect()
    }

    fn interface(self, old: &InterfaceState, new: &InterfaceState) -> InterfaceRates {
        let packets = |old: Option<Traffic>, new: Option<Traffic>| {
            self.second(old.unwrap_or_default().packets, new.unwrap_or_default().packets)
        };
        let bits = |old: Option<Traffic>, new: Option<Traffic>| {
            self.second(old.unwrap_or_default().bytes, new.unwrap_or_default().bytes) * 8.0
        };
        InterfaceRates {
            interface: name(new).to_owned(),
            rx_packets_per_s: packets(old.rx, new.rx),
            rx_bits_per_s: bits(old.rx, new.rx),
            tx_packets_per_s: packets(old.tx, new.tx),
            tx_bits_per_s: bits(old.tx, new.tx),
            punt_packets_per_s: packets(old.punt, new.punt),
            inject_packets_per_s: packets(old.inject, new.inject),
        }
    }

    fn drops(self, older: &Stats, newer: &Stats) -> Vec<DropRates> {
        let before = dropped(older);
        let mut drops: Vec<_> = dropped(newer)
            .into_iter()
            .map(|(key, (sentence, packets))| DropRates {
                reason: key.0.to_owned(),
                port: key.1.to_owned(),
                sentence: sentence.to_owned(),
                packets_per_s: self.second(before.get(&key).map_or(0, |b| b.1), packets),
                packets,
            })
            .collect();
        drops.sort_by(|a, b| {
            let by_rate = b.packets_per_s.total_cmp(&a.packets_per_s).then(b.packets.cmp(&a.packets));
            by_rate.then_with(|| (&a.reason, &a.port).cmp(&(&b.reason, &b.port)))
        });
        drops
    }
}

fn name(interface: &InterfaceState) -> &str {
    interface.interface.as_ref().map_or("", |i| i.name.as_str())
}

/// Sentence and packets by reason and port, over all workers.
fn dropped(stats: &Stats) -> HashMap<(&str, &str), (&str, u64)> {
    let mut sums: HashMap<(&str, &str), (&str, u64)> = HashMap::new();
    for DropStats { reason, sentence, port, packets } in stats.workers.iter().flat_map(|w| &w.drops) {
        sums.entry((reason, port)).or_insert((sentence, 0)).1 += packets;
    }
    sums
}
