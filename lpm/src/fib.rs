//! The writer's side of the lookup structure: changes it while it is read.
//!
//! An update is computed aside first: new blocks are written where no reader looks, and the words that
//! will make them visible are only noted. Then either all notes are carried out, each by one store, or,
//! when there was no room, none: the table is as it was.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, atomic::Ordering},
};

use ze_sync::{Domain, Ticket};

use crate::{
    build::slots_on,
    entry::{Entry, Packed},
    family::{Family, STRIDE},
    interned::Interned,
    pool::FreeLists,
    prefix::Prefix,
    rib::{Home, Node, Rib, bits},
    words::Words,
};

/// No room for the update; nothing has changed.
#[derive(Debug)]
pub(crate) struct Full;

/// So many released blocks share one grace period.
const GRACE_BLOCKS: usize = 128;

/// From so many words on, an area of which less than one in `SPARSE_SHARE` is used is a waste.
const SPARSE_WORDS_MIN: usize = 1024;
const SPARSE_SHARE: usize = 4;

/// The words that readers look at, and what the writer knows about them.
pub(crate) struct Fib {
    domain: Domain,
    words: Arc<Words>,
    root_level: u8,
    /// Words from here on were never used.
    unused: usize,
    free: FreeLists,
    interned: Interned,
    /// Blocks no longer reachable, which a reader may still be in: each with the ticket that frees it.
    released: VecDeque<(Ticket, Vec<Block>)>,
    /// Those that have no ticket yet.
    unticketed: Vec<Block>,
    change: Change,
}

/// An update in the making.
#[derive(Default)]
struct Change {
    stores: Vec<(u32, u64)>,
    allocated: Vec<Block>,
    superseded: Vec<Block>,
}

#[derive(Debug, Clone, Copy)]
struct Block {
    base: u32,
    words: u32,
}

/// A route that came, changed or went.
pub(crate) struct Update<'a, F: Family> {
    pub(crate) rib: &'a Rib<F>,
    pub(crate) prefix: Prefix<F>,
    /// The answer for what no longer route covers.
    pub(crate) value: u32,
}

impl Fib {
    /// Takes over `words`, of which the first `used` are in use; `interned` are among them.
    pub(crate) fn new(
        domain: Domain,
        words: Arc<Words>,
        root_level: u8,
        used: usize,
        interned: Interned,
    ) -> Self {
        Self {
            domain,
            words,
            root_level,
            unused: used,
            free: FreeLists::new(),
            interned,
            released: VecDeque::new(),
            unticketed: Vec::new(),
            change: Change::default(),
        }
    }

    pub(crate) fn root_level(&self) -> u8 {
        self.root_level
    }

    /// Bytes taken for lookups.
    pub(crate) fn bytes(&self) -> usize {
        self.words.taken_bytes(self.unused)
    }

    /// Bytes that the writer alone has.
    pub(crate) fn writer_bytes(&self) -> usize {
        self.interned.bytes()
    }

    /// Bytes in use: the rest is free for what comes.
    pub(crate) fn used_bytes(&self) -> usize {
        (self.unused - self.free.items()) * size_of::<u64>()
    }

    /// Whether little of a considerable area for blocks, behind a root of `root_words`, is in use.
    pub(crate) fn is_sparse(&self, root_words: usize) -> bool {
        let area = self.words.len() - root_words;
        let used = self.unused - self.free.items() - root_words;
        area >= SPARSE_WORDS_MIN && used < area / SPARSE_SHARE
    }

    /// Makes the answers those of `update.rib`, which has the update already.
    pub(crate) fn apply<F: Family>(&mut self, update: &Update<'_, F>) -> Result<(), Full> {
        let home = Home::of(&update.prefix);
        match self.change_from_root(update, &home) {
            Ok(()) => self.commit(),
            Err(Full) => {
                self.abandon();
                return Err(Full);
            }
        }
        Ok(())
    }

