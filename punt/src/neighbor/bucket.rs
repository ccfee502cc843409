//! A token bucket on told time.

use std::time::{Duration, Instant};

/// Tokens come at a steady rate up to a burst; each permission takes one.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Time that one token takes to come.
    interval: Duration,
    burst: u32,
    tokens: u32,
    /// When the next token starts to come; `None` before first use.
    filled: Option<Instant>,
}

impl Bucket {
    pub(super) fn new(per_s: u32, burst: u32) -> Self {
        Self { interval: Duration::from_secs(1) / per_s.max(1), burst, tokens: burst, filled: None }
    }

    /// Takes a token if more than `reserve` are there.
    pub(super) fn take(&mut self, reserve: u32, now: Instant) -> bool {
        self.fill(now);
        let allowed = self.tokens > reserve;
        if allowed {
            self.tokens -= 1;
        }
        allowed
    }

    fn fill(&mut self, now: Instant) {
        let filled = *self.filled.get_or_insert(now);
        let passed = now.saturating_duration_since(filled);
        let came = passed.as_nanos() / self.interval.as_nanos().max(1);
        let missing = self.burst - self.tokens;
        if came >= u128::from(missing) {
            self.tokens = self.burst;
            self.filled = Some(now.max(filled));
            return;
        }
        // Smaller than `missing`, so it fits; the rest of the time counts towards the next token.
        let came = came as u32;
        self.tokens += came;
        self.filled = Some(filled + self.interval * came);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_then_rate_then_burst_again_and_the_reserve_is_kept() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, 4);
        assert_eq!((0..9).filter(|_| bucket.take(1, start)).count(), 3, "one of four is reserved");
        assert!(bucket.take(0, start) && !bucket.take(0, start));
        let later = start + Duration::from_millis(99);
        assert!(!bucket.take(0, later));
        assert!(bucket.take(0, later + Duration::from_millis(1)));
        assert!(!bucket.take(0, later + Duration::from_millis(100)));
        let idle = start + Duration::from_secs(3600);
        assert_eq!((0..9).filter(|_| bucket.take(0, idle)).count(), 4);
    }

    #[test]
    fn time_that_stands_still_or_goes_back_gives_nothing() {
        let start = Instant::now() + Duration::from_secs(60);
        let mut bucket = Bucket::new(1, 1);
        assert!(bucket.take(0, start));
        assert!(!bucket.take(0, start) && !bucket.take(0, start - Duration::from_secs(50)));
        assert!(bucket.take(0, start + Duration::from_secs(1)));
    }
}
