//! One published pointer.
#![expect(unsafe_code, reason = "the room where a published pointer becomes a reference")]

use std::{fmt, marker::PhantomData, ptr};

use crate::{
    domain::Domain,
    primitives::{AtomicPtr, Ordering},
    reader::Guard,
};

/// A value that readers see whole and a writer replaces whole.
///
/// The invariant everything below rests on: the pointer is null or came from `Box::into_raw`, and once
/// taken out of the cell the box goes to [`Domain::retire`], nowhere else.
pub struct Slot<T: Send + Sync + 'static> {
    cell: Published<T>,
    domain: Domain,
}

impl<T: Send + Sync + 'static> Slot<T> {
    /// Publishes `value` to the readers of `domain`.
    #[must_use]
    pub fn new(value: Option<Box<T>>, domain: &Domain) -> Self {
        Self { cell: Published::new(value), domain: domain.clone() }
    }

    /// The value, for as long as the guard lives.
    ///
    /// # Panics
    /// When the guard belongs to another domain, which could not keep the value alive.
    #[inline]
    #[must_use]
    pub fn load<'g>(&self, guard: &'g Guard<'_>) -> Option<&'g T> {
        assert_same_domain(&self.domain, guard);
        // SAFETY: the guard's domain is the one that `replace` and `drop` retire through.
        unsafe { self.cell.load(guard) }
    }

    /// Publishes `value`; frees the old one when no reader can hold it. Says whether there was one.
    pub fn replace(&self, value: Option<Box<T>>) -> bool {
        self.cell.replace(value, &self.domain)
    }

    /// The domain that guards must come from.
    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.domain
    }
}

impl<T: Send + Sync + 'static> Drop for Slot<T> {
    fn drop(&mut self) {
        // Not freed here: a reader's reference outlives the slot it was loaded from.
        self.cell.replace(None, &self.domain);
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}

/// Panics unless `guard` is from `domain`; cheap enough for every load, done once a batch by views.
#[inline]
pub(crate) fn assert_same_domain(domain: &Domain, guard: &Guard<'_>) {
    assert!(guard.protects(domain.shared()), "the guard belongs to another domain");
}

/// The cell itself, without its domain: what [`Slot`] and [`Slab`](crate::Slab) are made of.
pub(crate) struct Published<T> {
    pointer: AtomicPtr<T>,
    owns: PhantomData<Box<T>>,
}

impl<T: Send + Sync + 'static> Published<T> {
    pub(crate) fn new(value: Option<Box<T>>) -> Self {
        Self { pointer: AtomicPtr::new(into_pointer(value)), owns: PhantomData }
    }

    /// The value, for as long as the guard lives.
    ///
    /// # Safety
    /// The guard's domain is the one every `replace` of this cell names.
    #[inline]
    pub(crate) unsafe fn load<'g>(&self, _guard: &'g Guard<'_>) -> Option<&'g T> {
        // Acquire: the value was written before it was published.
        let pointer = self.pointer.load(Ordering::Acquire);
        // SAFETY: not null means it came from a box, and that box is freed only after the guard's
        // reader announces a quiescent state, which the borrow of the guard forbids until 'g is over.
        unsafe { pointer.as_ref() }
    }

    /// Publishes `value` and retires the old one through `domain`. Says whether there was one.
    pub(crate) fn replace(&self, value: Option<Box<T>>, domain: &Domain) -> bool {
        // AcqRel: the new value is complete before it is seen, and the old one before it is dropped.
        let old = self.pointer.swap(into_pointer(value), Ordering::AcqRel);
        if old.is_null() {
            return false;
        }
        // SAFETY: a pointer in the cell came from `Box::into_raw`, and the swap made it ours alone.
        let old = unsafe { Box::from_raw(old) };
        domain.retire(old);
        true
    }
}

fn into_pointer<T>(value: Option<Box<T>>) -> *mut T {
    value.map_or(ptr::null_mut(), Box::into_raw)
}
