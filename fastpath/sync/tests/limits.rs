//! Each promise and each limit, from both sides.
#![cfg(not(loom))]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ze_sync::{
    Counter, Domain, MAX_READERS, RECLAIM_EVERY, RegisterError, Slab, SlabError, Slot, SynchronizeTimeout,
};

/// Counts how many of its kind were dropped.
struct Tally(Arc<AtomicUsize>);

impl Drop for Tally {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn tally() -> (Arc<AtomicUsize>, impl Fn() -> Box<Tally>) {
    let dropped = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&dropped);
    (dropped, move || Box::new(Tally(Arc::clone(&counted))))
}

#[test]
fn a_domain_takes_its_limit_of_readers_and_one_more_when_one_has_left() {
    let domain = Domain::new();
    let mut readers: Vec<_> = (0..MAX_READERS).map(|_| domain.register().unwrap()).collect();
    assert_eq!(domain.register().unwrap_err(), RegisterError);
    readers.remove(MAX_READERS / 2);
    readers.push(domain.register().unwrap());
    assert!(domain.register().is_err());
}

#[test]
fn without_readers_everything_is_freed_at_once() {
    let domain = Domain::new();
    let (dropped, make) = tally();
    domain.retire(make());
    assert_eq!((domain.pending(), dropped.load(Ordering::Relaxed)), (1, 0));
    assert_eq!(domain.reclaim(), 1);
    assert_eq!((domain.pending(), dropped.load(Ordering::Relaxed)), (0, 1));
    assert_eq!(domain.reclaim(), 0);
}

#[test]
fn a_reader_in_a_batch_keeps_what_was_retired_and_one_quiescent_state_lets_it_go() {
    let domain = Domain::new();
    let (dropped, make) = tally();
    let slot = Slot::new(Some(make()), &domain);
    let mut reader = domain.register().unwrap();
    let guard = reader.enter();
    assert!(slot.load(&guard).is_some());
    assert!(slot.replace(None));
    assert!(slot.load(&guard).is_none());
    assert_eq!(domain.reclaim(), 0);
    reader.quiescent();
    assert_eq!(domain.reclaim(), 1);
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
}

#[test]
fn a_quiescent_state_before_the_grace_period_began_does_not_count() {
    let domain = Domain::new();
    let mut reader = domain.register().unwrap();
    reader.online();
    domain.retire(Box::new(()));
    reader.quiescent();
    assert_eq!(domain.reclaim(), 0, "the epoch opened only with this call");
    reader.quiescent();
    assert_eq!(domain.reclaim(), 1);
}

#[test]
fn the_slowest_of_many_readers_decides() {
    let domain = Domain::new();
    let mut readers: Vec<_> = (0..3).map(|_| domain.register().unwrap()).collect();
    readers.iter_mut().for_each(|reader| reader.online());
    domain.retire(Box::new(()));
    assert_eq!(domain.reclaim(), 0);
    for reader in &mut readers {
        assert_eq!(domain.reclaim(), 0);
        reader.quiescent();
    }
    assert_eq!(domain.reclaim(), 1);
}

#[test]
fn sleeping_new_and_departed_readers_hold_nothing_back() {
    let domain = Domain::new();
    let mut asleep = domain.register().unwrap();
    let fresh = domain.register().unwrap();
    let departed = domain.register().unwrap();
    asleep.online();
    let _ = departed.enter();
    asleep.offline();
    asleep.quiescent(); // does not wake it
    drop(departed);
    assert!(!asleep.is_online() && !fresh.is_online());
    domain.retire(Box::new(()));
    assert_eq!(domain.reclaim(), 1);
}

#[test]
fn entering_wakes_a_sleeping_reader() {
    let domain = Domain::new();
    let slot = Slot::new(Some(Box::new(7)), &domain);
    let mut reader = domain.register().unwrap();
    reader.offline();
    let guard = reader.enter();
    let value = slot.load(&guard);
    slot.replace(None);
    assert_eq!(domain.reclaim(), 0);
    assert_eq!(value, Some(&7));
    assert!(reader.is_online());
}

#[test]
fn a_writer_that_never_reclaims_is_helped_at_every_so_many_retirements() {
    let domain = Domain::new();
    for _ in 1..RECLAIM_EVERY {
        domain.retire(Box::new(()));
    }
    assert_eq!(domain.pending(), RECLAIM_EVERY - 1);
    domain.retire(Box::new(()));
    assert_eq!(domain.pending(), 0);
}

