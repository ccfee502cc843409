//! Which frames are in the kernel's hands.

#![expect(
    unsafe_code,
    reason = "frames come back from the kernel as numbers; the ledger makes them tokens again"
)]

use ze_graph::Frame;

/// One bit a chunk of the arena: given to the kernel, not come back.
///
/// It makes the conservation of frames independent of the kernel's word: a number that comes back twice, or was never
/// given, does not become a second token. And it is the only record of frames that the kernel has taken out of a ring
/// and not answered for, which `close` returns.
pub(crate) struct Ledger {
    words: Box<[u64]>,
    count: usize,
}

impl Ledger {
    pub(crate) fn new(chunks: u32) -> Self {
        Self { words: vec![0; (chunks as usize).div_ceil(64)].into_boxed_slice(), count: 0 }
    }

    /// Notes a frame as given away, and tells its chunk's number.
    #[inline]
    pub(crate) fn give(&mut self, frame: Frame) -> u32 {
        let index = frame.into_index();
        let word = &mut self.words[index as usize / 64];
        let bit = 1 << (index % 64);
        debug_assert!(*word & bit == 0, "a frame is given away twice");
        *word |= bit;
        self.count += 1;
        index
    }

    /// The token of a chunk that came back; none if it had not been given away.
    #[inline]
    pub(crate) fn take(&mut self, index: u64) -> Option<Frame> {
        let word = self.words.get_mut(usize::try_from(index / 64).ok()?)?;
        let bit = 1 << (index % 64);
        if *word & bit == 0 {
            return None;
        }
        *word &= !bit;
        self.count -= 1;
        // SAFETY: the bit was set, so `give` consumed this chunk's token, and it is cleared, so this happens once.
        // The number fits: it is below 64 times the number of words, which is about a u32 of chunks.
        Some(unsafe { Frame::from_index(index as u32) })
    }

    /// How many frames are out.
    #[inline]
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// Takes back everything, at the end.
    pub(crate) fn take_all(&mut self) -> Vec<Frame> {
        let chunks = self.words.len() as u64 * 64;
        (0..chunks).filter_map(|index| self.take(index)).collect()
    }
}

#[cfg(test)]
mod tests {
    use ze_graph::Arena;

    use super::*;

    #[test]
    fn a_frame_comes_back_once_and_only_if_it_was_given() {
        let (arena, frames) = Arena::allocate(130, false).unwrap();
        let mut ledger = Ledger::new(arena.chunks());
        for frame in frames {
            ledger.give(frame);
        }
        assert_eq!(ledger.count(), 130);
        assert_eq!(ledger.take(129).unwrap().index(), 129);
        assert!(ledger.take(129).is_none(), "a second time");
        assert!(ledger.take(130).is_none(), "never given");
        assert!(ledger.take(u64::MAX).is_none(), "far outside");
        let rest: Vec<u32> = ledger.take_all().iter().map(Frame::index).collect();
        assert_eq!(rest, (0..129).collect::<Vec<_>>());
        assert_eq!(ledger.count(), 0);
    }
}
