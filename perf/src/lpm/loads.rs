//! What memory allows: one load from anywhere in as many bytes as a table has, and nothing else.
//!
//! No structure of that size that reads one word a lookup, wherever the address says, can be quicker.

use super::engine::rates;
use crate::pipeline::random::Random;

/// Words, and places in them at random.
pub(super) struct Loads {
    words: Vec<u64>,
    places: Vec<u32>,
    /// Million loads a second, by chunk.
    rates: Vec<f64>,
}

impl Loads {
    /// `count` loads from `bytes` bytes.
    pub(super) fn new(bytes: u64, count: usize) -> Self {
        let len = (bytes / u64::from(u64::BITS / 8)).max(1) as usize;
        let mut random = Random::new(13);
        // Numbers that differ, so that each page is really there, and no two pages are one.
        let words = (0..len as u64).collect();
        let places = (0..count).map(|_| random.below(len) as u32).collect();
        Self { words, places, rates: Vec::new() }
    }

    /// Loads from all places, twice, as tables are measured: the first round is not counted.
    pub(super) fn measure(&mut self, batch: usize) {
        for round in 0..2 {
            let rates = rates(&self.places, batch, |places, values| {
                for (&place, value) in places.iter().zip(values) {
                    *value = self.words[place as usize] as u32;
                }
            });
            if round == 1 {
                self.rates.extend(rates);
            }
        }
    }

    /// Of all chunks that were measured.
    pub(super) fn into_rates(self) -> Vec<f64> {
        self.rates
    }
}

#[cfg(test)]
mod tests {
    use super::Loads;

    #[test]
    fn loads_are_from_all_of_as_many_bytes_as_were_given() {
        let loads = Loads::new(8 * 1000, 100_000);
        assert_eq!(loads.words.len(), 1000);
        let mut hit = vec![false; 1000];
        loads.places.iter().for_each(|&place| hit[place as usize] = true);
        assert!(hit.iter().all(|&hit| hit));
    }
}
