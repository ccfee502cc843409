//! One neighbour.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ze_packet::MacAddr;

use super::fsm::State;
use super::limits;

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) state: State,
    /// Known in the states that forward.
    pub(super) mac: Option<MacAddr>,
    /// L3 packets that wait, oldest first.
    pub(super) held: VecDeque<Vec<u8>>,
    /// When the state's timer runs out.
    pub(super) deadline: Option<Instant>,
    /// Solicitations sent in this state.
    pub(super) tries: u32,
    /// When the state was entered from another one.
    since: Instant,
    /// When the neighbour was last heard; while it never was, when it was first asked for.
    updated: Instant,
    /// Resolutions in a row without an answer.
    failures: u32,
    /// In Failed: nobody asks before.
    retry_at: Instant,
    /// Order of last use, for eviction.
    pub(super) stamp: u64,
}

impl Entry {
    /// A neighbour nobody has heard of or asked for yet.
    pub(super) fn new(stamp: u64, now: Instant) -> Self {
        Self {
            state: State::Incomplete,
            mac: None,
            held: VecDeque::new(),
            deadline: None,
            tries: 0,
            since: now,
            updated: now,
            failures: 0,
            retry_at: now,
            stamp,
        }
    }

    /// Enters `state`, perhaps again, and starts its timer. `reachable` is this confirmation's lifetime.
    pub(super) fn enter(&mut self, state: State, mac: Option<MacAddr>, reachable: Duration, now: Instant) {
        let old = std::mem::replace(&mut self.state, state);
        if old != state {
            self.since = now;
            self.tries = 0;
        }
        if mac.is_some() || state == State::Reachable || (state == State::Incomplete && old != state) {
            self.updated = now;
        }
        self.mac = mac.or(self.mac).filter(|_| state.forwards());
        self.deadline = match state {
            State::Incomplete | State::Probe => Some(now + limits::RETRANSMIT),
            State::Reachable => Some(now + reachable),
            State::Stale => Some(now + limits::STALE_UNUSED),
            State::Delay => Some(now + limits::DELAY_FIRST_PROBE),
            State::Failed => Some(now + limits::FAILED_UNUSED),
            State::Permanent => None,
        };
        match state {
            State::Failed => self.back_off(old, now),
            State::Reachable | State::Stale | State::Permanent => self.failures = 0,
            State::Incomplete | State::Delay | State::Probe => {}
        }
    }

    /// A neighbour that stopped answering probes may have a new Ethernet address: it is asked for by multicast
    /// as soon as a packet needs it (RFC 4861 §7.3.3). One that multicast did not find is left alone for a while.
    fn back_off(&mut self, old: State, now: Instant) {
        if old != State::Incomplete {
            self.retry_at = now;
            return;
        }
        let doubled = limits::FAILED_BACKOFF_FIRST * (1 << self.failures.min(16));
        self.retry_at = now + doubled.min(limits::FAILED_BACKOFF_MAX);
        self.failures = self.failures.saturating_add(1);
    }

    /// Has the state's last try been made?
    pub(super) fn is_exhausted(&self, now: Instant) -> bool {
        let tries = match self.state {
            State::Incomplete => limits::MULTICAST_TRIES,
            State::Probe => limits::UNICAST_TRIES,
            State::Reachable | State::Stale | State::Delay | State::Failed | State::Permanent => {
                return false;
            }
        };
        self.tries >= tries || now.saturating_duration_since(self.since) >= limits::INCOMPLETE_MAX
    }

    /// May the neighbour be asked for? False only while a failure is fresh.
    pub(super) fn may_retry(&self, now: Instant) -> bool {
        self.state != State::Failed || now >= self.retry_at
    }

    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.updated)
    }
}
