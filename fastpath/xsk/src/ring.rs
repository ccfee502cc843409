//! Single-producer, single-consumer rings, one side of which is ours and the other the kernel's.
//!
//! ```text
//!   consumer ─────▶ ░░░░░░░░░░ ◀───── producer        indices grow for ever and wrap at 2³²;
//!    (head)          occupied           (tail)        an entry lies at index & mask
//! ```
//!
//! The producer writes entries, then stores its index with *release*; the consumer loads that index with *acquire*,
//! reads the entries, then releases its own, which gives the places back. Each side keeps a copy of the index that
//! the other owns and looks again only when the copy does not suffice: that line of cache then travels once a batch.

#![expect(unsafe_code, reason = "the memory of a ring is shared with the kernel")]

use std::any::Any;
use std::sync::Arc;

use crate::primitives::{AtomicU32, Ordering, UnsafeCell, fence};

#[cfg(test)]
mod tests;

/// The four parts of a ring in shared memory, and what keeps that memory alive.
pub(crate) struct Parts<T> {
    pub(crate) producer: *const AtomicU32,
    pub(crate) consumer: *const AtomicU32,
    /// Written by the kernel. Rings that the kernel produces have no use for it.
    pub(crate) flags: *const AtomicU32,
    pub(crate) entries: *const UnsafeCell<T>,
    /// A power of two.
    pub(crate) size: u32,
    #[expect(dead_code, reason = "it is kept, not read")]
    pub(crate) memory: Arc<dyn Any + Send + Sync>,
}

/// The memory, with accessors that stay inside it.
struct Shared<T> {
    parts: Parts<T>,
    mask: u32,
}

// SAFETY: the pointers lead into `memory`, which moves along; entries are plain data.
unsafe impl<T: Copy + Send> Send for Shared<T> {}

impl<T: Copy> Shared<T> {
    /// # Safety
    /// All pointers are aligned, lead into `memory`, and stay valid as long as that lives; `entries` to `size`
    /// entries. Nobody else in this process is on the same side of the ring.
    unsafe fn new(parts: Parts<T>) -> Self {
        assert!(parts.size.is_power_of_two(), "a ring of {} entries", parts.size);
        let mask = parts.size - 1;
        Self { parts, mask }
    }

    #[inline]
    fn producer(&self) -> &AtomicU32 {
        // SAFETY: valid as `new` was promised; atomics may be shared.
        unsafe { &*self.parts.producer }
    }

    #[inline]
    fn consumer(&self) -> &AtomicU32 {
        // SAFETY: valid as `new` was promised; atomics may be shared.
        unsafe { &*self.parts.consumer }
    }

    #[inline]
    fn flags(&self) -> &AtomicU32 {
        // SAFETY: valid as `new` was promised; atomics may be shared.
        unsafe { &*self.parts.flags }
    }

    #[inline]
    fn entry(&self, index: u32) -> &UnsafeCell<T> {
        // SAFETY: masked, so among the `size` entries that `new` was promised.
        let entry = unsafe { self.parts.entries.add((index & self.mask) as usize) };
        // SAFETY: valid as `new` was promised; who may look inside is settled by the indices.
        unsafe { &*entry }
    }
}

/// `XDP_RING_NEED_WAKEUP` of `if_xdp.h`.
const NEED_WAKEUP: u32 = 1;

/// The side that writes entries.
pub(crate) struct Producer<T> {
    shared: Shared<T>,
    /// Our index, ahead of what is published by the entries written since.
    next: u32,
    /// The consumer's index when we last looked.
    seen: u32,
}

impl<T: Copy> Producer<T> {
    /// # Safety
    /// As the fields of [`Parts`] say; and this is the ring's only producer.
    pub(crate) unsafe fn new(parts: Parts<T>) -> Self {
        // SAFETY: handed on to the caller.
        let shared = unsafe { Shared::new(parts) };
        let next = shared.producer().load(Ordering::Relaxed);
        let seen = shared.consumer().load(Ordering::Acquire);
        Self { shared, next, seen }
    }

