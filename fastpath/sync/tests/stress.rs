//! Threads against the clock: nothing is freed under a reader's eyes.
//!
//! Whether an object lives is written outside of it, so that a broken protocol fails the test instead
//! of reading freed memory and calling it well.
#![cfg(not(loom))]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use ze_sync::{Domain, Reader, Slab, Slot};

const ALIVE: u64 = 0xa11f_e000_a11f_e000;
const POISON: u64 = 0xdead_dead_dead_dead;
const READERS: usize = 3;
const CELLS: usize = 8;

/// An object whose life is recorded in a ledger, and which is poisoned in place when it is dropped.
struct Canary {
    number: usize,
    ledger: Arc<[AtomicU64]>,
    song: AtomicU64,
}

impl Canary {
    fn new(number: usize, ledger: &Arc<[AtomicU64]>) -> Box<Self> {
        ledger[number].store(ALIVE, Ordering::Relaxed);
        Box::new(Self { number, ledger: Arc::clone(ledger), song: AtomicU64::new(ALIVE) })
    }

    fn assert_alive(&self) {
        assert_eq!(self.ledger[self.number].load(Ordering::Relaxed), ALIVE, "canary {} is dead", self.number);
        assert_eq!(self.song.load(Ordering::Relaxed), ALIVE, "canary {} is poisoned", self.number);
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.song.store(POISON, Ordering::Relaxed);
        let before = self.ledger[self.number].swap(POISON, Ordering::Relaxed);
        assert_eq!(before, ALIVE, "canary {} died twice", self.number);
    }
}

fn read_until(stop: &AtomicBool, reader: &mut Reader, slot: &Slot<Canary>, slab: &Slab<Canary>) -> u64 {
    let mut batches = 0;
    while !stop.load(Ordering::Relaxed) {
        let guard = reader.enter();
        let held: Vec<_> = (0..CELLS).filter_map(|index| slab.view(&guard).get(index)).collect();
        let one = slot.load(&guard);
        for _ in 0..4 {
            held.iter().copied().chain(one).for_each(Canary::assert_alive);
            thread::yield_now();
        }
        batches += 1;
        match batches % 16 {
            0 => reader.offline(),
            _ => reader.quiescent(),
        }
    }
    batches
}

#[test]
fn no_reader_ever_holds_a_freed_object() {
    let objects = std::env::var("ZE_SYNC_OBJECTS").ok().and_then(|text| text.parse().ok()).unwrap_or(500_000);
    let ledger: Arc<[AtomicU64]> = (0..objects).map(|_| AtomicU64::new(0)).collect();
    let domain = Domain::new();
    let (slot, slab) = (Slot::new(None, &domain), Slab::new(CELLS, &domain));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                let mut reader = domain.register().unwrap();
                let (stop, slot, slab) = (&stop, &slot, &slab);
                scope.spawn(move || read_until(stop, &mut reader, slot, slab))
            })
            .collect();
        for number in 0..objects {
            let canary = Some(Canary::new(number, &ledger));
            match number % (CELLS + 1) {
                CELLS => _ = slot.replace(canary),
                index => _ = slab.replace(index, canary).unwrap(),
            }
            if number % 1000 == 0 {
                domain.synchronize();
                assert_eq!(domain.pending(), 0);
            }
        }
        stop.store(true, Ordering::Relaxed);
        let batches: u64 = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
        assert!(batches > 0, "the readers have read");
    });
    drop((slot, slab));
    domain.reclaim();
    assert_eq!(domain.pending(), 0);
    assert!(ledger.iter().all(|state| state.load(Ordering::Relaxed) == POISON), "every object was freed");
}
