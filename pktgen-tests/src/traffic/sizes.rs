//! Sizes of frames, FCS included, as RFC 2544 §9 counts them.

use std::fmt;
use std::str::FromStr;

/// Bytes of the frame check sequence: part of a frame's size, never in memory.
pub const FCS_BYTES: usize = 4;
/// IEEE 802.3 §3.2.8.
pub const FRAME_MIN_BYTES: usize = 64;
/// The largest untagged frame with two tags more, as much as a chunk of memory and an MTU of 1500 allow.
pub const FRAME_MAX_BYTES: usize = 1526;
/// One turn of the simple IMIX: 7 of 64, 4 of 594, 1 of 1518, spread evenly.
const IMIX: [usize; 12] = [64, 594, 64, 64, 594, 64, 1518, 64, 594, 64, 594, 64];

/// Sizes of the frames that come in turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes {
    turn: Vec<usize>,
    is_imix: bool,
}

impl Sizes {
    /// One size, or several by turns.
    ///
    /// # Errors
    /// When there is none, or one that is no Ethernet frame's.
    pub fn new(turn: Vec<usize>) -> Result<Self, String> {
        let wrong = turn.iter().find(|bytes| !(FRAME_MIN_BYTES..=FRAME_MAX_BYTES).contains(bytes));
        if let Some(wrong) = wrong {
            return Err(format!("{wrong} is not in {FRAME_MIN_BYTES} to {FRAME_MAX_BYTES}"));
        }
        if turn.is_empty() {
            return Err("no size".to_owned());
        }
        Ok(Self { turn, is_imix: false })
    }

    /// The simple IMIX; sizes below `least_bytes`, which the packets can not have, become that.
    #[must_use]
    pub fn imix(least_bytes: usize) -> Self {
        Self { turn: IMIX.iter().map(|bytes| (*bytes).max(least_bytes)).collect(), is_imix: true }
    }

    /// The sizes of one turn, bytes with FCS.
    #[must_use]
    pub fn turn(&self) -> &[usize] {
        &self.turn
    }

    /// Are all frames of one size?
    #[must_use]
    pub fn is_one(&self) -> bool {
        self.turn.iter().all(|size| *size == self.turn[0])
    }

    /// Mean size, bytes with FCS.
    #[must_use]
    pub fn mean_bytes(&self) -> f64 {
        self.turn.iter().sum::<usize>() as f64 / self.turn.len() as f64
    }

    /// No size below this: IMIX is raised to it, a size that was named is refused.
    ///
    /// # Errors
    /// When a size that was named is below.
    pub fn at_least(&self, least_bytes: usize) -> Result<Self, String> {
        if self.is_imix {
            return Ok(Self::imix(least_bytes));
        }
        match self.turn.iter().find(|bytes| **bytes < least_bytes) {
            Some(small) => Err(format!(
                "a frame of {small} bytes has no room for these headers and the signature: the least is {least_bytes}"
            )),
            None => Ok(self.clone()),
        }
    }
}

impl FromStr for Sizes {
    type Err = String;

    /// `imix`, a size, or sizes that come in turn: `64,64,1518`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "imix" {
            return Ok(Self::imix(0));
        }
        let one = |word: &str| match word {
            "imix" => Err("imix stands alone".to_owned()),
            _ => word.parse().map_err(|_| format!("'{word}' is neither a number nor imix")),
        };
        Self::new(text.split(',').map(one).collect::<Result<_, _>>()?)
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_imix {
            return f.write_str("imix");
        }
        let words: Vec<_> = self.turn.iter().map(usize::to_string).collect();
        f.write_str(&words.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_they_are_written_and_wrong_ones_refused() {
        for text in ["64", "imix", "64,594,1518"] {
            assert_eq!(text.parse::<Sizes>().unwrap().to_string(), text);
        }
        for (text, reason) in [
            ("63", "63 is not in"),
            ("1527", "1527 is not in"),
            ("big", "neither"),
            ("", "neither"),
            ("imix,64", "stands alone"),
        ] {
            assert!(text.parse::<Sizes>().unwrap_err().contains(reason), "{text}");
        }
    }

    #[test]
    fn imix_has_the_mean_of_the_simple_imix_and_is_raised_where_headers_need_room() {
        let imix: Sizes = "imix".parse().unwrap();
        assert!((imix.mean_bytes() - (7.0 * 64.0 + 4.0 * 594.0 + 1518.0) / 12.0).abs() < 1e-9);
        assert_eq!(imix.at_least(78).unwrap().turn().iter().min(), Some(&78));
        let refused = Sizes::new(vec![64]).unwrap().at_least(78).unwrap_err();
        assert!(refused.contains("78"), "{refused}");
    }
}
