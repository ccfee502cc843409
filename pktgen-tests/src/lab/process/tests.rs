use super::*;

#[test]
fn the_tail_of_a_log_starts_with_a_whole_line() {
    assert_eq!(tail(""), "");
    assert_eq!(tail("one\ntwo\n"), "one\ntwo\n");
    let just_fits = "x".repeat(LOG_TAIL_BYTES);
    assert_eq!(tail(&just_fits), just_fits);
    let long = format!("first\n{}\nlast\n", "ä".repeat(LOG_TAIL_BYTES / 2));
    assert_eq!(tail(&long), "last\n");
}
