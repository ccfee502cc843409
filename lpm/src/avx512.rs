//! Many lookups at once with AVX-512.
//!
//! IPv4 with the largest root goes through a [`pipeline`], sixteen at a time. Else, and for IPv6, there are eight lookups in a
//! register and eight registers in step: the same walk as in [`crate::batch`], branches first, a handful of instructions a
//! step, until no lookup is at one; then the leaves, once.
//!
//! The arithmetic is vector code, the loads are not: on AMD Zen 5, gathers are microcode, two lanes a nanosecond. Entries
//! are loaded as [`quad`]s, because what is done with them is done in vectors; values one by one ([`leaf`]), from places that went
//! through memory, because nothing is done with them any more. Single loads also leave no question whether a gather may tear
//! an entry.
#![expect(
    unsafe_code,
    reason = "the room for vector loads and stores, and for loads whose bounds the table itself keeps"
)]

use std::{
    arch::x86_64::{
        __m256i, __m512i, __mmask8, _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_loadu_si256,
        _mm256_storeu_si256, _mm512_add_epi64, _mm512_and_si512, _mm512_andnot_si512, _mm512_castps_si512,
        _mm512_castsi256_si512, _mm512_castsi512_ps, _mm512_cmpeq_epi64_mask, _mm512_cvtepi64_epi32,
        _mm512_cvtepu32_epi64, _mm512_inserti64x4, _mm512_loadu_si512, _mm512_mask_add_epi32,
        _mm512_mask_mov_epi64, _mm512_mask_slli_epi64, _mm512_maskz_add_epi32, _mm512_maskz_cvtepi64_epi32,
        _mm512_or_si512, _mm512_permutex2var_epi64, _mm512_popcnt_epi32, _mm512_popcnt_epi64,
        _mm512_set1_epi32, _mm512_set1_epi64, _mm512_setr_epi64, _mm512_setzero_si512, _mm512_shuffle_ps,
        _mm512_slli_epi32, _mm512_slli_epi64, _mm512_sllv_epi32, _mm512_sllv_epi64, _mm512_srli_epi32,
        _mm512_srli_epi64, _mm512_srlv_epi64, _mm512_storeu_si512, _mm512_sub_epi64, _mm512_test_epi32_mask,
        _mm512_test_epi64_mask, _mm512_testn_epi32_mask, _mm512_testn_epi64_mask, _mm512_xor_si512,
    },
    sync::atomic::AtomicU64,
};

use crate::{
    batch::STEPS_MAX,
    entry::{BASE_SHIFT, BRANCH, DIRECT},
    family::{Family, ROOT_AT, STRIDE, V4, V6, V6_GLOBAL, V6_OUTER},
    open,
    pipeline::{self, Places, Steps},
    quad,
    view::View,
};

/// Lookups in a register.
const LANES: usize = 8;
/// All of them.
const ALL: __mmask8 = 0xff;
/// Registers in step.
const GROUPS: usize = 8;
/// Lookups in step.
const STAGE: usize = LANES * GROUPS;
/// Addresses that go through the pipeline together.
const WIDE: usize = 2 * LANES;
/// Bits of an address that the largest root stands for.
const ROOT_BITS: u8 = STRIDE * V4::ROOT_LEVEL_MAX - V4::PAD;

/// The kind of an entry, in its upper half.
const KIND: i32 = ((BRANCH | DIRECT) >> u32::BITS) as i32;

/// What the pipeline does for [`WIDE`] addresses.
struct Wide;

/// Whether this CPU can run what follows.
pub(crate) fn detected() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vpopcntdq")
        && crate::engine::bits_detected()
}

/// Looks all `addrs` up; the slices are of one length.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512vpopcntdq,popcnt,bmi1,bmi2")]
pub(crate) fn lookup4(view: &View<'_, V4>, addrs: &[u32], values: &mut [u32]) {
    if !open::root_and_leaf_answer_most::<V4>(view.root_level) {
        return walk4(view, addrs, values);
    }
    let root = &view.words[ROOT_AT..];
    let entries_of = |addrs: &[u32; WIDE]| root_entries(root, addrs);
    let places_of = |entries: [__m512i; 2], addrs: &[u32; WIDE]| leaf_places(entries, addrs);
    let open = |open: u128, addrs: &[u32], values: &mut [u32]| look_up_open(view, open, addrs, values);
    // SAFETY: leaves and branches lead to words of the table, see `Entry`; the place of what is direct is the first word.
    unsafe { pipeline::lookup::<Wide, WIDE>(view, addrs, values, entries_of, places_of, open) }
}