    /// How many entries can be written; looks at the consumer only if fewer than `wanted` are known to be free.
    #[inline]
    pub(crate) fn free(&mut self, wanted: u32) -> u32 {
        let known = self.known_free();
        if known >= wanted {
            return known;
        }
        // Acquire: the consumer has read the entries which we are going to overwrite.
        self.seen = self.shared.consumer().load(Ordering::Acquire);
        self.known_free()
    }

    /// Writes the next entry. Nobody sees it before [`Producer::publish`].
    ///
    /// # Panics
    /// When no place was known to be free: an entry the kernel has yet to read would be lost.
    #[inline]
    pub(crate) fn write(&mut self, value: T) {
        assert!(self.known_free() > 0, "a ring written beyond its free places");
        self.shared.entry(self.next).with_mut(|place| {
            // SAFETY: the place is free (just checked), so the consumer does not look at it, and nobody else writes.
            unsafe { place.write(value) }
        });
        self.next = self.next.wrapping_add(1);
    }

    /// Shows what was written to the consumer.
    #[inline]
    pub(crate) fn publish(&mut self) {
        self.shared.producer().store(self.next, Ordering::Release);
    }

    /// Entries that the consumer has not taken yet.
    #[inline]
    pub(crate) fn level(&mut self) -> u32 {
        self.seen = self.shared.consumer().load(Ordering::Acquire);
        self.shared.parts.size - self.known_free()
    }

    /// Does the consumer want to be told that there is something? Meaningful after [`Producer::publish`].
    #[inline]
    pub(crate) fn needs_wakeup(&self) -> bool {
        // The kernel sets the flag, then looks at our index; we have stored our index, then look at the flag. Without
        // a full fence between store and load both could miss the other's news, and nobody would move.
        fence(Ordering::SeqCst);
        self.shared.flags().load(Ordering::Relaxed) & NEED_WAKEUP != 0
    }

    #[inline]
    fn known_free(&self) -> u32 {
        // Saturating: an index that makes no sense leaves no room, rather than room outside the ring.
        self.shared.parts.size.saturating_sub(self.next.wrapping_sub(self.seen))
    }
}

/// The side that reads entries.
pub(crate) struct Consumer<T> {
    shared: Shared<T>,
    /// Our index, ahead of what is released by the entries read since.
    next: u32,
    /// The producer's index when we last looked.
    seen: u32,
}

impl<T: Copy> Consumer<T> {
    /// # Safety
    /// As the fields of [`Parts`] say; and this is the ring's only consumer.
    pub(crate) unsafe fn new(parts: Parts<T>) -> Self {
        // SAFETY: handed on to the caller.
        let shared = unsafe { Shared::new(parts) };
        let next = shared.consumer().load(Ordering::Relaxed);
        let seen = shared.producer().load(Ordering::Acquire);
        Self { shared, next, seen }
    }

    /// How many entries wait; looks at the producer only if fewer than `wanted` are known.
    #[inline]
    pub(crate) fn ready(&mut self, wanted: u32) -> u32 {
        let known = self.known_ready();
        if known >= wanted {
            return known;
        }
        // Acquire: what the producer wrote before it published is ours to read.
        self.seen = self.shared.producer().load(Ordering::Acquire);
        self.known_ready()
    }

    /// Takes the next entry, if one is known to be ready. Its place stays ours until [`Consumer::release`].
    #[inline]
    pub(crate) fn read(&mut self) -> Option<T> {
        if self.known_ready() == 0 {
            return None;
        }
        let value = self.shared.entry(self.next).with(|place| {
            // SAFETY: published (just checked) and not released, so the producer does not touch it.
            unsafe { place.read() }
        });
        self.next = self.next.wrapping_add(1);
        Some(value)
    }

    /// Gives the places of what was read back to the producer.
    #[inline]
    pub(crate) fn release(&mut self) {
        self.shared.consumer().store(self.next, Ordering::Release);
    }

    #[inline]
    fn known_ready(&self) -> u32 {
        // At most the ring: an index that makes no sense reads old entries, rather than outside the ring.
        self.seen.wrapping_sub(self.next).min(self.shared.parts.size)
    }
}
