//! Many lookups at once with AVX2, which every x86 server since 2013 has: four in a register, sixteen registers in step.
//!
//! The same pipeline and the same walk as in [`crate::avx512`]. What that has instructions for is done by hand: bits are counted by looking
//! halves of bytes up in a register, and a mask is a register like any other.
#![expect(
    unsafe_code,
    reason = "the room for vector loads and stores, and for loads whose bounds the table itself keeps"
)]

use std::{
    arch::x86_64::{
        __m128i, __m256i, _mm_cvtsi64_si128, _mm_loadu_si128, _mm_storeu_si128, _mm256_add_epi8,
        _mm256_add_epi32, _mm256_add_epi64, _mm256_and_si256, _mm256_andnot_si256, _mm256_blendv_epi8,
        _mm256_castps_si256, _mm256_castsi256_pd, _mm256_castsi256_ps, _mm256_castsi256_si128,
        _mm256_cmpeq_epi32, _mm256_cmpeq_epi64, _mm256_cmpgt_epi64, _mm256_cvtepu32_epi64,
        _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_movemask_pd, _mm256_movemask_ps,
        _mm256_or_si256, _mm256_permute4x64_epi64, _mm256_permutevar8x32_epi32, _mm256_sad_epu8,
        _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_setr_epi8,
        _mm256_setr_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_shuffle_ps, _mm256_sll_epi64,
        _mm256_slli_epi32, _mm256_slli_epi64, _mm256_sllv_epi32, _mm256_sllv_epi64, _mm256_srl_epi64,
        _mm256_srli_epi16, _mm256_srli_epi32, _mm256_srli_epi64, _mm256_srlv_epi64, _mm256_storeu_si256,
        _mm256_sub_epi64, _mm256_unpackhi_epi64, _mm256_unpacklo_epi64, _mm256_xor_si256,
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
const LANES: usize = 4;
/// Registers in step.
const GROUPS: usize = 16;
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
    is_x86_feature_detected!("avx2") && crate::engine::bits_detected()
}

/// Looks all `addrs` up; the slices are of one length.
#[target_feature(enable = "avx2,popcnt,bmi1,bmi2")]
pub(crate) fn lookup4(view: &View<'_, V4>, addrs: &[u32], values: &mut [u32]) {
    if !open::root_and_leaf_answer_most::<V4>(view.root_level) {
        return walk4(view, addrs, values);
    }
    let root = &view.words[ROOT_AT..];
    let entries_of = |addrs: &[u32; WIDE]| root_entries(root, addrs);
    let places_of = |entries: [__m256i; 2], addrs: &[u32; WIDE]| leaf_places(entries, addrs);
    let open = |open: u128, addrs: &[u32], values: &mut [u32]| look_up_open(view, open, addrs, values);
    // SAFETY: leaves and branches lead to words of the table, see `Entry`; the place of what is direct is the first word.
    unsafe { pipeline::lookup::<Wide, WIDE>(view, addrs, values, entries_of, places_of, open) }
}

#[inline(never)] // keeps the pipeline short
#[target_feature(enable = "avx2,popcnt,bmi1,bmi2")]
fn look_up_open(view: &View<'_, V4>, open: u128, addrs: &[u32], values: &mut [u32]) {
    open::look_up(view, open, addrs, values, |addrs, values| walk4(view, addrs, values));
}

impl Steps<WIDE> for Wide {
    type Entries = [__m256i; 2];
    const ENTRIES_TAKE: usize = 2;
    const PLACES_TAKE: usize = 4;
}

/// The root's entries for eight addresses: in the first register those of 0, 1, 4 and 5, in the second the others.
#[target_feature(enable = "avx2,popcnt,bmi1,bmi2")]
#[inline]
fn root_entries(root: &[AtomicU64], addrs: &[u32; WIDE]) -> [__m256i; 2] {
    let at = |number: usize| u64::from(addrs[number] >> (u32::BITS as u8 - ROOT_BITS));
    // SAFETY: a root of that many bits is in the table.
    let first = unsafe { quad::load_at(root, [at(0), at(1), at(4), at(5)]) };
    // SAFETY: as above.
    let second = unsafe { quad::load_at(root, [at(2), at(3), at(6), at(7)]) };
    [first, second]
}

/// Where the values are that the root's entries lead eight addresses to.
#[target_feature(enable = "avx2,popcnt,bmi1,bmi2")]
#[inline]
fn leaf_places(entries: [__m256i; 2], addrs: &[u32; WIDE]) -> Places<WIDE> {
    let (first, second) = (_mm256_castsi256_ps(entries[0]), _mm256_castsi256_ps(entries[1]));
    // The lower halves of all entries and the upper ones; within 128 bits, which is why the entries are in that order.
    let bitmaps = _mm256_castps_si256(_mm256_shuffle_ps::<0b10_00_10_00>(first, second));
    let bases = _mm256_castps_si256(_mm256_shuffle_ps::<0b11_01_11_01>(first, second));
    // SAFETY: eight addresses of four bytes.
    let addrs = unsafe { _mm256_loadu_si256(addrs.as_ptr().cast()) };
    let above_slot = _mm256_srli_epi32::<{ (u32::BITS as u8 - ROOT_BITS - STRIDE) as i32 }>(addrs);
    let above_slot = _mm256_andnot_si256(above_slot, _mm256_set1_epi32((1 << STRIDE) - 1));
    let bytes = ones_of_bytes(_mm256_sllv_epi32(bitmaps, above_slot));
    let runs = _mm256_madd_epi16(_mm256_maddubs_epi16(bytes, _mm256_set1_epi8(1)), _mm256_set1_epi16(1));
    // Of a leaf's upper half the lowest bits, which say its kind, are 0: it counts values already.
    let kind = _mm256_and_si256(bases, _mm256_set1_epi32(KIND));
    let leaf = _mm256_cmpeq_epi32(kind, _mm256_setzero_si256());
    let branch = _mm256_cmpeq_epi32(kind, _mm256_set1_epi32((BRANCH >> u32::BITS) as i32));
    let values = _mm256_and_si256(leaf, _mm256_add_epi32(bases, runs));
    let entries = _mm256_add_epi32(_mm256_xor_si256(bases, kind), _mm256_slli_epi32::<2>(runs));
    let found = _mm256_or_si256(values, _mm256_and_si256(branch, entries));
    let mut places = [0; WIDE];
    // SAFETY: eight places of four bytes.
    unsafe { _mm256_storeu_si256(places.as_mut_ptr().cast(), found) };
    (places, u64::from(!_mm256_movemask_ps(_mm256_castsi256_ps(leaf)) as u8))
}

/// Looks all `addrs` up in step.
#[inline(never)] // as above
#[target_feature(enable = "avx2,popcnt,bmi1,bmi2")]
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
#[target_feature(enable = "avx2,popcnt,bmi1,bmi2")]
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

#[target_feature(enable = "avx2,popcnt,bmi1,bmi2")]
fn stage4(view: &View<'_, V4>, addrs: &[u32; STAGE], values: &mut [u32; STAGE]) {
    let bits = STRIDE * view.root_level - V4::PAD;
    let (index_shift, rest_shift) = (u32::BITS as u8 - bits, _mm_cvtsi64_si128(i64::from(32 + bits)));
    let mut entries = [_mm256_setzero_si256(); GROUPS];
    let mut rests = [_mm256_setzero_si256(); GROUPS];
    let (root, (groups, _)) = (&view.words[ROOT_AT..], addrs.as_chunks::<LANES>());
    for group in 0..GROUPS {
        // SAFETY: a group is four addresses of four bytes.
        let addrs = _mm256_cvtepu32_epi64(unsafe { _mm_loadu_si128(groups[group].as_ptr().cast()) });
        rests[group] = _mm256_sll_epi64(addrs, rest_shift);
        let indices = groups[group].map(|addr| u64::from(addr >> index_shift));
        // SAFETY: a root of that many bits is in the table.
        entries[group] = unsafe { quad::load_at(root, indices) };
    }
    follow_branches(view.words, &mut entries, &mut rests);
    finish(view.words, &entries, &rests, values);
}

#[target_feature(enable = "avx2,popcnt,bmi1,bmi2")]
fn stage6(view: &View<'_, V6>, addrs: &[u128; STAGE], values: &mut [u32; STAGE]) {
    let mut entries = [_mm256_setzero_si256(); GROUPS];
    let mut rests = [_mm256_setzero_si256(); GROUPS];
    let (root, (groups, _)) = (&view.words[ROOT_AT..], addrs.as_chunks::<LANES>());
    for group in 0..GROUPS {
        let (index, rest) = root6(view.root_level, &groups[group]);
        rests[group] = rest;
        let index = narrow(index);
        // SAFETY: `root6` gives an index into the root of the table.
        entries[group] = unsafe { quad::load(root, index) };
    }
    let open = follow_branches(view.words, &mut entries, &mut rests);
    finish(view.words, &entries, &rests, values);
    if open {
        // Deeper than 64 bits below the root, which is beyond all but host routes: one by one.
        one_by_one(view, &entries, addrs, values);
    }
}

/// The root's index for four addresses, and the 64 bits after those the root stands for.
#[target_feature(enable = "avx2,popcnt,bmi1,bmi2")]
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
    let inner = _mm256_cmpeq_epi64(top, _mm256_set1_epi64x(V6_GLOBAL as i64));
    let place = _mm256_srl_epi64(_mm256_slli_epi64::<3>(high), _mm_cvtsi64_si128(64 - inner_bits));
    let place = _mm256_add_epi64(place, _mm256_set1_epi64x(V6_OUTER as i64));
    let bits =
        _mm256_add_epi64(_mm256_set1_epi64x(3), _mm256_and_si256(inner, _mm256_set1_epi64x(inner_bits)));
    let rest_high = _mm256_sllv_epi64(high, bits);
    let rest_low = _mm256_srlv_epi64(low, _mm256_sub_epi64(_mm256_set1_epi64x(64), bits));
    (_mm256_blendv_epi8(top, place, inner), _mm256_or_si256(rest_high, rest_low))
}