#[test]
fn a_function_runs_once_when_its_time_has_come() {
    let domain = Domain::new();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    domain.retire_with(move || {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    domain.reclaim();
    domain.reclaim();
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[test]
fn a_destructor_may_retire_in_turn() {
    let domain = Domain::new();
    let inner = Slot::new(Some(Box::new(1)), &domain);
    domain.retire(Box::new(inner));
    assert_eq!(domain.reclaim(), 1);
    assert_eq!(domain.pending(), 1, "what the slot held");
    assert_eq!(domain.reclaim(), 1);
}

#[test]
fn synchronize_frees_what_was_retired_and_gives_up_when_told_to() {
    let domain = Domain::new();
    let mut reader = domain.register().unwrap();
    domain.retire(Box::new(()));
    domain.synchronize();
    assert_eq!(domain.pending(), 0);

    reader.online();
    domain.retire(Box::new(()));
    assert_eq!(domain.synchronize_timeout(Duration::ZERO), Err(SynchronizeTimeout));
    assert_eq!(domain.pending(), 1);
    reader.offline();
    assert_eq!(domain.synchronize_timeout(Duration::ZERO), Ok(()));
    assert_eq!(domain.pending(), 0);
}

#[test]
fn a_ticket_passes_when_every_reader_has() {
    let domain = Domain::new();
    let mut reader = domain.register().unwrap();
    reader.online();
    let ticket = domain.ticket();
    assert!(!domain.passed(ticket));
    reader.quiescent();
    assert!(domain.passed(ticket));
    let later = domain.ticket();
    assert!(later > ticket && !domain.passed(later));
    drop(reader);
    assert!(domain.passed(later));
}

#[test]
fn a_reference_outlives_the_slot_it_came_from() {
    let domain = Domain::new();
    let (dropped, make) = tally();
    let slot = Slot::new(Some(make()), &domain);
    let mut reader = domain.register().unwrap();
    let guard = reader.enter();
    let value = slot.load(&guard).unwrap();
    drop(slot);
    domain.reclaim();
    assert_eq!(value.0.load(Ordering::Relaxed), 0);
    reader.quiescent();
    domain.reclaim();
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
}

#[test]
fn the_last_handle_frees_what_is_left() {
    let (dropped, make) = tally();
    let domain = Domain::new();
    let reader = domain.register().unwrap();
    domain.retire(make());
    drop(domain);
    assert_eq!(dropped.load(Ordering::Relaxed), 0);
    drop(reader);
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
}

#[test]
fn a_guard_of_another_domain_is_refused() {
    let (domain, other) = (Domain::new(), Domain::new());
    assert!(domain.is(&domain.clone()) && !domain.is(&other));
    let slot = Slot::new(Some(Box::new(1)), &domain);
    let slab: Slab<u8> = Slab::new(1, &domain);
    let reader = other.register().unwrap();
    let guard = reader.enter();
    assert!(catch_unwind(AssertUnwindSafe(|| slot.load(&guard))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| slab.get(&guard, 0))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| slab.view(&guard))).is_err());
}

#[test]
fn a_slab_has_its_capacity_and_no_more() {
    let domain = Domain::new();
    let slab = Slab::new(2, &domain);
    assert_eq!(slab.capacity(), 2);
    assert_eq!(slab.replace(1, Some(Box::new(10))), Ok(false));
    assert_eq!(slab.replace(1, Some(Box::new(11))), Ok(true));
    assert_eq!(slab.replace(2, Some(Box::new(12))), Err(SlabError { index: 2, capacity: 2 }));
    let reader = domain.register().unwrap();
    let guard = reader.enter();
    let view = slab.view(&guard);
    assert_eq!((view.get(0), view.get(1), view.get(2)), (None, Some(&11), None));
    assert_eq!((slab.get(&guard, 0), slab.get(&guard, 1), slab.get(&guard, 2)), (None, Some(&11), None));
    assert_eq!(view.capacity(), 2);
}

#[test]
fn a_dropped_slab_retires_its_values() {
    let domain = Domain::new();
    let (dropped, make) = tally();
    let slab = Slab::new(3, &domain);
    slab.replace(0, Some(make())).unwrap();
    slab.replace(2, Some(make())).unwrap();
    drop(slab);
    assert_eq!(domain.pending(), 2);
    domain.reclaim();
    assert_eq!(dropped.load(Ordering::Relaxed), 2);
}

#[test]
fn a_counter_adds_and_wraps() {
    let counter = Counter::new();
    counter.add(2);
    counter.add(3);
    assert_eq!(counter.get(), 5);
    counter.add(u64::MAX);
    assert_eq!(counter.get(), 4);
}
