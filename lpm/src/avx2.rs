//! Many lookups at once with AVX2, which every x86 server since 2013 has: four in a register, sixteen registers in step.
//!
//! The same walk as in [`crate::avx512`]. What that has instructions for is done by hand: bits are counted by looking
//! halves of bytes up in a register, and a mask is a register like any other.
#![expect(
    unsafe_code,
    reason = "the room for vector loads and stores, and for loads whose bounds the table itself keeps"
)]

use std::{
    arch::x86_64::{
        __m128i, __m256i, _mm_cvtsi64_si128, _mm_loadu_si128, _mm_storeu_si128, _mm256_add_epi8,
        _mm256_add_epi64, _mm256_and_si256, _mm256_blendv_epi8, _mm256_castsi256_pd, _mm256_castsi256_si128,
        _mm256_cmpeq_epi64, _mm256_cmpgt_epi64, _mm256_cvtepu32_epi64, _mm256_loadu_si256,
        _mm256_movemask_pd, _mm256_or_si256, _mm256_permute4x64_epi64, _mm256_permutevar8x32_epi32,
        _mm256_sad_epu8, _mm256_set1_epi8, _mm256_set1_epi64x, _mm256_setr_epi8, _mm256_setr_epi32,
        _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_sll_epi64, _mm256_slli_epi64, _mm256_sllv_epi64,
        _mm256_srl_epi64, _mm256_srli_epi16, _mm256_srli_epi64, _mm256_srlv_epi64, _mm256_sub_epi64,
        _mm256_unpackhi_epi64, _mm256_unpacklo_epi64, _mm256_xor_si256,
    },
    sync::atomic::AtomicU64,
};

use crate::{
    batch::STEPS_MAX,
    entry::{BASE_SHIFT, BRANCH, LEAF},
    family::{Family, STRIDE, V4, V6, V6_GLOBAL, V6_OUTER},
    quad,
    view::View,
};

/// Lookups in a register.
const LANES: usize = 4;
/// Registers in step.
const GROUPS: usize = 16;
/// Lookups in step.
const STAGE: usize = LANES * GROUPS;

/// Whether this CPU can run what follows.
pub(crate) fn detected() -> bool {
    is_x86_feature_detected!("avx2")
}

/// Looks all `addrs` up; the slices are of one length.
#[target_feature(enable = "avx2")]
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
#[target_feature(enable = "avx2")]
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

#[target_feature(enable = "avx2")]
fn stage4(view: &View<'_, V4>, addrs: &[u32; STAGE], values: &mut [u32; STAGE]) {
    let bits = STRIDE * view.root_level - V4::PAD;
    let (index_shift, rest_shift) = (u32::BITS as u8 - bits, _mm_cvtsi64_si128(i64::from(32 + bits)));
    let mut entries = [_mm256_setzero_si256(); GROUPS];
    let mut rests = [_mm256_setzero_si256(); GROUPS];
    let (groups, _) = addrs.as_chunks::<LANES>();
    for group in 0..GROUPS {
        // SAFETY: a group is four addresses of four bytes.
        let addrs = _mm256_cvtepu32_epi64(unsafe { _mm_loadu_si128(groups[group].as_ptr().cast()) });
        rests[group] = _mm256_sll_epi64(addrs, rest_shift);
        let indices = groups[group].map(|addr| u64::from(addr >> index_shift));
        // SAFETY: a root of that many bits is in the table.
        entries[group] = unsafe { quad::load_at(view.words, indices) };
    }
    follow_branches(view.words, &mut entries, &mut rests);
    finish(view.words, &entries, &rests, values);
}

#[target_feature(enable = "avx2")]
fn stage6(view: &View<'_, V6>, addrs: &[u128; STAGE], values: &mut [u32; STAGE]) {
    let mut entries = [_mm256_setzero_si256(); GROUPS];
    let mut rests = [_mm256_setzero_si256(); GROUPS];
    let (groups, _) = addrs.as_chunks::<LANES>();
    for group in 0..GROUPS {
        let (index, rest) = root6(view.root_level, &groups[group]);
        rests[group] = rest;
        let index = narrow(index);
        // SAFETY: `root6` gives an index into the root of the table.
        entries[group] = unsafe { quad::load(view.words, index) };
    }
    let open = follow_branches(view.words, &mut entries, &mut rests);
    finish(view.words, &entries, &rests, values);
    if open {
        // Deeper than 64 bits below the root, which is beyond all but host routes: one by one.
        one_by_one(view, &entries, addrs, values);
    }
}

