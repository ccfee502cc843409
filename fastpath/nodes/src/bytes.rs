//! Fixed-size windows into a chunk: one bounds check, then every field is in sight of the compiler.

use ze_graph::{CHUNK_BYTES, Meta};

/// The `N` bytes from `at` on.
#[inline]
pub(crate) fn window<const N: usize>(chunk: &[u8; CHUNK_BYTES], at: usize) -> Option<&[u8; N]> {
    chunk.get(at..)?.first_chunk()
}

/// The `N` bytes from `at` on, to be written.
#[inline]
pub(crate) fn window_mut<const N: usize>(chunk: &mut [u8; CHUNK_BYTES], at: usize) -> Option<&mut [u8; N]> {
    chunk.get_mut(at..)?.first_chunk_mut()
}

/// Bytes from the L3 header to the end of the frame, which never lies behind the end of the chunk.
#[inline]
pub(crate) fn l3_available(meta: &Meta) -> usize {
    let end = usize::from(meta.data_offset) + usize::from(meta.len);
    end.min(CHUNK_BYTES).saturating_sub(usize::from(meta.l3_offset))
}

/// The L3 packet, as long as its header states.
#[inline]
pub(crate) fn l3<'a>(meta: &Meta, chunk: &'a [u8; CHUNK_BYTES]) -> &'a [u8] {
    let start = usize::from(meta.l3_offset);
    chunk.get(start..start + usize::from(meta.l3_len)).unwrap_or_default()
}

/// A big-endian 16-bit word; none beyond the end.
#[inline]
pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|word| u16::from_be_bytes(*word))
}