#[inline(never)] // keeps the pipeline short
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512vpopcntdq,popcnt,bmi1,bmi2")]
fn look_up_open(view: &View<'_, V4>, open: u128, addrs: &[u32], values: &mut [u32]) {
    open::look_up(view, open, addrs, values, |addrs, values| walk4(view, addrs, values));
}

impl Steps<WIDE> for Wide {
    type Entries = [__m512i; 2];
    const ENTRIES_TAKE: usize = 1;
    const PLACES_TAKE: usize = 4;
}

/// The root's entries for sixteen addresses: in the first register those of 0, 1, 4, 5, 8, …, in the second the others.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512vpopcntdq,popcnt,bmi1,bmi2")]
#[inline]
fn root_entries(root: &[AtomicU64], addrs: &[u32; WIDE]) -> [__m512i; 2] {
    let at = |number: usize| u64::from(addrs[number] >> (u32::BITS as u8 - ROOT_BITS));
    // SAFETY: a root of that many bits is in the table.
    let a = unsafe { quad::load_at(root, [at(0), at(1), at(4), at(5)]) };
    // SAFETY: as above.
    let b = unsafe { quad::load_at(root, [at(2), at(3), at(6), at(7)]) };
    // SAFETY: as above.
    let c = unsafe { quad::load_at(root, [at(8), at(9), at(12), at(13)]) };
    // SAFETY: as above.
    let d = unsafe { quad::load_at(root, [at(10), at(11), at(14), at(15)]) };
    [both(a, c), both(b, d)]
}

/// Where the values are that the root's entries lead sixteen addresses to.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512vpopcntdq,popcnt,bmi1,bmi2")]
#[inline]
fn leaf_places(entries: [__m512i; 2], addrs: &[u32; WIDE]) -> Places<WIDE> {
    let (first, second) = (_mm512_castsi512_ps(entries[0]), _mm512_castsi512_ps(entries[1]));
    // The lower halves of all entries and the upper ones; within 128 bits, which is why the entries are in that order.
    let bitmaps = _mm512_castps_si512(_mm512_shuffle_ps::<0b10_00_10_00>(first, second));
    let bases = _mm512_castps_si512(_mm512_shuffle_ps::<0b11_01_11_01>(first, second));
    // SAFETY: sixteen addresses of four bytes.
    let addrs = unsafe { _mm512_loadu_si512(addrs.as_ptr().cast()) };
    let above_slot = _mm512_srli_epi32::<{ (u32::BITS as u8 - ROOT_BITS - STRIDE) as u32 }>(addrs);
    let above_slot = _mm512_andnot_si512(above_slot, _mm512_set1_epi32((1 << STRIDE) - 1));
    let runs = _mm512_popcnt_epi32(_mm512_sllv_epi32(bitmaps, above_slot));
    // Of a leaf's upper half the lowest bits, which say its kind, are 0: it counts values already.
    let leaf = _mm512_testn_epi32_mask(bases, _mm512_set1_epi32(KIND));
    let branch = _mm512_test_epi32_mask(bases, _mm512_set1_epi32((BRANCH >> u32::BITS) as i32));
    let values = _mm512_maskz_add_epi32(leaf, bases, runs);
    let entries = _mm512_slli_epi32::<2>(runs);
    let found =
        _mm512_mask_add_epi32(values, branch, _mm512_andnot_si512(_mm512_set1_epi32(KIND), bases), entries);
    let mut places = [0; WIDE];
    // SAFETY: sixteen places of four bytes.
    unsafe { _mm512_storeu_si512(places.as_mut_ptr().cast(), found) };
    (places, u64::from(!leaf))
}

