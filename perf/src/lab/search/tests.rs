use super::*;

const NDR: Goal =
    Goal { loss_ratio: 0.0, width: 0.005, trial_seconds: 1.0, sum_seconds: 1.0, exceed_ratio: 0.5 };
const PDR: Goal = Goal { loss_ratio: 0.005, ..NDR };

/// Searches with a DUT that is a function from load and trial number to loss ratio. Returns the bounds and the number
/// of trials.
fn search(
    search: &mut Search,
    goal: &Goal,
    mut dut: impl FnMut(f64, usize) -> f64,
) -> (Option<Bounds>, usize) {
    for trial in 0..200 {
        match search.next(goal) {
            Step::Try { pps } => search.note(pps, goal.trial_seconds, dut(pps, trial)),
            Step::Found(bounds) => return (Some(bounds), trial),
            Step::Nothing { .. } => return (None, trial),
        }
    }
    panic!("the search does not end: {search:?}");
}

/// A DUT that forwards so much and loses the rest.
fn ideal(capacity_pps: f64) -> impl Fn(f64, usize) -> f64 {
    move |pps, _| (1.0 - capacity_pps / pps).max(0.0)
}

#[test]
fn the_capacity_lies_between_bounds_as_close_as_wanted_from_whatever_start() {
    for capacity in [12_345.0, 480_000.0, 1_234_567.0, 9_900_000.0] {
        for first in [1000.0, capacity * 0.9, capacity, 10_000_000.0] {
            let mut trials = Search::new(1000.0, 10_000_000.0, first);
            let (bounds, count) = search(&mut trials, &NDR, ideal(capacity));
            let Bounds { lower_pps, upper_pps } = bounds.unwrap();
            let upper_pps = upper_pps.unwrap();
            assert!(lower_pps <= capacity && capacity < upper_pps, "{capacity} from {first}: {bounds:?}");
            assert!(upper_pps - lower_pps <= NDR.width * upper_pps, "{bounds:?}");
            assert!(count <= 30, "{count} trials for {capacity} from {first}");
            let (partial, more) = search(&mut trials, &PDR, ideal(capacity));
            let allowed = capacity / (1.0 - PDR.loss_ratio);
            assert!(partial.unwrap().lower_pps <= allowed && partial.unwrap().upper_pps.unwrap() > allowed);
            assert!(more <= 10, "{more} trials although the neighbourhood is known");
        }
    }
}

#[test]
fn a_good_start_needs_few_trials() {
    let (_, count) = search(&mut Search::new(1000.0, 2e6, 500_000.0), &NDR, ideal(500_500.0));
    assert!(count <= 4, "{count}");
}

#[test]
fn a_dut_that_forwards_all_that_can_be_offered_has_no_upper_bound() {
    let (bounds, _) = search(&mut Search::new(1000.0, 700_000.0, 700_000.0), &NDR, |_, _| 0.0);
    assert_eq!(bounds, Some(Bounds { lower_pps: 700_000.0, upper_pps: None }));
}

#[test]
fn a_dut_that_forwards_nothing_is_found_out() {
    let (bounds, count) = search(&mut Search::new(1000.0, 700_000.0, 1000.0), &NDR, |_, _| 1.0);
    assert_eq!((bounds, count), (None, 1));
    assert_eq!(search(&mut Search::new(1000.0, 1e6, 1e6), &NDR, |_, _| 1.0).0, None);
}

#[test]
fn one_bad_trial_of_three_is_forgiven_and_two_are_not() {
    let goal = Goal { sum_seconds: 3.0, ..NDR };
    let tried = |losses: &[f64]| {
        let trials: Vec<_> = losses.iter().map(|loss| (1.0, *loss)).collect();
        verdict(&goal, &trials)
    };
    assert_eq!(tried(&[0.0]), Verdict::Open);
    assert_eq!(tried(&[0.0, 0.0]), Verdict::Good);
    assert_eq!(tried(&[0.0, 0.1]), Verdict::Open);
    assert_eq!(tried(&[0.0, 0.1, 0.0]), Verdict::Good);
    assert_eq!(tried(&[0.1, 0.0, 0.1]), Verdict::Bad);
    assert_eq!(tried(&[0.1, 0.1]), Verdict::Bad);
    assert_eq!(verdict(&PDR, &[(1.0, 0.005)]), Verdict::Good);
    assert_eq!(verdict(&PDR, &[(1.0, 0.0051)]), Verdict::Bad);
}

#[test]
fn a_load_below_a_bad_one_counts_even_if_a_higher_one_was_good() {
    let mut trials = Search::new(1000.0, 1e6, 500_000.0);
    trials.note(500_000.0, 1.0, 0.0);
    trials.note(400_000.0, 1.0, 0.2);
    let Step::Try { pps } = trials.next(&NDR) else { panic!() };
    assert!(pps < 400_000.0, "{pps}");
}

#[test]
fn what_the_generator_can_not_offer_is_not_tried_again() {
    let mut trials = Search::new(1000.0, 2e6, 1e6);
    trials.limit(800_000.0);
    assert_eq!(trials.next(&NDR), Step::Try { pps: 800_000.0 });
    trials.note(700_000.0, 1.0, 0.0);
    for _ in 0..20 {
        match trials.next(&NDR) {
            Step::Try { pps } => {
                assert!(pps <= 800_000.0, "{pps}");
                trials.note(pps, 1.0, 0.0);
            }
            Step::Found(bounds) => {
                return assert_eq!(bounds, Bounds { lower_pps: 800_000.0, upper_pps: None });
            }
            Step::Nothing { .. } => panic!(),
        }
    }
    panic!("the search does not end");
}