    fn change_from_root<F: Family>(&mut self, update: &Update<'_, F>, home: &Home) -> Result<(), Full> {
        let rib = update.rib;
        let (mut node, mut level, mut path) = (Some(rib.root()), 0, 0);
        loop {
            if let Some(index) = F::root_index(self.root_level, level, path) {
                return self
                    .change_root_word(index, |fib, old| fib.change_at(update, home, node, level, old));
            }
            if level == home.level {
                let visible = home.mask() & !node.map_or(0, |node| node.covered(home.depth));
                return self.fill_above_root(update, node, level, path, visible);
            }
            let slot = F::slot(update.prefix.addr(), level);
            node = node.and_then(|node| rib.child(node, slot));
            path = path << STRIDE | slot;
            level += 1;
        }
    }

    /// Fills the `visible` slots of a node above the root's words.
    fn fill_above_root<F: Family>(
        &mut self,
        update: &Update<'_, F>,
        node: Option<&Node>,
        level: u8,
        path: usize,
        visible: u32,
    ) -> Result<(), Full> {
        let level_slots = (1_u64 << slots_on::<F>(level)) - 1;
        for slot in bits(visible & level_slots as u32) {
            let child = node.and_then(|node| update.rib.child(node, slot));
            let path = path << STRIDE | slot;
            if let Some(index) = F::root_index(self.root_level, level + 1, path) {
                self.change_root_word(index, |fib, old| fib.fill_all(update, child, old))?;
                continue;
            }
            let visible = !child.map_or(0, |child| child.covered(0));
            self.fill_above_root(update, child, level + 1, path, visible)?;
        }
        Ok(())
    }

    fn change_root_word(
        &mut self,
        index: usize,
        change: impl FnOnce(&mut Self, Entry) -> Result<Entry, Full>,
    ) -> Result<(), Full> {
        let old = Entry(self.words[index].load(Ordering::Relaxed)).plain(&self.words);
        let new = change(self, old)?;
        if new != old {
            let stored = self.store(new)?;
            self.change.stores.push((index as u32, stored.0));
        }
        Ok(())
    }

    /// The plain entry for `node` on `level`, which lies on the way to the route's home or is it.
    fn change_at<F: Family>(
        &mut self,
        update: &Update<'_, F>,
        home: &Home,
        node: Option<&Node>,
        level: u8,
        old: Entry,
    ) -> Result<Entry, Full> {
        if level == home.level {
            let visible = home.mask() & !node.map_or(0, |node| node.covered(home.depth));
            return self.fill(update, node, old, visible);
        }
        let slot = F::slot(update.prefix.addr(), level);
        let child = node.and_then(|node| update.rib.child(node, slot));
        let old_child = old.step(&self.words, slot);
        let new_child = self.change_at(update, home, child, level + 1, old_child)?;
        if new_child == old_child {
            return Ok(old);
        }
        let mut slots = old.expand(&self.words);
        slots[slot] = new_child;
        self.supersede(old, Packed::new(&slots))
    }

    /// The entry for `node` after the update, where nothing of it is hidden by routes above.
    fn fill_all<F: Family>(
        &mut self,
        update: &Update<'_, F>,
        node: Option<&Node>,
        old: Entry,
    ) -> Result<Entry, Full> {
        let visible = !node.map_or(0, |node| node.covered(0));
        self.fill(update, node, old, visible)
    }

    /// The entry for `node` when its `visible` slots have the update's value where nothing below says
    /// otherwise.
    fn fill<F: Family>(
        &mut self,
        update: &Update<'_, F>,
        node: Option<&Node>,
        old: Entry,
        visible: u32,
    ) -> Result<Entry, Full> {
        if visible == 0 {
            return Ok(old);
        }
        let mut slots = old.expand(&self.words);
        for slot in bits(visible) {
            slots[slot] = match node.and_then(|node| update.rib.child(node, slot)) {
                Some(child) => self.fill_all(update, Some(child), slots[slot])?,
                None => {
                    debug_assert!(slots[slot].is_direct(), "only a node of the routes has a block");
                    Entry::direct(update.value)
                }
            };
        }
        self.supersede(old, Packed::new(&slots))
    }

