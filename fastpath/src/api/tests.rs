//! Answers in slices: asked for one by one, as they are read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// Ten slices of three items; how many have been made.
fn ten_slices() -> (Answers<u32>, Arc<AtomicU32>) {
    let made = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&made);
    let answers = slices(0, move |number: u32| {
        count.fetch_add(1, Ordering::Relaxed);
        async move { Ok((vec![number; 3], (number < 9).then_some(number + 1))) }
    });
    (answers, made)
}

#[tokio::test]
async fn a_slice_is_made_when_the_one_before_has_been_read_and_not_earlier() {
    let (mut answers, made) = ten_slices();
    assert_eq!(made.load(Ordering::Relaxed), 0, "nobody has read anything");
    for read in 0..30 {
        assert_eq!(answers.next().await.unwrap().unwrap(), read / 3);
        assert_eq!(made.load(Ordering::Relaxed), read / 3 + 1, "after {} items", read + 1);
    }
    assert!(answers.next().await.is_none());
    assert_eq!(made.load(Ordering::Relaxed), 10);
}

#[tokio::test]
async fn slices_without_anything_are_passed_over_and_a_stop_ends_the_answer() {
    let empty = slices(0, |number: u32| async move {
        let part = if number == 5 { vec![number] } else { Vec::new() };
        Ok((part, (number < 9).then_some(number + 1)))
    });
    assert_eq!(empty.map(Result::unwrap).collect::<Vec<_>>().await, [5]);
    let mut stopped = slices(0, |number: u32| async move {
        if number == 1 { Err(Stopping) } else { Ok((vec![number], Some(number + 1))) }
    });
    assert_eq!(stopped.next().await.unwrap().unwrap(), 0);
    assert_eq!(stopped.next().await.unwrap().unwrap_err().code(), tonic::Code::Unavailable);
    assert!(stopped.next().await.is_none());
}
