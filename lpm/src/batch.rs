//! Many lookups at once, on any CPU: the plain twin of [`crate::avx512`], in safe Rust.
//!
//! Where root and leaf answer most ([`crate::open`]), an address after the other is taken there, without a question whose
//! answer nobody could predict, so that the core is at the next ones while this one waits. Else eight are taken in step: what
//! they wait for does not depend on one another. What can be known ahead, which is the root's word, is asked for ahead.

use std::{hint::select_unpredictable, sync::atomic::Ordering};

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

/// So many addresses before its turn, the root's word of an address is asked for.
const AHEAD: usize = 16;

/// Answers that fit one number as bits.
const BITS: usize = u64::BITS as usize;

/// Looks all `addrs` up; the slices are of one length.
#[inline(always)] // compiled once for each set of CPU features: popcount as an instruction doubles the rate
pub(crate) fn lookup<F: Family>(view: &View<'_, F>, addrs: &[F::Addr], values: &mut [u32]) {
    if !open::root_and_leaf_answer_most::<F>(view.root_level) {
        return walk(view, addrs, values);
    }
    for (addrs, values) in addrs.chunks(CHUNK).zip(values.chunks_mut(CHUNK)) {
        let open = root_and_leaf(view, addrs, values);
        if open != 0 {
            open::look_up(view, open, addrs, values, |addrs, values| walk(view, addrs, values));
        }
    }
}

/// Takes each address of a chunk to the root's entry and to a leaf there. Bit i of the answer: that was not all for address i.
#[inline(always)]
fn root_and_leaf<F: Family>(view: &View<'_, F>, addrs: &[F::Addr], values: &mut [u32]) -> u128 {
    // What is said twice here is known when this is compiled.
    let root = &view.words[..F::root_words(F::ROOT_LEVEL_MAX)];
    let root_of = |addr| F::root_of(F::ROOT_LEVEL_MAX, addr);
    let mut open = 0;
    for (number, addrs) in addrs.chunks(BITS).enumerate() {
        for &addr in addrs.iter().take(AHEAD) {
            prefetch(root, root_of(addr).0);
        }
        let mut open_here = 0_u64;
        let values = &mut values[number * BITS..][..addrs.len()];
        for (at, (&addr, value)) in addrs.iter().zip(values).enumerate() {
            if let Some(&addr) = addrs.get(at + AHEAD) {
                prefetch(root, root_of(addr).0);
            }
            let (index, bits) = root_of(addr);
            let entry = Entry(root[index].load(Ordering::Acquire));
            let place = entry.leaf_place(F::rest(addr, bits).next_slot());
            // Without a branch: what is no leaf reads the first word of all, and is looked up again.
            *value = leaf::value(view.words, select_unpredictable(entry.is_leaf(), place, 0));
            open_here |= u64::from(!entry.is_leaf()) << at;
        }
        open |= u128::from(open_here) << (number * BITS);
    }
    open
}

/// Looks all up, [`LANES`] in step.
#[inline(always)]
fn walk<F: Family>(view: &View<'_, F>, addrs: &[F::Addr], values: &mut [u32]) {
    let (groups, tail) = addrs.as_chunks::<LANES>();
    let (value_groups, value_tail) = values.as_chunks_mut::<LANES>();
    let ask_for = |addrs: &[F::Addr]| {
        addrs.iter().for_each(|&addr| prefetch(view.words, F::root_of(view.root_level, addr).0));
    };
    ask_for(&addrs[..AHEAD.min(addrs.len())]);
    for (number, (addrs_here, values)) in groups.iter().zip(value_groups).enumerate() {
        ask_for(groups.get(number + AHEAD / LANES).map_or(&[], |group| group));
        walk_group(view, addrs_here, values);
    }
    for (value, &addr) in value_tail.iter_mut().zip(tail) {
        *value = view.lookup(addr);
    }
}

#[inline(always)]
fn walk_group<F: Family>(view: &View<'_, F>, addrs: &[F::Addr; LANES], values: &mut [u32; LANES]) {
    let mut entries = [Entry::default(); LANES];
    let mut rests = [0; LANES];
    for lane in 0..LANES {
        let (index, bits) = F::root_of(view.root_level, addrs[lane]);
        entries[lane] = Entry(view.words[index].load(Ordering::Acquire));
        rests[lane] = F::first_rest(addrs[lane], bits);
    }
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
            let (entry, mut after) = (entries[lane], rests[lane]);
            let index = select_unpredictable(entry.is_branch(), entry.branch_index(after.next_slot()), 0);
            let next = Entry(view.words[index].load(Ordering::Acquire));
            entries[lane] = select_unpredictable(entry.is_branch(), next, entry);
            rests[lane] = select_unpredictable(entry.is_branch(), after, rests[lane]);
        }
    }
    for lane in 0..LANES {
        let (entry, mut rest) = (entries[lane], rests[lane]);
        let place = entry.leaf_place(rest.next_slot());
        // Without a branch: what is no leaf reads the first word of all, and forgets it.
        let found = leaf::value(view.words, select_unpredictable(entry.is_leaf(), place, 0));
        values[lane] = select_unpredictable(entry.is_direct(), entry.value(), found);
    }
}
