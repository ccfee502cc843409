//! Reads the clock and the nodes' counters every so many rounds of the loop that is measured.
//!
//! A slice is as many rounds as the worker lets pass between two times of housekeeping, so that each slice holds all
//! that the loop ever does. It lasts some ten microseconds: few slices see the core taken away, and the median of
//! thousands sees none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};
use ze_graph::{WorkerCounters, clock};
use ze_nodes::Graph;

use crate::interrupt::Interrupt;
use crate::stats::{median, quantile};

/// Rounds in a slice: `HOUSEKEEPING_ROUNDS` of the worker.
pub(crate) const SLICE_ROUNDS: u32 = 64;
/// Slices that are kept; a core can not do more of them in a second.
const SLICES_MAX: usize = 1 << 17;
/// Nodes of the graph.
const NODES: usize = Graph::descriptions().len();

/// What a slice cost, cycles.
#[derive(Clone, Copy, Debug)]
struct Slice {
    cycles: u64,
    packets: u64,
    nodes: [u32; NODES],
}

/// Counters at a moment.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    cycles: u64,
    packets: u64,
    batches: u64,
    nodes: [u64; NODES],
}

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Cycles before measuring begins: caches, branch predictors and the core's frequency settle.
    pub(crate) warm_up: u64,
    /// Cycles to measure.
    pub(crate) measured: u64,
    /// Of so many slices one is kept.
    pub(crate) keep_every: u64,
}

impl Plan {
    /// For so many seconds, at so many cycles a second. A tenth of it is warm-up, and 50 ms at least.
    #[must_use]
    pub(crate) fn new(seconds: f64, hertz: u64) -> Self {
        let cycles = |seconds: f64| (seconds * hertz as f64) as u64;
        Self {
            warm_up: cycles(warm_up_s(seconds)),
            measured: cycles(seconds),
            keep_every: seconds.ceil().max(1.0) as u64,
        }
    }
}

/// Seconds before so many are measured.
pub(super) fn warm_up_s(seconds: f64) -> f64 {
    (seconds / 10.0).max(0.05)
}

/// What a meter has seen.
#[derive(Debug)]
struct Record {
    slices: Vec<Slice>,
    first: Mark,
    last: Mark,
}

/// Tells when measuring has ended, and what it found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    is_done: Arc<AtomicBool>,
    record: Arc<Mutex<Option<Record>>>,
}

/// Measures the loop that calls it.
#[derive(Debug)]
pub(crate) struct Meter {
    plan: Plan,
    /// Of the worker that is measured; a loop without a graph has none.
    counters: Option<Arc<WorkerCounters>>,
    rounds: u32,
    has_ended: bool,
    slices_seen: u64,
    began: Option<u64>,
    first: Option<Mark>,
    /// The end of the slice before.
    before: Mark,
    slices: Vec<Slice>,
    interrupt: Interrupt,
    outcome: Outcome,
}

impl Meter {
    /// A meter that starts with the first round.
    #[must_use]
    pub(crate) fn new(plan: Plan, counters: Option<Arc<WorkerCounters>>, interrupt: &Interrupt) -> Self {
        Self {
            plan,
            counters,
            rounds: 0,
            has_ended: false,
            slices_seen: 0,
            began: None,
            first: None,
            before: Mark::default(),
            slices: Vec::with_capacity(SLICES_MAX),
            interrupt: interrupt.clone(),
            outcome: Outcome::default(),
        }
    }

    /// Where the result will be.
    #[must_use]
    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome.clone()
    }

    /// One round begins; so many packets were received before it. Returns whether measuring goes on.
    #[inline]
    pub(crate) fn round(&mut self, packets: u64) -> bool {
        if self.has_ended {
            return false;
        }
        let is_boundary = self.rounds.is_multiple_of(SLICE_ROUNDS);
        self.rounds = self.rounds.wrapping_add(1);
        !is_boundary || self.boundary(packets)
    }

    #[cold]
    #[inline(never)]
    fn boundary(&mut self, packets: u64) -> bool {
        let mark = self.mark(packets);
        let began = *self.began.get_or_insert(mark.cycles);
        match self.first {
            None if mark.cycles.wrapping_sub(began) < self.plan.warm_up => {}
            None => self.first = Some(mark),
            Some(_) => self.keep(&mark),
        }
        let is_enough =
            self.first.is_some_and(|first| mark.cycles.wrapping_sub(first.cycles) >= self.plan.measured);
        if is_enough || self.interrupt.is_set() {
            self.before = mark;
            self.has_ended = true;
            self.outcome.is_done.store(true, Ordering::Release);
            return false;
        }
        self.before = Mark { cycles: clock::cycles(), ..mark };
        true
    }

    fn mark(&self, packets: u64) -> Mark {
        let mut mark = Mark { cycles: clock::cycles(), packets, ..Mark::default() };
        if let Some(counters) = &self.counters {
            mark.batches = counters.rounds.batches.get();
            for (cycles, node) in mark.nodes.iter_mut().zip(&counters.nodes) {
                *cycles = node.cycles.get();
            }
        }
        mark
    }

    fn keep(&mut self, mark: &Mark) {
        self.slices_seen += 1;
        let packets = mark.packets - self.before.packets;
        if packets == 0
            || !self.slices_seen.is_multiple_of(self.plan.keep_every)
            || self.slices.len() == SLICES_MAX
        {
            return;
        }
        let mut nodes = [0; NODES];
        for ((cost, now), before) in nodes.iter_mut().zip(&mark.nodes).zip(&self.before.nodes) {
            *cost = u32::try_from(now.wrapping_sub(*before)).unwrap_or(u32::MAX);
        }
        self.slices.push(Slice { cycles: mark.cycles.wrapping_sub(self.before.cycles), packets, nodes });
    }

    /// Hands over what was seen. Not from the loop: it locks.
    pub(crate) fn end(self) {
        let record = self.first.map(|first| Record { slices: self.slices, first, last: self.before });
        *self.outcome.record.lock().unwrap_or_else(PoisonError::into_inner) = record;
    }
}

