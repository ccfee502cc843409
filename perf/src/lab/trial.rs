//! One trial: what was offered, and what came of it.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;
use ze_pktgen::traffic::{Outcome, Rate, Sizes};

use crate::pipeline::routes::Family;
use crate::stats::rounded;

/// What is offered to the DUT.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// Packets a second, or as many as the generator can.
    pub rate: Rate,
    /// How long.
    pub seconds: f64,
    /// Sizes of the frames.
    pub sizes: Sizes,
    /// IPv4 or IPv6.
    pub family: Family,
    /// How many flows: random destinations of the routes, pseudo-random ports (RFC 4814).
    pub flows: u32,
}

/// What came of an offer. Packets are conserved: `sent = received + lost`, unless `surplus` says otherwise.
#[derive(Clone, Debug, Serialize)]
pub struct Trial {
    /// Packets a second that were asked for; none for as many as possible.
    pub asked_pps: Option<f64>,
    /// Packets a second that the generator did send.
    pub offered_pps: f64,
    /// Packets a second that arrived.
    pub received_pps: f64,
    /// Bytes of a frame, FCS included, mean.
    pub frame_bytes: f64,
    /// Packets sent.
    pub sent: u64,
    /// Packets that arrived, each counted once.
    pub received: u64,
    /// Packets that did not arrive.
    pub lost: u64,
    /// Packets beyond `sent` that a counting sink saw: somebody else's.
    pub surplus: u64,
    /// `lost` / `sent`.
    pub loss_ratio: f64,
    /// Packets that arrived after a later one of their stream.
    pub reordered: u64,
    /// Packets that arrived again.
    pub duplicates: u64,
    /// Packets with a wrong checksum, of those looked at.
    pub corrupt: u64,
    /// Packets that arrived and were none of this trial's.
    pub foreign: u64,
    /// Among `lost`: packets that reached the sink's device while the sink was too slow.
    pub missed_by_sink: u64,
    /// Frames that the DUT sent back to the generator: ICMP errors, ARP.
    pub returned: u64,
    /// Seconds from the first packet to the last.
    pub seconds: f64,
    /// Seconds by which the generator was late.
    pub generator_late_s: f64,
    /// Of those, seconds in which something else had the generator's core.
    pub generator_away_s: f64,
    /// Latency, if the sink looks at packets.
    pub latency: Option<Latency>,
    /// The whole distribution of it, nanoseconds.
    #[serde(skip)]
    pub histogram: Option<Histogram<u64>>,
}

/// A distribution of latencies, microseconds. From the generator's memory to the sink's, both cables included.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    /// The least.
    pub min_us: f64,
    /// Mean.
    pub mean_us: f64,
    /// Half are below.
    pub p50_us: f64,
    /// 90 % are below.
    pub p90_us: f64,
    /// 99 % are below.
    pub p99_us: f64,
    /// 99.9 % are below.
    pub p999_us: f64,
    /// The most.
    pub max_us: f64,
}

impl Latency {
    /// Of a histogram in nanoseconds; none of nothing.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Option<Self> {
        if histogram.is_empty() {
            return None;
        }
        let us = |ns: u64| rounded(ns as f64 / 1e3);
        let at = |quantile: f64| us(histogram.value_at_quantile(quantile));
        Some(Self {
            min_us: us(histogram.min()),
            mean_us: rounded(histogram.mean() / 1e3),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: us(histogram.max()),
        })
    }
}

/// The generator did what it was asked to if it offered this share of it.
const OFFERED_SHARE_MIN: f64 = 0.97;

