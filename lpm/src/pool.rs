//! Blocks of one to sixty-four items in one growing array: no allocation per block, indices of 4 bytes.

use std::collections::TryReserveError;

/// The largest block.
pub(crate) const BLOCK_MAX: usize = 64;
/// A pool of which more than this part is free is worth being packed anew before it grows.
const FRAGMENTED_SHARE: usize = 3;
/// No block.
const NONE: u32 = u32::MAX;

/// An item that can carry, while its block is free, the index of the next free block.
pub(crate) trait Item: Copy + Default {
    fn set_link(&mut self, next: u32);
    fn link(&self) -> u32;
}

impl Item for u32 {
    fn set_link(&mut self, next: u32) {
        *self = next;
    }

    fn link(&self) -> u32 {
        *self
    }
}

/// Free blocks, chained by size.
pub(crate) struct FreeLists {
    heads: [u32; BLOCK_MAX + 1],
    /// Bit n - 1: there is a free block of size n.
    sizes: u64,
    items: usize,
}

/// The array and its free blocks.
pub(crate) struct Pool<T> {
    items: Vec<T>,
    free: FreeLists,
}

impl FreeLists {
    pub(crate) fn new() -> Self {
        Self { heads: [NONE; BLOCK_MAX + 1], sizes: 0, items: 0 }
    }

    /// How many items lie in free blocks.
    pub(crate) fn items(&self) -> usize {
        self.items
    }

    /// Takes the smallest free block of at least `size` items: its index and its own size. `link` reads
    /// the link of a free block.
    pub(crate) fn pop(&mut self, size: usize, link: impl FnOnce(u32) -> u32) -> Option<(u32, usize)> {
        let fitting = self.sizes & (u64::MAX << (size - 1));
        if fitting == 0 {
            return None;
        }
        let found = fitting.trailing_zeros() as usize + 1;
        let index = self.heads[found];
        self.heads[found] = link(index);
        if self.heads[found] == NONE {
            self.sizes &= !(1 << (found - 1));
        }
        self.items -= found;
        Some((index, found))
    }

    /// Takes a free block of `size` items.
    fn pop_exactly(&mut self, size: usize, link: impl FnOnce(u32) -> u32) -> Option<u32> {
        let there = size > 0 && self.sizes >> (size - 1) & 1 == 1;
        there.then(|| self.pop(size, link).map(|(index, _)| index))?
    }

    /// Adds a free block; the caller stores the returned link in it.
    #[must_use]
    pub(crate) fn push(&mut self, index: u32, size: usize) -> u32 {
        self.sizes |= 1 << (size - 1);
        self.items += size;
        std::mem::replace(&mut self.heads[size], index)
    }
}

impl<T: Item> Pool<T> {
    pub(crate) fn new() -> Self {
        Self { items: Vec::new(), free: FreeLists::new() }
    }

    /// Bytes allocated.
    pub(crate) fn bytes(&self) -> usize {
        self.items.capacity() * size_of::<T>()
    }

    /// Makes sure that blocks of `wanted` items together can be had without asking for memory.
    pub(crate) fn reserve(&mut self, wanted: usize) -> Result<(), TryReserveError> {
        self.items.try_reserve_exact(self.growth(wanted))
    }

    /// The bytes that [`reserve`](Self::reserve) would ask the system for.
    pub(crate) fn growth_bytes(&self, wanted: usize) -> usize {
        let more = (self.items.len() + self.growth(wanted)).saturating_sub(self.items.capacity());
        more * size_of::<T>()
    }

    fn growth(&self, wanted: usize) -> usize {
        if self.items.capacity() - self.items.len() >= wanted {
            return 0;
        }
        // A quarter more each time: less waste than doubling, and still constant work per item.
        wanted.max(self.items.len() / 4)
    }

    #[inline]
    pub(crate) fn get(&self, index: u32) -> &T {
        &self.items[index as usize]
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, index: u32) -> &mut T {
        &mut self.items[index as usize]
    }

    pub(crate) fn block(&self, index: u32, len: usize) -> &[T] {
        &self.items[index as usize..][..len]
    }

    /// Adds `item` at `position` of a block of `len`; returns the block's index, which may be new.
    pub(crate) fn insert(&mut self, index: u32, len: usize, position: usize, item: T) -> u32 {
        let (old, new) = (room_for(len), room_for(len + 1));
        let start = index as usize;
        if len > 0 && old == new {
            self.items.copy_within(start + position..start + len, start + position + 1);
            self.items[start + position] = item;
            return index;
        }
        let target = self.allocate(new);
        let to = target as usize;
        self.items.copy_within(start..start + position, to);
        self.items[to + position] = item;
        self.items.copy_within(start + position..start + len, to + position + 1);
        self.release(index, old);
        target
    }

    /// Removes the item at `position` of a block of `len`; returns the block's index, which may be new.
    pub(crate) fn remove(&mut self, index: u32, len: usize, position: usize) -> u32 {
        let (old, new) = (room_for(len), room_for(len - 1));
        let start = index as usize;
        self.items.copy_within(start + position + 1..start + len, start + position);
        if old == new {
            return index;
        }
        // A free block of the right size keeps large blocks whole for those who grow; without one, the rest
        // of this block goes free where it is. So shrinking needs no memory.
        let items = &self.items;
        let target = self.free.pop_exactly(new, |index| items[index as usize].link());
        let Some(target) = target else {
            self.release(index + new as u32, old - new);
            return if new == 0 { 0 } else { index };
        };
        self.items.copy_within(start..start + len - 1, target as usize);
        self.release(index, old);
        target
    }

    /// Adds a block with these items; returns its index.
    pub(crate) fn append(&mut self, items: &[T]) -> u32 {
        let index = self.allocate(room_for(items.len()));
        self.items[index as usize..][..items.len()].copy_from_slice(items);
        index
    }

    /// Whether a good part of the items lies in free blocks.
    pub(crate) fn is_fragmented(&self) -> bool {
        self.free.items() > self.items.len() / FRAGMENTED_SHARE
    }

    /// An empty pool with memory for what this one has in use.
    pub(crate) fn fresh(&self) -> Result<Self, TryReserveError> {
        let mut fresh = Self::new();
        fresh.items.try_reserve_exact(self.items.len() - self.free.items())?;
        Ok(fresh)
    }

    fn allocate(&mut self, size: usize) -> u32 {
        if size == 0 {
            return 0;
        }
        let items = &self.items;
        if let Some((index, found)) = self.free.pop(size, |index| items[index as usize].link()) {
            self.release(index + size as u32, found - size);
            return index;
        }
        let index = self.items.len() as u32;
        self.items.resize(self.items.len() + size, T::default());
        index
    }

    fn release(&mut self, index: u32, size: usize) {
        if size > 0 {
            debug_assert!(size <= BLOCK_MAX);
            let next = self.free.push(index, size);
            self.items[index as usize].set_link(next);
        }
    }
}

/// Items to reserve for a block of `len`: exact while small, then in fours, so that a block which grows
/// item by item moves less often.
fn room_for(len: usize) -> usize {
    if len <= 8 { len } else { len.next_multiple_of(4) }
}
