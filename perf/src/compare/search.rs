//! The search for a forwarder's throughput: the lab's (RFC 9971), from what the forwarder takes at overload.

use anyhow::Result;
use ze_pktgen::traffic::Rate;

use super::report::Shot;
use crate::lab::search::{Goal, Search, Step};
use crate::stats::median;

/// Trials of a round, the overload included: so many that a search ends before.
pub(super) const TRIALS_MAX: usize = 80;
/// Trials of a round as they mostly are.
pub(super) const TRIALS_GUESS: usize = 30;
/// Trials of the overload: the one in the middle counts.
pub(super) const OVERLOADS: usize = 3;
/// Trials of a load, of which one has to be good: what a machine does besides only adds loss. Where a virtual machine's host
/// takes a core away for milliseconds, several times a second, most trials of any load have more loss than is allowed.
/// RFC 9971 calls this share the goal exceed ratio.
const TRIALS_A_LOAD: usize = 5;
const EXCEED_RATIO: f64 = 0.8;
/// The search ends when its interval is as narrow as this: below what runs differ by.
const WIDTH: f64 = 0.02;
/// A forwarder that loses too much of this has no throughput.
const PPS_MIN: f64 = 1000.0;
/// What a forwarder takes at overload says little if it is less than this share of what was offered.
const SHARE_MIN: f64 = 0.05;

/// All trials, the overload first.
///
/// # Errors
/// Those of the trials.
pub(super) fn search(loss: f64, trial: &mut impl FnMut(Rate) -> Result<Shot>) -> Result<Vec<Shot>> {
    let mut shots = Vec::new();
    for _ in 0..OVERLOADS {
        shots.push(trial(Rate::Max)?);
    }
    if shots.iter().all(|shot| shot.is_good(loss)) {
        return Ok(shots);
    }
    let middle = |of: fn(&Shot) -> f64| median(shots.iter().map(of).collect()).unwrap_or_default();
    let (offered, received) = (middle(|shot| shot.offered_pps), middle(|shot| shot.received_pps));
    let first = if received > offered * SHARE_MIN { received } else { offered / 2.0 };
    let mut search = Search::new(PPS_MIN, offered, first);
    // Loads count as tried by trials, not by how long each of them was.
    let goal = Goal {
        loss_ratio: loss,
        width: WIDTH,
        trial_seconds: 1.0,
        sum_seconds: TRIALS_A_LOAD as f64,
        exceed_ratio: EXCEED_RATIO,
    };
    while let Step::Try { pps } = search.next(&goal) {
        if shots.len() == TRIALS_MAX {
            break;
        }
        let shot = trial(Rate::PacketsPerSecond(pps))?;
        // A load that was not offered is none that was taken.
        let loss_ratio = if shot.is_good(loss) { shot.loss_ratio } else { 1.0 };
        search.note(pps, goal.trial_seconds, loss_ratio);
        shots.push(shot);
    }
    Ok(shots)
}

/// Packets a second that arrived of the highest load that was taken, below the least that was not. None if there was no
/// such load.
pub(super) fn throughput(shots: &[Shot], loss: f64) -> Option<f64> {
    let mut loads: Vec<(f64, Option<f64>)> = Vec::new();
    for shot in shots {
        let load = shot.asked_pps.unwrap_or(f64::INFINITY);
        let arrived = shot.is_good(loss).then_some(shot.received_pps);
        match loads.iter_mut().find(|(pps, _)| *pps == load) {
            Some((_, most)) => *most = [*most, arrived].into_iter().flatten().reduce(f64::max),
            None => loads.push((load, arrived)),
        }
    }
    loads.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    loads.into_iter().map_while(|(_, most)| most).last()
}
