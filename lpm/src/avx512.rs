//! Many lookups at once with AVX-512: eight in a register, eight registers in step.
//!
//! The same walk as in [`crate::batch`], without a branch in a step. A step of eight lookups is one gather
//! of whole words. Where a run is smaller than a word it is shifted into the place that a direct
//! answer has, so that a finished lookup and an unfinished one are both just entries.
//!
//! A gather is not an atomic load in the language's eyes. What the walk needs of it: that a word comes
//! from memory whole. All words are 8-byte aligned, and processors with AVX-512 fetch an aligned
//! quadword of a gather in one access; the manuals stop short of promising it, so the stress test does
//! nothing but look for a torn one. Order needs no help: on x86 a load is not reordered with an earlier
//! load, and here each depends on the one before.
#![expect(unsafe_code, reason = "the room for gathers, which take an address")]

use std::{
    arch::x86_64::{
        __m512i, __mmask8, _mm256_loadu_si256, _mm256_storeu_si256, _mm512_add_epi64, _mm512_and_si512,
        _mm512_cmpeq_epi64_mask, _mm512_cvtepi64_epi32, _mm512_cvtepu32_epi64, _mm512_i64gather_epi64,
        _mm512_loadu_si512, _mm512_mask_i64gather_epi64, _mm512_mask_mov_epi64, _mm512_or_si512,
        _mm512_permutex2var_epi64, _mm512_permutexvar_epi64, _mm512_popcnt_epi64, _mm512_set1_epi64,
        _mm512_setr_epi64, _mm512_setzero_si512, _mm512_slli_epi64, _mm512_sllv_epi64, _mm512_srli_epi64,
        _mm512_srlv_epi64, _mm512_sub_epi64, _mm512_test_epi64_mask,
    },
    sync::atomic::AtomicU64,
};

use crate::{
    entry::{BASE_SHIFT, KIND_MASK, KIND_SHIFT},
    family::{Family, STRIDE, V4, V6, V6_GLOBAL, V6_OUTER},
    view::View,
};

/// Lookups in a register.
const LANES: usize = 8;
/// Registers in step.
const GROUPS: usize = 8;
/// Lookups in step.
pub(crate) const STAGE: usize = LANES * GROUPS;

/// Whether this CPU can run what follows.
pub(crate) fn detected() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vpopcntdq")
}

/// Looks all `addrs` up; the slices are of one length.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512vpopcntdq")]
pub(crate) fn lookup4(view: &View<'_, V4>, addrs: &[u32], values: &mut [u32]) {
    let (stages, tail) = addrs.as_chunks::<STAGE>();
    let (value_stages, value_tail) = values.as_chunks_mut::<STAGE>();
    for (addrs, values) in stages.iter().zip(value_stages) {
        stage4(view, addrs, values);
    }
    if !tail.is_empty() {
        let (mut addrs, mut values) = ([0; STAGE], [0; STAGE]);
        addrs[..tail.len()].copy_from_slice(tail);
        stage4(view, &addrs, &mut values);
        value_tail.copy_from_slice(&values[..tail.len()]);
    }
}

