//! What the fast path has acknowledged and what it has refused.
//!
//! The fast path applies an operation completely or not at all; of an operation with several routes of which some
//! are refused, the others are *uncertain*: they are put again, and deleted when they are not wanted.
//!
//! During a snapshot, the fast path has objects of a former life that we do not know. They can be in the way of new
//! ones, so a refusal is not told before the sweep. Afterwards, an object that we can not put may be there otherwise
//! than we want it: a port, interface, nexthop or group then becomes uncertain, which makes the plan delete it, with
//! what depends on it, before it is put. What such an object referred to has survived the sweep, so another snapshot is
//! due: at once, and with growing pauses if that does not help.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use ze_proto::v1;

use crate::backoff::Backoff;
use crate::divergence;
use crate::plan::{Step, plan};
use crate::state::{Key, State, Value};

/// Pause before a refused step is tried again, the first time: what it lacked may have come with the same change.
pub const RETRY_PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest pause: a refusal that lasts is an operator's business.
pub const RETRY_PAUSE_MAX: Duration = Duration::from_secs(10);

/// Pause before the next snapshot when the last one left something in the way, the first time.
pub const SNAPSHOT_PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest such pause: a million routes are not sent more often for nothing.
pub const SNAPSHOT_PAUSE_MAX: Duration = Duration::from_secs(60);

/// The objects that the fast path has; `None`: something is there or not, nobody knows what.
#[derive(Clone, Debug, Default)]
pub struct Acknowledged {
    objects: BTreeMap<Key, Option<Value>>,
}

impl Acknowledged {
    /// Whether this object is known to be so.
    pub fn is(&self, key: &Key, value: &Value) -> bool {
        matches!(self.objects.get(key), Some(Some(known)) if known == value)
    }

    /// Keys in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &Key> {
        self.objects.keys()
    }

    /// The object, if there may be one; and what it is, if that is known.
    pub fn get(&self, key: &Key) -> Option<Option<&Value>> {
        self.objects.get(key).map(Option::as_ref)
    }

    /// Objects with keys in a range.
    pub fn range(&self, keys: std::ops::Range<Key>) -> impl Iterator<Item = (&Key, Option<&Value>)> {
        self.objects.range(keys).map(|(key, value)| (key, value.as_ref()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Put(key, value) => self.objects.insert(key, Some(value)),
            Step::Delete(key) => self.objects.remove(&key),
        };
    }

    fn doubt(&mut self, step: Step) {
        let (Step::Put(key, _) | Step::Delete(key)) = step;
        self.objects.insert(key, None);
    }
}

/// A step that the fast path refuses.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// The step.
    pub step: Step,
    /// The fast path's path of the object, and what is wrong with it.
    pub path: String,
    /// Why, by class.
    pub reason: v1::Reason,
    /// A sentence for an operator.
    pub message: String,
}

#[derive(Debug)]
struct Pending {
    refused: Refused,
    pause: Backoff,
    retry_at: Instant,
}

/// What a reply changed.
#[derive(Debug, Default, PartialEq)]
pub struct Outcome {
    /// Steps refused for the first time, or for another reason than before.
    pub refused: Vec<Refused>,
    /// Objects that were refused before and have now been accepted.
    pub accepted: Vec<Key>,
}

/// Where a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// There may be objects that we do not know.
    Snapshot,
    /// What there is, we have put.
    Swept,
}

/// Puts and deletes can be refused each; a refused one does not hold back the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Put,
    Delete,
}

impl Kind {
    fn of(step: &Step) -> Self {
        match step {
            Step::Put(..) => Self::Put,
            Step::Delete(_) => Self::Delete,
        }
    }
}

/// Keeps the two sides together.
#[derive(Debug)]
pub struct Reconciler {
    acknowledged: Acknowledged,
    refused: BTreeMap<(Key, Kind), Pending>,
    phase: Phase,
    /// Refused before the sweep: what they replaced may have kept something alive that should have been swept.
    refused_early: BTreeSet<Key>,
    snapshot_at: Option<Instant>,
    snapshot_pause: Backoff,
}

