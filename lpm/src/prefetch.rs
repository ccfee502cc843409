//! Asking for a cache line before it is needed.
#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "the prefetch instruction takes an address")
)]

use std::sync::atomic::AtomicU64;

/// Asks for the line of the word at `index`, if there is such a word. Does nothing on other CPUs.
#[inline(always)] // a call would cost more than it saves
pub(crate) fn prefetch(words: &[AtomicU64], index: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let word = words.as_ptr().wrapping_add(index);
        // SAFETY: a prefetch is a hint: it changes nothing and does not fault, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(word.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (words, index);
}
