//! Statistics as the API reports them: sums and copies of what workers count.

use ze_graph::{DropReason, PuntReason, WorkerCounters};
use ze_proto::v1;
use ze_worker::WorkerHandle;

use super::Control;

impl Control {
    /// All statistics.
    pub fn stats(&self) -> v1::Stats {
        v1::Stats {
            at_ns: monotonic_ns(),
            instance: self.facts.instance,
            tsc_hz: ze_graph::clock::hertz(),
            workers: self.workers.iter().map(|worker| self.worker_stats(worker)).collect(),
            ports: self.list_ports(),
            interfaces: self.list_interfaces(),
            control: self.control_counters(),
        }
    }

    fn worker_stats(&self, worker: &WorkerHandle) -> v1::WorkerStats {
        let counters = &worker.counters;
        let rounds = &counters.rounds;
        v1::WorkerStats {
            worker: u32::from(worker.id.0),
            core: worker.core as u32,
            pinned: worker.is_pinned(),
            rounds: rounds.rounds.get(),
            idle_rounds: rounds.idle_rounds.get(),
            busy_cycles: rounds.busy_cycles.get(),
            idle_cycles: rounds.idle_cycles.get(),
            sleeps: rounds.sleeps.get(),
            batches: rounds.batches.get(),
            pool_free: rounds.pool_free.get(),
            trace_lost: rounds.trace_lost.get(),
            law: Some(law(counters)),
            nodes: nodes(counters),
            queues: self.ports.queue_stats(worker.id),
            drops: self.drops(counters),
            punts: punts(counters),
        }
    }

    fn drops(&self, counters: &WorkerCounters) -> Vec<v1::DropStats> {
        let mut out = Vec::new();
        for (name, port) in self.ports.names() {
            for reason in DropReason::ALL.iter().chain([&DropReason::None]) {
                let packets = counters.drops(port, *reason);
                if packets > 0 {
                    out.push(v1::DropStats {
                        reason: reason.name().into(),
                        sentence: reason.sentence().into(),
                        port: name.clone(),
                        packets,
                    });
                }
            }
        }
        out
    }

    fn control_counters(&self) -> Vec<v1::NamedCounter> {
        let named = |name: &str, value: u64, sentence: &str| v1::NamedCounter {
            name: name.into(),
            value,
            sentence: sentence.into(),
        };
        let mut out: Vec<_> =
            self.neighbors.counters().iter().map(|(name, value)| named(name, value, "")).collect();
        let glue = &self.neighbor_glue;
        out.push(named(
            "neighbors_held_now",
            self.neighbors.held() as u64,
            "Packets that wait for a neighbour.",
        ));
        out.push(named(
            "messages_lost",
            glue.messages_lost,
            "Packets that no worker took from the control thread.",
        ));
        out.push(named("messages_malformed", glue.malformed, "Punted frames that are neither ARP nor ND."));
        out.push(named(
            "neighbors_table_full",
            glue.table_full,
            "Neighbours that found no room in the tables.",
        ));
        let turns = &self.turns;
        out.push(named("turns", turns.count, "Jobs, events and timers that the control thread has handled."));
        out.push(named(
            "turn_longest_us",
            turns.longest.as_micros() as u64,
            "How long the longest of them took: everything else waited for it.",
        ));
        out.push(named(
            "walk_slices",
            self.slices,
            "Turns that walked over routes for a listing, an audit or the end of a snapshot.",
        ));
        out.push(named("turns_long", turns.long, "Those that took longer than 10 ms."));
        out
    }

    /// Traffic of one interface at all workers: received, sent, punted, injected.
    pub(super) fn interface_traffic(&self, id: ze_packet::InterfaceId) -> [v1::Traffic; 4] {
        let mut sums =
            [v1::Traffic::default(), v1::Traffic::default(), v1::Traffic::default(), v1::Traffic::default()];
        for counters in self.workers.iter().filter_map(|w| w.counters.interface(id)) {
            let all = [&counters.rx, &counters.tx, &counters.punt, &counters.inject];
            for (sum, traffic) in sums.iter_mut().zip(all) {
                sum.packets += traffic.packets.get();
                sum.bytes += traffic.bytes.get();
            }
        }
        sums
    }

    /// Traffic that one nexthop has sent at all workers.
    pub(super) fn nexthop_traffic(&self, id: ze_packet::NexthopId) -> v1::Traffic {
        let of_worker = self.workers.iter().filter_map(|w| w.counters.nexthop(id));
        of_worker.fold(v1::Traffic::default(), |sum, t| v1::Traffic {
            packets: sum.packets + t.packets.get(),
            bytes: sum.bytes + t.bytes.get(),
        })
    }
}

fn law(counters: &WorkerCounters) -> v1::LawTerms {
    let law = &counters.law;
    v1::LawTerms {
        rx: law.rx.get(),
        inject: law.inject.get(),
        generated: law.generated.get(),
        handoff_in: law.handoff_in.get(),
        tx: law.tx.get(),
        drop: law.drop.get(),
        punt: law.punt.get(),
        held: law.held.get(),
        handoff_out: law.handoff_out.get(),
    }
}

fn nodes(counters: &WorkerCounters) -> Vec<v1::NodeStats> {
    let node = |node: &ze_graph::NodeCounters| v1::NodeStats {
        name: node.name.into(),
        batches: node.batches.get(),
        packets: node.packets.get(),
        cycles: node.cycles.get(),
        exits: node
            .exits
            .iter()
            .zip(&node.by_exit)
            .map(|(name, counter)| v1::NamedCounter {
                name: (*name).into(),
                value: counter.get(),
                sentence: String::new(),
            })
            .collect(),
    };
    counters.nodes.iter().map(|counters| node(counters)).collect()
}

fn punts(counters: &WorkerCounters) -> Vec<v1::PuntStats> {
    let one = |reason: &PuntReason| {
        let (packets, policed) = (counters.punts(*reason), counters.punts_policed(*reason));
        let rate =
            ze_nodes::PUNT_CLASSES.iter().find(|class| class.reason == *reason).map(|class| class.rate);
        (packets + policed > 0).then(|| v1::PuntStats {
            reason: reason.name().into(),
            sentence: reason.sentence().into(),
            packets,
            policed,
            rate_pps: rate.map_or(0, |rate| rate.rate_pps),
            burst: rate.map_or(0, |rate| rate.burst),
        })
    };
    PuntReason::ALL.iter().filter_map(one).collect()
}

/// The monotonic clock, nanoseconds.
pub(super) fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