impl Default for Reconciler {
    fn default() -> Self {
        Self {
            acknowledged: Acknowledged::default(),
            refused: BTreeMap::new(),
            phase: Phase::Snapshot,
            refused_early: BTreeSet::new(),
            snapshot_at: None,
            snapshot_pause: Backoff::new(SNAPSHOT_PAUSE_MIN, SNAPSHOT_PAUSE_MAX),
        }
    }
}

fn slot(step: &Step) -> (Key, Kind) {
    (step.key().clone(), Kind::of(step))
}

impl Reconciler {
    /// A snapshot begins: the fast path has nothing of ours that we know of.
    pub fn forget(&mut self) {
        *self = Self { snapshot_pause: self.snapshot_pause, ..Self::default() };
    }

    /// The snapshot has ended, and what was not put again is gone. What was refused meanwhile is tried at once.
    pub fn swept(&mut self) {
        self.refused_early = std::mem::take(&mut self.refused).into_keys().map(|(key, _)| key).collect();
        self.phase = Phase::Swept;
    }

    /// Whether another snapshot is due: the fast path may have something of a former life that it would sweep.
    pub fn needs_snapshot(&mut self, now: Instant) -> bool {
        if self.snapshot_at.is_none() && self.refused.is_empty() {
            self.snapshot_pause.reset();
        }
        self.snapshot_at.is_some_and(|at| now >= at)
    }

    fn schedule_snapshot(&mut self, now: Instant) {
        if self.snapshot_at.is_none() {
            self.snapshot_at = Some(now + self.snapshot_pause.pause());
        }
    }

    /// What is acknowledged.
    pub fn acknowledged(&self) -> &Acknowledged {
        &self.acknowledged
    }

    /// Steps that are refused at this time.
    pub fn refused(&self) -> impl Iterator<Item = &Refused> {
        self.refused.values().map(|pending| &pending.refused)
    }

    /// The next steps, at most `limit`. Refused ones wait for their time, unless something else is wanted by now.
    pub fn plan(&mut self, desired: &State, limit: usize, now: Instant) -> Vec<Step> {
        self.drop_moot(desired);
        plan(desired, &self.acknowledged, limit, |step| {
            self.refused.get(&slot(step)).is_some_and(|p| p.refused.step == *step && now < p.retry_at)
        })
    }

    /// Forgets refusals of steps that nobody wants any more.
    fn drop_moot(&mut self, desired: &State) {
        let acknowledged = &self.acknowledged;
        self.refused.retain(|(key, _), pending| match &pending.refused.step {
            Step::Put(_, value) => desired.get(key) == Some(value),
            Step::Delete(_) => acknowledged.get(key).is_some(),
        });
    }

    /// When there is something to do though nothing else changes: a refused step, or a snapshot.
    pub fn retry_at(&self) -> Option<Instant> {
        self.refused.values().map(|pending| pending.retry_at).chain(self.snapshot_at).min()
    }

    /// Takes the reply to a batch, whose operations made the steps of `layout`.
    pub fn acknowledge(&mut self, layout: Vec<Vec<Step>>, refusals: &[v1::Refusal], now: Instant) -> Outcome {
        let mut by_operation: HashMap<usize, Vec<&v1::Refusal>> = HashMap::new();
        for refusal in refusals {
            by_operation.entry(refusal.operation as usize).or_default().push(refusal);
        }
        let mut outcome = Outcome::default();
        for (index, steps) in layout.into_iter().enumerate() {
            match by_operation.get(&index) {
                None => steps.into_iter().for_each(|step| self.accept(step, now, &mut outcome)),
                Some(refusals) => self.refuse(steps, refusals, now, &mut outcome),
            }
        }
        outcome
    }