/// As [`lookup4`], for IPv6.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512vpopcntdq")]
pub(crate) fn lookup6(view: &View<'_, V6>, addrs: &[u128], values: &mut [u32]) {
    let (stages, tail) = addrs.as_chunks::<STAGE>();
    let (value_stages, value_tail) = values.as_chunks_mut::<STAGE>();
    for (addrs, values) in stages.iter().zip(value_stages) {
        stage6(view, addrs, values);
    }
    if !tail.is_empty() {
        let (mut addrs, mut values) = ([0; STAGE], [0; STAGE]);
        addrs[..tail.len()].copy_from_slice(tail);
        stage6(view, &addrs, &mut values);
        value_tail.copy_from_slice(&values[..tail.len()]);
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512vpopcntdq")]
fn stage4(view: &View<'_, V4>, addrs: &[u32; STAGE], values: &mut [u32; STAGE]) {
    let bits = STRIDE * view.root_level - V4::PAD;
    let (index_shift, rest_shift) = (splat(32 - u64::from(bits)), splat(32 + u64::from(bits)));
    let mut entries = [_mm512_setzero_si512(); GROUPS];
    let mut rests = [_mm512_setzero_si512(); GROUPS];
    let (groups, _) = addrs.as_chunks::<LANES>();
    for group in 0..GROUPS {
        // SAFETY: a group is eight addresses of four bytes.
        let addrs = _mm512_cvtepu32_epi64(unsafe { _mm256_loadu_si256(groups[group].as_ptr().cast()) });
        let index = _mm512_srlv_epi64(addrs, index_shift);
        rests[group] = _mm512_sllv_epi64(addrs, rest_shift);
        // SAFETY: a root of that many bits is in the table.
        entries[group] = unsafe { gather(view.words, index) };
    }
    walk(view.words, &mut entries, &mut rests);
    store(&entries, values);
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512vpopcntdq")]
fn stage6(view: &View<'_, V6>, addrs: &[u128; STAGE], values: &mut [u32; STAGE]) {
    let mut entries = [_mm512_setzero_si512(); GROUPS];
    let mut rests = [_mm512_setzero_si512(); GROUPS];
    let (groups, _) = addrs.as_chunks::<LANES>();
    for group in 0..GROUPS {
        let (index, rest) = root6(view.root_level, &groups[group]);
        rests[group] = rest;
        // SAFETY: `root6` gives an index into the root of the table.
        entries[group] = unsafe { gather(view.words, index) };
    }
    let open = walk(view.words, &mut entries, &mut rests);
    store(&entries, values);
    if open {
        // Deeper than 64 bits below the root, which is beyond all but host routes: one by one.
        finish6(view, &entries, addrs, values);
    }
}

/// The root's index for eight addresses, and the 64 bits after those the root stands for.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512vpopcntdq")]
fn root6(root_level: u8, addrs: &[u128; LANES]) -> (__m512i, __m512i) {
    let inner_bits = u64::from(STRIDE * (root_level - 1));
    // SAFETY: the first four of eight addresses of sixteen bytes.
    let first = unsafe { _mm512_loadu_si512(addrs.as_ptr().cast()) };
    // SAFETY: the last four.
    let last = unsafe { _mm512_loadu_si512(addrs[4..].as_ptr().cast()) };
    let high = _mm512_permutex2var_epi64(first, _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15), last);
    let low = _mm512_permutex2var_epi64(first, _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), last);
    let top = _mm512_srli_epi64::<61>(high);
    let inner = if root_level == 1 { 0 } else { _mm512_cmpeq_epi64_mask(top, splat(V6_GLOBAL as u64)) };
    let place = _mm512_srlv_epi64(_mm512_slli_epi64::<3>(high), splat(64 - inner_bits));
    let place = _mm512_add_epi64(place, splat(V6_OUTER as u64));
    let bits = _mm512_mask_mov_epi64(splat(3), inner, splat(3 + inner_bits));
    let rest_high = _mm512_sllv_epi64(high, bits);
    let rest_low = _mm512_srlv_epi64(low, _mm512_sub_epi64(splat(64), bits));
    (_mm512_mask_mov_epi64(top, inner, place), _mm512_or_si512(rest_high, rest_low))
}

/// Steps that 64 bits are good for.
const STEPS_MAX: usize = 64 / STRIDE as usize;

/// Takes all lookups to their end, or `STEPS_MAX` steps; says whether one is still open then.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512vpopcntdq")]
fn walk(words: &[AtomicU64], entries: &mut [__m512i; GROUPS], rests: &mut [__m512i; GROUPS]) -> bool {
    for _ in 0..STEPS_MAX {
        let mut any = 0;
        for group in 0..GROUPS {
            let open = open_lanes(entries[group]);
            any |= open;
            entries[group] = step(words, entries[group], rests[group], open);
            rests[group] = _mm512_slli_epi64::<5>(rests[group]);
        }
        if any == 0 {
            return false;
        }
    }
    entries.iter().any(|&entries| open_lanes(entries) != 0)
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512vpopcntdq")]
#[inline]
fn open_lanes(entries: __m512i) -> __mmask8 {
    _mm512_test_epi64_mask(entries, splat(KIND_MASK))
}

/// One step for the `open` lanes.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512vpopcntdq")]
#[inline]
fn step(words: &[AtomicU64], entries: __m512i, rests: __m512i, open: __mmask8) -> __m512i {
    let slot = _mm512_srli_epi64::<59>(rests);
    let run = _mm512_popcnt_epi64(_mm512_sllv_epi64(entries, _mm512_sub_epi64(splat(63), slot)));
    let kind = _mm512_and_si512(_mm512_srli_epi64::<KIND_SHIFT>(entries), splat(0b11));
    let byte = _mm512_sllv_epi64(run, kind);
    let index = _mm512_add_epi64(_mm512_srli_epi64::<BASE_SHIFT>(entries), _mm512_srli_epi64::<3>(byte));
    // SAFETY: an entry's base and bitmap lead to words of the table, see `Entry`.
    let word = unsafe { gather_some(words, entries, open, index) };
    let bit = _mm512_slli_epi64::<3>(_mm512_and_si512(byte, splat(0b111)));
    let run = _mm512_srlv_epi64(word, bit);
    // By kind: up, so that what lies above the run is gone, then down to where an answer belongs.
    let up = _mm512_permutexvar_epi64(kind, _mm512_setr_epi64(0, 48, 34, 0, 0, 0, 0, 0));
    let down = _mm512_permutexvar_epi64(kind, _mm512_setr_epi64(0, 14, 0, 0, 0, 0, 0, 0));
    let next = _mm512_srlv_epi64(_mm512_sllv_epi64(run, up), down);
    _mm512_mask_mov_epi64(entries, open, next)
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512vpopcntdq")]
fn store(entries: &[__m512i; GROUPS], values: &mut [u32; STAGE]) {
    let (groups, _) = values.as_chunks_mut::<LANES>();
    for (group, &entries) in groups.iter_mut().zip(entries) {
        let answers = _mm512_cvtepi64_epi32(_mm512_srli_epi64::<BASE_SHIFT>(entries));
        // SAFETY: a group is eight values of four bytes.
        unsafe { _mm256_storeu_si256(group.as_mut_ptr().cast(), answers) };
    }
}

#[cold]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512vpopcntdq")]
fn finish6(
    view: &View<'_, V6>,
    entries: &[__m512i; GROUPS],
    addrs: &[u128; STAGE],
    values: &mut [u32; STAGE],
) {
    for (group, &entries) in entries.iter().enumerate() {
        for lane in (0..LANES).filter(|lane| open_lanes(entries) >> lane & 1 == 1) {
            let number = group * LANES + lane;
            values[number] = view.lookup(addrs[number]);
        }
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn splat(value: u64) -> __m512i {
    _mm512_set1_epi64(value as i64)
}

/// The words at eight indices.
///
/// # Safety
/// Each index is less than the number of words.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn gather(words: &[AtomicU64], index: __m512i) -> __m512i {
    // SAFETY: the caller's promise; the base is eight-byte aligned and the scale is eight bytes.
    unsafe { _mm512_i64gather_epi64::<8>(index, words.as_ptr().cast()) }
}

/// The words at the `open` ones of eight indices; the other lanes are those of `entries`.
///
/// # Safety
/// Each open index is less than the number of words.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn gather_some(words: &[AtomicU64], entries: __m512i, open: __mmask8, index: __m512i) -> __m512i {
    // SAFETY: the caller's promise; as above.
    unsafe { _mm512_mask_i64gather_epi64::<8>(entries, open, index, words.as_ptr().cast()) }
}
