//! Many lookups at once, on any CPU: the plain twin of [`crate::avx512`].
//!
//! One lookup waits for memory two to six times in a row. Sixty-four of them, each taken one step before
//! any is taken the next, wait together: the loads of a step do not depend on one another, so the core
//! has a dozen under way at any time.

use std::sync::atomic::{AtomicU64, Ordering};

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

/// One lookup under way.
#[derive(Clone, Copy, Default)]
struct Walk {
    entry: Entry,
    /// The bits of the address not used yet.
    rest: u64,
}

/// Looks all `addrs` up; the slices are of one length.
#[inline(always)] // compiled once for each set of CPU features: popcount as an instruction doubles the rate
pub(crate) fn lookup<F: Family>(view: &View<'_, F>, addrs: &[F::Addr], values: &mut [u32]) {
    for (addrs, values) in addrs.chunks(STAGE).zip(values.chunks_mut(STAGE)) {
        lookup_stage(view, addrs, values);
    }
}

#[inline(always)]
fn lookup_stage<F: Family>(view: &View<'_, F>, addrs: &[F::Addr], values: &mut [u32]) {
    let mut walks = [Walk::default(); STAGE];
    for &addr in addrs {
        prefetch(view.words, F::root_of(view.root_level, addr).0);
    }
    for (walk, &addr) in walks.iter_mut().zip(addrs) {
        let (index, bits) = F::root_of(view.root_level, addr);
        walk.entry = Entry(view.words[index].load(Ordering::Acquire));
        walk.rest = F::rest(addr, bits).first_bits();
    }
    let mut open = [0; STAGE];
    let count = follow_branches(view.words, &mut walks[..addrs.len()], &mut open);
    finish(view.words, &walks, values);
    // Deeper than 64 bits below the root, which is beyond all but host routes: one by one.
    for &number in &open[..count] {
        values[usize::from(number)] = view.lookup(addrs[usize::from(number)]);
    }
}

/// Takes lookups on until none is at a branch, or `STEPS_MAX` steps; the numbers of those that still are go to
/// the front of `open`, and how many they are is returned.
#[inline(always)]
fn follow_branches(words: &[AtomicU64], walks: &mut [Walk], open: &mut [u8; STAGE]) -> usize {
    // Which lookups go on is noted without a branch of the program, which nobody could predict.
    let mut count = 0;
    for (number, walk) in walks.iter().enumerate() {
        open[count] = number as u8;
        count += usize::from(walk.entry.is_branch());
    }
    for _ in 0..STEPS_MAX {
        if count == 0 {
            break;
        }
        let mut still_open = 0;
        for at in 0..count {
            let number = open[at];
            let walk = &mut walks[usize::from(number)];
            let index = walk.entry.branch_index(walk.rest.next_slot());
            walk.entry = Entry(words[index].load(Ordering::Acquire));
            open[still_open] = number;
            still_open += usize::from(walk.entry.is_branch());
        }
        count = still_open;
    }
    count
}

/// The last step of each lookup.
#[inline(always)]
fn finish(words: &[AtomicU64], walks: &[Walk; STAGE], values: &mut [u32]) {
    for (value, &Walk { entry, mut rest }) in values.iter_mut().zip(walks) {
        let (index, shift) = entry.leaf_place(rest.next_slot());
        // Without a branch: what is no leaf reads the first word of all, and forgets it.
        let word = words[if entry.is_leaf() { index } else { 0 }].load(Ordering::Acquire);
        let leaf_value = Entry::leaf_value(word, shift);
        *value = if entry.is_leaf() { leaf_value } else { entry.value() };
    }
}
