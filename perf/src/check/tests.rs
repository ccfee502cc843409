//! Changes of both directions, of both kinds of figures; noise, and what is missing.

use super::*;

fn figure(case: &str, is_more_better: bool, runs: &[f64]) -> Figure {
    Figure { case: case.to_owned(), unit: "x", is_more_better, runs: runs.to_vec() }
}

fn args() -> CheckArgs {
    CheckArgs { old: "old".into(), new: "new".into(), limit: 3.0, noise: 10.0, any_machine: false }
}

fn verdict(is_more_better: bool, old: &[f64], new: &[f64]) -> Verdict {
    let (old, new) = (figure("a", is_more_better, old), figure("a", is_more_better, new));
    compare_one(old, Some(new), &args()).verdict
}

/// A quiet measurement around this figure.
fn quiet(middle: f64) -> Vec<f64> {
    [0.997, 0.999, 1.0, 1.001, 1.003].map(|share| share * middle).to_vec()
}

#[test]
fn a_change_beyond_the_limit_is_seen_in_both_directions_and_for_both_kinds_of_figures() {
    // Cycles: more is worse. Packets a second: more is better.
    assert_eq!(verdict(false, &quiet(50.0), &quiet(52.0)), Verdict::Worse);
    assert_eq!(verdict(false, &quiet(50.0), &quiet(48.0)), Verdict::Better);
    assert_eq!(verdict(true, &quiet(50.0), &quiet(52.0)), Verdict::Better);
    assert_eq!(verdict(true, &quiet(50.0), &quiet(48.0)), Verdict::Worse);
}

#[test]
fn a_change_within_the_limit_is_none() {
    for new in [48.6, 50.0, 51.4] {
        assert_eq!(verdict(false, &quiet(50.0), &quiet(new)), Verdict::Same, "{new}");
    }
}

#[test]
fn a_change_within_the_noise_is_none() {
    // Deviation 1.5, so an error of 0.84 each, and a noise of 3.6 = 7 %.
    let noisy = |middle: f64| [-2.0, -1.0, 0.0, 1.0, 2.0].map(|off| middle + off).to_vec();
    assert_eq!(verdict(false, &noisy(50.0), &noisy(52.5)), Verdict::Same);
    assert_eq!(verdict(false, &noisy(50.0), &noisy(55.0)), Verdict::Worse);
}

#[test]
fn nothing_is_said_about_what_is_too_noisy() {
    let wild = [40.0, 45.0, 50.0, 55.0, 60.0];
    assert_eq!(verdict(false, &wild, &quiet(80.0)), Verdict::Noisy);
    for few in [&[][..], &[50.0], &[50.0, 50.0]] {
        assert_eq!(verdict(false, few, &quiet(80.0)), Verdict::Noisy, "{few:?}");
    }
}

#[test]
fn one_disturbed_run_of_five_changes_nothing() {
    let mut disturbed = quiet(50.0);
    disturbed[4] = 90.0;
    assert_eq!(verdict(false, &quiet(50.0), &disturbed), Verdict::Same);
}

#[test]
fn the_exit_code_says_worse_before_it_says_noisy_or_missing() {
    let of =
        |verdict| Comparison { old: figure("a", true, &[1.0]), new: None, change: 0.0, noise: 0.0, verdict };
    let code = |verdicts: &[Verdict]| judge(&verdicts.iter().map(|v| of(*v)).collect::<Vec<_>>()).0;
    assert_eq!(code(&[Verdict::Same, Verdict::Better]), 0);
    assert_eq!(code(&[Verdict::Noisy, Verdict::Worse, Verdict::Missing]), EXIT_WORSE);
    assert_eq!(code(&[Verdict::Same, Verdict::Noisy]), EXIT_UNKNOWN);
    assert_eq!(code(&[Verdict::Missing]), EXIT_UNKNOWN);
}

#[test]
fn the_medians_of_a_history_are_its_runs() {
    let history = [50.0, 51.0, 52.0].map(|middle| figure("a", false, &quiet(middle)));
    assert_eq!(merge(history.to_vec()).unwrap().runs, [50.0, 51.0, 52.0]);
    assert_eq!(merge(history[..1].to_vec()).unwrap().runs, quiet(50.0));
}
