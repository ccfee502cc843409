//! A frame with places where any byte is right.

use std::fmt;
use std::ops::Range;

use crate::frame::ETHERNET_BYTES;

/// Frames are padded to this (IEEE 802.3 §4.2.3.3, without FCS).
const PADDED_BYTES: usize = 60;

/// What a frame must look like.
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern {
    bytes: Vec<u8>,
    /// Places that are not looked at.
    free: Vec<Range<usize>>,
}

impl From<Vec<u8>> for Pattern {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, free: Vec::new() }
    }
}

impl Pattern {
    /// Bytes of the whole frame that may be anything.
    #[must_use]
    pub fn ignore(mut self, range: Range<usize>) -> Self {
        self.free.push(range);
        self
    }

    /// Bytes behind an untagged Ethernet header that may be anything.
    #[must_use]
    pub fn ignore_l3(self, range: Range<usize>) -> Self {
        self.ignore(ETHERNET_BYTES + range.start..ETHERNET_BYTES + range.end)
    }

    /// Says whether a frame is right; padding with zeros up to Ethernet's minimum is.
    #[must_use]
    pub fn matches(&self, frame: &[u8]) -> bool {
        let Some((head, padding)) = frame.split_at_checked(self.bytes.len()) else { return false };
        let is_padded =
            padding.is_empty() || (frame.len() == PADDED_BYTES && padding.iter().all(|byte| *byte == 0));
        let is_free = |at: usize| self.free.iter().any(|range| range.contains(&at));
        let same = |(at, (byte, wanted)): (usize, (&u8, &u8))| byte == wanted || is_free(at);
        is_padded && head.iter().zip(&self.bytes).enumerate().all(same)
    }

    /// Places where a frame differs.
    #[must_use]
    pub fn differences(&self, frame: &[u8]) -> Vec<usize> {
        let is_free = |at: &usize| self.free.iter().any(|range| range.contains(at));
        let length = self.bytes.len().max(frame.len());
        (0..length).filter(|at| !is_free(at) && self.bytes.get(*at) != frame.get(*at)).collect()
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", hex(&self.bytes))
    }
}

/// Sixteen bytes a line.
pub(super) fn hex(bytes: &[u8]) -> String {
    let line = |(number, line): (usize, &[u8])| {
        let bytes: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("\n    {:4}  {}", number * 16, bytes.join(" "))
    };
    bytes.chunks(16).enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_places_match_anything_and_others_do_not() {
        let pattern = Pattern::from(vec![1, 2, 3, 4]).ignore(1..3);
        assert!(pattern.matches(&[1, 9, 9, 4]));
        assert!(
            !pattern.matches(&[1, 2, 3, 5])
                && !pattern.matches(&[1, 2, 3])
                && !pattern.matches(&[1, 2, 3, 4, 0])
        );
        assert_eq!(pattern.differences(&[0, 9, 9, 4, 7]), [0, 4]);
    }

    #[test]
    fn padding_is_allowed_up_to_the_least_frame_and_only_of_zeros() {
        let pattern = Pattern::from(vec![1; 42]);
        let padded = |byte| [vec![1; 42], vec![byte; 18]].concat();
        assert!(pattern.matches(&padded(0)) && !pattern.matches(&padded(1)));
    }
}
