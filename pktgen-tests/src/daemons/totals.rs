//! Statistics added up over all workers, and their differences.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ze_graph::Law;
use ze_proto::v1;

/// The terms of the conservation law: `rx + inject + generated = tx + drop + punt + held`, handing over included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Received from network ports.
    pub rx: u64,
    /// Received from the host stack.
    pub inject: u64,
    /// Made by the router.
    pub generated: u64,
    /// Taken over from other workers.
    pub handoff_in: u64,
    /// Sent.
    pub tx: u64,
    /// Dropped.
    pub drop: u64,
    /// Given to the host stack or the control thread.
    pub punt: u64,
    /// Waiting to be sent, now.
    pub held: u64,
    /// Given to other workers.
    pub handoff_out: u64,
}

impl From<&Law> for Terms {
    fn from(law: &Law) -> Self {
        Self {
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
}

impl Terms {
    /// What came in, less what went out or is held: 0 when nothing is under way.
    #[must_use]
    pub fn imbalance(&self) -> i64 {
        let entered = self.rx + self.inject + self.generated + self.handoff_in;
        let left = self.tx + self.drop + self.punt + self.held + self.handoff_out;
        entered.wrapping_sub(left).cast_signed()
    }

    fn add(&mut self, law: &v1::LawTerms) {
        self.rx += law.rx;
        self.inject += law.inject;
        self.generated += law.generated;
        self.handoff_in += law.handoff_in;
        self.tx += law.tx;
        self.drop += law.drop;
        self.punt += law.punt;
        self.held += law.held;
        self.handoff_out += law.handoff_out;
    }

    /// What was counted since `earlier`; `held`, a level, stays what it is.
    #[must_use]
    pub const fn since(&self, earlier: &Self) -> Self {
        Self {
            rx: self.rx.saturating_sub(earlier.rx),
            inject: self.inject.saturating_sub(earlier.inject),
            generated: self.generated.saturating_sub(earlier.generated),
            handoff_in: self.handoff_in.saturating_sub(earlier.handoff_in),
            tx: self.tx.saturating_sub(earlier.tx),
            drop: self.drop.saturating_sub(earlier.drop),
            punt: self.punt.saturating_sub(earlier.punt),
            held: self.held,
            handoff_out: self.handoff_out.saturating_sub(earlier.handoff_out),
        }
    }
}

/// What all workers together have counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// The terms of the law.
    pub law: Terms,
    /// Drops by reason, zeros left out.
    pub drops: BTreeMap<String, u64>,
    /// Punts by reason, zeros left out.
    pub punts: BTreeMap<String, u64>,
    /// Everything else that has a name, zeros left out: `lan0.rx.packets`, `policed.icmp`.
    pub counters: BTreeMap<String, u64>,
}

impl Totals {
    /// Adds up the workers of `stats`.
    #[must_use]
    pub fn of(stats: &v1::Stats) -> Self {
        let mut totals = Self::default();
        for worker in &stats.workers {
            worker.law.iter().for_each(|law| totals.law.add(law));
            worker.drops.iter().for_each(|drop| add(&mut totals.drops, &drop.reason, drop.packets));
            for punt in &worker.punts {
                add(&mut totals.punts, &punt.reason, punt.packets);
                add(&mut totals.counters, &format!("policed.{}", punt.reason), punt.policed);
            }
        }
        for state in &stats.interfaces {
            let name = state.interface.as_ref().map_or("", |interface| &interface.name);
            let traffic =
                [("rx", &state.rx), ("tx", &state.tx), ("punt", &state.punt), ("inject", &state.inject)];
            for (way, traffic) in traffic {
                let (packets, bytes) = traffic.as_ref().map_or((0, 0), |t| (t.packets, t.bytes));
                totals.count_traffic(name, way, packets, bytes);
            }
        }
        totals
    }

    /// Adds an interface's traffic of one way: `rx`, `tx`, `punt`, `inject`.
    pub fn count_traffic(&mut self, interface: &str, way: &str, packets: u64, bytes: u64) {
        add(&mut self.counters, &format!("{interface}.{way}.packets"), packets);
        add(&mut self.counters, &format!("{interface}.{way}.bytes"), bytes);
    }

    /// What was counted since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            law: self.law.since(&earlier.law),
            drops: difference(&self.drops, &earlier.drops),
            punts: difference(&self.punts, &earlier.punts),
            counters: difference(&self.counters, &earlier.counters),
        }
    }

    /// Drops for a reason.
    #[must_use]
    pub fn dropped(&self, reason: &str) -> u64 {
        self.drops.get(reason).copied().unwrap_or(0)
    }
}

fn add(map: &mut BTreeMap<String, u64>, key: &str, value: u64) {
    if value > 0 {
        *map.entry(key.to_owned()).or_default() += value;
    }
}

fn difference(now: &BTreeMap<String, u64>, earlier: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let less = |(key, value): (&String, &u64)| {
        let grown = value.saturating_sub(earlier.get(key).copied().unwrap_or(0));
        (grown > 0).then(|| (key.clone(), grown))
    };
    now.iter().filter_map(less).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(rx: u64, tx: u64, dropped: u64) -> v1::Stats {
        let worker = |rx, tx, dropped| v1::WorkerStats {
            law: Some(v1::LawTerms { rx, tx, drop: dropped, ..Default::default() }),
            drops: vec![v1::DropStats { reason: "no_route".into(), packets: dropped, ..Default::default() }],
            ..Default::default()
        };
        v1::Stats { workers: vec![worker(rx, tx, dropped), worker(1, 1, 0)], ..Default::default() }
    }

    #[test]
    fn workers_are_added_up_and_earlier_counts_taken_off() {
        let (before, after) = (Totals::of(&stats(10, 9, 1)), Totals::of(&stats(15, 11, 4)));
        let since = after.since(&before);
        assert_eq!((since.law.rx, since.law.tx, since.dropped("no_route")), (5, 2, 3));
        assert!(since.punts.is_empty() && before.since(&before).drops.is_empty());
    }

    #[test]
    fn the_imbalance_shows_packets_lost_and_made() {
        let terms = Terms { rx: 5, inject: 1, tx: 3, drop: 1, punt: 1, held: 1, ..Terms::default() };
        assert_eq!(terms.imbalance(), 0);
        assert_eq!(Terms { rx: 6, ..terms }.imbalance(), 1);
        assert_eq!(Terms { tx: 4, ..terms }.imbalance(), -1);
    }
}
