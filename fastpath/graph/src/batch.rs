//! Batches: up to [`BATCH_MAX`] frames that walk the graph together.

use crate::Frame;
use crate::node::{Edge, Fanout};

/// The most frames in one batch.
pub const BATCH_MAX: usize = 256;

/// The most frames that a port gives at once. Headers and metadata of 128 frames are 24 KiB: they fit the first-level
/// cache of the CPUs we know; more would gain little, since what a batch costs besides its packets is spread already.
pub const RECEIVE_MAX: usize = 128;
const _: () = assert!(RECEIVE_MAX <= BATCH_MAX);

/// An ordered set of frames. Never holds more than [`BATCH_MAX`].
#[derive(Debug)]
pub struct Batch {
    len: usize,
    frames: [Frame; BATCH_MAX],
}

impl Default for Batch {
    fn default() -> Self {
        Self { len: 0, frames: [const { Frame::raw(Frame::VACANT) }; BATCH_MAX] }
    }
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many frames it holds.
    #[inline]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Does it hold none?
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many more it takes.
    #[inline]
    pub const fn room(&self) -> usize {
        BATCH_MAX - self.len
    }

    /// Adds a frame; gives it back when the batch is full.
    #[inline]
    pub fn push(&mut self, frame: Frame) -> Result<(), Frame> {
        let Some(place) = self.frames.get_mut(self.len) else {
            return Err(frame);
        };
        *place = frame;
        self.len += 1;
        Ok(())
    }

    /// Takes the last frame.
    #[inline]
    pub fn pop(&mut self) -> Option<Frame> {
        let last = self.len.checked_sub(1)?;
        let place = self.frames.get_mut(last)?;
        self.len = last;
        Some(std::mem::replace(place, Frame::raw(Frame::VACANT)))
    }

    /// The frames, in order.
    #[inline]
    pub fn frames(&self) -> &[Frame] {
        self.frames.get(..self.len).unwrap_or_default()
    }

    /// The frames, in order, to be written through.
    #[inline]
    pub fn frames_mut(&mut self) -> &mut [Frame] {
        self.frames.get_mut(..self.len).unwrap_or_default()
    }

    /// Decides the way out of every frame: calls `decide` for each, in order.
    #[inline(always)] // the closure is the node's loop body: as a call it costs 2 cycles a packet more
    pub fn each<E: Edge>(&mut self, out: &mut Fanout<'_, E>, mut decide: impl FnMut(&mut Frame) -> E) {
        let len = self.len;
        for (frame, exit) in self.frames_mut().iter_mut().zip(out.exits_mut(len)) {
            *exit = decide(frame);
        }
    }

    /// Like [`Batch::each`], with one value a frame that an earlier pass has worked out.
    #[inline(always)] // as above
    pub fn each_with<E: Edge, T: Copy>(
        &mut self,
        values: &[T],
        out: &mut Fanout<'_, E>,
        mut decide: impl FnMut(&mut Frame, T) -> E,
    ) {
        debug_assert!(values.len() >= self.len, "a value for every frame");
        let len = self.len;
        let exits = out.exits_mut(len);
        for ((frame, value), exit) in self.frames_mut().iter_mut().zip(values).zip(exits) {
            *exit = decide(frame, *value);
        }
    }

    /// Moves all frames to the end of `to`. What does not fit stays here, in order.
    #[inline]
    pub fn move_to(&mut self, to: &mut Self) {
        let count = self.len.min(to.room());
        let places = to.frames.get_mut(to.len..to.len + count).unwrap_or_default();
        for (place, frame) in places.iter_mut().zip(&mut self.frames) {
            *place = Frame::raw(frame.index());
        }
        to.len += count;
        self.forget_first(count);
    }

    /// Takes all frames out, in order, giving each to `sink`.
    #[inline]
    pub fn drain(&mut self, mut sink: impl FnMut(Frame)) {
        let len = std::mem::take(&mut self.len);
        for frame in self.frames.get_mut(..len).unwrap_or_default() {
            sink(std::mem::replace(frame, Frame::raw(Frame::VACANT)));
        }
    }

    /// Takes all frames out with the exits that a node chose for them.
    #[inline]
    pub fn drain_with<E: Edge>(&mut self, exits: &[E], mut sink: impl FnMut(Frame, E)) {
        let len = std::mem::take(&mut self.len);
        for (frame, exit) in self.frames.get_mut(..len).unwrap_or_default().iter_mut().zip(exits) {
            sink(std::mem::replace(frame, Frame::raw(Frame::VACANT)), *exit);
        }
    }

    /// The first `count` tokens have been moved elsewhere; closes the gap.
    fn forget_first(&mut self, count: usize) {
        let rest = self.len - count;
        if rest > 0 {
            self.frames.rotate_left(count);
        }
        self.len = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(indices: std::ops::Range<u32>) -> Batch {
        let mut batch = Batch::new();
        for index in indices {
            batch.push(Frame::raw(index)).unwrap();
        }
        batch
    }

    fn indices(batch: &Batch) -> Vec<u32> {
        batch.frames().iter().map(Frame::index).collect()
    }

    #[test]
    fn a_full_batch_gives_the_frame_back() {
        let mut full = batch(0..BATCH_MAX as u32);
        assert_eq!(full.room(), 0);
        assert_eq!(full.push(Frame::raw(999)).unwrap_err().index(), 999);
        assert_eq!(full.len(), BATCH_MAX);
        assert_eq!(full.pop().unwrap().index(), BATCH_MAX as u32 - 1);
        assert!(full.push(Frame::raw(999)).is_ok());
    }

    #[test]
    fn moving_keeps_order_and_leaves_what_does_not_fit() {
        let mut from = batch(0..40);
        let there = BATCH_MAX - 14;
        let mut to = batch(1000..1000 + there as u32);
        from.move_to(&mut to);
        assert_eq!(to.len(), BATCH_MAX);
        assert_eq!(indices(&to)[there..], (0..14).collect::<Vec<_>>());
        assert_eq!(indices(&from), (14..40).collect::<Vec<_>>());
        let mut empty = Batch::new();
        from.move_to(&mut empty);
        assert!(from.is_empty());
        assert_eq!(indices(&empty), (14..40).collect::<Vec<_>>());
    }

    #[test]
    fn draining_empties_in_order() {
        let mut some = batch(3..6);
        let mut seen = vec![];
        some.drain(|frame| seen.push(frame.index()));
        assert_eq!(seen, [3, 4, 5]);
        assert!(some.is_empty() && some.pop().is_none());
    }
}
