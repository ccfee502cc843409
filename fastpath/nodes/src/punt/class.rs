//! The punt classes: how much of each kind the host stack and the control thread are asked to take.
//!
//! One class cannot starve another: each has its own bucket. The rates are for the whole router; workers share
//! them evenly. They protect two cores' worth of control plane from a port's worth of packets, and leave every
//! protocol several times what it needs.

use ze_graph::PuntReason;
use ze_qos::{TokenBucket, share};

/// A class's rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PuntRate {
    /// Packets a second; 0 lets nothing pass.
    pub rate_pps: u64,
    /// Packets at once.
    pub burst: u64,
}

/// A class: what is in it, its default rate, and why that.
#[derive(Clone, Copy, Debug)]
pub struct PuntClass {
    /// The reason that names the class.
    pub reason: PuntReason,
    /// The default rate.
    pub rate: PuntRate,
    /// Why this rate.
    pub why: &'static str,
}

const fn class(reason: PuntReason, rate_pps: u64, burst: u64, why: &'static str) -> PuntClass {
    PuntClass { reason, rate: PuntRate { rate_pps, burst }, why }
}

/// Every class with its default, in the order of [`PuntReason::ALL`].
pub const PUNT_CLASSES: &[PuntClass] = &[
    class(
        PuntReason::Arp,
        2_000,
        1_000,
        "a /22 of hosts that all ask again after a restart are through in 1 s",
    ),
    class(PuntReason::NeighborDiscovery, 2_000, 1_000, "as ARP"),
    class(PuntReason::RouterDiscovery, 100, 50, "RFC 4861 section 6.2.6 answers at most one in 3 s and link"),
    class(
        PuntReason::Unresolved,
        1_000,
        512,
        "3 packets for each of 300 new neighbours a second; scans end here (RFC 6583)",
    ),
    class(PuntReason::Bgp, 20_000, 4_096, "full tables from several peers at 200 Mbit/s"),
    class(PuntReason::Bfd, 20_000, 2_048, "300 sessions at 3 x 50 ms, and room for a new start of all"),
    class(PuntReason::Igp, 4_000, 2_048, "a flood of 2 000 LSAs after a topology change, hellos beside it"),
    class(PuntReason::Ldp, 4_000, 2_048, "as IGP: label mappings for all prefixes when a session comes up"),
    class(PuntReason::Multicast, 1_000, 500, "service discovery and MLD of a large LAN"),
    class(PuntReason::Broadcast, 1_000, 500, "DHCP of 500 clients after a power failure"),
    class(PuntReason::Icmp, 1_000, 500, "pings of operators and monitoring; Linux answers no more either"),
    class(
        PuntReason::Local,
        200_000,
        8_192,
        "TCP to the router at 2 Gbit/s: file transfers, gRPC, SSH, tests",
    ),
    class(
        PuntReason::Options,
        200,
        100,
        "RSVP and IGMP router alerts; everything else with options is suspect",
    ),
    class(PuntReason::Llc, 1_000, 500, "IS-IS LSPs after a change, STP beside them"),
    class(PuntReason::L2Multicast, 500, 250, "LLDP and LACP of every port once a second"),
];

/// The rate of every class; starts with the defaults.
#[derive(Clone, Debug)]
pub struct PuntRates([PuntRate; PuntReason::COUNT]);

impl Default for PuntRates {
    fn default() -> Self {
        let mut rates = [PuntRate { rate_pps: 0, burst: 0 }; PuntReason::COUNT];
        rates.iter_mut().zip(PUNT_CLASSES).for_each(|(rate, class)| *rate = class.rate);
        Self(rates)
    }
}

impl PuntRates {
    /// Sets the rate of a class.
    pub fn set(&mut self, reason: PuntReason, rate: PuntRate) {
        if let Some(place) = self.0.get_mut(reason.index()) {
            *place = rate;
        }
    }

    /// The rate of a class.
    #[must_use]
    pub fn rate(&self, reason: PuntReason) -> Option<PuntRate> {
        self.0.get(reason.index()).copied()
    }
}

/// One worker's policers.
#[derive(Debug)]
pub(crate) struct Policers([TokenBucket; PuntReason::COUNT]);

impl Policers {
    pub(crate) fn new(rates: &PuntRates, workers: u8, hertz: u64) -> Self {
        let workers = u64::from(workers);
        Self(
            rates.0.map(|rate| {
                TokenBucket::new(share(rate.rate_pps, workers), share(rate.burst, workers), hertz)
            }),
        )
    }

    /// May one more packet of this class pass now?
    pub(crate) fn allow(&mut self, reason: PuntReason, now: u64) -> bool {
        self.0.get_mut(reason.index()).is_some_and(|bucket| bucket.take(now, 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_class_once_and_in_order_and_each_lets_something_pass() {
        let reasons: Vec<_> = PUNT_CLASSES.iter().map(|class| class.reason).collect();
        assert_eq!(reasons, PuntReason::ALL);
        assert!(PUNT_CLASSES.iter().all(|class| class.rate.rate_pps > 0 && class.rate.burst > 0));
        assert!(PUNT_CLASSES.iter().all(|class| !class.why.is_empty()));
    }

    #[test]
    fn classes_do_not_take_from_each_other() {
        let mut policers = Policers::new(&PuntRates::default(), 1, 1_000_000);
        let icmp = PuntRates::default().rate(PuntReason::Icmp).unwrap();
        let passed = (0..10_000).filter(|_| policers.allow(PuntReason::Icmp, 0)).count();
        assert_eq!(passed as u64, icmp.burst);
        assert!(policers.allow(PuntReason::Bgp, 0));
    }

    #[test]
    fn workers_share_a_rate_that_was_set() {
        let mut rates = PuntRates::default();
        rates.set(PuntReason::Llc, PuntRate { rate_pps: 100, burst: 10 });
        let mut policers = Policers::new(&rates, 4, 1_000_000);
        assert_eq!((0..10).filter(|_| policers.allow(PuntReason::Llc, 0)).count(), 3);
    }
}
