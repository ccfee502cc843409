//! Values that are the answer of a whole entry: where root and leaf answer most ([`crate::open`]), each is kept once in a
//! table, and all such entries lead to it. Elsewhere they are direct entries.
//!
//! A word holds one. Eight neighbours share a block, so that those in use lie close together: most tables have a few
//! hundred values, which stay in the first-level cache.

use crate::entry::Entry;

/// Values in a block.
pub(crate) const BLOCK_VALUES: u32 = 8;

/// Where they lie.
#[derive(Debug)]
pub(crate) struct Interned {
    wanted: bool,
    /// The first value of each block and the block's first word, in order.
    blocks: Vec<(u16, u32)>,
}

impl Interned {
    /// None yet; `wanted` says whether there will be.
    pub(crate) fn new(wanted: bool) -> Self {
        Self { wanted, blocks: Vec::new() }
    }

    /// What a table stores for a plain entry: where the answer is a small value, a leaf that leads to it. `new_block` finds
    /// a place for these words, if there is no block with the value yet.
    pub(crate) fn store<E>(
        &mut self,
        entry: Entry,
        new_block: impl FnOnce(&[u64; BLOCK_VALUES as usize]) -> Result<u32, E>,
    ) -> Result<Entry, E> {
        let value = entry.value();
        if !self.wanted || !entry.is_direct() || value > u32::from(u16::MAX) {
            return Ok(entry);
        }
        if value == 0 {
            return Ok(Entry::default());
        }
        let first = (value - value % BLOCK_VALUES) as u16;
        let base = match self.blocks.binary_search_by_key(&first, |&(first, _)| first) {
            Ok(found) => self.blocks[found].1,
            Err(at) => {
                let base = new_block(&std::array::from_fn(|more| u64::from(first) + more as u64))?;
                self.blocks.insert(at, (first, base));
                base
            }
        };
        Ok(Entry::whole(base + value % BLOCK_VALUES))
    }

    /// Bytes allocated here.
    pub(crate) fn bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<(u16, u32)>()
    }
}
