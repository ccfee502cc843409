//! One value of a leaf.
//!
//! A leaf's values lie four in a word. x86 loads a quarter of a word by itself; elsewhere the word is loaded and shifted.
#![expect(unsafe_code, reason = "the room for a load whose bounds the table itself keeps")]

use std::sync::atomic::AtomicU64;

/// Values in a word.
pub(crate) const VALUES: u32 = 4;

/// The value at `place`: the table looked at as values of 16 bits, from its first word on.
///
/// # Panics
/// When the table has no such word.
#[inline(always)] // a call would cost more than the load
pub(crate) fn value(words: &[AtomicU64], place: u32) -> u32 {
    assert!(((place / VALUES) as usize) < words.len(), "a leaf leads to words of the table");
    // SAFETY: there is such a word.
    unsafe { load(words, place) }
}

/// As [`value`], unchecked.
///
/// # Safety
/// `place` is in one of the words.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)] // as above
pub(crate) unsafe fn load(words: &[AtomicU64], place: u32) -> u32 {
    // SAFETY: the caller's promise.
    let word =
        unsafe { words.get_unchecked((place / VALUES) as usize) }.load(std::sync::atomic::Ordering::Acquire);
    u32::from((word >> (place % VALUES * u16::BITS)) as u16)
}

/// As [`value`], unchecked.
///
/// # Safety
/// `place` is in one of the words.
#[cfg(target_arch = "x86_64")]
#[inline(always)] // as above
pub(crate) unsafe fn load(words: &[AtomicU64], place: u32) -> u32 {
    debug_assert!(((place / VALUES) as usize) < words.len(), "a leaf leads to words of the table");
    let value;
    // SAFETY: reads part of a word, which is there by the caller's promise. Words are stored whole, so a part of one is of
    // what was or of what will be, and on x86 every load acquires. (An instruction, because the language does not define
    // a load of another width than the stores.) The compiler is not told that this block leaves memory alone, so it moves
    // no other load before it.
    unsafe {
        std::arch::asm!(
            "movzx {value:e}, word ptr [{words} + 2*{place}]",
            words = in(reg) words.as_ptr(),
            place = in(reg) u64::from(place),
            value = lateout(reg) value,
            options(nostack, preserves_flags)
        );
    }
    value
}
