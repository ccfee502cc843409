//! Four words at four indices, into a register.
//!
//! Between the vector that knows the indices and the vector that wants the words, each index has to pass through
//! a general register, and the traffic between the two kinds of register is what limits a step. So the indices
//! come two in a quadword, which halves the way out, and the words are loaded into vector registers directly,
//! which spares the way back. A compiler will not do the latter for atomic loads, so it is written down here.
#![expect(unsafe_code, reason = "the room for loads whose bounds the table itself keeps")]

use std::{
    arch::{
        asm,
        x86_64::{__m128i, __m256i, _mm_cvtsi128_si64, _mm_extract_epi64},
    },
    sync::atomic::AtomicU64,
};

/// The words at four indices of 32 bits each.
///
/// # Safety
/// Each index is less than the number of words.
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) unsafe fn load(words: &[AtomicU64], indices: __m128i) -> __m256i {
    let (first, second) = (_mm_cvtsi128_si64(indices) as u64, _mm_extract_epi64::<1>(indices) as u64);
    // SAFETY: the caller's promise.
    unsafe { load_at(words, [u64::from(first as u32), first >> 32, u64::from(second as u32), second >> 32]) }
}

/// The words at four indices.
///
/// # Safety
/// Each index is less than the number of words.
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) unsafe fn load_at(words: &[AtomicU64], [a, b, c, d]: [u64; 4]) -> __m256i {
    let loaded: __m256i;
    // SAFETY: reads four words, which are there by the caller's promise. x86 loads an aligned quadword whole, and
    // every load acquires. The compiler is not told that this block leaves memory alone, so it moves no other
    // load before it.
    unsafe {
        asm!(
            "vmovq {low:x}, qword ptr [{words} + 8*{a}]",
            "vmovq {high:x}, qword ptr [{words} + 8*{c}]",
            "vmovhps {low:x}, {low:x}, qword ptr [{words} + 8*{b}]",
            "vmovhps {high:x}, {high:x}, qword ptr [{words} + 8*{d}]",
            "vinserti128 {low:y}, {low:y}, {high:x}, 1",
            words = in(reg) words.as_ptr(),
            a = in(reg) a,
            b = in(reg) b,
            c = in(reg) c,
            d = in(reg) d,
            low = out(ymm_reg) loaded,
            high = out(ymm_reg) _,
            options(nostack, preserves_flags)
        );
    }
    loaded
}
