//! The memory that workers share with the XDP program: indices and slots.

#![expect(unsafe_code, reason = "the memory of BPF maps is shared with the XDP program")]

use std::mem::offset_of;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::io::Result;
use ze_graph::FRAME_BYTES_MAX;
use ze_redirect::{
    EXCHANGE_HEAD_BYTES, EXCHANGE_INDEX_BYTES, EXCHANGE_LEN_BITS, EXCHANGE_REST_BYTES, EXCHANGE_SLOT_BYTES,
    EXCHANGE_SLOTS,
};

use crate::mapping::Mapping;

/// A line of cache that one side writes. `struct index` of the program.
#[repr(C, align(64))]
pub(super) struct Index {
    pub(super) value: AtomicU32,
    pub(super) more: AtomicU32,
    pub(super) cpu: AtomicU32,
}

/// `struct queue` and `struct lane` of the program.
#[repr(C)]
pub(super) struct Indices {
    /// A queue's state and its lane; a lane's CPU.
    pub(super) facts: Index,
    /// Who puts in.
    pub(super) tail: Index,
    /// Who takes out.
    pub(super) head: Index,
}

const _: () = assert!(size_of::<Indices>() == EXCHANGE_INDEX_BYTES);

/// The indices of all queues of a port, or of all lanes.
pub(super) struct IndexMap {
    mapping: Mapping,
    count: usize,
}

impl IndexMap {
    pub(super) fn map(map: BorrowedFd<'_>, count: usize) -> Result<Self> {
        Ok(Self { mapping: Mapping::new(map, 0, pages(count * EXCHANGE_INDEX_BYTES), true)?, count })
    }

    pub(super) fn get(&self, at: usize) -> Option<&Indices> {
        let place = self.mapping.base().wrapping_add(at * EXCHANGE_INDEX_BYTES).cast::<Indices>();
        // SAFETY: inside the mapping, aligned to a line (a page and multiples of 192 bytes), and nothing but atomics.
        (at < self.count).then(|| unsafe { &*place })
    }
}

/// A frame, as the program and we lay it out. `struct slot` of the program.
#[repr(C, align(64))]
struct Slot {
    head: [u8; EXCHANGE_HEAD_BYTES],
    what: AtomicU32,
    rest: [u8; EXCHANGE_REST_BYTES],
}

/// Of `what`: bytes of the frame.
const LEN_MASK: u32 = (1 << EXCHANGE_LEN_BITS) - 1;

const _: () = assert!(size_of::<Slot>() == EXCHANGE_SLOT_BYTES);
const _: () = assert!(FRAME_BYTES_MAX <= EXCHANGE_HEAD_BYTES + EXCHANGE_REST_BYTES);
const _: () = assert!(FRAME_BYTES_MAX < 1 << EXCHANGE_LEN_BITS);

/// Rings of slots, one after the other.
pub(super) struct SlotMap {
    mapping: Mapping,
    rings: usize,
}

impl SlotMap {
    pub(super) fn map(map: BorrowedFd<'_>, rings: usize) -> Result<Self> {
        let len_bytes = rings * EXCHANGE_SLOTS as usize * EXCHANGE_SLOT_BYTES;
        Ok(Self { mapping: Mapping::new(map, 0, pages(len_bytes), true)?, rings })
    }

    /// The slot of an index, which grows for ever, in a ring.
    fn slot(&self, ring: usize, index: u32) -> *mut Slot {
        assert!(ring < self.rings, "ring {ring} of {}", self.rings);
        let at = ring * EXCHANGE_SLOTS as usize + (index % EXCHANGE_SLOTS) as usize;
        self.mapping.base().cast::<Slot>().wrapping_add(at)
    }

    fn what(&self, ring: usize, index: u32) -> &AtomicU32 {
        // SAFETY: inside the mapping (`slot` checks), which begins with a page, so that each slot is aligned to a line; and
        // whoever looks at this word of it does so by atomics.
        unsafe { &(*self.slot(ring, index)).what }
    }

    /// Copies the frame of a slot to the beginning of `into`, and returns its length. The slot must have been shown by its
    /// ring's tail. More bytes than the frame has may be written.
    ///
    /// # Panics
    /// When there is no room for the longest frame.
    pub(super) fn read(&self, ring: usize, index: u32, into: &mut [u8]) -> usize {
        assert!(into.len() >= FRAME_BYTES_MAX, "room for {} bytes", into.len());
        // The program puts nothing longer there.
        let len = ((self.what(ring, index).load(Ordering::Relaxed) & LEN_MASK) as usize).min(FRAME_BYTES_MAX);
        let slot = self.slot(ring, index);
        let (head, rest) = into.split_at_mut(EXCHANGE_HEAD_BYTES);
        // SAFETY: as many bytes begin each slot, as `Slot` says. The program does not write what it has shown. If it did, the bytes
        // would be wrong, as they might be in any packet. (Of a known length: that is a few moves.)
        unsafe { std::ptr::copy_nonoverlapping(slot.cast(), head.as_mut_ptr(), EXCHANGE_HEAD_BYTES) }
        if let Some(more @ 1..) = len.checked_sub(EXCHANGE_HEAD_BYTES) {
            // SAFETY: as before; `Slot` has room for the longest frame, as has `into`, and `len` is no longer.
            unsafe { std::ptr::copy_nonoverlapping(rest_of(slot), rest.as_mut_ptr(), more) }
        }
        len
    }

    /// Fills a slot with a frame that is to leave by a device. The slot must be free; nobody sees it before its ring's
    /// tail shows it.
    ///
    /// # Panics
    /// When the frame is longer than a slot.
    pub(super) fn write(&self, ring: usize, index: u32, frame: &[u8], ifindex: u32) {
        let (head, rest) = frame.split_at(frame.len().min(EXCHANGE_HEAD_BYTES));
        assert!(rest.len() <= EXCHANGE_REST_BYTES, "a frame of {} bytes", frame.len());
        let slot = self.slot(ring, index);
        if let Some(head) = head.first_chunk::<EXCHANGE_HEAD_BYTES>() {
            // SAFETY: as many bytes begin each slot, as `Slot` says. The program does not read a slot that is not shown. (Of a known
            // length: that is a few moves.)
            unsafe { std::ptr::copy_nonoverlapping(head.as_ptr(), slot.cast(), EXCHANGE_HEAD_BYTES) }
        } else {
            // SAFETY: as before, and these are fewer.
            unsafe { std::ptr::copy_nonoverlapping(head.as_ptr(), slot.cast(), head.len()) }
        }
        // SAFETY: `Slot` has as much room for the rest; that it is not longer was asserted.
        unsafe { std::ptr::copy_nonoverlapping(rest.as_ptr(), rest_of(slot), rest.len()) }
        self.what(ring, index).store(ifindex << EXCHANGE_LEN_BITS | frame.len() as u32, Ordering::Relaxed);
    }

    /// Takes back what waits in a slot. False if it has left.
    pub(super) fn take_back(&self, ring: usize, index: u32) -> bool {
        // Who sets it to 0 has the frame.
        self.what(ring, index).swap(0, Ordering::AcqRel) != 0
    }
}

/// Where what does not fit into the head of a slot lies.
const fn rest_of(slot: *mut Slot) -> *mut u8 {
    slot.cast::<u8>().wrapping_add(offset_of!(Slot, rest))
}

/// Whole pages of so many bytes.
fn pages(len_bytes: usize) -> usize {
    len_bytes.next_multiple_of(rustix::param::page_size())
}
