//! Counting in runs: neighbours in a batch mostly share their interface and their nexthop.

/// Adds up packets and bytes as long as the key stays the same, so that a counter is touched once a run.
pub(crate) struct Run<K> {
    key: K,
    packets: u64,
    bytes: u64,
}

impl<K: Copy + Eq> Run<K> {
    /// Nothing counted yet.
    #[inline]
    pub(crate) const fn new(key: K) -> Self {
        Self { key, packets: 0, bytes: 0 }
    }

    /// Counts one packet; hands the run before to `count` when the key has changed.
    #[inline]
    pub(crate) fn add(&mut self, key: K, bytes: u64, count: impl FnOnce(K, u64, u64)) {
        if key != self.key {
            self.end(count);
            self.key = key;
        }
        self.packets += 1;
        self.bytes += bytes;
    }

    /// Hands what is left to `count`.
    #[inline]
    pub(crate) fn end(&mut self, count: impl FnOnce(K, u64, u64)) {
        if self.packets > 0 {
            count(self.key, self.packets, self.bytes);
            (self.packets, self.bytes) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_handed_over_once_and_nothing_is_lost() {
        let mut seen = vec![];
        let mut run = Run::new(0);
        for (key, bytes) in [(0, 1), (0, 2), (1, 3), (0, 4)] {
            run.add(key, bytes, |key, packets, bytes| seen.push((key, packets, bytes)));
        }
        run.end(|key, packets, bytes| seen.push((key, packets, bytes)));
        run.end(|_, _, _| unreachable!("the run is empty"));
        assert_eq!(seen, [(0, 2, 3), (1, 1, 3), (0, 1, 4)]);
    }
}
