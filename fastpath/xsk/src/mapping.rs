//! The mapped rings of one socket.

#![expect(unsafe_code, reason = "maps kernel memory, and makes rings of it")]

use std::any::Any;
use std::ffi::c_void;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use rustix::io::Result;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::net::xdp::{
    XDP_PGOFF_RX_RING, XDP_PGOFF_TX_RING, XDP_UMEM_PGOFF_COMPLETION_RING, XDP_UMEM_PGOFF_FILL_RING, XdpDesc,
    XdpMmapOffsets, XdpRingOffset,
};

use crate::ring::{Consumer, Parts, Producer};

/// The rings between one socket and the kernel. Addresses are bytes from the start of the UMEM.
pub(crate) struct Rings {
    pub(crate) fill: Producer<u64>,
    pub(crate) completion: Consumer<u64>,
    pub(crate) receive: Consumer<XdpDesc>,
    pub(crate) transmit: Producer<XdpDesc>,
}

/// Entries of each ring of a socket; powers of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RingSizes {
    pub(crate) fill: u32,
    pub(crate) completion: u32,
    pub(crate) receive: u32,
    pub(crate) transmit: u32,
}

impl Rings {
    /// Maps the rings of a socket, whose sizes were set to `sizes`. Call it once a socket: each side of a ring has
    /// one owner.
    pub(crate) fn map(socket: BorrowedFd<'_>, offsets: &XdpMmapOffsets, sizes: RingSizes) -> Result<Self> {
        let fill = map_ring::<u64>(socket, XDP_UMEM_PGOFF_FILL_RING, &offsets.fr, sizes.fill)?;
        let completion =
            map_ring::<u64>(socket, XDP_UMEM_PGOFF_COMPLETION_RING, &offsets.cr, sizes.completion)?;
        let receive = map_ring::<XdpDesc>(socket, XDP_PGOFF_RX_RING, &offsets.rx, sizes.receive)?;
        let transmit = map_ring::<XdpDesc>(socket, XDP_PGOFF_TX_RING, &offsets.tx, sizes.transmit)?;
        // SAFETY: `map_ring` made the parts; the kernel is the other side, and a socket is mapped once.
        let fill = unsafe { Producer::new(fill) };
        // SAFETY: likewise.
        let completion = unsafe { Consumer::new(completion) };
        // SAFETY: likewise.
        let receive = unsafe { Consumer::new(receive) };
        // SAFETY: likewise.
        let transmit = unsafe { Producer::new(transmit) };
        Ok(Self { fill, completion, receive, transmit })
    }
}

/// Maps one ring. The parts lead into the mapping, which they keep.
fn map_ring<T>(socket: BorrowedFd<'_>, page: u64, offset: &XdpRingOffset, size: u32) -> Result<Parts<T>> {
    let len_bytes = offset.desc as usize + size as usize * size_of::<T>();
    let mapping = Arc::new(Mapping::new(socket, page, len_bytes, true)?);
    let at = |offset_bytes: u64| mapping.base.wrapping_byte_add(offset_bytes as usize);
    Ok(Parts {
        producer: at(offset.producer).cast(),
        consumer: at(offset.consumer).cast(),
        // Before Linux 5.4 there are no flags; XDP_USE_NEED_WAKEUP came with them, and we cannot bind without.
        flags: at(offset.flags.ok_or(rustix::io::Errno::OPNOTSUPP)?).cast(),
        entries: at(offset.desc).cast(),
        size,
        memory: mapping as Arc<dyn Any + Send + Sync>,
    })
}

/// A mapped range. Unmapped when the last ring on it goes; until then the kernel keeps the socket bound.
pub(crate) struct Mapping {
    base: *mut c_void,
    len_bytes: usize,
}

// SAFETY: an address range, tied to no thread.
unsafe impl Send for Mapping {}
// SAFETY: nothing is reached through a shared reference.
unsafe impl Sync for Mapping {}

impl Mapping {
    pub(crate) fn new(
        file: BorrowedFd<'_>,
        offset_bytes: u64,
        len_bytes: usize,
        writable: bool,
    ) -> Result<Self> {
        let access = if writable { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::READ };
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        // SAFETY: no address is asked for, so nothing that exists is mapped over.
        let base = unsafe { mmap(std::ptr::null_mut(), len_bytes, access, flags, file, offset_bytes)? };
        Ok(Self { base, len_bytes })
    }

    /// Where it begins; aligned to a page.
    pub(crate) const fn base(&self) -> *mut u8 {
        self.base.cast()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range that `new` mapped; the rings on it hold an `Arc` of this, so none is left.
        let done = unsafe { munmap(self.base, self.len_bytes) };
        debug_assert!(done.is_ok(), "a range that was mapped can be unmapped");
    }
}
