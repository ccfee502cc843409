//! The 8-byte entry, and the arrays of its runs.
//!
//! ```text
//!   63                      34 33 32 31                             0
//!  ┌──────────────────────────┬─────┬────────────────────────────────┐
//!  │ base (or value)          │kind │ bitmap: bit s = "slot s begins │
//!  │ 30 bits                  │     │ a new run"                     │
//!  └──────────────────────────┴─────┴────────────────────────────────┘
//!   kind 0: the answer itself is in the upper 30 bits; the bitmap is 0
//!   kind 1: base → runs that are u16 values, four in a word
//!   kind 2: base → runs that are u32 values, two in a word
//!   kind 3: base → runs that are entries, one in a word
//! ```
//!
//! Slot s is in run `popcount(bitmap & bits 0..=s)`; bit 0 is never set. The kind is the logarithm of a
//! run's size in bytes, so one formula finds the run: byte `base * 8 + (run << kind)`.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::family::SLOTS;

/// One step of a lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Entry(pub(crate) u64);

/// Where the kind begins.
pub(crate) const KIND_SHIFT: u32 = 32;
/// The kind, in place.
pub(crate) const KIND_MASK: u64 = 0b11 << KIND_SHIFT;
/// Where the base, or the value, begins.
pub(crate) const BASE_SHIFT: u32 = 34;
/// By kind: how far a run is shifted up, so that its upper end is the word's or the value's.
pub(crate) const UP_SHIFTS: [u8; 4] = [0, 48, 34, 0];
/// By kind: how far it is shifted down after that, to end where a direct answer begins.
pub(crate) const DOWN_SHIFTS: [u8; 4] = [0, 14, 0, 0];
/// So many words can be addressed by a base.
pub(crate) const WORDS_MAX: usize = 1 << 30;

pub(crate) const KIND_U16: u32 = 1;
pub(crate) const KIND_U32: u32 = 2;
pub(crate) const KIND_ENTRY: u32 = 3;

impl Entry {
    /// The answer `value` (0 = no route).
    #[inline]
    pub(crate) fn direct(value: u32) -> Self {
        Self(u64::from(value) << BASE_SHIFT)
    }

    fn runs(base: u32, kind: u32, bitmap: u32) -> Self {
        Self(u64::from(base) << BASE_SHIFT | u64::from(kind) << KIND_SHIFT | u64::from(bitmap))
    }

    #[inline]
    pub(crate) fn is_direct(self) -> bool {
        self.0 & KIND_MASK == 0
    }

    /// The answer, of a direct entry.
    #[inline]
    pub(crate) fn value(self) -> u32 {
        (self.0 >> BASE_SHIFT) as u32
    }

    /// The first word of the runs.
    #[inline]
    pub(crate) fn base(self) -> u32 {
        (self.0 >> BASE_SHIFT) as u32
    }

    #[inline]
    pub(crate) fn kind(self) -> u32 {
        (self.0 >> KIND_SHIFT) as u32 & 0b11
    }

    #[inline]
    fn bitmap(self) -> u32 {
        self.0 as u32
    }

    /// The run that `slot` is in.
    #[inline]
    fn run(self, slot: u32) -> u32 {
        // Everything above bit `slot` is shifted out, the kind and the base too.
        (self.0 << (u64::BITS - 1 - slot)).count_ones()
    }

    /// How many words the runs fill.
    pub(crate) fn block_words(self) -> u32 {
        if self.is_direct() {
            return 0;
        }
        words_of_runs(self.bitmap().count_ones() + 1, self.kind())
    }

    /// The word, from the base, that holds the run of `slot`, and the run's offset in it in bits.
    #[inline]
    pub(crate) fn locate(self, slot: u32) -> (u32, u32) {
        let byte = self.run(slot) << self.kind();
        (byte / 8, byte % 8 * 8)
    }

