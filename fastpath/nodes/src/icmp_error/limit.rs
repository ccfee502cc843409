//! How many ICMP errors may be sent: RFC 1812 §4.3.2.8, RFC 4443 §2.4 (f).

use ze_qos::{TokenBucket, share};

use crate::flow::mix;

/// Limits of ICMP errors for the whole router; workers share them evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpLimits {
    /// Errors a second, to all destinations together.
    pub rate_pps: u64,
    /// Errors at once.
    pub burst: u64,
    /// Errors a second to one destination (IPv6: to one /64).
    pub destination_rate_pps: u64,
    /// Errors at once to one destination.
    pub destination_burst: u64,
}

impl Default for IcmpLimits {
    fn default() -> Self {
        Self {
            // Linux, icmp_msgs_per_sec and icmp_msgs_burst; a router has more senders than a host, so ten times.
            rate_pps: 10_000,
            burst: 500,
            // RFC 4443 §2.4 (f): "for a small/mid-size device, B=10, N=10/s"; a traceroute sends 3 probes a hop.
            destination_rate_pps: 10,
            destination_burst: 10,
        }
    }
}

/// Buckets of destinations; two destinations in one bucket share its rate.
const DESTINATIONS: usize = 1024;

/// The limits at work, in one worker.
///
/// A global bucket that an attacker can drain and observe tells which ports are open (RFC 6056's threat, "SAD
/// DNS"). So an error costs a half, one or one and a half by chance, one on average (Linux does alike); and the
/// hash that chooses a destination's bucket is seeded.
#[derive(Debug)]
pub(super) struct IcmpLimiter {
    /// In halves of an error.
    all: TokenBucket,
    destinations: Box<[TokenBucket]>,
    seed: u64,
    random: u64,
}

impl IcmpLimiter {
    pub(super) fn new(limits: IcmpLimits, workers: u8, hertz: u64, seed: u64) -> Self {
        let workers = u64::from(workers);
        let halves = |limit: u64| share(limit, workers).saturating_mul(2);
        let all = TokenBucket::new(halves(limits.rate_pps), halves(limits.burst), hertz);
        // One destination's packets mostly come by one worker: this limit is not divided.
        let one = TokenBucket::new(limits.destination_rate_pps, limits.destination_burst, hertz);
        Self { all, destinations: vec![one; DESTINATIONS].into(), seed, random: mix(seed, 1) | 1 }
    }

    /// May an error go to this destination now?
    pub(super) fn allow(&mut self, now: u64, destination: u64) -> bool {
        let halves = self.chance();
        let index = mix(self.seed, destination) as usize % DESTINATIONS;
        let Some(bucket) = self.destinations.get_mut(index) else { return false };
        bucket.take(now, 1) && self.all.take(now, halves)
    }

    /// 1, 2 or 3; 2 on average. xorshift64 (Marsaglia 2003): period 2^64 - 1.
    fn chance(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 32) % 3 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERTZ: u64 = 1_000_000;

    #[test]
    fn one_destination_gets_its_burst_and_then_its_rate() {
        let mut limiter = IcmpLimiter::new(IcmpLimits::default(), 1, HERTZ, 7);
        assert_eq!((0..100).filter(|_| limiter.allow(0, 1)).count(), 10);
        assert!(!limiter.allow(HERTZ / 10 - 1, 1));
        assert!(limiter.allow(HERTZ / 10, 1) && !limiter.allow(HERTZ / 10, 1));
        assert!((2..20).any(|other| limiter.allow(0, other)), "others are not affected");
    }

    #[test]
    fn all_destinations_together_get_the_burst_more_or_less_by_chance() {
        let passed = |seed, workers| {
            let mut limiter = IcmpLimiter::new(IcmpLimits::default(), workers, HERTZ, seed);
            (0..5000).filter(|destination| limiter.allow(0, *destination)).count()
        };
        let counts: Vec<_> = (1..20).map(|seed| passed(seed, 1)).collect();
        assert!(counts.iter().all(|count| (450..550).contains(count)), "{counts:?}");
        assert!(counts.windows(2).any(|pair| pair[0] != pair[1]), "the burst is not predictable: {counts:?}");
        assert!(passed(1, 4) < passed(1, 1));
    }

    #[test]
    fn a_rate_of_zero_sends_nothing() {
        let limits = IcmpLimits { rate_pps: 0, ..IcmpLimits::default() };
        let mut limiter = IcmpLimiter::new(limits, 1, HERTZ, 7);
        assert!((0..1000).all(|destination| !limiter.allow(0, destination)));
    }
}