impl Outcome {
    /// Has the meter seen enough?
    #[must_use]
    pub(crate) fn is_done(&self) -> bool {
        self.is_done.load(Ordering::Acquire)
    }

    /// What it found, once the port that had the meter is closed.
    ///
    /// # Errors
    /// When it saw nothing.
    pub(crate) fn measured(&self) -> Result<Measured> {
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner).take();
        let measured = record.as_ref().and_then(Measured::of);
        let Some(measured) = measured else { bail!("nothing was received, so nothing was measured") };
        Ok(measured)
    }
}

/// What one run cost, cycles per packet.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// The median slice.
    pub(crate) cycles: f64,
    /// The quartiles of the slices: a quarter is below the first, a quarter above the second.
    pub(crate) quartiles: [f64; 2],
    /// Over all of the run, whatever else the core did meanwhile.
    pub(crate) mean: f64,
    /// By node, the median slice.
    pub(crate) nodes: Vec<f64>,
    /// Slices that this comes from.
    pub(crate) slices: usize,
    /// Packets of the run.
    pub(crate) packets: u64,
    /// Packets that were compared byte by byte.
    pub(crate) verified: usize,
    /// Packets in a batch that entered the graph, mean; none without a graph.
    pub(crate) batch_fill: Option<f64>,
}

impl Measured {
    fn of(record: &Record) -> Option<Self> {
        let slices = &record.slices;
        let per_packet = |slice: &Slice, cycles: u64| cycles as f64 / slice.packets as f64;
        let mut sorted: Vec<_> = slices.iter().map(|slice| per_packet(slice, slice.cycles)).collect();
        sorted.sort_by(f64::total_cmp);
        let node = |at: usize| median(slices.iter().map(|s| per_packet(s, u64::from(s.nodes[at]))).collect());
        let (first, last) = (record.first, record.last);
        let packets = last.packets - first.packets;
        let batches = last.batches - first.batches;
        Some(Self {
            cycles: quantile(&sorted, 0.5)?,
            quartiles: [quantile(&sorted, 0.25)?, quantile(&sorted, 0.75)?],
            mean: last.cycles.wrapping_sub(first.cycles) as f64 / packets as f64,
            nodes: (0..NODES).map(node).collect::<Option<_>>()?,
            slices: slices.len(),
            packets,
            verified: 0,
            batch_fill: (batches > 0).then(|| packets as f64 / batches as f64),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disturbed_slice_moves_the_mean_and_not_the_median() {
        let slice = |cycles| Slice { cycles, packets: 10, nodes: [(cycles / 10) as u32; NODES] };
        let mut slices = vec![slice(100); 9];
        slices.push(slice(100_000));
        let total: u64 = slices.iter().map(|slice| slice.cycles).sum();
        let last = Mark { cycles: total, packets: 100, batches: 10, ..Mark::default() };
        let measured = Measured::of(&Record { slices, first: Mark::default(), last }).unwrap();
        assert_eq!((measured.cycles, measured.quartiles, measured.nodes[0]), (10.0, [10.0, 10.0], 1.0));
        assert_eq!((measured.mean, measured.batch_fill, measured.slices), (1009.0, Some(10.0), 10));
    }

    #[test]
    fn a_meter_ends_after_its_time_and_hands_its_slices_over() {
        let mut meter =
            Meter::new(Plan { warm_up: 1000, measured: 200_000, keep_every: 1 }, None, &Interrupt::default());
        let outcome = meter.outcome();
        let mut packets = 0;
        while meter.round(packets) {
            packets += 3;
        }
        assert!(outcome.is_done());
        assert!(!meter.round(packets), "it stays ended");
        meter.end();
        let measured = outcome.measured().unwrap();
        assert!(measured.slices > 0 && measured.cycles > 0.0 && measured.batch_fill.is_none());
        assert!(measured.packets <= packets);
        assert!(outcome.measured().is_err(), "it is handed over once");
    }
}
