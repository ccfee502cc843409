//! A lookup structure from nothing: one walk over all routes, into a growing image.

use crate::{
    entry::{Entry, Packed, WORDS_MAX},
    family::{Family, SLOTS, STRIDE},
    interned::Interned,
    open,
    rib::{Node, Rib},
};

/// The image has outgrown what a base can address.
pub(crate) struct TooLarge;

/// What a table is made of.
pub(crate) struct Image {
    /// First the root, then blocks.
    pub(crate) words: Vec<u64>,
    pub(crate) interned: Interned,
}

/// A table with the routes of `rib` and a root of `root_level` strides.
pub(crate) fn build<F: Family>(rib: &Rib<F>, root_level: u8) -> Result<Image, TooLarge> {
    let mut words = vec![0; F::root_words(root_level)];
    // A guess that saves most of the copying; each route changes the answer somewhere, so each needs a run.
    words.reserve(rib.len() / 2);
    let image = Image { words, interned: Interned::new(open::root_and_leaf_answer_most::<F>(root_level)) };
    let mut builder = Builder { rib, root_level, image };
    builder.above_root(Some(rib.root()), 0, 0, 0)?;
    Ok(builder.image)
}

struct Builder<'r, F: Family> {
    rib: &'r Rib<F>,
    root_level: u8,
    image: Image,
}

impl<F: Family> Builder<'_, F> {
    /// Fills the root's words for all addresses that begin with `path`.
    fn above_root(
        &mut self,
        node: Option<&Node>,
        level: u8,
        path: usize,
        inherited: u32,
    ) -> Result<(), TooLarge> {
        if let Some(index) = F::root_index(self.root_level, level, path) {
            let plain = self.below_root(node, inherited)?;
            self.image.words[index] = self.image.store(plain)?.0;
            return Ok(());
        }
        let painted = node.map_or([inherited; SLOTS], |node| self.rib.paint(node, inherited));
        for (slot, &value) in painted.iter().enumerate().take(slots_on::<F>(level)) {
            let child = node.and_then(|node| self.rib.child(node, slot));
            self.above_root(child, level + 1, path << STRIDE | slot, value)?;
        }
        Ok(())
    }

    /// The plain entry for everything below `node`.
    fn below_root(&mut self, node: Option<&Node>, inherited: u32) -> Result<Entry, TooLarge> {
        let Some(node) = node else { return Ok(Entry::direct(inherited)) };
        let mut slots = self.rib.paint(node, inherited).map(Entry::direct);
        for (slot, child) in self.rib.children(node) {
            slots[slot] = self.below_root(Some(child), slots[slot].value())?;
        }
        let mut packed = Packed::new(&slots);
        packed.store_entries(|plain| self.image.store(plain))?;
        Ok(packed.entry(append(&mut self.image.words, packed.words())?))
    }
}

impl Image {
    /// What stands for a plain entry.
    fn store(&mut self, plain: Entry) -> Result<Entry, TooLarge> {
        self.interned.store(plain, |block| append(&mut self.words, block))
    }
}

/// Adds a block; where it begins.
fn append(words: &mut Vec<u64>, block: &[u64]) -> Result<u32, TooLarge> {
    let base = words.len();
    words.extend_from_slice(block);
    if words.len() > WORDS_MAX { Err(TooLarge) } else { Ok(base as u32) }
}

/// How many slots a level really has: the first is cut short by the padding.
pub(crate) fn slots_on<F: Family>(level: u8) -> usize {
    if level == 0 { SLOTS >> F::PAD } else { SLOTS }
}
