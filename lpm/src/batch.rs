//! Many lookups at once, on any CPU: the plain twin of [`crate::avx512`].
//!
//! One lookup waits for memory two to six times in a row. Sixty-four of them, each taken one step before
//! any is taken the next, wait together: the loads of a step do not depend on one another, so the core
//! has a dozen under way at any time.

use std::sync::atomic::Ordering;

use crate::{
    entry::Entry,
    family::{Family, Rest, STRIDE},
    prefetch::prefetch,
    view::View,
};

/// Lookups in step. More do not help: the core tracks no more loads than these cause.
pub(crate) const STAGE: usize = 64;

/// Steps in step: as many as 64 bits of an address are good for.
pub(crate) const STEPS_MAX: usize = 64 / STRIDE as usize;

/// Looks all `addrs` up; the slices are of one length.
#[inline(always)] // compiled once for each set of CPU features: popcount as an instruction doubles the rate
pub(crate) fn lookup<F: Family>(view: &View<'_, F>, addrs: &[F::Addr], values: &mut [u32]) {
    for (addrs, values) in addrs.chunks(STAGE).zip(values.chunks_mut(STAGE)) {
        lookup_stage(view, addrs, values);
    }
}

#[inline(always)]
fn lookup_stage<F: Family>(view: &View<'_, F>, addrs: &[F::Addr], values: &mut [u32]) {
    let mut entries = [Entry::default(); STAGE];
    let mut rests = [0_u64; STAGE];
    for &addr in addrs {
        prefetch(view.words, F::root_of(view.root_level, addr).0);
    }
    for ((entry, rest), &addr) in entries.iter_mut().zip(&mut rests).zip(addrs) {
        let (index, bits) = F::root_of(view.root_level, addr);
        *entry = Entry(view.words[index].load(Ordering::Acquire));
        *rest = F::rest(addr, bits).first_bits();
    }
    // The lookups that are not done yet, by number, without a branch that nobody could predict.
    let mut open = [0_u8; STAGE];
    let mut count = 0;
    let mut places = [(0_u32, 0_u32); STAGE];
    for (number, entry) in entries[..addrs.len()].iter().enumerate() {
        open[count] = number as u8;
        count += usize::from(!entry.is_direct());
    }
    for _ in 0..STEPS_MAX {
        if count == 0 {
            break;
        }
        // Where each goes is worked out for all before any waits: a prefetch leaves the core's window at
        // once, while loads that miss fill it after a dozen lookups.
        for (place, &number) in places.iter_mut().zip(&open[..count]) {
            let number = usize::from(number) % STAGE;
            let (word, shift) = entries[number].locate(rests[number].next_slot());
            *place = (entries[number].base() + word, shift);
            prefetch(view.words, place.0 as usize);
        }
        let mut still_open = 0;
        for at in 0..count {
            let number = usize::from(open[at]) % STAGE;
            let (word, shift) = places[at];
            let word = view.words[word as usize].load(Ordering::Acquire);
            let next = entries[number].extract(word, shift);
            entries[number] = next;
            open[still_open] = number as u8;
            still_open += usize::from(!next.is_direct());
        }
        count = still_open;
    }
    for (value, entry) in values.iter_mut().zip(&entries) {
        *value = entry.value();
    }
    // Deeper than 64 bits below the root, which is beyond all but host routes: one by one.
    for &number in &open[..count] {
        let number = usize::from(number);
        values[number] = view.lookup(addrs[number]);
    }
}
