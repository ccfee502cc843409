use super::*;

#[test]
fn what_was_awaited_in_vain_is_named() {
    let error = wait_until(Duration::ZERO, "the messiah", || false).expect_err("never");
    assert!(error.to_string().contains("the messiah"), "{error}");
}

#[test]
fn a_condition_is_looked_at_once_even_without_time() {
    assert_eq!(wait_for(Duration::ZERO, "it", || Some(7)).expect("there"), 7);
}

#[test]
fn an_interrupt_reaches_all_clones_and_ends_a_sleep() {
    let interrupt = Interrupt::default();
    interrupt.sleep(Duration::ZERO).expect("nobody asked");
    let clone = interrupt.clone();
    clone.set();
    assert!(interrupt.is_set());
    assert!(matches!(interrupt.sleep(Duration::from_secs(3600)), Err(LabError::Interrupted)));
}
