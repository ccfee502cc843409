//! Root and leaf, for the vector engines: three things to do for an address, which overlap those of others.
//!
//! Load its entry from the root, work out which value of which leaf that leads to, load the value.
//! A chunk of addresses goes through them as through a pipeline, group by group: while the entries of one group come from
//! memory, values of an earlier one do, and the arithmetic of a third runs. Those few that are open then are looked up
//! afterwards ([`crate::open`]).
//!
//! How a group's entries are loaded, and the arithmetic, are the engines' ([`crate::avx512`], [`crate::avx2`]).
#![expect(
    unsafe_code,
    reason = "loads whose bounds the table itself keeps, and room that is written before it is read"
)]

use std::mem::MaybeUninit;

use crate::{family::V4, leaf, open::CHUNK, view::View};

/// The smallest group.
const WIDE_MIN: usize = 8;

/// What an engine does for a group of `WIDE` addresses.
pub(crate) trait Steps<const WIDE: usize> {
    /// Entries of the root for a group.
    type Entries: Copy;
    /// So many groups after its entries have been asked for, they are looked at.
    const ENTRIES_TAKE: usize;
    /// And so many later its values are asked for.
    const PLACES_TAKE: usize;
}

/// Where a group's values are, as [`leaf::load`] counts. Bit i of the number: address i does not lead to a value yet. If it
/// leads to a branch, its place is that of the entry it goes on with, which is then in the cache when it is wanted.
pub(crate) type Places<const WIDE: usize> = ([u32; WIDE], u64);

/// Looks all `addrs` up: `entries_of` and `places_of` are for groups, `look_up_open` for those addresses of a chunk that the
/// bits say. The slices are of one length.
///
/// # Safety
/// The table has the places that `places_of` gives.
#[inline(always)] // into code for a CPU feature
pub(crate) unsafe fn lookup<S: Steps<WIDE>, const WIDE: usize>(
    view: &View<'_, V4>,
    addrs: &[u32],
    values: &mut [u32],
    entries_of: impl Fn(&[u32; WIDE]) -> S::Entries,
    places_of: impl Fn(S::Entries, &[u32; WIDE]) -> Places<WIDE>,
    look_up_open: impl Fn(u128, &[u32], &mut [u32]),
) {
    for (addrs, values) in addrs.chunks(CHUNK).zip(values.chunks_mut(CHUNK)) {
        let (groups, tail) = addrs.as_chunks();
        let open = if tail.is_empty() {
            // SAFETY: the caller's promise.
            unsafe {
                groups_through::<S, WIDE>(view, groups, values.as_chunks_mut().0, &entries_of, &places_of)
            }
        } else {
            let (mut all, mut found) = ([0; CHUNK], [0; CHUNK]);
            all[..addrs.len()].copy_from_slice(addrs);
            let (groups, values_found) = (&all.as_chunks().0[..groups.len() + 1], found.as_chunks_mut().0);
            // SAFETY: as above.
            let open =
                unsafe { groups_through::<S, WIDE>(view, groups, values_found, &entries_of, &places_of) };
            values.copy_from_slice(&found[..addrs.len()]);
            open & ((1 << addrs.len()) - 1)
        };
        if open != 0 {
            look_up_open(open, addrs, values);
        }
    }
}

/// Takes a chunk's groups through the pipeline. Bit i of the answer: the value of address i is to be found out yet.
///
/// # Safety
/// The table has the places that `places_of` gives.
#[inline(always)]
unsafe fn groups_through<S: Steps<WIDE>, const WIDE: usize>(
    view: &View<'_, V4>,
    addrs: &[[u32; WIDE]],
    values: &mut [[u32; WIDE]],
    entries_of: &impl Fn(&[u32; WIDE]) -> S::Entries,
    places_of: &impl Fn(S::Entries, &[u32; WIDE]) -> Places<WIDE>,
) -> u128 {
    // Not zeroed first: 24 stores of a whole register a chunk, 3 % where nothing waits for memory.
    let mut entries = [const { MaybeUninit::uninit() }; CHUNK / WIDE_MIN];
    let mut places = [const { MaybeUninit::uninit() }; CHUNK / WIDE_MIN];
    let mut open = [0_u64; CHUNK / u64::BITS as usize];
    for step in 0..addrs.len() + S::ENTRIES_TAKE + S::PLACES_TAKE {
        if let Some(addrs) = addrs.get(step) {
            entries[step].write(entries_of(addrs));
        }
        if let Some(group) = step.checked_sub(S::ENTRIES_TAKE).filter(|&group| group < addrs.len()) {
            // SAFETY: written `ENTRIES_TAKE` steps before.
            let entries = unsafe { entries[group].assume_init() };
            let (found, leads_on) = places_of(entries, &addrs[group]);
            places[group].write(found);
            open[group * WIDE / u64::BITS as usize] |= leads_on << (group * WIDE % u64::BITS as usize);
        }
        if let Some(group) = step.checked_sub(S::ENTRIES_TAKE + S::PLACES_TAKE) {
            // SAFETY: written `PLACES_TAKE` steps before.
            let places = unsafe { places[group].assume_init_ref() };
            for (value, &place) in values[group].iter_mut().zip(places) {
                // SAFETY: the caller's promise.
                *value = unsafe { leaf::load(view.words, place) };
            }
        }
    }
    u128::from(open[0]) | u128::from(open[1]) << u64::BITS
}
