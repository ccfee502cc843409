//! Many lookups at once, on any CPU: the plain twin of [`crate::avx512`].
//!
//! Where root and leaf answer most ([`crate::open`]), an address after the other is taken there, without a question whose
//! answer nobody could predict, so that the core is at the next ones while this one waits. Else eight are taken in step: what
//! they wait for does not depend on one another. What can be known ahead, which is the root's word, is asked for ahead.
//!
//! A lookup that has arrived reads its word again while others go on: that costs less than to choose between the word and the
//! next one. What it reads then is what the word says then.
#![expect(unsafe_code, reason = "the room for loads whose bounds the table itself keeps")]

use std::{
    hint::select_unpredictable,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    entry::Entry,
    family::{Family, Rest, STRIDE},
    leaf,
    open::{self, CHUNK},
    prefetch::prefetch,
    view::View,
};

/// Branches followed in step: as many as 64 bits of an address are good for, less the bits for a leaf.
pub(crate) const STEPS_MAX: usize = 64 / STRIDE as usize - 1;

/// Lookups in step.
const LANES: usize = 8;

/// So many addresses before its turn, the root's word of an address is asked for, where root and leaf answer most.
const AHEAD: usize = 16;
/// Else the root's words of so many are asked for together: some more than a core waits for at a time.
const ASKED: usize = 32;

/// Answers that fit one number as bits.
const BITS: usize = u64::BITS as usize;

/// Looks all `addrs` up; the slices are of one length.
#[inline(always)] // compiled once for each set of CPU features: popcount as an instruction doubles the rate
pub(crate) fn lookup<F: Family>(view: &View<'_, F>, addrs: &[F::Addr], values: &mut [u32]) {
    if !open::root_and_leaf_answer_most::<F>(view.root_level) {
        return walk(view, addrs, values);
    }
    for (addrs, values) in addrs.chunks(CHUNK).zip(values.chunks_mut(CHUNK)) {
        // SAFETY: root and leaf answer most with the largest root only.
        let open = unsafe { root_and_leaf(view, addrs, values) };
        if open != 0 {
            open::look_up(view, open, addrs, values, |addrs, values| walk(view, addrs, values));
        }
    }
}

/// Takes each address of a chunk to the root's entry and to a leaf there. Bit i of the answer: that was not all for address i.
///
/// # Safety
/// The table has the largest root.
#[inline(always)]
unsafe fn root_and_leaf<F: Family>(view: &View<'_, F>, addrs: &[F::Addr], values: &mut [u32]) -> u128 {
    let root_of = |addr| F::root_of(F::ROOT_LEVEL_MAX, addr); // the level is known when this is compiled
    let mut open = 0;
    for (number, addrs) in addrs.chunks(BITS).enumerate() {
        for &addr in addrs.iter().take(AHEAD) {
            prefetch(view.words, root_of(addr).0);
        }
        let mut open_here = 0_u64;
        let values = &mut values[number * BITS..][..addrs.len()];
        for (at, (&addr, value)) in addrs.iter().zip(values).enumerate() {
            if let Some(&addr) = addrs.get(at + AHEAD) {
                prefetch(view.words, root_of(addr).0);
            }
            let (index, bits) = root_of(addr);
            // SAFETY: the table's root is the largest, which has such a word.
            let entry = unsafe { load(view.words, index) };
            let place = entry.leaf_place(F::rest(addr, bits).next_slot());
            // Without a branch: what is no leaf reads the first word of all, and is looked up again.
            let place = select_unpredictable(entry.is_leaf(), place, 0);
            // SAFETY: a leaf leads to words of the table, see `Entry`; there is a first word.
            *value = unsafe { leaf::load(view.words, place) };
            open_here |= u64::from(!entry.is_leaf()) << at;
        }
        open |= u128::from(open_here) << (number * BITS);
    }
    open
}

/// Looks all up, [`LANES`] in step.
#[inline(always)]
fn walk<F: Family>(view: &View<'_, F>, addrs: &[F::Addr], values: &mut [u32]) {
    let (mut indices, mut rests) = ([0; ASKED], [0; ASKED]);
    for (addrs, values) in addrs.chunks(ASKED).zip(values.chunks_mut(ASKED)) {
        for (&addr, (index, rest)) in addrs.iter().zip(indices.iter_mut().zip(&mut rests)) {
            let (at, bits) = F::root_of(view.root_level, addr);
            prefetch(view.words, at);
            (*index, *rest) = (at, !F::first_rest(addr, bits));
        }
        let starts = indices.as_chunks().0.iter().zip(rests.as_chunks().0);
        let (groups, tail) = addrs.as_chunks();
        let (value_groups, value_tail) = values.as_chunks_mut();
        for ((addrs, values), (&indices, &rests)) in groups.iter().zip(value_groups).zip(starts) {
            // SAFETY: `root_of` gives indices into the root of the table.
            unsafe { walk_group(view, addrs, indices, rests, values) };
        }
        for (value, &addr) in value_tail.iter_mut().zip(tail) {
            *value = view.lookup(addr);
        }
    }
}

/// Looks a group up from the words at `indices` on; `rests` are the inverted bits below, whose first five count slots down.
///
/// # Safety
/// The table has the words at `indices`.
#[inline(always)]
unsafe fn walk_group<F: Family>(
    view: &View<'_, F>,
    addrs: &[F::Addr; LANES],
    mut indices: [usize; LANES],
    mut rests: [u64; LANES],
    values: &mut [u32; LANES],
) {
    // SAFETY: the caller's promise.
    let mut entries = indices.map(|index| unsafe { load(view.words, index) });
    let mut steps = STEPS_MAX;
    // All asked at once: what a single one says is hard to predict.
    while Entry(entries.iter().fold(0, |union, entry| union | entry.0)).is_branch() {
        if steps == 0 {
            // Deeper than 64 bits below the root, which is beyond all but host routes: one by one.
            *values = addrs.map(|addr| view.lookup(addr));
            return;
        }
        steps -= 1;
        for lane in 0..LANES {
            let (entry, rest) = (entries[lane], rests[lane]);
            let goes_on = entry.is_branch();
            let below = entry.branch_index_at(slots_above(rest));
            indices[lane] = select_unpredictable(goes_on, below, indices[lane]);
            rests[lane] = select_unpredictable(goes_on, rest << STRIDE, rest);
            // SAFETY: a branch leads to words of the table, see `Entry`; the others stay where they were.
            entries[lane] = unsafe { load(view.words, indices[lane]) };
        }
    }
    for lane in 0..LANES {
        let (entry, rest) = (entries[lane], rests[lane]);
        // Without a branch of the program: what is no leaf reads the first word of all, and forgets it.
        let place = select_unpredictable(entry.is_leaf(), entry.leaf_place_at(slots_above(rest)), 0);
        // SAFETY: a leaf leads to words of the table, see `Entry`; there is a first word.
        let found = unsafe { leaf::load(view.words, place) };
        values[lane] = select_unpredictable(entry.is_direct(), entry.value(), found);
    }
}

/// How many slots come after the one that the inverted bits begin with.
#[inline(always)]
fn slots_above(inverted: u64) -> u32 {
    (inverted >> (u64::BITS - u32::from(STRIDE))) as u32
}

/// The entry at `index`.
///
/// # Safety
/// There is such a word.
#[inline(always)]
unsafe fn load(words: &[AtomicU64], index: usize) -> Entry {
    debug_assert!(index < words.len(), "word {index} of {}", words.len());
    // SAFETY: the caller's promise.
    Entry(unsafe { words.get_unchecked(index) }.load(Ordering::Acquire))
}
