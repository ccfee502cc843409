//! A table of published pointers, addressed by index.
#![expect(unsafe_code, reason = "a view checks the domain once and then loads without asking again")]

use std::fmt;

use crate::{
    domain::Domain,
    reader::Guard,
    slot::{Published, assert_same_domain},
};

/// A fixed number of [`Slot`](crate::Slot)s with one domain: a table keyed by a dense id.
pub struct Slab<T: Send + Sync + 'static> {
    cells: Box<[Published<T>]>,
    domain: Domain,
}

/// A slab under a guard: one load and one bounds check an access. Make one a batch.
pub struct SlabView<'g, T: Send + Sync + 'static> {
    cells: &'g [Published<T>],
    guard: &'g Guard<'g>,
}

/// The index lies beyond the slab's capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("index {index} is beyond the capacity of {capacity}")]
pub struct SlabError {
    /// The index asked for.
    pub index: usize,
    /// The slab's capacity: the first index that does not exist.
    pub capacity: usize,
}

impl<T: Send + Sync + 'static> Slab<T> {
    /// An empty slab of `capacity` slots, all allocated now.
    #[must_use]
    pub fn new(capacity: usize, domain: &Domain) -> Self {
        let cells = (0..capacity).map(|_| Published::new(None)).collect();
        Self { cells, domain: domain.clone() }
    }

    /// How many slots there are.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.cells.len()
    }

    /// The slab for one batch.
    ///
    /// # Panics
    /// When the guard belongs to another domain.
    #[inline]
    #[must_use]
    pub fn view<'g>(&'g self, guard: &'g Guard<'_>) -> SlabView<'g, T> {
        assert_same_domain(&self.domain, guard);
        SlabView { cells: &self.cells, guard }
    }

    /// The value at `index`, for as long as the guard lives; none too when there is no such index.
    ///
    /// # Panics
    /// When the guard belongs to another domain.
    #[inline]
    #[must_use]
    pub fn get<'g>(&self, guard: &'g Guard<'_>, index: usize) -> Option<&'g T> {
        assert_same_domain(&self.domain, guard);
        // SAFETY: the guard's domain is the one that `replace` and `drop` retire through.
        unsafe { self.cells.get(index)?.load(guard) }
    }

    /// Publishes `value` at `index`; frees the old one when no reader can hold it. Says whether there
    /// was one.
    ///
    /// # Errors
    /// When `index` is not below [`capacity`](Self::capacity). `value` is dropped.
    pub fn replace(&self, index: usize, value: Option<Box<T>>) -> Result<bool, SlabError> {
        let capacity = self.capacity();
        let cell = self.cells.get(index).ok_or(SlabError { index, capacity })?;
        Ok(cell.replace(value, &self.domain))
    }

    /// The domain that guards must come from.
    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.domain
    }
}

impl<'g, T: Send + Sync + 'static> SlabView<'g, T> {
    /// The value at `index`; none too when there is no such index.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'g T> {
        let cell = self.cells.get(index)?;
        // SAFETY: `Slab::view` compared the guard's domain with the slab's.
        unsafe { cell.load(self.guard) }
    }

    /// How many slots there are.
    #[inline]
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.cells.len()
    }
}

impl<T: Send + Sync + 'static> Drop for Slab<T> {
    fn drop(&mut self) {
        for cell in &self.cells {
            cell.replace(None, &self.domain);
        }
    }
}

impl<T: Send + Sync + 'static> Clone for SlabView<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Send + Sync + 'static> Copy for SlabView<'_, T> {}

impl<T: Send + Sync + 'static> fmt::Debug for Slab<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slab").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for SlabView<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlabView").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}
