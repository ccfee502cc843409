//! L2 headers of frames which leave the fast path, or come from where there are none.

use ze_graph::{CHUNK_BYTES, Meta, flag};
use ze_packet::MacAddr;
use ze_packet::ethernet::{self, HEADER_BYTES, TAG_BYTES, ethertype};

use crate::bytes::window_mut;

/// Takes the VLAN tags out: representors and the neighbour engine know interfaces, not tags. None without room.
pub(crate) fn untag(meta: &mut Meta, chunk: &mut [u8; CHUNK_BYTES]) -> Option<()> {
    if !meta.has(flag::TAGGED) {
        return Some(());
    }
    let from = usize::from(meta.data_offset);
    let to = usize::from(meta.l3_offset).checked_sub(HEADER_BYTES)?;
    let removed = to.checked_sub(from)?;
    // The two bytes before L3 are the type or length already: only the addresses move.
    chunk.copy_within(from..from + 12, to);
    meta.data_offset = to as u16;
    meta.len = meta.len.checked_sub(removed as u16)?;
    meta.flags &= !flag::TAGGED;
    Some(())
}

/// Puts an Ethernet header in front of a packet that has none. None without room.
pub(crate) fn dress(meta: &mut Meta, chunk: &mut [u8; CHUNK_BYTES], mac: MacAddr) -> Option<()> {
    let start = usize::from(meta.l3_offset).checked_sub(HEADER_BYTES)?;
    let kind = if meta.has(flag::IPV6) { ethertype::IPV6 } else { ethertype::IPV4 };
    ethernet::emit(window_mut(chunk, start)?, mac, mac, kind);
    meta.data_offset = start as u16;
    meta.len = meta.l3_len + HEADER_BYTES as u16;
    Some(())
}

/// Is there an L2 header in front of L3?
pub(crate) const fn is_dressed(meta: &Meta) -> bool {
    meta.l3_offset as usize >= meta.data_offset as usize + HEADER_BYTES
}

/// Puts VLAN tags (TPID, TCI), outer first, into an untagged frame. None without room.
pub(crate) fn tag(meta: &mut Meta, chunk: &mut [u8; CHUNK_BYTES], tags: &[(u16, u16)]) -> Option<()> {
    let from = usize::from(meta.data_offset);
    let added = tags.len() * TAG_BYTES;
    let to = from.checked_sub(added)?;
    let len = usize::from(meta.len) + added;
    if from + 12 > CHUNK_BYTES {
        return None;
    }
    chunk.copy_within(from..from + 12, to);
    let place = chunk.get_mut(to + 12..from + 12)?;
    let (words, _) = place.as_chunks_mut::<TAG_BYTES>();
    for (word, (tpid, tci)) in words.iter_mut().zip(tags) {
        let ([a, b], [c, d]) = (tpid.to_be_bytes(), tci.to_be_bytes());
        *word = [a, b, c, d];
    }
    meta.data_offset = to as u16;
    meta.len = len as u16;
    Some(())
}
