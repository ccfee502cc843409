//! Frames: UMEM chunks and the tokens that own them.
//!
//! A chunk has one owner at any time. Ownership is a [`Frame`], a token that is neither `Copy` nor `Clone`: who
//! holds it may read and write the chunk and its metadata, and nobody else can. All tokens of an [`Arena`] are
//! made once, at start-up, and travel from then on: pool → fill ring → batch → tx ring → completion → pool.

#![expect(unsafe_code, reason = "the chunk memory is shared with the kernel; tokens keep its owners apart")]

use std::cell::UnsafeCell;
use std::fmt;
use std::io;

use memmap2::{MmapMut, MmapOptions};

use crate::Meta;

/// Bytes of one chunk. AF_XDP wants a power of two between 2048 and the page size in aligned mode.
pub const CHUNK_BYTES: usize = 2048;
/// Where packet data of a received frame starts: XDP_PACKET_HEADROOM of the kernel.
pub const HEADROOM_BYTES: usize = 256;
/// The longest frame that one chunk holds behind the headroom.
pub const FRAME_BYTES_MAX: usize = CHUNK_BYTES - HEADROOM_BYTES;

/// The right to one chunk and its metadata.
#[derive(PartialEq, Eq)]
#[repr(transparent)]
pub struct Frame(u32);

impl Frame {
    /// Marks an empty place in a batch; owns nothing and is never handed out.
    pub(crate) const VACANT: u32 = u32::MAX;

    /// The chunk's index in its arena; the token is consumed, the chunk now belongs to whom the number is given
    /// (a ring that the kernel reads). [`Frame::from_index`] brings it back.
    #[inline]
    pub fn into_index(self) -> u32 {
        self.0
    }

    /// The chunk's index, for diagnostics.
    #[inline]
    pub const fn index(&self) -> u32 {
        self.0
    }

    /// Takes ownership of a chunk back from where [`Frame::into_index`] gave it to.
    ///
    /// # Safety
    /// `index` must come from `into_index` of a token of the same arena, and be taken back only once.
    #[inline]
    pub const unsafe fn from_index(index: u32) -> Self {
        Self(index)
    }

    #[inline]
    pub(crate) const fn raw(index: u32) -> Self {
        Self(index)
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frame {}", self.0)
    }
}

/// What kind of pages hold the chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// 2 MiB huge pages from the system's pool.
    Huge2M,
    /// Plain pages (transparent huge pages asked for).
    Plain,
}

impl fmt::Display for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Huge2M => "2 MiB huge pages",
            Self::Plain => "plain pages",
        })
    }
}

/// The memory of all frames, and their metadata beside it.
pub struct Arena {
    memory: UnsafeCell<MmapMut>,
    base: *mut u8,
    metas: Box<[UnsafeCell<Meta>]>,
    pages: Pages,
}

// SAFETY: chunks and metadata are reached only through `Frame` tokens, each of which exists once.
unsafe impl Sync for Arena {}
// SAFETY: `base` points into `memory`, which moves with the arena; nothing is tied to a thread.
unsafe impl Send for Arena {}

