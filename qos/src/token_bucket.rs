//! The token bucket: integer arithmetic on a cycle counter, without drift.

/// Refills at a rate up to a burst; whoever wants to pass takes from it.
///
/// The unit is the caller's: packets, bytes, messages. Credit is kept in fractions of 1/hertz of a unit, so that a
/// cycle adds exactly `rate` of them and nothing is ever rounded: over any time the bucket gives exactly what the
/// rate says.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    /// Units a second, which is credit a cycle. 0 lets nothing pass.
    rate: u64,
    /// Cycles a second, which is credit a unit. 0 stands for "no limit".
    hertz: u64,
    full: u128,
    credit: u128,
    seen: u64,
}

impl TokenBucket {
    /// A full bucket: `rate` units a second, at most `burst` units at once, on a clock of `hertz` cycles a second.
    /// A rate of 0 lets nothing pass, not even the burst. A clock of 0 hertz does not exist; it is taken as 1.
    #[must_use]
    pub fn new(rate: u64, burst: u64, hertz: u64) -> Self {
        let hertz = hertz.max(1);
        let full = if rate == 0 { 0 } else { u128::from(burst) * u128::from(hertz) };
        Self { rate, hertz, full, credit: full, seen: 0 }
    }

    /// A bucket that never refuses.
    #[must_use]
    pub const fn unlimited() -> Self {
        Self { rate: 0, hertz: 0, full: 0, credit: 0, seen: 0 }
    }

    /// Takes `amount` units if they are there at cycle `now`; takes nothing if not. A clock that steps back adds
    /// nothing and does no harm.
    #[inline]
    pub fn take(&mut self, now: u64, amount: u64) -> bool {
        if self.hertz == 0 {
            return true;
        }
        self.refill(now);
        let cost = u128::from(amount) * u128::from(self.hertz);
        if self.rate == 0 || cost > self.credit {
            return false;
        }
        self.credit -= cost;
        true
    }

    /// Whole units that could be taken at cycle `now`; `u64::MAX` without a limit.
    pub fn available(&mut self, now: u64) -> u64 {
        if self.hertz == 0 {
            return u64::MAX;
        }
        self.refill(now);
        u64::try_from(self.credit / u128::from(self.hertz)).unwrap_or(u64::MAX)
    }

    #[inline]
    fn refill(&mut self, now: u64) {
        let elapsed = now.saturating_sub(self.seen);
        self.seen = self.seen.max(now);
        let earned = u128::from(elapsed) * u128::from(self.rate);
        self.credit = self.credit.saturating_add(earned).min(self.full);
    }
}

/// One worker's share of a limit that `workers` keep together, rounded up so that no limit becomes "never".
#[must_use]
pub const fn share(limit: u64, workers: u64) -> u64 {
    limit.div_ceil(if workers == 0 { 1 } else { workers })
}

#[cfg(test)]
mod tests;
