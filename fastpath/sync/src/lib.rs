//! Quiescent-state-based reclamation (QSBR) and published tables: readers never wait.
//!
//! One side, the *writer* (a control thread), replaces data. The other side, the *readers* (workers
//! that run to completion), follow pointers to it. The only hard question is when the writer may free
//! what it replaced. Workers give the answer for nothing: between two batches a worker holds no
//! reference at all, and says so with one store.
//!
//! ```text
//!  writer                         domain                       reader (one a worker)
//!  ──────                         ──────                       ─────────────────────
//!  slot.replace(new) ──old──▶ limbo: (old, tag 8)              loop {
//!                                                                let guard = reader.enter();
//!  reclaim(): epoch 7 → 8 ──────▶ epoch ───────────load──┐       … slot.load(&guard) …
//!                                                        │       drop(guard)
//!        smallest cell ≥ tag?  ◀── cells[reader] ◀─store─┴───    reader.quiescent();
//!        then free old                                         }
//! ```
//!
//! - A reader's cell says "I hold nothing that was unpublished before this epoch began".
//! - What is unpublished gets the tag *epoch + 1*. Once every cell is ≥ the tag, nobody can hold it.
//! - A sleeping worker goes [`Reader::offline`] and then never delays the writer.
//!
//! Readers never allocate, lock, free or wait. Destructors run on the writer's side only
//! ([`Domain::retire`], [`Domain::reclaim`], [`Domain::synchronize`]); this is why epoch collectors,
//! which may run a destructor in any thread that pins, were not taken.
//!
//! # Example
//!
//! ```
//! use ze_sync::{Domain, Slot};
//!
//! let domain = Domain::new();
//! let slot = Slot::new(Some(Box::new(1)), &domain);
//! let mut reader = domain.register()?;
//!
//! let guard = reader.enter();
//! let seen = slot.load(&guard);
//! slot.replace(Some(Box::new(2)));
//! assert_eq!(domain.reclaim(), 0); // the reader may still look at 1
//! assert_eq!(seen, Some(&1));
//!
//! reader.quiescent();
//! assert_eq!(domain.reclaim(), 1);
//! # Ok::<(), ze_sync::RegisterError>(())
//! ```

mod counter;
mod domain;
mod primitives;
mod reader;
mod slab;
mod slot;

pub use counter::Counter;
pub use crossbeam_utils::CachePadded;
pub use domain::{Domain, MAX_READERS, RECLAIM_EVERY, RegisterError, SynchronizeTimeout, Ticket};
pub use reader::{Guard, Reader};
pub use slab::{Slab, SlabError, SlabView};
pub use slot::Slot;
