//! A statistics cell with one writer.

use std::sync::atomic::{AtomicU64, Ordering};

/// A `u64` that one thread counts and any thread reads.
///
/// An addition is a relaxed load and a relaxed store: no locked instruction, so it costs what a plain
/// integer costs. The price: **one writer**. Were two threads to [`add`](Self::add), counts could be
/// lost (nothing worse). Put one in each worker, [`CachePadded`](crate::CachePadded) when workers'
/// cells are neighbours, and sum them when reading.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// A counter at zero.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds `n`, wrapping. Only the owning thread calls it.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Sets the value: for levels, which go up and down. Only the owning thread calls it.
    #[inline]
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// The value now; any thread may ask.
    #[inline]
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
