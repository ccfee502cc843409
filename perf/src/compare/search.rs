//! The search for a forwarder's throughput: RFC 2544 §26.1 with a loss that is allowed, and few trials.

use anyhow::Result;
use ze_pktgen::traffic::Rate;

use super::report::Shot;

/// Trials of a search, the overload included.
pub(super) const TRIALS_MAX: usize = 12;
/// The search ends when its interval is as narrow as this: below what runs differ by.
const WIDTH: f64 = 0.01;
/// A forwarder that loses too much of this has no throughput.
const PPS_MIN: f64 = 1000.0;
/// Where little gets lost, the throughput is above this share of what was offered.
const STEP: f64 = 0.9;
/// What a forwarder takes at overload says little if it is less than this share of what was offered.
const SHARE_MIN: f64 = 0.2;

/// Who loses more than is allowed, but no more than this, was perhaps interrupted: something of the machine's had the core for
/// some milliseconds. Such a trial is repeated once.
const INTERRUPTED_LOSS: f64 = 0.02;

/// All trials, the first at overload. The interval that has the throughput is halved, or cut at what arrived of too much.
///
/// # Errors
/// Those of the trials.
pub(super) fn search(loss: f64, trial: &mut impl FnMut(Rate) -> Result<Shot>) -> Result<Vec<Shot>> {
    let overload = trial(Rate::Max)?;
    let (mut low, mut high) = (0.0, overload.offered_pps);
    let is_all = overload.loss_ratio <= loss;
    let mut next = first_guess(&overload);
    let mut shots = vec![overload];
    while !is_all && shots.len() < TRIALS_MAX && high - low > WIDTH * high && next >= PPS_MIN {
        let mut shot = trial(Rate::PacketsPerSecond(next))?;
        if shot.loss_ratio > loss && shot.loss_ratio <= INTERRUPTED_LOSS && shots.len() + 1 < TRIALS_MAX {
            shots.push(shot);
            shot = trial(Rate::PacketsPerSecond(next))?;
        }
        if shot.loss_ratio <= loss {
            low = f64::max(low, shot.offered_pps.min(next));
            next = middle(low, high);
        } else {
            high = f64::min(high, next);
            let arrived = shot.received_pps;
            let is_telling = arrived > low && arrived < high * (1.0 - INTERRUPTED_LOSS);
            next = if is_telling { arrived } else { middle(low.max(high * STEP), high) };
        }
        shots.push(shot);
    }
    Ok(shots)
}

fn first_guess(overload: &Shot) -> f64 {
    let is_telling = overload.received_pps > overload.offered_pps * SHARE_MIN;
    if is_telling { overload.received_pps } else { overload.offered_pps / 2.0 }
}

fn middle(low: f64, high: f64) -> f64 {
    f64::midpoint(low, high)
}