    /// Compares what is acknowledged with what the fast path says that it has. What differs is known from now on, so
    /// that the next plans put it right.
    pub fn audit(&mut self, mut found: BTreeMap<Key, Value>) -> v1::AuditReport {
        let mut report = v1::AuditReport { checked: self.acknowledged.len() as u64, ..Default::default() };
        let known = std::mem::take(&mut self.acknowledged.objects);
        for (key, value) in known {
            let there = found.remove(&key);
            // Nobody owns the system, so it is not listed.
            if key == Key::System || there.is_some() && there == value {
                self.acknowledged.objects.insert(key, value);
                continue;
            }
            let uncertain = || "something else".to_owned();
            let wanted = Some(value.as_ref().map_or_else(uncertain, divergence::words));
            divergence::found(&mut report, &key, there.as_ref().map(divergence::words), wanted);
            if let Some(there) = there {
                self.acknowledged.objects.insert(key, Some(there));
            }
        }
        for (key, there) in found {
            divergence::found(&mut report, &key, Some(divergence::words(&there)), None::<&str>);
            self.acknowledged.objects.insert(key, Some(there));
        }
        report
    }

    fn accept(&mut self, step: Step, now: Instant, outcome: &mut Outcome) {
        if self.refused_early.remove(step.key()) {
            self.schedule_snapshot(now);
        }
        if self.refused.remove(&slot(&step)).is_some() {
            outcome.accepted.push(step.key().clone());
        }
        self.acknowledged.apply(step);
    }

    fn refuse(&mut self, steps: Vec<Step>, refusals: &[&v1::Refusal], now: Instant, outcome: &mut Outcome) {
        let single = steps.len() == 1;
        // Operations of several steps are of routes. A refusal of all of them names the VRF.
        let whole = refusals.iter().find(|refusal| !single && !refusal.path.contains("/route["));
        for (element, step) in steps.into_iter().enumerate() {
            if let Some(whole) = whole {
                let path = step.key().to_string();
                self.hold_back(step, &v1::Refusal { path, ..(**whole).clone() }, now, outcome);
                continue;
            }
            let named = refusals.iter().find(|refusal| single || refusal.element as usize == element);
            match named {
                None => self.acknowledged.doubt(step),
                Some(refusal) => self.hold_back(step, refusal, now, outcome),
            }
        }
    }

    fn hold_back(&mut self, step: Step, refusal: &v1::Refusal, now: Instant, outcome: &mut Outcome) {
        let refused = Refused {
            step,
            path: refusal.path.clone(),
            reason: refusal.reason(),
            message: refusal.message.clone(),
        };
        let slot = slot(&refused.step);
        let known = self.refused.remove(&slot).filter(|pending| pending.refused.step == refused.step);
        if self.phase == Phase::Swept && known.as_ref().is_none_or(|pending| pending.refused != refused) {
            outcome.refused.push(refused.clone());
        }
        // Before its time, it was put because room had been made: that did not help, and would not now.
        if known.as_ref().is_none_or(|pending| now >= pending.retry_at) {
            self.make_room(&refused, now);
        }
        let mut pause = known.map_or(Backoff::new(RETRY_PAUSE_MIN, RETRY_PAUSE_MAX), |pending| pending.pause);
        let retry_at = now + pause.pause();
        self.refused.insert(slot, Pending { refused, pause, retry_at });
    }

    /// Makes an object uncertain that may be there otherwise than we want it: see the head of this file.
    fn make_room(&mut self, refused: &Refused, now: Instant) {
        let Step::Put(key, _) = &refused.step else { return };
        let in_the_way = match key {
            // For another reason, what is there is better than nothing.
            Key::Port(_) | Key::Interface(_) => {
                matches!(refused.reason, v1::Reason::InUse | v1::Reason::Conflict)
            }
            // What routes point to must not be something else than we want.
            Key::Nexthop(_) | Key::Group(_) => true,
            Key::System | Key::Vrf(_) | Key::Address(..) | Key::Route(..) => false,
        };
        if in_the_way && self.phase == Phase::Swept && self.acknowledged.get(key).is_none() {
            self.acknowledged.doubt(refused.step.clone());
            self.schedule_snapshot(now);
        }
    }
}

#[cfg(test)]
mod tests;
