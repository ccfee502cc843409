use super::*;

const NOTHING: Missing = Missing { what: "a unicorn", needed_for: "magic", remedy: "breed one" };

#[test]
fn a_test_that_lacks_nothing_runs() {
    assert!(skip_or_fail(&[]));
}

#[test]
fn what_is_missing_is_said_with_its_purpose_and_its_remedy() {
    assert_eq!(skip_reason(&[]), None);
    let reason = skip_reason(&[NOTHING, NOTHING]).expect("two things");
    assert_eq!(reason.matches("a unicorn (needed for magic; breed one)").count(), 2);
}

#[test]
fn a_missing_requirement_skips_here_and_fails_where_everything_must_run() {
    assert!(!must_run(None, None) && !must_run(Some("false"), Some("0")));
    assert!(must_run(Some("true"), None) && must_run(Some("1"), None) && must_run(None, Some("1")));
}

#[test]
fn a_program_is_on_the_path_or_not() {
    assert!(on_path("sh"));
    assert!(!on_path("ze-no-such-program"));
}