/// The root's index for four addresses, and the 64 bits after those the root stands for.
#[target_feature(enable = "avx2")]
fn root6(root_level: u8, addrs: &[u128; LANES]) -> (__m256i, __m256i) {
    let inner_bits = i64::from(STRIDE * (root_level - 1));
    // SAFETY: the first two of four addresses of sixteen bytes.
    let first = unsafe { _mm256_loadu_si256(addrs.as_ptr().cast()) };
    // SAFETY: the last two.
    let last = unsafe { _mm256_loadu_si256(addrs[2..].as_ptr().cast()) };
    // Unpacking gives 0, 2, 1, 3.
    let high = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_unpackhi_epi64(first, last));
    let low = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_unpacklo_epi64(first, last));
    let top = _mm256_srli_epi64::<61>(high);
    let global = if root_level == 1 { -1 } else { V6_GLOBAL as i64 }; // no three bits are -1
    let inner = _mm256_cmpeq_epi64(top, _mm256_set1_epi64x(global));
    let place = _mm256_srl_epi64(_mm256_slli_epi64::<3>(high), _mm_cvtsi64_si128(64 - inner_bits));
    let place = _mm256_add_epi64(place, _mm256_set1_epi64x(V6_OUTER as i64));
    let bits =
        _mm256_add_epi64(_mm256_set1_epi64x(3), _mm256_and_si256(inner, _mm256_set1_epi64x(inner_bits)));
    let rest_high = _mm256_sllv_epi64(high, bits);
    let rest_low = _mm256_srlv_epi64(low, _mm256_sub_epi64(_mm256_set1_epi64x(64), bits));
    (_mm256_blendv_epi8(top, place, inner), _mm256_or_si256(rest_high, rest_low))
}

/// Takes lookups on until none is at a branch, or `STEPS_MAX` steps; says whether one still is.
#[target_feature(enable = "avx2")]
fn follow_branches(
    words: &[AtomicU64],
    entries: &mut [__m256i; GROUPS],
    rests: &mut [__m256i; GROUPS],
) -> bool {
    for _ in 0..STEPS_MAX {
        let mut any = 0;
        for group in 0..GROUPS {
            let open = has::<{ 63 - BRANCH.trailing_zeros() as i32 }>(entries[group]);
            let lanes = lanes(open);
            any |= lanes;
            if lanes == 0 {
                continue; // predictable: nearly all lookups of a table take about as many steps
            }
            let index = _mm256_add_epi64(base(entries[group]), run(entries[group], rests[group]));
            let index = narrow(_mm256_and_si256(index, open));
            // SAFETY: a branch leads to words of the table, see `Entry`; the index of the others is 0.
            let next = unsafe { quad::load(words, index) };
            entries[group] = _mm256_blendv_epi8(entries[group], next, open);
            let used = _mm256_and_si256(open, _mm256_set1_epi64x(STRIDE.into()));
            rests[group] = _mm256_sllv_epi64(rests[group], used);
        }
        if any == 0 {
            return false;
        }
    }
    entries.iter().any(|&entries| lanes(has::<{ 63 - BRANCH.trailing_zeros() as i32 }>(entries)) != 0)
}

