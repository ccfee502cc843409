//! What the program exchanges with workers instead of through their sockets. Layouts are those of `bpf/redirect.bpf.c`.

use std::os::fd::{AsFd, BorrowedFd};

use libbpf_rs::libbpf_sys::{BPF_F_MMAPABLE, bpf_map_create_opts, size_t};
use libbpf_rs::{MapHandle, MapType, OpenObject};

use crate::{Error, Result};

/// Slots of each ring: `SLOTS` of the program.
pub const EXCHANGE_SLOTS: u32 = 1024;
/// Bytes of a frame that lie at the beginning of its slot; a word about it follows, then the rest.
pub const EXCHANGE_HEAD_BYTES: usize = 60;
/// Bytes of that rest at most.
pub const EXCHANGE_REST_BYTES: usize = 1792;
/// Bytes of a slot: an odd number of lines of a cache.
pub const EXCHANGE_SLOT_BYTES: usize = EXCHANGE_HEAD_BYTES + 4 + EXCHANGE_REST_BYTES;
/// Lower bits of the word, which say how long the frame is. Above are those of the device that it leaves by.
pub const EXCHANGE_LEN_BITS: u32 = 11;
/// The highest ifindex that has room there.
pub const EXCHANGE_IFINDEX_MAX: u32 = u32::MAX >> EXCHANGE_LEN_BITS;
/// Bytes of a queue's and of a lane's indices: three lines of a cache.
pub const EXCHANGE_INDEX_BYTES: usize = 3 * 64;

/// The rings by which workers send in pages that others came in, one for each worker. All programs look at the same.
#[derive(Debug)]
pub struct Lanes {
    lanes: MapHandle,
    sending: MapHandle,
    count: u32,
}

/// The rings by which one port's frames come in.
#[derive(Debug)]
pub struct Exchange {
    queues: MapHandle,
    received: MapHandle,
}

impl Lanes {
    /// For so many workers.
    ///
    /// # Errors
    /// When the kernel makes no such maps: none before Linux 5.5.
    pub fn new(workers: u32) -> Result<Self> {
        let count = workers.max(1);
        let lanes = shared("ze_lanes", EXCHANGE_INDEX_BYTES, count)?;
        let sending = shared("ze_sending", EXCHANGE_SLOT_BYTES, count * EXCHANGE_SLOTS)?;
        Ok(Self { lanes, sending, count })
    }

    /// How many there are.
    pub const fn count(&self) -> usize {
        self.count as usize
    }

    /// [`EXCHANGE_INDEX_BYTES`] a lane, to be mapped.
    pub fn indices(&self) -> BorrowedFd<'_> {
        self.lanes.as_fd()
    }

    /// [`EXCHANGE_SLOTS`] a lane, of [`EXCHANGE_SLOT_BYTES`] each, to be mapped.
    pub fn slots(&self) -> BorrowedFd<'_> {
        self.sending.as_fd()
    }

    /// Gives them to a program that is about to be loaded.
    pub(crate) fn put_into(&self, open: &mut OpenObject) -> libbpf_rs::Result<()> {
        for mut map in open.maps_mut() {
            match map.name().to_str() {
                Some("lanes") => map.reuse_fd(self.lanes.as_fd())?,
                Some("sending") => map.reuse_fd(self.sending.as_fd())?,
                _ => {}
            }
        }
        Ok(())
    }
}

impl Exchange {
    pub(crate) const fn new(queues: MapHandle, received: MapHandle) -> Self {
        Self { queues, received }
    }

    /// [`EXCHANGE_INDEX_BYTES`] a queue, to be mapped.
    pub fn indices(&self) -> BorrowedFd<'_> {
        self.queues.as_fd()
    }

    /// [`EXCHANGE_SLOTS`] a queue, of [`EXCHANGE_SLOT_BYTES`] each, to be mapped.
    pub fn slots(&self) -> BorrowedFd<'_> {
        self.received.as_fd()
    }
}

fn shared(name: &'static str, value_bytes: usize, count: u32) -> Result<MapHandle> {
    let options = bpf_map_create_opts {
        sz: size_of::<bpf_map_create_opts>() as size_t,
        map_flags: BPF_F_MMAPABLE,
        ..Default::default()
    };
    let made = MapHandle::create(MapType::Array, Some(name), 4, value_bytes as u32, count, &options);
    made.map_err(|source| Error::Map { map: name, step: "make it", source })
}
