//! Values that are the answer of a whole entry: where root and leaf answer most ([`crate::open`]), each is kept once in a
//! table, and all such entries lead to it. Elsewhere they are direct entries.
//!
//! A word holds one. Eight neighbours share a block, so that those in use lie close together: most tables have a few
//! hundred values, which stay in the first-level cache. A block stays until the table is built anew: 512 KB at most.

use crate::entry::Entry;

/// Values in a block.
pub(crate) const BLOCK_VALUES: u32 = 8;
/// Blocks for all small values.
const BLOCKS: usize = (1 << u16::BITS) / BLOCK_VALUES as usize;

/// Where they lie.
pub(crate) struct Interned {
    /// The first word of each block, 0 where there is none yet; nothing in a table that has direct entries instead.
    blocks: Option<Box<[u32]>>,
}

impl Interned {
    /// None yet; `wanted` says whether there will be.
    pub(crate) fn new(wanted: bool) -> Self {
        Self { blocks: wanted.then(|| vec![0; BLOCKS].into_boxed_slice()) }
    }

    /// What a table stores for a plain entry: where the answer is a small value, a leaf that leads to it. `new_block` finds
    /// a place for these words, if there is no block with the value yet.
    pub(crate) fn store<E>(
        &mut self,
        entry: Entry,
        new_block: impl FnOnce(&[u64; BLOCK_VALUES as usize]) -> Result<u32, E>,
    ) -> Result<Entry, E> {
        let value = entry.value();
        let Some(blocks) = &mut self.blocks else { return Ok(entry) };
        if !entry.is_direct() || value > u32::from(u16::MAX) {
            return Ok(entry);
        }
        if value == 0 {
            return Ok(Entry::default());
        }
        let (block, at) = (value / BLOCK_VALUES, value % BLOCK_VALUES);
        let base = &mut blocks[block as usize];
        if *base == 0 {
            *base = new_block(&std::array::from_fn(|more| u64::from(block * BLOCK_VALUES) + more as u64))?;
        }
        Ok(Entry::whole(*base + at))
    }

    /// Bytes allocated here.
    pub(crate) fn bytes(&self) -> usize {
        self.blocks.as_ref().map_or(0, |blocks| size_of_val(&**blocks))
    }
}

#[cfg(test)]
mod tests {
    use super::Interned;
    use crate::entry::{BRANCH, Entry};

    fn refused(_: &[u64; 8]) -> Result<u32, ()> {
        Err(())
    }

    #[test]
    fn small_values_share_a_word_and_others_stay_direct() {
        let mut interned = Interned::new(true);
        let stored = interned.store(Entry::direct(0xffff), |block| {
            assert_eq!(block, &[0xfff8, 0xfff9, 0xfffa, 0xfffb, 0xfffc, 0xfffd, 0xfffe, 0xffff]);
            Ok::<_, ()>(100)
        });
        assert_eq!(stored, Ok(Entry::whole(107)));
        assert_eq!(interned.store(Entry::direct(0xffff), refused), Ok(Entry::whole(107)));
        assert_eq!(interned.store(Entry::direct(0xfff8), refused), Ok(Entry::whole(100)));
        assert_eq!(interned.store(Entry::direct(0xfff7), refused), Err(()));
        for other in [Entry::direct(0x1_0000), Entry::whole(3), Entry(BRANCH | 0b10)] {
            assert_eq!(interned.store(other, refused), Ok(other));
        }
        assert_eq!(interned.store(Entry::direct(0), refused), Ok(Entry::default()));
        assert_eq!(interned.bytes(), 32 << 10);
    }

    #[test]
    fn what_is_not_wanted_costs_nothing() {
        let mut interned = Interned::new(false);
        assert_eq!(interned.store(Entry::direct(7), refused), Ok(Entry::direct(7)));
        assert_eq!(interned.bytes(), 0);
    }
}
