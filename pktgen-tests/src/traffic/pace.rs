//! When to send: an even rate, and no bursts to catch up.

use std::time::Duration;

/// How fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// Packets a second.
    PacketsPerSecond(f64),
    /// As fast as the device takes them.
    Max,
}

/// When to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// After so many packets.
    Packets(u64),
    /// After this time. At a given rate that is a number of packets, and late packets are still sent.
    Time(Duration),
}

/// How many packets may be late and are still sent at once: fewer than the 256 that a veth holds. More are sent later
/// instead: a burst of what a descheduled generator did not send in time is no even load, and would be lost in front of
/// any router.
const LATE_MAX: u64 = 128;

/// Who is late by more than this at once was away; who is late by less, again and again, is too slow.
const AWAY_MIN_NS: u64 = 500_000;

/// Says how many packets are due.
#[derive(Clone, Debug)]
pub struct Pace {
    rate: Rate,
    /// Packets to send in all.
    total: u64,
    end_ns: u64,
    /// The schedule's beginning, moved on with each slip.
    start_ns: u64,
    scheduled: u64,
    given: u64,
    /// How long the schedule had to be stretched.
    pub slipped_ns: u64,
    /// Of that, in one piece: the generator did not have its core.
    pub away_ns: u64,
}

impl Pace {
    /// A schedule that begins at `now_ns`.
    #[must_use]
    pub fn start(rate: Rate, stop: Stop, now_ns: u64) -> Self {
        let total = match (stop, rate) {
            (Stop::Packets(packets), _) => packets,
            (Stop::Time(time), Rate::PacketsPerSecond(pps)) => {
                (time.as_secs_f64() * pps).round().max(1.0) as u64
            }
            (Stop::Time(_), Rate::Max) => u64::MAX,
        };
        let end_ns = match (stop, rate) {
            (Stop::Time(time), Rate::Max) => now_ns.saturating_add(time.as_nanos() as u64),
            _ => u64::MAX,
        };
        Self { rate, total, end_ns, start_ns: now_ns, scheduled: 0, given: 0, slipped_ns: 0, away_ns: 0 }
    }

    /// How many to send now, `most` at most; they count as sent.
    #[inline]
    pub fn due(&mut self, now_ns: u64, most: u64) -> u64 {
        let left = self.total - self.given;
        let due = match self.rate {
            Rate::Max => most,
            Rate::PacketsPerSecond(pps) => {
                let elapsed_ns = now_ns.saturating_sub(self.start_ns);
                let late = (elapsed_ns as f64 * pps * 1e-9) as u64 + 1;
                let late = late.saturating_sub(self.scheduled);
                if late > LATE_MAX {
                    let slip_ns = ((late - LATE_MAX) as f64 / pps * 1e9) as u64;
                    self.start_ns += slip_ns;
                    self.slipped_ns += slip_ns;
                    if slip_ns > AWAY_MIN_NS {
                        self.away_ns += slip_ns;
                    }
                }
                late.min(LATE_MAX).min(most)
            }
        };
        let due = due.min(left);
        self.scheduled += due;
        self.given += due;
        due
    }

    /// Is everything sent, or the time over?
    #[inline]
    #[must_use]
    pub fn is_over(&self, now_ns: u64) -> bool {
        self.given >= self.total || now_ns >= self.end_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pps(rate: f64) -> Rate {
        Rate::PacketsPerSecond(rate)
    }

    #[test]
    fn a_rate_is_kept_and_the_total_is_exact() {
        let mut pace = Pace::start(pps(1e6), Stop::Time(Duration::from_millis(10)), 5_000);
        let (mut sent, mut now_ns) = (0, 5_000);
        while !pace.is_over(now_ns) {
            sent += pace.due(now_ns, 32);
            let ideal = (now_ns - 5_000) / 1000 + 1;
            assert!(sent <= ideal && ideal - sent < 32, "{sent} at {now_ns}");
            now_ns += 3_300;
        }
        assert_eq!((sent, pace.slipped_ns), (10_000, 0));
    }

    #[test]
    fn who_was_away_does_not_catch_up_in_a_burst_and_sends_all_the_same() {
        let mut pace = Pace::start(pps(1e6), Stop::Packets(1000), 0);
        assert_eq!(pace.due(0, 1000), 1);
        assert_eq!(pace.due(500_000, 1000), LATE_MAX);
        assert!(pace.slipped_ns > 300_000 && pace.away_ns == 0);
        assert_eq!(pace.due(500_000, 1000), 0);
        assert_eq!(pace.due(510_000, 1000), 10);
        let mut sent = 1 + LATE_MAX + 10;
        let mut now_ns = 510_000;
        while !pace.is_over(now_ns) {
            now_ns += 1000;
            sent += pace.due(now_ns, 1000);
        }
        assert_eq!(sent, 1000);
        let mut pace = Pace::start(pps(1e6), Stop::Packets(1000), 0);
        pace.due(50_000_000, 1000);
        assert!(pace.away_ns > 49_000_000);
    }

    #[test]
    fn without_a_rate_only_time_or_number_ends_it() {
        let mut pace = Pace::start(Rate::Max, Stop::Time(Duration::from_nanos(100)), 0);
        assert_eq!(pace.due(99, 32), 32);
        assert!(!pace.is_over(99) && pace.is_over(100));
        let mut pace = Pace::start(Rate::Max, Stop::Packets(40), 0);
        assert_eq!((pace.due(0, 32), pace.due(0, 32), pace.is_over(0)), (32, 8, true));
    }
}
