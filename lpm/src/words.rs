//! The memory of a table: zeroed words, on huge pages when they fill any.
#![expect(unsafe_code, reason = "the room where memory is mapped, advised and given back")]

use std::{
    alloc::{Layout, alloc_zeroed, dealloc},
    ops::Deref,
    ptr::{self, NonNull},
    slice,
    sync::atomic::{AtomicU64, Ordering},
};

/// A page of the larger kind. Tables from this size on ask for them: with 4 KB pages a lookup misses the
/// TLB about as often as the cache, which halves the rate.
const HUGE_PAGE_BYTES: usize = 2 << 20;
/// The smallest page there is: memory that nobody has touched costs nothing by pages of at least this size.
const PAGE_BYTES: usize = 4 << 10;
/// No entry crosses a cache line.
const CACHE_LINE_BYTES: usize = 64;

/// A fixed number of words that readers load and one writer stores.
pub(crate) struct Words {
    /// Allocated with `layout(len)`, or mapped as `mapped_bytes(len)` says; all of it initialised.
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
        let start = match mapped_bytes(layout) {
            Some(bytes) => map(bytes)?,
            // SAFETY: the layout is not empty, `layout` sees to it.
            None => NonNull::new(unsafe { alloc_zeroed(layout) })?,
        };
        Some(Self { start: start.cast(), len })
    }

    /// Bytes that are really taken when no word from `unused` on was ever touched.
    pub(crate) fn taken_bytes(&self, unused: usize) -> usize {
        let bytes = self.len * size_of::<u64>();
        match layout(self.len).and_then(mapped_bytes) {
            Some(_) => (unused * size_of::<u64>()).next_multiple_of(PAGE_BYTES).min(bytes),
            None => bytes,
        }
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

/// `bytes` of zeros, on a boundary of huge pages, which are asked for. The system keeps its word when a page is touched
/// first: a table can reserve room to grow, and it costs nothing until it is used.
fn map(bytes: usize) -> Option<NonNull<u8>> {
    let whole = bytes.checked_add(HUGE_PAGE_BYTES)?;
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: new memory of the system's choice; nothing else is touched.
    let mapped = unsafe { libc::mmap(ptr::null_mut(), whole, access, kind, -1, 0) };
    if mapped == libc::MAP_FAILED {
        return None;
    }
    let mapped: *mut u8 = mapped.cast();
    let before = mapped.align_offset(HUGE_PAGE_BYTES);
    let start = mapped.wrapping_add(before);
    unmap(mapped, before);
    unmap(start.wrapping_add(bytes), HUGE_PAGE_BYTES - before);
    // A refusal costs speed only, so it is not an error.
    // SAFETY: the range is mapped and ours, and the advice does not change contents.
    unsafe { libc::madvise(start.cast(), bytes, libc::MADV_HUGEPAGE) };
    NonNull::new(start)
}

/// Gives memory back that [`map`] has mapped and nobody uses.
fn unmap(start: *mut u8, bytes: usize) {
    if bytes > 0 {
        // SAFETY: the callers' promise, which are in this file: a mapping of ours that no borrow leads into.
        unsafe { libc::munmap(start.cast(), bytes) };
    }
}

/// So many bytes are mapped for words of this layout; none: they are allocated.
fn mapped_bytes(layout: Layout) -> Option<usize> {
    (layout.size() >= HUGE_PAGE_BYTES).then(|| layout.size().checked_next_multiple_of(HUGE_PAGE_BYTES))?
}

fn layout(len: usize) -> Option<Layout> {
    let bytes = len.max(1).checked_mul(size_of::<AtomicU64>())?;
    Layout::from_size_align(bytes, CACHE_LINE_BYTES).ok()
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
        let start = self.start.as_ptr().cast();
        match mapped_bytes(layout) {
            Some(bytes) => unmap(start, bytes),
            // SAFETY: allocated in `new` with this very layout, and nobody borrows it any more.
            None => unsafe { dealloc(start, layout) },
        }
    }
}
