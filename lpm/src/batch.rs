//! Many lookups at once, on any CPU: the plain twin of [`crate::avx512`].
//!
//! One lookup waits for memory two to six times in a row. Sixty-four of them, each taken one step before
//! any is taken the next, wait together: the loads of a step do not depend on one another, so the core
//! has a dozen under way at any time.

use std::{
    hint::select_unpredictable,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    entry::Entry,
    family::{Family, Rest, STRIDE},
    prefetch::prefetch,
    view::View,
};

/// Lookups in step. More do not help: the core tracks no more loads than these cause.
pub(crate) const STAGE: usize = 64;

/// Branches followed in step: as many as 64 bits of an address are good for, less the bits for a leaf.
pub(crate) const STEPS_MAX: usize = 64 / STRIDE as usize - 1;

/// As long as more lookups of a stage are at a branch, all go one step: that takes more steps than needed, but each is
/// quicker than asking who needs it. And so many at the end of a batch are no stage, but looked up one by one.
const FEW: usize = STAGE / 4;

/// Lookups under way, in step.
struct Walks {
    entries: [Entry; STAGE],
    /// The bits of each address that are not used yet.
    rests: [u64; STAGE],
}

/// Looks all `addrs` up; the slices are of one length.
#[inline(always)] // compiled once for each set of CPU features: popcount as an instruction doubles the rate
pub(crate) fn lookup<F: Family>(view: &View<'_, F>, addrs: &[F::Addr], values: &mut [u32]) {
    let (stages, tail) = addrs.as_chunks::<STAGE>();
    let (value_stages, value_tail) = values.as_chunks_mut::<STAGE>();
    for (addrs, values) in stages.iter().zip(value_stages) {
        lookup_stage(view, addrs, values);
    }
    if tail.len() <= FEW {
        for (value, &addr) in value_tail.iter_mut().zip(tail) {
            *value = view.lookup(addr);
        }
        return;
    }
    let (mut addrs, mut values) = ([F::Addr::default(); STAGE], [0; STAGE]);
    addrs[..tail.len()].copy_from_slice(tail);
    lookup_stage(view, &addrs, &mut values);
    value_tail.copy_from_slice(&values[..tail.len()]);
}

#[inline(always)]
fn lookup_stage<F: Family>(view: &View<'_, F>, addrs: &[F::Addr; STAGE], values: &mut [u32; STAGE]) {
    let mut walks = Walks { entries: [Entry::default(); STAGE], rests: [0; STAGE] };
    for &addr in addrs {
        prefetch(view.words, F::root_of(view.root_level, addr).0);
    }
    let mut open = 0;
    for (at, &addr) in addrs.iter().enumerate() {
        let (index, bits) = F::root_of(view.root_level, addr);
        walks.entries[at] = Entry(view.words[index].load(Ordering::Acquire));
        walks.rests[at] = F::rest(addr, bits).first_bits();
        open += usize::from(walks.entries[at].is_branch());
    }
    let mut steps = STEPS_MAX;
    while open > FEW && steps > 0 {
        open = step_all(view.words, &mut walks);
        steps -= 1;
    }
    if open > 0 {
        open = step_few(view.words, &mut walks, steps);
    }
    finish(view.words, &walks, values);
    if open > 0 {
        // Deeper than 64 bits below the root, which is beyond all but host routes: one by one.
        for at in (0..STAGE).filter(|&at| walks.entries[at].is_branch()) {
            values[at] = view.lookup(addrs[at]);
        }
    }
}

/// Takes each lookup that is at a branch one step on; how many then are at one.
///
/// Without a branch of the program, which nobody could predict: what is at no branch reads the first word of all, and
/// forgets it.
#[inline(always)]
fn step_all(words: &[AtomicU64], walks: &mut Walks) -> usize {
    let mut open = 0;
    for (entry, rest) in walks.entries.iter_mut().zip(&mut walks.rests) {
        let (at_branch, mut after) = (entry.is_branch(), *rest);
        let index = select_unpredictable(at_branch, entry.branch_index(after.next_slot()), 0);
        let next = words[index].load(Ordering::Acquire);
        *entry = Entry(select_unpredictable(at_branch, next, entry.0));
        *rest = select_unpredictable(at_branch, after, *rest);
        open += usize::from(entry.is_branch());
    }
    open
}

/// Takes those that are at a branch on until none is, or `steps` steps; how many then still are.
#[inline(always)]
fn step_few(words: &[AtomicU64], walks: &mut Walks, steps: usize) -> usize {
    let (mut open, mut count) = ([0_u8; STAGE], 0);
    for (number, entry) in (0..).zip(&walks.entries) {
        open[count] = number;
        count += usize::from(entry.is_branch());
    }
    for _ in 0..steps {
        if count == 0 {
            break;
        }
        let mut still_open = 0;
        for at in 0..count {
            let number = open[at];
            let (entry, rest) =
                (&mut walks.entries[usize::from(number)], &mut walks.rests[usize::from(number)]);
            *entry = Entry(words[entry.branch_index(rest.next_slot())].load(Ordering::Acquire));
            open[still_open] = number;
            still_open += usize::from(entry.is_branch());
        }
        count = still_open;
    }
    count
}

/// The last step of each lookup.
#[inline(always)]
fn finish(words: &[AtomicU64], walks: &Walks, values: &mut [u32; STAGE]) {
    for ((value, &entry), mut rest) in values.iter_mut().zip(&walks.entries).zip(walks.rests) {
        let (index, shift) = entry.leaf_place(rest.next_slot());
        // Without a branch: what is no leaf reads the first word of all, and forgets it.
        let word = words[select_unpredictable(entry.is_leaf(), index, 0)].load(Ordering::Acquire);
        *value = select_unpredictable(entry.is_direct(), entry.value(), Entry::leaf_value(word, shift));
    }
}
