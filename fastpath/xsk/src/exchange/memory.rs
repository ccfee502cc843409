//! The memory that workers share with the XDP program: indices and slots.

#![expect(unsafe_code, reason = "the memory of BPF maps is shared with the XDP program")]

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::io::Result;
use ze_redirect::{EXCHANGE_FRAME_BYTES_MAX, EXCHANGE_INDEX_BYTES, EXCHANGE_SLOT_BYTES, EXCHANGE_SLOTS};

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

/// The header of a slot. `struct slot` of the program.
#[repr(C)]
struct Header {
    len: AtomicU32,
    ifindex: AtomicU32,
}

const HEADER_BYTES: usize = size_of::<Header>();
const _: () = assert!(HEADER_BYTES + EXCHANGE_FRAME_BYTES_MAX == EXCHANGE_SLOT_BYTES);

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
    fn slot(&self, ring: usize, index: u32) -> *mut u8 {
        assert!(ring < self.rings, "ring {ring} of {}", self.rings);
        let at = ring * EXCHANGE_SLOTS as usize + (index % EXCHANGE_SLOTS) as usize;
        self.mapping.base().wrapping_add(at * EXCHANGE_SLOT_BYTES)
    }

    fn header(&self, ring: usize, index: u32) -> &Header {
        // SAFETY: inside the mapping (`slot` checks), aligned to 2048 bytes, and nothing but atomics.
        unsafe { &*self.slot(ring, index).cast::<Header>() }
    }

    /// Bytes of the frame in a slot.
    pub(super) fn len(&self, ring: usize, index: u32) -> usize {
        self.header(ring, index).len.load(Ordering::Relaxed) as usize
    }

    /// Copies the frame out of a slot, whose length the caller has looked at. The slot must have been shown by its ring's
    /// tail.
    ///
    /// # Panics
    /// When no slot is as long.
    pub(super) fn read(&self, ring: usize, index: u32, into: &mut [u8]) {
        assert!(into.len() <= EXCHANGE_FRAME_BYTES_MAX, "a slot of {} bytes", into.len());
        let bytes = self.slot(ring, index).wrapping_add(HEADER_BYTES);
        // SAFETY: as many bytes follow the header of each slot. The program does not write what it has shown. If it did,
        // the bytes would be wrong, as they might be in any packet.
        unsafe { std::ptr::copy_nonoverlapping(bytes, into.as_mut_ptr(), into.len()) }
    }

    /// Fills a slot with a frame that is to leave by a device. The slot must be free; nobody sees it before its ring's
    /// tail shows it.
    ///
    /// # Panics
    /// When the frame is longer than a slot.
    pub(super) fn write(&self, ring: usize, index: u32, frame: &[u8], ifindex: u32) {
        assert!(frame.len() <= EXCHANGE_FRAME_BYTES_MAX, "a frame of {} bytes", frame.len());
        let bytes = self.slot(ring, index).wrapping_add(HEADER_BYTES);
        // SAFETY: as many bytes follow the header of each slot. The program does not read a slot that is not shown.
        unsafe { std::ptr::copy_nonoverlapping(frame.as_ptr(), bytes, frame.len()) }
        let header = self.header(ring, index);
        header.len.store(frame.len() as u32, Ordering::Relaxed);
        header.ifindex.store(ifindex, Ordering::Relaxed);
    }

    /// Takes back what waits in a slot for a device. False if it has left.
    pub(super) fn take_back(&self, ring: usize, index: u32, ifindex: u32) -> bool {
        // Who sets it to 0 has the frame.
        let place = &self.header(ring, index).ifindex;
        place.compare_exchange(ifindex, 0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// Whole pages of so many bytes.
fn pages(len_bytes: usize) -> usize {
    len_bytes.next_multiple_of(rustix::param::page_size())
}