/// The last step of each lookup.
#[target_feature(enable = "avx2")]
fn finish(
    words: &[AtomicU64],
    entries: &[__m256i; GROUPS],
    rests: &[__m256i; GROUPS],
    values: &mut [u32; STAGE],
) {
    // Asked of all at once: what a single register says is hard to predict.
    let union = entries.iter().fold(_mm256_setzero_si256(), |union, &more| _mm256_or_si256(union, more));
    let any_leaf = lanes(has::<{ 63 - LEAF.trailing_zeros() as i32 }>(union)) != 0;
    let (groups, _) = values.as_chunks_mut::<LANES>();
    for (values, (&entries, &rests)) in groups.iter_mut().zip(entries.iter().zip(rests)) {
        let mut answers = base(entries);
        let at_leaf = has::<{ 63 - LEAF.trailing_zeros() as i32 }>(entries);
        if any_leaf {
            let run = run(entries, rests);
            let index = _mm256_add_epi64(answers, _mm256_srli_epi64::<2>(run));
            let index = narrow(_mm256_and_si256(index, at_leaf));
            // SAFETY: a leaf leads to words of the table, see `Entry`; the index of the others is 0.
            let word = unsafe { quad::load(words, index) };
            let shift = _mm256_slli_epi64::<4>(_mm256_and_si256(run, _mm256_set1_epi64x(0b11)));
            let value = _mm256_and_si256(_mm256_srlv_epi64(word, shift), _mm256_set1_epi64x(u16::MAX.into()));
            answers = _mm256_blendv_epi8(answers, value, at_leaf);
        }
        let answers = narrow(answers);
        // SAFETY: a group is four values of four bytes.
        unsafe { _mm_storeu_si128(values.as_mut_ptr().cast(), answers) };
    }
}

#[cold]
#[target_feature(enable = "avx2")]
fn one_by_one(
    view: &View<'_, V6>,
    entries: &[__m256i; GROUPS],
    addrs: &[u128; STAGE],
    values: &mut [u32; STAGE],
) {
    for (group, &entries) in entries.iter().enumerate() {
        let open = lanes(has::<{ 63 - BRANCH.trailing_zeros() as i32 }>(entries));
        for lane in (0..LANES).filter(|lane| open >> lane & 1 == 1) {
            let number = group * LANES + lane;
            values[number] = view.lookup(addrs[number]);
        }
    }
}

/// All ones in the lanes that have the bit `UP` below the highest.
#[target_feature(enable = "avx2")]
#[inline]
fn has<const UP: i32>(entries: __m256i) -> __m256i {
    _mm256_cmpgt_epi64(_mm256_setzero_si256(), _mm256_slli_epi64::<UP>(entries))
}

/// A mask's lanes, as bits.
#[target_feature(enable = "avx2")]
#[inline]
fn lanes(mask: __m256i) -> i32 {
    _mm256_movemask_pd(_mm256_castsi256_pd(mask))
}

/// The lower halves of four lanes.
#[target_feature(enable = "avx2")]
#[inline]
fn narrow(lanes: __m256i) -> __m128i {
    let even = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
    _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(lanes, even))
}

/// Where the runs begin, or the answers.
#[target_feature(enable = "avx2")]
#[inline]
fn base(entries: __m256i) -> __m256i {
    _mm256_srli_epi64::<{ BASE_SHIFT as i32 }>(entries)
}

/// The runs that the next five bits are in, as `Entry::run` finds them.
#[target_feature(enable = "avx2")]
#[inline]
fn run(entries: __m256i, rests: __m256i) -> __m256i {
    let slot = _mm256_srli_epi64::<{ 64 - STRIDE as i32 }>(rests);
    ones(_mm256_sllv_epi64(entries, _mm256_xor_si256(slot, _mm256_set1_epi64x(63))))
}

/// How many bits of each lane are set: those of each half of a byte from a table, then the sum of the bytes.
#[target_feature(enable = "avx2")]
#[inline]
fn ones(lanes: __m256i) -> __m256i {
    let of_nibble = _mm256_setr_epi8(
        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
    );
    let nibble = _mm256_set1_epi8(0b1111);
    let low = _mm256_and_si256(lanes, nibble);
    let high = _mm256_and_si256(_mm256_srli_epi16::<4>(lanes), nibble);
    let low = _mm256_shuffle_epi8(of_nibble, low);
    let high = _mm256_shuffle_epi8(of_nibble, high);
    _mm256_sad_epu8(_mm256_add_epi8(low, high), _mm256_setzero_si256())
}
