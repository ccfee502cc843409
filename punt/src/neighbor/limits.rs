//! Every default and limit of the neighbour engine, with its source.

use std::time::Duration;

/// Between two solicitations for the same neighbour: RFC 4861 §10 RETRANS_TIMER, and RFC 1122 §2.3.2.1
/// ("not more than one per second").
pub const RETRANSMIT: Duration = Duration::from_secs(1);
/// Multicast or broadcast solicitations before we give up: RFC 4861 §10 MAX_MULTICAST_SOLICIT.
pub const MULTICAST_TRIES: u32 = 3;
/// Unicast probes before a known neighbour counts as gone: RFC 4861 §10 MAX_UNICAST_SOLICIT.
pub const UNICAST_TRIES: u32 = 3;
/// From the first packet over a stale entry to the first probe: RFC 4861 §10 DELAY_FIRST_PROBE_TIME.
pub const DELAY_FIRST_PROBE: Duration = Duration::from_secs(5);
/// How long a confirmation holds, before randomising: RFC 4861 §10 REACHABLE_TIME.
pub const REACHABLE: Duration = Duration::from_secs(30);
/// The random factor on it in percent: RFC 4861 §10 MIN_RANDOM_FACTOR and MAX_RANDOM_FACTOR.
pub const REACHABLE_RANDOM_PERCENT: std::ops::RangeInclusive<u64> = 50..=150;
/// A stale entry nobody uses goes after this: Linux `gc_stale_time`.
pub const STALE_UNUSED: Duration = Duration::from_secs(60);
/// An incomplete entry never lives longer, even when the solicitation rate did not let it ask three times.
pub const INCOMPLETE_MAX: Duration = Duration::from_secs(10);
/// After the first failed resolution nobody asks again for this long; it doubles with each failure.
/// RFC 1122 §2.3.2.1 wants a limit here; the figure is ours: one retransmission time.
pub const FAILED_BACKOFF_FIRST: Duration = Duration::from_secs(1);
/// The back-off grows no further: a host that boots is reachable again soon even if it never speaks first.
pub const FAILED_BACKOFF_MAX: Duration = Duration::from_secs(16);
/// A failed entry nobody asks for goes after this: as long as a stale one.
pub const FAILED_UNUSED: Duration = Duration::from_secs(60);

/// Gratuitous ARPs or unsolicited advertisements for a new address: RFC 5227 §1.1 ANNOUNCE_NUM; at most
/// 3 by RFC 4861 §10 MAX_NEIGHBOR_ADVERTISEMENT.
pub const ANNOUNCE_COUNT: u32 = 2;
/// Between them: RFC 4861 §7.2.6 (not faster than RETRANS_TIMER). RFC 5227 §1.1 has 2 s for ARP; we take one
/// figure for both families, so that a takeover is announced twice within a second.
pub const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(1);
/// One defence per address in this time: RFC 5227 §1.1 DEFEND_INTERVAL.
pub const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

/// What an operator may tune. The defaults serve a router with a few hundred interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Entries on one interface. Linux `gc_thresh3` is 1024; a data-centre subnet is a /20.
    pub entries_per_interface: usize,
    /// Entries in all.
    pub entries: usize,
    /// Packets that wait for one neighbour: RFC 4861 §7.2.2 wants at least one; Linux and grout hold about 3.
    pub held_per_entry: usize,
    /// Packets that wait in all: 4096 packets of 1500 bytes are 6 MB.
    pub held: usize,
    /// Solicitations a second, all interfaces together: RFC 6583 §6 (rate-limit the discovery process).
    pub solicitations_per_s: u32,
    /// Solicitations in one burst. A quarter of it is kept for probes of neighbours that are in use, so that
    /// an address scan cannot make them fail.
    pub solicitation_burst: u32,
    /// Answers to requests and solicitations a second.
    pub replies_per_s: u32,
    /// Answers in one burst.
    pub reply_burst: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries_per_interface: 8192,
            entries: 65_536,
            held_per_entry: 3,
            held: 4096,
            solicitations_per_s: 1000,
            solicitation_burst: 1000,
            replies_per_s: 2000,
            reply_burst: 2000,
        }
    }
}