/// Takes lookups on until none is at a branch, or `STEPS_MAX` steps; says whether one still is.
#[target_feature(enable = "avx2,popcnt,bmi1,bmi2")]
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
#[target_feature(enable = "avx2,popcnt,bmi1,bmi2")]
fn finish(
    words: &[AtomicU64],
    entries: &[__m256i; GROUPS],
    rests: &[__m256i; GROUPS],
    values: &mut [u32; STAGE],
) {
    // Asked of all at once: what a single register says is hard to predict.
    let direct = _mm256_set1_epi64x(DIRECT as i64);
    let all = entries.iter().fold(direct, |all, &more| _mm256_and_si256(all, more));
    let any_leaf = lanes(_mm256_cmpeq_epi64(all, direct)) != (1 << LANES) - 1;
    let (groups, _) = values.as_chunks_mut::<LANES>();
    for (values, (&entries, &rests)) in groups.iter_mut().zip(entries.iter().zip(rests)) {
        let mut answers = base(entries);
        let kind = _mm256_and_si256(entries, _mm256_set1_epi64x((BRANCH | DIRECT) as i64));
        let at_leaf = _mm256_cmpeq_epi64(kind, _mm256_setzero_si256());
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
#[target_feature(enable = "avx2,popcnt,bmi1,bmi2")]
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
#[target_feature(enable = "avx2,popcnt,bmi1,bmi2")]
#[inline]
fn has<const UP: i32>(entries: __m256i) -> __m256i {
    _mm256_cmpgt_epi64(_mm256_setzero_si256(), _mm256_slli_epi64::<UP>(entries))
}

/// A mask's lanes, as bits.
#[target_feature(enable = "avx2,popcnt,bmi1,bmi2")]
#[inline]
fn lanes(mask: __m256i) -> i32 {
    _mm256_movemask_pd(_mm256_castsi256_pd(mask))
}

/// The lower halves of four lanes.
#[target_feature(enable = "avx2,popcnt,bmi1,bmi2")]
#[inline]
fn narrow(lanes: __m256i) -> __m128i {
    let even = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
    _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(lanes, even))
}

/// Where the runs begin, or the answers.
#[target_feature(enable = "avx2,popcnt,bmi1,bmi2")]
#[inline]
fn base(entries: __m256i) -> __m256i {
    _mm256_srli_epi64::<{ BASE_SHIFT as i32 }>(entries)
}

/// The runs that the next five bits are in, as `Entry::run` finds them.
#[target_feature(enable = "avx2,popcnt,bmi1,bmi2")]
#[inline]
fn run(entries: __m256i, rests: __m256i) -> __m256i {
    let slot = _mm256_srli_epi64::<{ 64 - STRIDE as i32 }>(rests);
    ones(_mm256_sllv_epi64(entries, _mm256_xor_si256(slot, _mm256_set1_epi64x(63))))
}

/// How many bits of each lane are set.
#[target_feature(enable = "avx2,popcnt,bmi1,bmi2")]
#[inline]
fn ones(lanes: __m256i) -> __m256i {
    _mm256_sad_epu8(ones_of_bytes(lanes), _mm256_setzero_si256())
}

/// How many bits of each byte are set: those of each half from a table.
#[target_feature(enable = "avx2,popcnt,bmi1,bmi2")]
#[inline]
fn ones_of_bytes(bytes: __m256i) -> __m256i {
    let of_nibble = _mm256_setr_epi8(
        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
    );
    let nibble = _mm256_set1_epi8(0b1111);
    let low = _mm256_and_si256(bytes, nibble);
    let high = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), nibble);
    _mm256_add_epi8(_mm256_shuffle_epi8(of_nibble, low), _mm256_shuffle_epi8(of_nibble, high))
}
