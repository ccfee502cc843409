//! One value of a leaf, loaded by itself.
//!
//! A leaf's values lie four in a word. Loading a word and shifting takes four instructions more than loading the value.
#![expect(unsafe_code, reason = "the room for a load whose bounds the table itself keeps")]

use std::{arch::asm, sync::atomic::AtomicU64};

/// The value at `place`: the table looked at as values of 16 bits, from its first word on.
///
/// # Safety
/// The word that `place` is in is one of the table's: `place` / 4 is less than the number of words.
#[inline]
pub(crate) unsafe fn load(words: &[AtomicU64], place: u32) -> u32 {
    let value;
    // SAFETY: reads part of a word, which is there by the caller's promise. Words are stored whole, so a part of one is of
    // what was or of what will be, and on x86 every load acquires. (An instruction, because the language does not define
    // a load of another width than the stores.) The compiler is not told that this block leaves memory alone, so it moves
    // no other load before it.
    unsafe {
        asm!(
            "movzx {value:e}, word ptr [{words} + 2*{place}]",
            words = in(reg) words.as_ptr(),
            place = in(reg) u64::from(place),
            value = lateout(reg) value,
            options(nostack, preserves_flags)
        );
    }
    value
}
