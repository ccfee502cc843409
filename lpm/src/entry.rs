//! The 8-byte entry, and the arrays of its runs.
//!
//! ```text
//!   63                      34 33 32 31                             0
//!  ┌──────────────────────────┬──┬──┬────────────────────────────────┐
//!  │ base (or value)          │br│di│ bitmap: bit s = "slot s begins │
//!  │ 30 bits                  │  │  │ a new run"                     │
//!  └──────────────────────────┴──┴──┴────────────────────────────────┘
//!   neither (leaf): base → runs that are u16 values, four in a word
//!   br (branch):    base → runs that are entries, one in a word
//!   di (direct):    the answer itself is in the upper 30 bits; the bitmap is 0
//! ```
//!
//! Slot s is in run `popcount(bitmap & bits 0..=s)`; bit 0 is never set. A value too large for a u16 makes its
//! node a branch, whose runs are then entries of one answer each.
//!
//! Where all slots have one answer, the entry is direct; or it is a leaf whose bitmap is 0, so that it has one run, which
//! it shares with all that have this answer ([`crate::interned`]). Either is right everywhere. With the second nearly every
//! lookup of a full IPv4 table ends in a leaf, and nobody has to ask whether it does. The writer, whose work is values, knows
//! the first only ([`Entry::plain`]).
//!
//! An entry of zero is a leaf whose run is the table's first word, which is zero: no route.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{family::SLOTS, leaf};

/// One step of a lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Entry(pub(crate) u64);

/// The base is the answer.
pub(crate) const DIRECT: u64 = 1 << 32;
/// The runs are entries, which lead on.
pub(crate) const BRANCH: u64 = 1 << 33;
/// Both of these, in an entry's upper half.
const KIND: u32 = ((DIRECT | BRANCH) >> u32::BITS) as u32;
/// Where the base, or the value, begins.
pub(crate) const BASE_SHIFT: u32 = 34;
/// So many words can be addressed by a base.
pub(crate) const WORDS_MAX: usize = 1 << 30;

impl Entry {
    /// The answer `value` (0 = no route).
    #[inline]
    pub(crate) fn direct(value: u32) -> Self {
        Self(u64::from(value) << BASE_SHIFT | DIRECT)
    }

    /// A leaf of one run, which is in the word at `base`.
    pub(crate) fn whole(base: u32) -> Self {
        Self(u64::from(base) << BASE_SHIFT)
    }

    fn runs(base: u32, kind: u64, bitmap: u32) -> Self {
        Self(u64::from(base) << BASE_SHIFT | kind | u64::from(bitmap))
    }

    #[inline]
    pub(crate) fn is_direct(self) -> bool {
        self.0 & DIRECT != 0
    }

    #[inline]
    pub(crate) fn is_branch(self) -> bool {
        self.0 & BRANCH != 0
    }

    #[inline]
    pub(crate) fn is_leaf(self) -> bool {
        self.upper() & KIND == 0
    }