/// Looks all `addrs` up in step.
#[inline(never)] // as above
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512vpopcntdq,popcnt,bmi1,bmi2")]
fn walk4(view: &View<'_, V4>, addrs: &[u32], values: &mut [u32]) {
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

/// Looks all `addrs` up; the slices are of one length.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512vpopcntdq,popcnt,bmi1,bmi2")]
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

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512vpopcntdq,popcnt,bmi1,bmi2")]
fn stage4(view: &View<'_, V4>, addrs: &[u32; STAGE], values: &mut [u32; STAGE]) {
    let bits = STRIDE * view.root_level - V4::PAD;
    let (index_shift, rest_shift) = (u32::BITS as u8 - bits, splat(u64::from(32 + bits)));
    let mut entries = [_mm512_setzero_si512(); GROUPS];
    let mut rests = [_mm512_setzero_si512(); GROUPS];
    let (root, (groups, _)) = (&view.words[ROOT_AT..], addrs.as_chunks::<LANES>());
    for group in 0..GROUPS {
        // SAFETY: a group is eight addresses of four bytes.
        let addrs = _mm512_cvtepu32_epi64(unsafe { _mm256_loadu_si256(groups[group].as_ptr().cast()) });
        rests[group] = _mm512_sllv_epi64(addrs, rest_shift);
        let [a, b, c, d, e, f, g, h] = groups[group].map(|addr| u64::from(addr >> index_shift));
        // SAFETY: a root of that many bits is in the table.
        let low = unsafe { quad::load_at(root, [a, b, c, d]) };
        // SAFETY: as above.
        let high = unsafe { quad::load_at(root, [e, f, g, h]) };
        entries[group] = both(low, high);
    }
    follow_branches(view.words, &mut entries, &mut rests);
    finish(view.words, &entries, &rests, values);
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512vpopcntdq,popcnt,bmi1,bmi2")]
fn stage6(view: &View<'_, V6>, addrs: &[u128; STAGE], values: &mut [u32; STAGE]) {
    let mut entries = [_mm512_setzero_si512(); GROUPS];
    let mut rests = [_mm512_setzero_si512(); GROUPS];
    let (root, (groups, _)) = (&view.words[ROOT_AT..], addrs.as_chunks::<LANES>());
    for group in 0..GROUPS {
        let (index, rest) = root6(view.root_level, &groups[group]);
        rests[group] = rest;
        // SAFETY: `root6` gives an index into the root of the table.
        entries[group] = unsafe { load(root, ALL, index) };
    }
    let open = follow_branches(view.words, &mut entries, &mut rests);
    finish(view.words, &entries, &rests, values);
    if open {
        // Deeper than 64 bits below the root, which is beyond all but host routes: one by one.
        one_by_one(view, &entries, addrs, values);
    }
}

/// The root's index for eight addresses, and the 64 bits after those the root stands for.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512vpopcntdq,popcnt,bmi1,bmi2")]
fn root6(root_level: u8, addrs: &[u128; LANES]) -> (__m512i, __m512i) {
    let inner_bits = u64::from(STRIDE * (root_level - 1));
    // SAFETY: the first four of eight addresses of sixteen bytes.
    let first = unsafe { _mm512_loadu_si512(addrs.as_ptr().cast()) };
    // SAFETY: the last four.
    let last = unsafe { _mm512_loadu_si512(addrs[4..].as_ptr().cast()) };
    let high = _mm512_permutex2var_epi64(first, _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15), last);
    let low = _mm512_permutex2var_epi64(first, _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), last);
    let top = _mm512_srli_epi64::<61>(high);
    let inner = _mm512_cmpeq_epi64_mask(top, splat(V6_GLOBAL as u64));
    let place = _mm512_srlv_epi64(_mm512_slli_epi64::<3>(high), splat(64 - inner_bits));
    let place = _mm512_add_epi64(place, splat(V6_OUTER as u64));
    let bits = _mm512_mask_mov_epi64(splat(3), inner, splat(3 + inner_bits));
    let rest_high = _mm512_sllv_epi64(high, bits);
    let rest_low = _mm512_srlv_epi64(low, _mm512_sub_epi64(splat(64), bits));
    (_mm512_mask_mov_epi64(top, inner, place), _mm512_or_si512(rest_high, rest_low))
}

/// Takes lookups on until none is at a branch, or `STEPS_MAX` steps; says whether one still is.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512vpopcntdq,popcnt,bmi1,bmi2")]
fn follow_branches(
    words: &[AtomicU64],
    entries: &mut [__m512i; GROUPS],
    rests: &mut [__m512i; GROUPS],
) -> bool {
    for _ in 0..STEPS_MAX {
        let mut any = 0;
        for group in 0..GROUPS {
            let open = at_branch(entries[group]);
            any |= open;
            if open == 0 {
                continue; // predictable: nearly all lookups of a table take about as many steps
            }
            let index = _mm512_add_epi64(base(entries[group]), run(entries[group], rests[group]));
            // SAFETY: a branch leads to words of the table, see `Entry`; the index of the others is 0.
            let next = unsafe { load(words, open, index) };
            entries[group] = _mm512_mask_mov_epi64(entries[group], open, next);
            rests[group] = _mm512_mask_slli_epi64::<{ STRIDE as u32 }>(rests[group], open, rests[group]);
        }
        if any == 0 {
            return false;
        }
    }
    entries.iter().any(|&entries| at_branch(entries) != 0)
}