impl Trial {
    pub(super) fn of(offer: &Offer, frame_bytes: f64, outcome: Outcome) -> Self {
        let asked_pps = match offer.rate {
            Rate::PacketsPerSecond(pps) => Some(pps),
            Rate::Max => None,
        };
        let Outcome { sent, received, arrivals, .. } = outcome;
        // Shorter than one packet's turn there is no rate.
        let seconds = outcome.elapsed.max(Duration::from_micros(1)).as_secs_f64();
        let lost = sent.saturating_sub(received);
        let seen = |of: fn(&ze_pktgen::traffic::Arrivals) -> u64| arrivals.as_ref().map_or(0, of);
        Self {
            asked_pps: asked_pps.map(rounded),
            offered_pps: rounded(sent as f64 / seconds),
            received_pps: rounded(received as f64 / seconds),
            frame_bytes: rounded(frame_bytes),
            sent,
            received,
            lost,
            surplus: received.saturating_sub(sent),
            loss_ratio: if sent == 0 { 0.0 } else { lost as f64 / sent as f64 },
            reordered: seen(|a| a.reordered),
            duplicates: seen(|a| a.duplicates),
            corrupt: seen(|a| a.corrupt),
            foreign: seen(|a| a.foreign),
            missed_by_sink: outcome.missed,
            returned: outcome.returned,
            seconds: rounded(seconds),
            generator_late_s: rounded(outcome.slipped.as_secs_f64()),
            generator_away_s: rounded(outcome.away.as_secs_f64()),
            latency: arrivals.as_ref().and_then(|a| Latency::of(&a.latency)),
            histogram: arrivals.map(|a| a.latency),
        }
    }

    /// Why the tester, and not the DUT, set the limits of this trial; none if it did not.
    #[must_use]
    pub fn tester_limit(&self) -> Option<String> {
        if self.missed_by_sink > 0 {
            return Some(format!("the sink was too slow for {} packets", self.missed_by_sink));
        }
        let asked = self.asked_pps?;
        // While it was away it offered nothing; that says nothing about what it can.
        let offered = self.sent as f64 / (self.seconds - self.generator_away_s).max(f64::MIN_POSITIVE);
        (offered < asked * OFFERED_SHARE_MIN)
            .then(|| format!("the generator offered {offered:.0} of {asked:.0} packets a second"))
    }

    /// Why what arrived is not what was sent; none if it is.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        if self.corrupt > 0 {
            return Some(format!("{} packets arrived with a wrong checksum", self.corrupt));
        }
        (self.duplicates > 0).then(|| format!("{} packets arrived twice", self.duplicates))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second at 1000 packets a second, of which so many were sent and arrived.
    fn trial(sent: u64, received: u64, away_s: f64, missed: u64) -> Trial {
        let offer = Offer {
            rate: Rate::PacketsPerSecond(1000.0),
            seconds: 1.0,
            sizes: Sizes::new(vec![64]).unwrap(),
            family: Family::V4,
            flows: 1,
        };
        let outcome = Outcome {
            sent,
            elapsed: Duration::from_secs(1),
            slipped: Duration::from_secs_f64(away_s),
            away: Duration::from_secs_f64(away_s),
            received,
            arrivals: None,
            missed,
            returned: 0,
        };
        Trial::of(&offer, 64.0, outcome)
    }

    #[test]
    fn what_did_not_arrive_is_lost_and_what_came_besides_is_surplus() {
        let (short, long) = (trial(1000, 990, 0.0, 0), trial(1000, 1003, 0.0, 0));
        assert_eq!((short.lost, short.surplus, short.loss_ratio), (10, 0, 0.01));
        assert_eq!((long.lost, long.surplus, long.loss_ratio), (0, 3, 0.0));
        assert_eq!((short.offered_pps, short.received_pps), (1000.0, 990.0));
    }

    #[test]
    fn a_tester_that_is_too_slow_is_told_from_one_that_was_away() {
        assert_eq!(trial(1000, 1000, 0.0, 0).tester_limit(), None);
        assert!(trial(900, 900, 0.0, 0).tester_limit().unwrap().contains("offered 900 of 1000"));
        assert_eq!(trial(900, 900, 0.1, 0).tester_limit(), None);
        assert!(trial(1000, 990, 0.0, 10).tester_limit().unwrap().contains("sink"));
    }

    #[test]
    fn latencies_are_percentiles_in_microseconds_and_none_of_nothing() {
        let mut histogram = Histogram::new(3).unwrap();
        assert!(Latency::of(&histogram).is_none());
        (1..=1000_u64).for_each(|us| histogram.record(us * 1000).unwrap());
        let latency = Latency::of(&histogram).unwrap();
        // Three significant digits.
        let about = |value: f64, wanted: f64| (value - wanted).abs() <= wanted / 500.0;
        assert!(about(latency.min_us, 1.0) && about(latency.p50_us, 500.0), "{latency:?}");
        assert!(about(latency.p99_us, 990.0) && about(latency.max_us, 1000.0), "{latency:?}");
    }
}
