//! The memory of a table: zeroed words, on huge pages when they fill any.
#![expect(unsafe_code, reason = "the room where aligned memory is allocated and advised")]

use std::{
    alloc::{Layout, alloc, dealloc},
    ops::Deref,
    ptr::NonNull,
    slice,
    sync::atomic::{AtomicU64, Ordering},
};

/// A page of the larger kind. Tables from this size on ask for them: with 4 KB pages a lookup misses the
/// TLB about as often as the cache, which halves the rate.
const HUGE_PAGE_BYTES: usize = 2 << 20;
/// No entry crosses a cache line.
const CACHE_LINE_BYTES: usize = 64;

/// A fixed number of words that readers load and one writer stores.
pub(crate) struct Words {
    /// Allocated with `layout(len)`, all of it initialised.
    start: NonNull<AtomicU64>,
    len: usize,
}

// SAFETY: the words are atomics, owned by this value; the pointer is never handed out but as a borrow.
unsafe impl Send for Words {}
// SAFETY: as above; sharing gives `&[AtomicU64]`, which is `Sync`.
unsafe impl Sync for Words {}

impl Words {
    /// `len` words of zero, or none when there is no memory for them.
    pub(crate) fn new(len: usize) -> Option<Self> {
        let layout = layout(len)?;
        // SAFETY: the layout is not empty, `layout` sees to it.
        let start = NonNull::new(unsafe { alloc(layout) })?;
        advise_huge(start, layout);
        // SAFETY: `start` is the beginning of `layout.size()` bytes that nobody else knows of.
        unsafe { start.write_bytes(0, layout.size()) };
        Some(Self { start: start.cast(), len })
    }
}

impl Words {
    /// `len` words that begin with `image`, the rest zero; none when there is no memory for them.
    pub(crate) fn filled(len: usize, image: &[u64]) -> Option<Self> {
        let words = Self::new(len)?;
        for (word, &value) in words.iter().zip(image) {
            word.store(value, Ordering::Relaxed);
        }
        Some(words)
    }
}

/// Asks for huge pages before the first touch. A refusal costs speed only, so it is not an error.
fn advise_huge(start: NonNull<u8>, layout: Layout) {
    if layout.align() == HUGE_PAGE_BYTES {
        // SAFETY: the range is one whole allocation of ours, and the advice does not change contents.
        unsafe { libc::madvise(start.as_ptr().cast(), layout.size(), libc::MADV_HUGEPAGE) };
    }
}

fn layout(len: usize) -> Option<Layout> {
    let bytes = len.max(1).checked_mul(size_of::<AtomicU64>())?;
    let align = if bytes >= HUGE_PAGE_BYTES { HUGE_PAGE_BYTES } else { CACHE_LINE_BYTES };
    Layout::from_size_align(bytes, align).ok()
}

impl Deref for Words {
    type Target = [AtomicU64];

    #[inline]
    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: `start` points to `len` initialised words that live as long as `self`.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        let Some(layout) = layout(self.len) else { return };
        // SAFETY: allocated in `new` with this very layout, and nobody borrows it any more.
        unsafe { dealloc(self.start.as_ptr().cast(), layout) };
    }
}
