//! What the fast path refuses: tried again after pauses, each twice as long as the one before.

use std::time::{Duration, Instant};

use ze_proto::v1;

use super::{Number, Table};
use crate::backoff::Backoff;
use crate::reconcile::{RETRY_PAUSE_MAX, RETRY_PAUSE_MIN};

#[derive(Debug)]
pub(super) struct Refused {
    pub(super) pause: Backoff,
    pub(super) retry_at: Instant,
    /// Of a nexthop: what stands in for it is refused as well.
    pub(super) stuck: bool,
}

impl Refused {
    /// Refused now, and if it was `known`, not for the first time.
    pub(super) fn again(known: Option<Self>, now: Instant) -> Self {
        let mut pause = known.map_or(Backoff::new(RETRY_PAUSE_MIN, RETRY_PAUSE_MAX), |refused| refused.pause);
        let wait: Duration = pause.pause();
        Self { pause, retry_at: now + wait, stuck: false }
    }
}

impl Table {
    /// When something refused is to be tried again.
    pub fn retry_at(&self) -> Option<Instant> {
        let route = self.retries.first().map(|(retry_at, _)| *retry_at);
        route.into_iter().chain(self.refused_nexthops.values().map(|refused| refused.retry_at)).min()
    }

    /// Queues refused routes whose time has come.
    pub(super) fn take_retries(&mut self, now: Instant) {
        while let Some((retry_at, at)) = self.retries.first().copied()
            && retry_at <= now
        {
            self.retries.pop_first();
            // What is under way will be accepted, or refused again.
            if self.slots[at as usize].flying == 0 {
                self.enqueue_always(at, super::super::monotonic_ns());
            }
        }
    }

    pub(super) fn refuse(
        &mut self,
        at: u32,
        sent: Number,
        refusal: &v1::Refusal,
        now: Instant,
        news: &mut Vec<v1::Refusal>,
    ) {
        self.drop_use(sent);
        let slot = &mut self.slots[at as usize];
        slot.flying -= 1;
        if slot.flying > 0 {
            // Something newer is under way, and its reply decides.
            return;
        }
        slot.sent = slot.known;
        if slot.wanted == slot.known {
            return self.drop_moot(at);
        }
        let known = self.pardon(at);
        if known.is_none() {
            news.push(refusal.clone());
        }
        let refused = Refused::again(known, now);
        self.retries.insert((refused.retry_at, at));
        self.refused.insert(at, refused);
    }

    /// A route is refused no more.
    pub(super) fn pardon(&mut self, at: u32) -> Option<Refused> {
        let refused = self.refused.remove(&at)?;
        self.retries.remove(&(refused.retry_at, at));
        Some(refused)
    }

    /// There is nothing to be sent of a slot; if nothing is under way either, there is nothing to be tried again.
    pub(super) fn drop_moot(&mut self, at: u32) {
        if self.slots[at as usize].flying == 0 {
            self.pardon(at);
            self.release_if_over(at);
        }
    }
}