    /// The run at bit `shift` of `word`, as an entry. Without a branch, which nobody could predict: up, so
    /// that what lies above the run is gone, then down to where an answer belongs.
    #[inline]
    pub(crate) fn extract(self, word: u64, shift: u32) -> Self {
        let of_kind = |shifts: [u8; 4]| u32::from_le_bytes(shifts) >> (8 * self.kind()) & 0b11_1111;
        Self(word >> shift << of_kind(UP_SHIFTS) >> of_kind(DOWN_SHIFTS))
    }

    /// The entry for each slot.
    pub(crate) fn expand(self, words: &[AtomicU64]) -> [Self; SLOTS] {
        if self.is_direct() {
            return [self; SLOTS];
        }
        let block = &words[self.base() as usize..][..self.block_words() as usize];
        let mut slots = [Self::default(); SLOTS];
        for (slot, entry) in slots.iter_mut().enumerate() {
            *entry = self.at(block, slot);
        }
        slots
    }

    /// The entry for one slot, given the block of this entry.
    fn at(self, block: &[AtomicU64], slot: usize) -> Self {
        let (word, shift) = self.locate(slot as u32);
        self.extract(block[word as usize].load(Ordering::Relaxed), shift)
    }

    /// The entry for one slot.
    pub(crate) fn step(self, words: &[AtomicU64], slot: usize) -> Self {
        if self.is_direct() {
            return self;
        }
        self.at(&words[self.base() as usize..], slot)
    }
}

fn words_of_runs(runs: u32, kind: u32) -> u32 {
    (runs << kind).div_ceil(8)
}

/// Thirty-two slots, compressed: an entry that still lacks its base, and the words for its block.
pub(crate) struct Packed {
    kind: u32,
    bitmap: u32,
    /// The only run, when there is no block.
    first: Entry,
    words: [u64; SLOTS],
    len: u32,
}

impl Packed {
    pub(crate) fn new(slots: &[Entry; SLOTS]) -> Self {
        let mut runs = [0; SLOTS];
        let (mut last, mut bitmap, mut union) = (0, 0_u32, slots[0].0);
        runs[0] = slots[0].0;
        for slot in 1..SLOTS {
            let changed = u32::from(slots[slot] != slots[slot - 1]);
            bitmap |= changed << slot;
            last += changed as usize;
            runs[last] = slots[slot].0;
            union |= slots[slot].0;
        }
        let first = slots[0];
        let kind = match union {
            _ if union & KIND_MASK != 0 => KIND_ENTRY,
            _ if bitmap == 0 => 0,
            _ if union >> BASE_SHIFT <= u64::from(u16::MAX) => KIND_U16,
            _ => KIND_U32,
        };
        let (words, len) = pack_runs(&runs, last as u32 + 1, kind);
        Self { kind, bitmap, first, words, len }
    }

    /// What the block holds; nothing for a direct entry.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words[..self.len as usize]
    }

    /// The entry, its block being at `base`.
    pub(crate) fn entry(&self, base: u32) -> Entry {
        if self.kind == 0 { self.first } else { Entry::runs(base, self.kind, self.bitmap) }
    }

    /// Whether the block of `entry` could hold these words in place.
    pub(crate) fn fits(&self, entry: Entry) -> bool {
        self.kind != 0 && self.kind == entry.kind() && self.bitmap == entry.bitmap()
    }
}

fn pack_runs(runs: &[u64; SLOTS], count: u32, kind: u32) -> ([u64; SLOTS], u32) {
    if kind == KIND_ENTRY {
        return (*runs, count);
    }
    let mut words = [0; SLOTS];
    if kind == 0 {
        return (words, 0);
    }
    for (run, &entry) in (0..).zip(&runs[..count as usize]) {
        let bit = run << (kind + 3);
        words[bit / 64] |= (entry >> BASE_SHIFT) << (bit % 64);
    }
    (words, words_of_runs(count, kind))
}
