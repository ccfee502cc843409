//! Numbers that look random and are the same in every run.

/// What every sequence starts from.
pub(crate) const SEED: u64 = 0x5eed;

/// SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A sequence of its own for each `stream`.
    #[must_use]
    pub(crate) const fn new(stream: u64) -> Self {
        Self(SEED ^ (stream << 32))
    }

    /// 64 random bits.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 128 random bits.
    pub(crate) const fn wide(&mut self) -> u128 {
        (self.next() as u128) << 64 | self.next() as u128
    }

    /// A number below `bound`, which is not 0.
    pub(crate) const fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// A rank below `bound`, the k-th with a share of 1/k: the inverse of the harmonic sum is an exponential.
    pub(crate) fn zipf(&mut self, bound: usize) -> usize {
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        (((bound + 1) as f64).powf(unit) as usize).saturating_sub(1).min(bound - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zipf_gives_the_first_rank_its_share_and_stays_below_the_bound() {
        let (mut random, mut first) = (Random::new(1), 0);
        for _ in 0..100_000 {
            let rank = random.zipf(1000);
            assert!(rank < 1000);
            first += usize::from(rank == 0);
        }
        // ln 2 / ln 1001 = 0.1003: the share of [1, 2) under the density 1/x.
        assert!((9_000..11_000).contains(&first), "{first}");
        assert_eq!(Random::new(2).zipf(1), 0);
    }
}