/// The last step of each lookup.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512vpopcntdq,popcnt,bmi1,bmi2")]
fn finish(
    words: &[AtomicU64],
    entries: &[__m512i; GROUPS],
    rests: &[__m512i; GROUPS],
    values: &mut [u32; STAGE],
) {
    // Asked of all at once: what a single register says is hard to predict where some addresses end at the root.
    let all = entries.iter().fold(splat(DIRECT), |all, &more| _mm512_and_si512(all, more));
    let any_leaf = _mm512_test_epi64_mask(all, splat(DIRECT)) != ALL;
    let (groups, _) = values.as_chunks_mut::<LANES>();
    for (values, (&entries, &rests)) in groups.iter_mut().zip(entries.iter().zip(rests)) {
        let mut answers = base(entries);
        let at_leaf = _mm512_testn_epi64_mask(entries, splat(BRANCH | DIRECT));
        if any_leaf {
            let run = run(entries, rests);
            let index = _mm512_add_epi64(answers, _mm512_srli_epi64::<2>(run));
            // SAFETY: a leaf leads to words of the table, see `Entry`; the index of the others is 0.
            let word = unsafe { load(words, at_leaf, index) };
            let shift = _mm512_slli_epi64::<4>(_mm512_and_si512(run, splat(0b11)));
            let value = _mm512_and_si512(_mm512_srlv_epi64(word, shift), splat(u16::MAX.into()));
            answers = _mm512_mask_mov_epi64(answers, at_leaf, value);
        }
        let answers = _mm512_cvtepi64_epi32(answers);
        // SAFETY: a group is eight values of four bytes.
        unsafe { _mm256_storeu_si256(values.as_mut_ptr().cast(), answers) };
    }
}

#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
fn at_branch(entries: __m512i) -> __mmask8 {
    _mm512_test_epi64_mask(entries, splat(BRANCH))
}

/// Where the runs begin, or the answers.
#[target_feature(enable = "avx512f")]
#[inline]
fn base(entries: __m512i) -> __m512i {
    _mm512_srli_epi64::<BASE_SHIFT>(entries)
}

/// The runs that the next five bits are in, as `Entry::run` finds them.
#[target_feature(enable = "avx512f,avx512vpopcntdq")]
#[inline]
fn run(entries: __m512i, rests: __m512i) -> __m512i {
    let slot = _mm512_srli_epi64::<{ 64 - STRIDE as u32 }>(rests);
    _mm512_popcnt_epi64(_mm512_sllv_epi64(entries, _mm512_xor_si512(slot, splat(63))))
}

#[cold]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512vpopcntdq,popcnt,bmi1,bmi2")]
fn one_by_one(
    view: &View<'_, V6>,
    entries: &[__m512i; GROUPS],
    addrs: &[u128; STAGE],
    values: &mut [u32; STAGE],
) {
    for (group, &entries) in entries.iter().enumerate() {
        for lane in (0..LANES).filter(|lane| at_branch(entries) >> lane & 1 == 1) {
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

/// The words at eight indices; lanes that are not in `lanes` take the first word of all.
///
/// # Safety
/// The index of each of `lanes` is less than the number of words.
#[target_feature(enable = "avx512f,avx512vl")]
#[inline]
unsafe fn load(words: &[AtomicU64], lanes: __mmask8, index: __m512i) -> __m512i {
    let index = _mm512_maskz_cvtepi64_epi32(lanes, index);
    let (low, high) = (_mm256_castsi256_si128(index), _mm256_extracti128_si256::<1>(index));
    // SAFETY: the caller's promise; there is a first word.
    let low = unsafe { quad::load(words, low) };
    // SAFETY: as above.
    let high = unsafe { quad::load(words, high) };
    both(low, high)
}

/// Two halves as one register.
#[target_feature(enable = "avx512f")]
#[inline]
fn both(low: __m256i, high: __m256i) -> __m512i {
    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high)
}