    /// Base, or value, and kind.
    #[inline]
    fn upper(self) -> u32 {
        (self.0 >> u32::BITS) as u32
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

    /// As the writer computes with it: a leaf of one run as the direct entry of its value.
    pub(crate) fn plain(self, words: &[AtomicU64]) -> Self {
        if !self.is_leaf() || self.0 as u32 != 0 {
            return self;
        }
        Self::direct(leaf::value(words, self.leaf_place(0)))
    }

    /// The run that the slot is in which `above` slots follow; of `above`, five bits count.
    #[inline]
    fn run(self, above: u32) -> u32 {
        (self.0 as u32).wrapping_shl(above).count_ones()
    }

    /// How many words the runs of a plain entry fill.
    pub(crate) fn block_words(self) -> u32 {
        let runs = (self.0 as u32).count_ones() + 1;
        match self {
            _ if self.is_branch() => runs,
            _ if self.is_leaf() => runs.div_ceil(leaf::VALUES),
            _ => 0,
        }
    }

    /// Of a branch: the word with the entry for `slot`.
    #[inline]
    pub(crate) fn branch_index(self, slot: u32) -> usize {
        self.branch_index_at(!slot)
    }

    /// As [`branch_index`](Self::branch_index), for the slot that `above` slots follow; five bits of it count.
    #[inline]
    pub(crate) fn branch_index_at(self, above: u32) -> usize {
        self.base() as usize + self.run(above) as usize
    }

    /// Of a leaf: the place of the value for `slot`, as [`leaf::value`] counts.
    #[inline]
    pub(crate) fn leaf_place(self, slot: u32) -> u32 {
        self.leaf_place_at(!slot)
    }

    /// As [`leaf_place`](Self::leaf_place), for the slot that `above` slots follow; five bits of it count.
    #[inline]
    pub(crate) fn leaf_place_at(self, above: u32) -> u32 {
        // The kind is 0, so base and kind together count values.
        self.upper().wrapping_add(self.run(above))
    }

    /// Of a plain entry: the plain entry for each slot.
    pub(crate) fn expand(self, words: &[AtomicU64]) -> [Self; SLOTS] {
        let mut slots = [self; SLOTS];
        if !self.is_direct() {
            for (slot, entry) in slots.iter_mut().enumerate() {
                *entry = self.step(words, slot);
            }
        }
        slots
    }

    /// Of a plain entry: the plain entry for one slot.
    #[inline]
    pub(crate) fn step(self, words: &[AtomicU64], slot: usize) -> Self {
        if self.is_branch() {
            return Self(words[self.branch_index(slot as u32)].load(Ordering::Relaxed)).plain(words);
        }
        if self.is_leaf() {
            return Self::direct(leaf::value(words, self.leaf_place(slot as u32)));
        }
        self
    }
}

/// Thirty-two slots, compressed: an entry that still lacks its base, and the words for its block.
pub(crate) struct Packed {
    form: Form,
    bitmap: u32,
    words: [u64; SLOTS],
    len: u32,
}

/// What thirty-two slots become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// All have one answer, this direct entry.
    One(Entry),
    Leaf,
    Branch,
}

impl Packed {
    /// The slots are plain entries.
    pub(crate) fn new(slots: &[Entry; SLOTS]) -> Self {
        let mut runs = [0; SLOTS];
        let (mut last, mut bitmap) = (0, 0_u32);
        let (mut union, mut all) = (slots[0].0, slots[0].0);
        runs[0] = slots[0].0;
        for slot in 1..SLOTS {
            let changed = u32::from(slots[slot] != slots[slot - 1]);
            bitmap |= changed << slot;
            last += changed as usize;
            runs[last] = slots[slot].0;
            union |= slots[slot].0;
            all &= slots[slot].0;
        }
        let count = last as u32 + 1;
        if Entry(all).is_direct() && bitmap == 0 {
            return Self { form: Form::One(slots[0]), bitmap, words: [0; SLOTS], len: 0 };
        }
        if Entry(all).is_direct() && union >> BASE_SHIFT <= u64::from(u16::MAX) {
            let words = pack_values(&runs, count);
            return Self { form: Form::Leaf, bitmap, words, len: count.div_ceil(leaf::VALUES) };
        }
        Self { form: Form::Branch, bitmap, words: runs, len: count }
    }

    /// What the block holds; nothing where all slots have one answer.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words[..self.len as usize]
    }

    /// Puts what `store` makes of them in the place of a branch's plain entries.
    pub(crate) fn store_entries<E>(
        &mut self,
        mut store: impl FnMut(Entry) -> Result<Entry, E>,
    ) -> Result<(), E> {
        if self.form == Form::Branch {
            for word in &mut self.words[..self.len as usize] {
                *word = store(Entry(*word))?.0;
            }
        }
        Ok(())
    }

    /// The plain entry, its block being at `base`.
    pub(crate) fn entry(&self, base: u32) -> Entry {
        match self.form {
            Form::One(entry) => entry,
            Form::Leaf => Entry::runs(base, 0, self.bitmap),
            Form::Branch => Entry::runs(base, BRANCH, self.bitmap),
        }
    }

    /// Whether the block of `entry` could hold these words in place.
    pub(crate) fn fits(&self, entry: Entry) -> bool {
        !matches!(self.form, Form::One(_)) && self.entry(entry.base()) == entry
    }
}

fn pack_values(runs: &[u64; SLOTS], count: u32) -> [u64; SLOTS] {
    let mut words = [0; SLOTS];
    for (run, &entry) in (0..).zip(&runs[..count as usize]) {
        words[(run / leaf::VALUES) as usize] |= (entry >> BASE_SHIFT) << (run % leaf::VALUES * u16::BITS);
    }
    words
}