impl Arena {
    /// Maps memory for `chunks` frames and makes their tokens. Huge pages are tried first if `huge` says so.
    ///
    /// # Errors
    /// When the memory cannot be mapped at all.
    pub fn allocate(chunks: u32, huge: bool) -> io::Result<(Self, Vec<Frame>)> {
        if chunks == 0 || chunks == Frame::VACANT {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("an arena of {chunks} chunks")));
        }
        let len_bytes = (chunks as usize * CHUNK_BYTES).next_multiple_of(2 << 20);
        let (mut memory, pages) = map(len_bytes, huge)?;
        let base = memory.as_mut_ptr();
        let metas = (0..chunks).map(|_| UnsafeCell::new(Meta::default())).collect();
        let frames = (0..chunks).map(Frame).collect();
        Ok((Self { memory: UnsafeCell::new(memory), base, metas, pages }, frames))
    }

    /// How many chunks there are.
    pub fn chunks(&self) -> u32 {
        self.metas.len() as u32
    }

    /// What pages hold them.
    pub const fn pages(&self) -> Pages {
        self.pages
    }

    /// Start of the chunk memory, to be registered as UMEM.
    pub const fn base(&self) -> *mut u8 {
        self.base
    }

    /// Bytes of chunk memory that hold chunks.
    pub fn len_bytes(&self) -> usize {
        self.metas.len() * CHUNK_BYTES
    }

    /// The metadata of a frame.
    #[inline]
    pub fn meta(&self, frame: &Frame) -> &Meta {
        let cell = &self.metas[frame.0 as usize];
        // SAFETY: `frame` is the only token for this cell and is borrowed for as long as the result.
        unsafe { &*cell.get() }
    }

    /// The metadata of a frame, to be written.
    #[inline]
    #[expect(clippy::mut_from_ref, reason = "the unique token stands for the unique borrow")]
    pub fn meta_mut(&self, frame: &mut Frame) -> &mut Meta {
        let cell = &self.metas[frame.0 as usize];
        // SAFETY: `frame` is the only token for this cell and is mutably borrowed for as long as the result.
        unsafe { &mut *cell.get() }
    }

    /// The whole chunk.
    #[inline]
    pub fn chunk(&self, frame: &Frame) -> &[u8; CHUNK_BYTES] {
        let start = self.chunk_start(frame);
        // SAFETY: in bounds (chunk_start checks), and only the holder of the token reaches this chunk.
        unsafe { &*start }
    }

    /// The whole chunk, to be written.
    #[inline]
    #[expect(clippy::mut_from_ref, reason = "the unique token stands for the unique borrow")]
    pub fn chunk_mut(&self, frame: &mut Frame) -> &mut [u8; CHUNK_BYTES] {
        let start = self.chunk_start(frame);
        // SAFETY: in bounds (chunk_start checks), and the token is mutably borrowed for as long as the result.
        unsafe { &mut *start }
    }

    /// Metadata and chunk at once.
    #[inline]
    #[expect(clippy::mut_from_ref, reason = "the unique token stands for the unique borrow")]
    pub fn parts_mut(&self, frame: &mut Frame) -> (&mut Meta, &mut [u8; CHUNK_BYTES]) {
        let start = self.chunk_start(frame);
        // SAFETY: as in `chunk_mut`; metadata lies in another allocation.
        (self.meta_mut(frame), unsafe { &mut *start })
    }

    /// The packet: the bytes from L2 on, as the metadata says.
    #[inline]
    pub fn packet(&self, frame: &Frame) -> &[u8] {
        let meta = self.meta(frame);
        let start = usize::from(meta.data_offset);
        self.chunk(frame).get(start..start + usize::from(meta.len)).unwrap_or_default()
    }

    /// The packet, to be written.
    #[inline]
    pub fn packet_mut(&self, frame: &mut Frame) -> &mut [u8] {
        let (meta, chunk) = self.parts_mut(frame);
        let start = usize::from(meta.data_offset);
        chunk.get_mut(start..start + usize::from(meta.len)).unwrap_or_default()
    }

    /// Asks the CPU for the first line of packet data and for the metadata, before they are needed.
    #[inline]
    pub fn prefetch(&self, frame: &Frame, data_offset: usize) {
        if frame.0 as usize >= self.metas.len() || data_offset >= CHUNK_BYTES {
            return;
        }
        let at = frame.0 as usize * CHUNK_BYTES + data_offset;
        prefetch(self.base.wrapping_add(at));
    }

    #[inline]
    fn chunk_start(&self, frame: &Frame) -> *mut [u8; CHUNK_BYTES] {
        assert!((frame.0 as usize) < self.metas.len(), "a frame of another arena");
        self.base.wrapping_add(frame.0 as usize * CHUNK_BYTES).cast()
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arena of {} chunks on {}", self.chunks(), self.pages)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // The mapping goes with `memory`; naming it here keeps the owner of `base` in sight.
        let _: &mut MmapMut = self.memory.get_mut();
    }
}

