//! Every interleaving, as far as loom's bound goes:
//! `RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=5 cargo test --release -p ze-sync --test loom`.
#![cfg(loom)]
#![expect(unsafe_code, reason = "loom's cell tells a race from an orderly access through pointers")]

use loom::{cell::UnsafeCell, sync::Arc, thread};
use ze_sync::{Domain, Reader, Slab, Slot};

const ALIVE: u32 = 0xa11f_e000;
const POISON: u32 = 0xdead_dead;

/// Written when made and when dropped, without synchronisation of its own: loom reports every access
/// that the domain does not order.
struct Canary(UnsafeCell<u32>);

// SAFETY: not true in itself. That accesses are ordered is what the tests find out.
unsafe impl Sync for Canary {}

impl Canary {
    fn new() -> Box<Self> {
        let canary = Box::new(Self(UnsafeCell::new(0)));
        // SAFETY: nobody else knows of it.
        canary.0.with_mut(|song| unsafe { *song = ALIVE });
        canary
    }

    fn assert_alive(&self) {
        // SAFETY: loom checks that nobody writes at the same time.
        self.0.with(|song| assert_eq!(unsafe { *song }, ALIVE));
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        // SAFETY: loom checks that nobody reads at the same time.
        self.0.with_mut(|song| unsafe { *song = POISON });
    }
}

fn look(reader: &Reader, slot: &Slot<Canary>) {
    let guard = reader.enter();
    if let Some(canary) = slot.load(&guard) {
        canary.assert_alive();
    }
}

#[test]
fn a_running_reader_and_a_writer_that_replaces_and_reclaims() {
    loom::model(|| {
        let domain = Domain::new();
        let slot = Arc::new(Slot::new(Some(Canary::new()), &domain));
        let mut reader = domain.register().unwrap();
        reader.online();
        let shared = Arc::clone(&slot);
        let reading = thread::spawn(move || {
            look(&reader, &shared);
            reader.quiescent();
            look(&reader, &shared);
        });
        slot.replace(Some(Canary::new()));
        domain.reclaim();
        domain.reclaim();
        reading.join().unwrap();
        domain.reclaim();
        assert_eq!(domain.pending(), 0);
    });
}

#[test]
fn a_reader_that_wakes_while_the_writer_replaces_and_reclaims() {
    loom::model(|| {
        let domain = Domain::new();
        let slot = Arc::new(Slot::new(Some(Canary::new()), &domain));
        let mut reader = domain.register().unwrap();
        let shared = Arc::clone(&slot);
        let reading = thread::spawn(move || {
            look(&reader, &shared);
            reader.offline();
            look(&reader, &shared);
        });
        slot.replace(None);
        domain.reclaim();
        reading.join().unwrap();
        domain.reclaim();
        assert_eq!(domain.pending(), 0);
    });
}

#[test]
fn a_reader_that_leaves_and_another_that_takes_its_place() {
    loom::model(|| {
        let domain = Domain::new();
        let slab = Arc::new(Slab::new(1, &domain));
        slab.replace(0, Some(Canary::new())).unwrap();
        let (shared, handle) = (Arc::clone(&slab), domain.clone());
        let reading = thread::spawn(move || {
            for _ in 0..2 {
                let reader = handle.register().unwrap();
                let guard = reader.enter();
                if let Some(canary) = shared.view(&guard).get(0) {
                    canary.assert_alive();
                }
            }
        });
        slab.replace(0, Some(Canary::new())).unwrap();
        domain.reclaim();
        reading.join().unwrap();
        domain.reclaim();
        assert_eq!(domain.pending(), 0);
    });
}

#[test]
fn a_ticket_passes_only_when_memory_may_be_reused() {
    loom::model(|| {
        let domain = Domain::new();
        let memory = Arc::new(Canary::new());
        let published = Arc::new(loom::sync::atomic::AtomicBool::new(true));
        let mut reader = domain.register().unwrap();
        let (theirs, flag) = (Arc::clone(&memory), Arc::clone(&published));
        let reading = thread::spawn(move || {
            for _ in 0..2 {
                let guard = reader.enter();
                if flag.load(loom::sync::atomic::Ordering::Acquire) {
                    theirs.assert_alive();
                }
                let _ = guard;
                reader.quiescent();
            }
            reader.offline();
        });
        published.store(false, loom::sync::atomic::Ordering::Release);
        let ticket = domain.ticket();
        if domain.passed(ticket) {
            // SAFETY: loom checks that the reader does not look at the same time.
            memory.0.with_mut(|song| unsafe { *song = POISON });
        }
        reading.join().unwrap();
    });
}

#[test]
fn synchronize_waits_for_a_reader_and_ends() {
    loom::model(|| {
        let domain = Domain::new();
        let slot = Arc::new(Slot::new(Some(Canary::new()), &domain));
        let mut reader = domain.register().unwrap();
        reader.online();
        let shared = Arc::clone(&slot);
        let reading = thread::spawn(move || {
            look(&reader, &shared);
            reader.offline();
        });
        slot.replace(None);
        domain.synchronize();
        assert_eq!(domain.pending(), 0);
        reading.join().unwrap();
    });
}