    /// Replaces what `old` leads to by `packed`: in place where the runs begin at the same slots, else
    /// in a new block.
    fn supersede(&mut self, old: Entry, mut packed: Packed) -> Result<Entry, Full> {
        packed.store_entries(|plain| self.store(plain))?;
        if packed.fits(old) {
            for (index, &word) in (old.base()..).zip(packed.words()) {
                if self.words[index as usize].load(Ordering::Relaxed) != word {
                    self.change.stores.push((index, word));
                }
            }
            return Ok(old);
        }
        let new = match packed.words() {
            [] => packed.entry(0),
            words => packed.entry(self.write_block(words)?),
        };
        if !old.is_direct() && new != old {
            self.change.superseded.push(Block { base: old.base(), words: old.block_words() });
        }
        Ok(new)
    }

    /// What stands for a plain entry. A value that is new here stays, whatever becomes of the change.
    fn store(&mut self, plain: Entry) -> Result<Entry, Full> {
        let (words, unused, free) = (&self.words, &mut self.unused, &mut self.free);
        self.interned.store(plain, |block| {
            let place = allocate(words, unused, free, block.len())?;
            write(words, place, block);
            Ok(place.base)
        })
    }

    fn write_block(&mut self, words: &[u64]) -> Result<u32, Full> {
        let block = allocate(&self.words, &mut self.unused, &mut self.free, words.len())?;
        self.change.allocated.push(block);
        write(&self.words, block, words);
        Ok(block.base)
    }

    fn commit(&mut self) {
        for (index, word) in self.change.stores.drain(..) {
            // Release: the block a word leads to is complete before the word is seen.
            self.words[index as usize].store(word, Ordering::Release);
        }
        self.change.allocated.clear();
        self.unticketed.append(&mut self.change.superseded);
        if self.unticketed.len() >= GRACE_BLOCKS {
            let blocks = mem::take(&mut self.unticketed);
            self.released.push_back((self.domain.ticket(), blocks));
            self.reclaim();
        }
    }

    fn abandon(&mut self) {
        self.change.stores.clear();
        self.change.superseded.clear();
        // No reader has seen these, so they are free at once.
        for block in mem::take(&mut self.change.allocated) {
            self.give_back(block);
        }
    }

    /// Frees the blocks that every reader has left.
    fn reclaim(&mut self) {
        while let Some((ticket, _)) = self.released.front() {
            if !self.domain.passed(*ticket) {
                return;
            }
            for block in self.released.pop_front().map(|(_, blocks)| blocks).unwrap_or_default() {
                self.give_back(block);
            }
        }
    }

    fn give_back(&mut self, block: Block) {
        give_back(&self.words, &mut self.free, block);
    }
}

/// A block of `size` words, free or never used.
fn allocate(words: &Words, unused: &mut usize, free: &mut FreeLists, size: usize) -> Result<Block, Full> {
    let link = |index: u32| words[index as usize].load(Ordering::Relaxed) as u32;
    let (base, found) = match free.pop(size, link) {
        Some(popped) => popped,
        None if *unused + size <= words.len() => {
            *unused += size;
            ((*unused - size) as u32, size)
        }
        None => return Err(Full),
    };
    let size = size as u32;
    if found as u32 > size {
        give_back(words, free, Block { base: base + size, words: found as u32 - size });
    }
    Ok(Block { base, words: size })
}

fn give_back(words: &Words, free: &mut FreeLists, block: Block) {
    let next = free.push(block.base, block.words as usize);
    words[block.base as usize].store(u64::from(next), Ordering::Relaxed);
}

/// Fills a new block. Nobody reads there yet; the store that publishes the block orders these before it.
fn write(words: &Words, block: Block, contents: &[u64]) {
    for (cell, &word) in words[block.base as usize..].iter().zip(contents) {
        cell.store(word, Ordering::Relaxed);
    }
}
