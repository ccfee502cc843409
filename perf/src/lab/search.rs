//! The search for a throughput, after MLRsearch (RFC 9971): told how trials went, it says which load to try next.
//!
//! ```text
//!   load ──────────────────────────────────────────────▶
//!     good   good        good │ ? │ bad        bad             a load is good or bad by the time it was tried:
//!                  lower bound ▲   ▲ upper bound               one lucky or unlucky trial does not decide
//! ```
//!
//! It owns no clock and no port. All goals share the trials: what was learned for no loss is known when 0.5 % is looked
//! for. Differences from the RFC: no initial phases with shorter trials; the first load is what the DUT forwarded when
//! it was offered too much, and from there steps grow until the bound is between two loads.

use std::collections::BTreeMap;

use serde::Serialize;

/// When a search is at its end, and what it looks for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Goal {
    /// Trials with more loss than this share are bad.
    pub loss_ratio: f64,
    /// The bounds are at most this share apart.
    pub width: f64,
    /// How long each trial is.
    pub trial_seconds: f64,
    /// How long a load has to be tried.
    pub sum_seconds: f64,
    /// The share of that time in which trials may be bad, and the load is still good.
    pub exceed_ratio: f64,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// Try this load.
    Try {
        /// Packets a second.
        pps: f64,
    },
    /// The goal is reached.
    Found(Bounds),
    /// Even the least load is bad.
    Nothing {
        /// Packets a second.
        least_pps: f64,
    },
}

/// Between which loads the throughput is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bounds {
    /// The highest good load, packets a second: this is the throughput.
    pub lower_pps: f64,
    /// The lowest bad load above it; none if the largest load that could be offered is good.
    pub upper_pps: Option<f64>,
}

/// The trials of all goals.
#[derive(Clone, Debug)]
pub struct Search {
    least_pps: f64,
    most_pps: f64,
    first_pps: f64,
    /// By load in millionths of a packet a second: seconds and loss ratio of each trial.
    trials: BTreeMap<u64, Vec<(f64, f64)>>,
}

/// What is known of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Good,
    Bad,
    Open,
}

/// Closer together, loads are the same, packets a second.
const LOADS_APART_MIN: f64 = 2.0;
/// Steps away from the only bound there is grow by this factor.
const STEP_GROWTH: f64 = 2.0;

impl Search {
    /// Between these loads, beginning at `first_pps`, packets a second.
    #[must_use]
    pub fn new(least_pps: f64, most_pps: f64, first_pps: f64) -> Self {
        let most_pps = most_pps.max(least_pps);
        Self { least_pps, most_pps, first_pps: first_pps.clamp(least_pps, most_pps), trials: BTreeMap::new() }
    }

    /// Notes how a trial of [`Step::Try`] went.
    pub fn note(&mut self, pps: f64, seconds: f64, loss_ratio: f64) {
        self.trials.entry(key(pps)).or_default().push((seconds, loss_ratio));
    }

    /// The generator can not offer more than this.
    pub fn limit(&mut self, most_pps: f64) {
        self.most_pps = most_pps.clamp(self.least_pps, self.most_pps);
        self.first_pps = self.first_pps.min(self.most_pps);
        self.trials.split_off(&(key(self.most_pps) + 1));
    }

    /// The largest load that can be offered.
    #[must_use]
    pub const fn most_pps(&self) -> f64 {
        self.most_pps
    }

    /// What to do next for a goal.
    #[must_use]
    pub fn next(&self, goal: &Goal) -> Step {
        let verdicts: Vec<(f64, Verdict)> =
            self.trials.iter().map(|(key, trials)| (pps_of(*key), verdict(goal, trials))).collect();
        let upper = verdicts.iter().find(|(_, verdict)| *verdict == Verdict::Bad).map(|(pps, _)| *pps);
        let below = |pps: f64| upper.is_none_or(|upper| pps < upper);
        let lower =
            verdicts.iter().rev().find(|(pps, v)| *v == Verdict::Good && below(*pps)).map(|(pps, _)| *pps);
        let between = |pps: f64| below(pps) && lower.is_none_or(|lower| pps > lower);
        // What was begun is brought to its end before another load.
        if let Some((pps, _)) = verdicts.iter().find(|(pps, v)| *v == Verdict::Open && between(*pps)) {
            return Step::Try { pps: *pps };
        }
        match (lower, upper) {
            (None, None) => Step::Try { pps: self.first_pps },
            (Some(lower), Some(upper)) if upper - lower <= (goal.width * upper).max(LOADS_APART_MIN) => {
                Step::Found(Bounds { lower_pps: lower, upper_pps: Some(upper) })
            }
            (Some(lower), Some(upper)) => Step::Try { pps: between_bounds(goal, lower, upper) },
            (Some(lower), None) if lower >= self.most_pps => {
                Step::Found(Bounds { lower_pps: lower, upper_pps: None })
            }
            (Some(lower), None) => {
                let pps = lower * (1.0 + self.stride(goal, Verdict::Good, &verdicts));
                Step::Try { pps: rounded(pps.min(self.most_pps)) }
            }
            (None, Some(upper)) if upper <= self.least_pps => Step::Nothing { least_pps: self.least_pps },
            (None, Some(upper)) => {
                let pps = upper / (1.0 + self.stride(goal, Verdict::Bad, &verdicts));
                Step::Try { pps: rounded(pps.max(self.least_pps)) }
            }
        }
    }

    /// How far to go from the only bound: further with each load on the same side.
    fn stride(&self, goal: &Goal, side: Verdict, verdicts: &[(f64, Verdict)]) -> f64 {
        let same = verdicts.iter().filter(|(_, verdict)| *verdict == side).count();
        goal.width * STEP_GROWTH.powi(same.min(20) as i32)
    }
}

/// The load between two bounds that leaves the same ratio to either; near the end so that the upper part is as wide as
/// the goal wants, which saves a trial.
fn between_bounds(goal: &Goal, lower: f64, upper: f64) -> f64 {
    let middle = rounded((lower * upper).sqrt());
    // Upwards: rounded down it would be a little further from the upper bound than is wanted.
    let last = (upper * (1.0 - goal.width)).ceil();
    if last > lower && last < middle { last } else { middle }
}

/// Loads are whole packets a second where that is exact enough.
fn rounded(pps: f64) -> f64 {
    if pps > 10_000.0 { pps.round() } else { pps }
}

/// A load is good once bad trials can no longer take more than their share of the time, bad once they have.
fn verdict(goal: &Goal, trials: &[(f64, f64)]) -> Verdict {
    let (mut good_s, mut bad_s) = (0.0, 0.0);
    for (seconds, loss_ratio) in trials {
        if *loss_ratio > goal.loss_ratio {
            bad_s += seconds;
        } else {
            good_s += seconds;
        }
    }
    // A trial that was a little short, by rounding, is not to cause another one.
    let sum_s = goal.sum_seconds * 0.999;
    if bad_s > goal.exceed_ratio * goal.sum_seconds {
        return Verdict::Bad;
    }
    if good_s >= (1.0 - goal.exceed_ratio) * sum_s || good_s + bad_s >= sum_s {
        return Verdict::Good;
    }
    Verdict::Open
}

fn key(pps: f64) -> u64 {
    (pps * 1e6) as u64
}

fn pps_of(key: u64) -> f64 {
    key as f64 / 1e6
}

#[cfg(test)]
mod tests;
