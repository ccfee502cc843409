//! The search against forwarders whose throughput is known, and what is made of its trials.

use super::search::{OVERLOADS, TRIALS_MAX, search};
use super::*;

/// The generator's most.
const MOST_PPS: f64 = 9e6;

/// A forwarder that forwards up to `limit`; beyond it what is left at overload falls to `floor` of it.
fn forwarder(limit: f64, floor: f64) -> impl FnMut(Rate) -> Result<Shot> {
    move |rate| {
        let (asked_pps, offered) = match rate {
            Rate::Max => (None, MOST_PPS),
            Rate::PacketsPerSecond(pps) => (Some(pps), pps),
        };
        let beyond = ((offered - limit) / (MOST_PPS - limit)).clamp(0.0, 1.0);
        let received = offered.min(limit * (1.0 - beyond * (1.0 - floor)));
        Ok(Shot {
            asked_pps,
            offered_pps: offered,
            received_pps: received,
            loss_ratio: 1.0 - received / offered,
        })
    }
}

#[test]
fn the_search_finds_the_throughput_of_what_degrades_and_of_what_does_not() {
    for limit in [0.09e6, 0.46e6, 1.2e6, 2.4e6, 8.8e6] {
        for floor in [1.0, 0.8, 0.3, 0.0] {
            let shots = search(0.005, &mut forwarder(limit, floor)).unwrap();
            assert!(shots.len() <= TRIALS_MAX);
            let found = Round::of(1, shots, 0.005).mpps * 1e6;
            let error = (found / limit - 1.0).abs();
            assert!(error < 0.06, "{limit} with {floor}: found {found}");
        }
    }
}

#[test]
fn what_loses_nothing_at_all_needs_no_search() {
    let shots = search(0.005, &mut forwarder(2.0 * MOST_PPS, 1.0)).unwrap();
    assert_eq!((shots.len(), Round::of(1, shots, 0.005).mpps), (OVERLOADS, 9.0));
}

#[test]
fn four_trials_of_five_may_be_disturbed_and_no_more() {
    // Of each five trials so many lose a tenth more than the forwarder does.
    let found = |disturbed: usize| {
        let mut clean = forwarder(1.2e6, 1.0);
        let mut trials = 0;
        let mut trial = |rate| {
            trials += 1;
            let mut shot = clean(rate)?;
            if shot.asked_pps.is_some() && trials % 5 < disturbed {
                shot.received_pps *= 0.9;
                shot.loss_ratio = 1.0 - shot.received_pps / shot.offered_pps;
            }
            Ok(shot)
        };
        let shots = search(0.005, &mut trial).unwrap();
        assert!(shots.len() < TRIALS_MAX, "{disturbed}: no end");
        Round::of(1, shots, 0.005).mpps
    };
    assert!((1.17..=1.2).contains(&found(4)), "{}", found(4));
    assert_eq!(found(5), 0.0);
}

#[test]
fn a_load_that_the_generator_did_not_offer_was_not_taken() {
    let mut clean = forwarder(1.2e6, 1.0);
    // It can no more than this.
    let mut trial = |rate| match rate {
        Rate::PacketsPerSecond(pps) if pps > 0.8e6 => {
            Ok(Shot { asked_pps: Some(pps), ..clean(Rate::PacketsPerSecond(0.8e6))? })
        }
        _ => clean(rate),
    };
    let found = Round::of(1, search(0.005, &mut trial).unwrap(), 0.005).mpps;
    assert!((0.78..=0.8).contains(&found), "{found}");
}

#[test]
fn a_load_counts_only_below_the_least_that_was_not_taken() {
    let shot = |pps: f64, loss_ratio: f64| Shot {
        asked_pps: Some(pps),
        offered_pps: pps,
        received_pps: pps * (1.0 - loss_ratio),
        loss_ratio,
    };
    let shots = [shot(1e6, 0.2), shot(2e6, 0.1), shot(3e6, 0.0), shot(1e6, 0.001), shot(1e6, 0.3)];
    assert_eq!(Round::of(1, shots.to_vec(), 0.005).mpps, 0.999);
}

#[test]
fn what_always_loses_has_no_throughput() {
    let mut lossy = |rate| {
        let offered = if let Rate::PacketsPerSecond(pps) = rate { pps } else { MOST_PPS };
        Ok(Shot { asked_pps: None, offered_pps: offered, received_pps: offered * 0.9, loss_ratio: 0.1 })
    };
    let shots = search(0.005, &mut lossy).unwrap();
    assert!(shots.len() < TRIALS_MAX);
    assert_eq!(Round::of(1, shots, 0.005).mpps, 0.0);
}

#[test]
fn a_forwarder_that_can_not_take_the_routes_is_skipped_with_the_reason() {
    let l3fwd = DutKind::DpdkL3fwd.make(ZE_IDLE, 1, None);
    assert!(why_skipped(&*l3fwd, 902_116).is_some_and(|why| !why.is_empty()));
    assert_eq!(l3fwd.refuses(1), None);
    let control = DutKind::None.make(ZE_IDLE, 1, None);
    assert_eq!(why_skipped(&*control, 902_116), None);
}
