//! What the workers did meanwhile, from their statistics.

use std::collections::BTreeMap;
use std::time::Duration;

use ze_proto::v1;

use super::WorkerFigures;
use super::steps::StepError;
use crate::daemons::{Client, Terms};
use crate::lab::wait_for;

/// How long packets may be under way after the last one was sent.
const BALANCE_TIMEOUT: Duration = Duration::from_secs(3);

/// What one worker counted over some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) core: u32,
    pub(super) packets: u64,
    pub(super) batches: u64,
    pub(super) busy_cycles: u64,
    pub(super) idle_cycles: u64,
    pub(super) sleeps: u64,
    pub(super) tx_ring_full: u64,
    pub(super) fill_starved: u64,
    pub(super) elapsed_ns: u64,
}

/// The workers of a daemon over the measured transfers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Works(BTreeMap<u32, Work>);

impl Works {
    pub(super) fn add(&mut self, other: &Self) {
        for (worker, work) in &other.0 {
            let sum = self.0.entry(*worker).or_default();
            *sum = Work {
                core: work.core,
                packets: sum.packets + work.packets,
                batches: sum.batches + work.batches,
                busy_cycles: sum.busy_cycles + work.busy_cycles,
                idle_cycles: sum.idle_cycles + work.idle_cycles,
                sleeps: sum.sleeps + work.sleeps,
                tx_ring_full: sum.tx_ring_full + work.tx_ring_full,
                fill_starved: sum.fill_starved + work.fill_starved,
                elapsed_ns: sum.elapsed_ns + work.elapsed_ns,
            };
        }
    }

    pub(super) fn figures(&self) -> Vec<WorkerFigures> {
        self.0.iter().map(|(worker, work)| figures(*worker, work)).collect()
    }
}

fn figures(worker: u32, work: &Work) -> WorkerFigures {
    let per = |value: u64, of: u64| if of == 0 { 0.0 } else { value as f64 / of as f64 };
    WorkerFigures {
        worker,
        core: work.core,
        packets: work.packets,
        packets_per_second: per(work.packets, work.elapsed_ns) * 1e9,
        packets_per_batch: per(work.packets, work.batches),
        cycles_per_packet: per(work.busy_cycles, work.packets),
        idle_share: per(work.idle_cycles, work.busy_cycles + work.idle_cycles),
        sleeps: work.sleeps,
        tx_ring_full: work.tx_ring_full,
        fill_starved: work.fill_starved,
    }
}

/// What each worker did between two samples.
pub(super) fn difference(before: &v1::Stats, after: &v1::Stats) -> Works {
    let elapsed_ns = after.at_ns.saturating_sub(before.at_ns);
    let of = |worker: &v1::WorkerStats| {
        let earlier = before.workers.iter().find(|earlier| earlier.worker == worker.worker)?;
        let (now, then) = (counted(worker), counted(earlier));
        let work = Work {
            core: worker.core,
            packets: now.packets.saturating_sub(then.packets),
            batches: now.batches.saturating_sub(then.batches),
            busy_cycles: now.busy_cycles.saturating_sub(then.busy_cycles),
            idle_cycles: now.idle_cycles.saturating_sub(then.idle_cycles),
            sleeps: now.sleeps.saturating_sub(then.sleeps),
            tx_ring_full: now.tx_ring_full.saturating_sub(then.tx_ring_full),
            fill_starved: now.fill_starved.saturating_sub(then.fill_starved),
            elapsed_ns,
        };
        Some((worker.worker, work))
    };
    Works(after.workers.iter().filter_map(of).collect())
}

fn counted(worker: &v1::WorkerStats) -> Work {
    let law = worker.law.unwrap_or_default();
    Work {
        core: worker.core,
        packets: law.rx + law.inject,
        batches: worker.batches,
        busy_cycles: worker.busy_cycles,
        idle_cycles: worker.idle_cycles,
        sleeps: worker.sleeps,
        tx_ring_full: worker.queues.iter().map(|queue| queue.tx_ring_full).sum(),
        fill_starved: worker.queues.iter().map(|queue| queue.fill_starved).sum(),
        elapsed_ns: 0,
    }
}

/// Waits until nothing is under way; the law must hold then.
pub(super) fn await_balance(client: &mut Client) -> Result<Terms, StepError> {
    let mut law = Terms::default();
    let balanced = wait_for(BALANCE_TIMEOUT, "balance", || {
        law = client.totals().ok()?.law;
        (law.imbalance() == 0).then_some(())
    });
    balanced.map_err(|_| {
        StepError::Wrong(format!("{} packets are not accounted for: {law:?}", law.imbalance()))
    })?;
    Ok(law)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(at_ns: u64, rx: u64, batches: u64, busy_cycles: u64, idle_cycles: u64) -> v1::Stats {
        let law = Some(v1::LawTerms { rx, ..Default::default() });
        let worker =
            v1::WorkerStats { core: 1, law, batches, busy_cycles, idle_cycles, ..Default::default() };
        v1::Stats { at_ns, workers: vec![worker], ..Default::default() }
    }

    #[test]
    fn figures_are_those_of_the_time_between_two_samples() {
        let mut works = difference(&stats(0, 100, 10, 1000, 0), &stats(1_000_000_000, 1100, 60, 3000, 6000));
        let figures = &works.figures()[0];
        assert_eq!((figures.packets, figures.core), (1000, 1));
        assert_eq!((figures.packets_per_second, figures.packets_per_batch), (1000.0, 20.0));
        assert_eq!((figures.cycles_per_packet, figures.idle_share), (2.0, 0.75));
        works.add(&works.clone());
        assert_eq!(works.figures()[0].packets, 2000);
        assert_eq!(works.figures()[0].packets_per_second, 1000.0);
    }

    #[test]
    fn a_worker_without_packets_has_no_figures_that_divide_by_zero() {
        let figures = &difference(&stats(0, 0, 0, 0, 0), &stats(0, 0, 0, 0, 0)).figures()[0];
        assert_eq!(
            (figures.cycles_per_packet, figures.packets_per_batch, figures.idle_share),
            (0.0, 0.0, 0.0)
        );
    }
}
