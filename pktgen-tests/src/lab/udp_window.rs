//! Which numbered packets have arrived, in bounded memory.

/// Packets back from the newest that are told apart; older ones count as too old.
pub(super) const WINDOW_PACKETS: u64 = 1 << 16;
const WORDS: usize = (WINDOW_PACKETS / 64) as usize;

/// What an arriving number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Higher than all before.
    InOrder,
    /// Lower than one before, and new.
    Reordered,
    /// Seen before.
    Duplicate,
    /// So old that it cannot be told whether it is new.
    TooOld,
}

/// A sliding bitmap over the newest [`WINDOW_PACKETS`] numbers.
#[derive(Clone, Debug)]
pub(crate) struct SequenceWindow {
    /// One above the highest number seen.
    next: u64,
    seen: Box<[u64]>,
}

impl Default for SequenceWindow {
    fn default() -> Self {
        Self::new()
    }
}

impl SequenceWindow {
    pub(crate) fn new() -> Self {
        Self { next: 0, seen: vec![0; WORDS].into() }
    }

    /// One above the highest number seen.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// Notes the arrival of `sequence`.
    pub(crate) fn arrive(&mut self, sequence: u64) -> Arrival {
        if sequence >= self.next {
            self.slide_to(sequence + 1);
            self.mark(sequence);
            return Arrival::InOrder;
        }
        if self.next - sequence > WINDOW_PACKETS {
            return Arrival::TooOld;
        }
        if self.is_marked(sequence) {
            return Arrival::Duplicate;
        }
        self.mark(sequence);
        Arrival::Reordered
    }

    /// The places of the numbers that come into the window are those of the ones that leave it.
    fn slide_to(&mut self, next: u64) {
        if next - self.next >= WINDOW_PACKETS {
            self.seen.fill(0);
        } else {
            for sequence in self.next..next {
                let (word, bit) = place(sequence);
                self.seen[word] &= !bit;
            }
        }
        self.next = next;
    }

    fn mark(&mut self, sequence: u64) {
        let (word, bit) = place(sequence);
        self.seen[word] |= bit;
    }

    fn is_marked(&self, sequence: u64) -> bool {
        let (word, bit) = place(sequence);
        self.seen[word] & bit != 0
    }
}

fn place(sequence: u64) -> (usize, u64) {
    let index = sequence % WINDOW_PACKETS;
    ((index / 64) as usize, 1 << (index % 64))
}

#[cfg(test)]
mod tests;
