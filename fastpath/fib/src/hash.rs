//! A hash for small keys that the writer looks up a million times a second. Seeded once a process, so that nobody
//! who announces routes can choose prefixes that meet in one bucket.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;

static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0_u64));

/// Makes [`Folded`] hashers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fold(u64);

/// Multiplies wide and folds the halves together, once a word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Folded(u64);

impl Default for Fold {
    fn default() -> Self {
        Self(*SEED)
    }
}

impl BuildHasher for Fold {
    type Hasher = Folded;

    fn build_hasher(&self) -> Folded {
        Folded(self.0)
    }
}

impl Folded {
    fn fold(&mut self, word: u64) {
        let wide = u128::from(self.0 ^ word) * u128::from(0xf39c_c060_5ced_c835_u64);
        self.0 = (wide as u64 ^ (wide >> 64) as u64).rotate_left(23) ^ 0xbb67_ae85_84ca_a73b;
    }
}

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.fold(u64::from_le_bytes(word));
        }
    }
    fn write_u8(&mut self, value: u8) {
        self.fold(value.into());
    }
    fn write_u16(&mut self, value: u16) {
        self.fold(value.into());
    }
    fn write_u32(&mut self, value: u32) {
        self.fold(value.into());
    }
    fn write_u64(&mut self, value: u64) {
        self.fold(value);
    }
    fn write_u128(&mut self, value: u128) {
        self.fold((value >> 64) as u64);
        self.fold(value as u64);
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_prefixes_spread_over_buckets_and_tags() {
        let fold = Fold::default();
        for shift in [0, 7, 52] {
            let mut seen = vec![0_u32; 1024];
            for n in 0..65_536_u32 {
                seen[(fold.hash_one((n << 8, 24_u8)) >> shift) as usize & 1023] += 1;
            }
            // 64 expected in each: ten standard deviations away is no chance.
            assert!(seen.iter().all(|count| (1..=144).contains(count)), "{:?}", seen.iter().max());
        }
    }
}