fn map(len_bytes: usize, huge: bool) -> io::Result<(MmapMut, Pages)> {
    let mut options = MmapOptions::new();
    options.len(len_bytes).populate();
    if huge && let Ok(memory) = options.clone().huge(Some(21)).map_anon() {
        return Ok((memory, Pages::Huge2M));
    }
    let memory = options.map_anon()?;
    // Advice only: without it everything works, at more TLB misses.
    let _ = memory.advise(memmap2::Advice::HugePage);
    Ok((memory, Pages::Plain))
}

#[inline]
fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint; it cannot fault whatever the address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Free frames of one worker. Takes and gives tokens; never allocates after it was made.
#[derive(Debug)]
pub struct FramePool {
    free: Vec<Frame>,
    capacity: usize,
}

impl FramePool {
    /// A pool that holds `frames` and has room for `capacity` in all.
    pub fn new(frames: Vec<Frame>, capacity: usize) -> Self {
        let mut free = Vec::with_capacity(capacity.max(frames.len()));
        let capacity = free.capacity();
        free.extend(frames);
        Self { free, capacity }
    }

    /// A free frame, if there is one.
    #[inline]
    pub fn take(&mut self) -> Option<Frame> {
        self.free.pop()
    }

    /// Takes a frame back.
    #[inline]
    pub fn give(&mut self, frame: Frame) {
        debug_assert!(self.free.len() < self.capacity, "more frames come back than exist");
        self.free.push(frame);
    }

    /// How many are free.
    #[inline]
    pub fn len(&self) -> usize {
        self.free.len()
    }

    /// Is none free?
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.free.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chunk_has_one_token_and_its_own_memory() {
        let (arena, mut frames) = Arena::allocate(8, false).unwrap();
        assert_eq!((arena.chunks(), frames.len(), arena.len_bytes()), (8, 8, 8 * CHUNK_BYTES));
        for frame in &mut frames {
            let fill = frame.index() as u8 + 1;
            arena.chunk_mut(frame).fill(fill);
        }
        for frame in &frames {
            assert!(arena.chunk(frame).iter().all(|b| *b == frame.index() as u8 + 1));
        }
    }

    #[test]
    fn the_packet_is_what_the_metadata_says_and_a_lie_is_an_empty_slice() {
        let (arena, mut frames) = Arena::allocate(1, false).unwrap();
        let frame = &mut frames[0];
        arena.chunk_mut(frame)[256] = 7;
        let meta = arena.meta_mut(frame);
        (meta.data_offset, meta.len) = (256, 60);
        assert_eq!((arena.packet(frame).len(), arena.packet(frame)[0]), (60, 7));
        arena.meta_mut(frame).len = 2000;
        assert!(arena.packet(frame).is_empty());
    }

    #[test]
    #[should_panic(expected = "index out of bounds")]
    fn a_token_of_a_larger_arena_reaches_nothing() {
        let (small, _) = Arena::allocate(1, false).unwrap();
        let (_large, frames) = Arena::allocate(2, false).unwrap();
        let _ = small.meta(&frames[1]);
    }

    #[test]
    fn an_arena_of_nothing_is_refused() {
        assert!(Arena::allocate(0, false).is_err());
    }

    #[test]
    fn a_pool_gives_what_it_was_given() {
        let (_arena, frames) = Arena::allocate(2, false).unwrap();
        let mut pool = FramePool::new(frames, 2);
        let (a, b) = (pool.take().unwrap(), pool.take().unwrap());
        assert!(pool.take().is_none() && pool.is_empty());
        pool.give(a);
        pool.give(b);
        assert_eq!(pool.len(), 2);
    }
}
