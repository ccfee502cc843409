//! The table of a feed: for each prefix where it shall lead, and where the fast path is known to lead it.

mod compare;
mod refused;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use ipnet::IpNet;
use ze_proto::packed::{self, TargetKey};
use ze_proto::v1::{self, operation::Operation as Op};

use refused::Refused;

/// Number of a target; 0 is none.
type Number = u32;

/// One prefix of one VRF.
#[derive(Clone, Copy, Debug)]
struct Slot {
    prefix: IpNet,
    vrf: u16,
    wanted: Number,
    /// What was sent last; with nothing under way, `known`.
    sent: Number,
    known: Number,
    /// How often it was sent without a reply so far.
    flying: u8,
    /// In the queue.
    queued: bool,
    /// Updated since the last mark.
    marked: bool,
}

// A slot is at most once in each batch.
const _: () = assert!(super::WINDOW_BATCHES < u8::MAX as usize);

/// How far the fast path is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Routes that shall be.
    pub wanted: u64,
    /// Changes that are not acknowledged yet.
    pub waiting: u64,
    /// Refused changes, which are tried again.
    pub refused: u64,
    /// Changes acknowledged so far.
    pub acknowledged: u64,
    /// Audits done, and differences that they found.
    pub audits: u64,
    /// See `audits`.
    pub healed: u64,
}

/// Operations to send, and which slots they make.
#[derive(Debug, Default)]
pub struct Batch {
    /// The operations.
    pub operations: Vec<v1::Operation>,
    /// When the oldest change among them was decided.
    pub decided_at_ns: u64,
    /// Nexthops, whose fate is to be known before routes are led to them.
    pub alone: bool,
    layout: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Routes(Vec<(u32, Number)>),
    PutNexthop(v1::Nexthop),
    DeleteNexthop(u64),
}

impl Part {
    fn nexthop(&self) -> Option<u64> {
        match self {
            Self::PutNexthop(nexthop) => Some(nexthop.key),
            Self::DeleteNexthop(key) => Some(*key),
            Self::Routes(_) => None,
        }
    }
}

/// The table.
#[derive(Debug, Default)]
pub struct Table {
    vrfs: Vec<Arc<str>>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    index: HashMap<(u16, IpNet), u32>,
    /// Slots that may have to be sent, and since when.
    queue: VecDeque<(u32, u64)>,
    in_flight: u64,
    targets: Vec<TargetKey>,
    numbers: HashMap<TargetKey, Number>,
    /// Routes that lead to a target at the fast path, or are on their way there.
    uses: Vec<u64>,
    nexthops: BTreeMap<u64, v1::Nexthop>,
    known_nexthops: BTreeMap<u64, v1::Nexthop>,
    refused: HashMap<u32, Refused>,
    /// Those of `refused` that wait for their time, in order.
    retries: BTreeSet<(Instant, u32)>,
    refused_nexthops: BTreeMap<u64, Refused>,
    /// The source has told everything once.
    is_told: bool,
    /// The fast path may still have objects of another life, which go at the end of the snapshot.
    is_open: bool,
    progress: Progress,
}

impl Table {
    /// See [`Feed::set_nexthops`](super::Feed::set_nexthops).
    pub fn set_nexthops(&mut self, nexthops: impl IntoIterator<Item = v1::Nexthop>) {
        self.nexthops = nexthops.into_iter().map(|nexthop| (nexthop.key, nexthop)).collect();
        self.refused_nexthops.clear();
    }

    /// See [`Feed::update`](super::Feed::update).
    pub fn update(
        &mut self,
        vrf: &str,
        routes: impl IntoIterator<Item = (IpNet, Option<TargetKey>)>,
        now_ns: u64,
    ) {
        let vrf = self.vrf(vrf);
        for (prefix, target) in routes {
            let wanted = target.map_or(0, |target| self.number(target));
            let at = match self.index.get(&(vrf, prefix)) {
                Some(at) => *at,
                None if wanted == 0 => continue,
                None => self.add_slot(vrf, prefix),
            };
            let slot = &mut self.slots[at as usize];
            self.progress.wanted += u64::from(wanted != 0);
            self.progress.wanted -= u64::from(slot.wanted != 0);
            (slot.wanted, slot.marked) = (wanted, true);
            self.enqueue(at, now_ns);
        }
    }

    /// See [`Feed::mark`](super::Feed::mark).
    pub fn mark(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.marked = false);
    }

    /// See [`Feed::sweep`](super::Feed::sweep).
    pub fn sweep(&mut self, now_ns: u64) {
        self.is_told = true;
        for at in 0..self.slots.len() {
            let slot = &mut self.slots[at];
            if !slot.marked && slot.wanted != 0 {
                slot.wanted = 0;
                self.progress.wanted -= 1;
                self.enqueue(at as u32, now_ns);
            }
        }
    }

    /// Has the source told everything once? Before that, what is not here may still be wanted.
    pub fn is_told(&self) -> bool {
        self.is_told
    }

    /// The fast path has nothing of ours that we know of: everything is to be sent.
    pub fn forget(&mut self, now_ns: u64) {
        self.is_open = true;
        (self.in_flight, self.known_nexthops) = (0, BTreeMap::new());
        self.queue.clear();
        self.refused.clear();
        self.retries.clear();
        self.refused_nexthops.clear();
        self.uses.iter_mut().for_each(|uses| *uses = 0);
        for at in 0..self.slots.len() {
            let slot = &mut self.slots[at];
            (slot.known, slot.sent, slot.flying, slot.queued) = (0, 0, 0, false);
            match self.slots[at].wanted {
                0 => self.release(at as u32),
                _ => self.enqueue(at as u32, now_ns),
            }
        }
    }

    /// The snapshot has ended: the fast path has nothing of another life any more.
    pub fn swept(&mut self) {
        self.is_open = false;
    }

    /// How far the fast path is.
    pub fn progress(&self) -> Progress {
        let waiting = self.queue.len() as u64 + self.in_flight;
        let refused = (self.refused.len() + self.refused_nexthops.len()) as u64;
        Progress { waiting, refused, ..self.progress }
    }

    /// Changes that are not sent.
    pub fn backlog(&self) -> u64 {
        self.queue.len() as u64
    }

    /// The next operations, nexthops before the routes that lead to them. Nothing: all is sent.
    pub fn take(&mut self, limit: usize, now: Instant) -> Option<Batch> {
        let mut batch = Batch::default();
        self.take_nexthops(&mut batch, now);
        if !batch.operations.is_empty() {
            batch.alone = true;
            return Some(batch);
        }
        self.take_retries(now);
        let mut parts: BTreeMap<(u16, bool, bool), Vec<(u32, Number)>> = BTreeMap::new();
        let mut count = 0;
        while count < limit
            && let Some((at, since_ns)) = self.queue.pop_front()
        {
            let slot = &mut self.slots[at as usize];
            slot.queued = false;
            if slot.wanted == slot.sent {
                self.drop_moot(at);
                continue;
            }
            slot.sent = slot.wanted;
            slot.flying += 1;
            if batch.decided_at_ns == 0 {
                batch.decided_at_ns = since_ns;
            }
            let (wanted, vrf, wide) = (slot.wanted, slot.vrf, slot.prefix.addr().is_ipv6());
            // Deletions first: they make room.
            parts.entry((vrf, wanted != 0, wide)).or_default().push((at, wanted));
            self.add_use(wanted);
            count += 1;
        }
        for ((vrf, is_put, _), slots) in parts {
            let vrf = Arc::clone(&self.vrfs[usize::from(vrf)]);
            batch.operations.push(v1::Operation { operation: Some(self.pack(&vrf, is_put, &slots)) });
            self.in_flight += slots.len() as u64;
            batch.layout.push(Part::Routes(slots));
        }
        (!batch.operations.is_empty()).then_some(batch)
    }

    fn pack(&self, vrf: &str, is_put: bool, slots: &[(u32, Number)]) -> Op {
        let prefix = |at: &u32| self.slots[*at as usize].prefix;
        if is_put {
            let routes = slots.iter().map(|(at, target)| (prefix(at), self.targets[*target as usize - 1]));
            return Op::PutPackedRoutes(packed::put(vrf, routes));
        }
        Op::DeletePackedRoutes(packed::delete(vrf, slots.iter().map(|(at, _)| prefix(at))))
    }

    fn take_nexthops(&mut self, batch: &mut Batch, now: Instant) {
        let mut put: Vec<_> = self.nexthops.values().collect();
        // What is a backup comes before what has one.
        put.sort_by_key(|nexthop| nexthop.backup.is_some());
        for nexthop in put {
            let Some(nexthop) = stand_in(nexthop, self.refused_nexthops.get(&nexthop.key), now) else {
                continue;
            };
            if self.known_nexthops.get(&nexthop.key) != Some(&nexthop) {
                batch.operations.push(v1::Operation { operation: Some(Op::PutNexthop(nexthop.clone())) });
                batch.layout.push(Part::PutNexthop(nexthop));
            }
        }
        let unused = |key: &u64| {
            self.numbers
                .get(&TargetKey::Nexthop(*key))
                .is_none_or(|number| self.uses[*number as usize - 1] == 0)
        };
        // Routes of another life may lead there.
        let unused = |key: &u64| !self.is_open && unused(key);
        let gone = self.known_nexthops.keys().filter(|key| !self.nexthops.contains_key(key) && unused(key));
        let waits =
            |key: &&u64| self.refused_nexthops.get(*key).is_some_and(|refused| now < refused.retry_at);
        // What has a backup goes before that.
        let mut gone: Vec<_> = gone.filter(|key| !waits(key)).collect();
        gone.sort_by_key(|key| self.known_nexthops.get(key).is_none_or(|nexthop| nexthop.backup.is_none()));
        for key in gone {
            batch.operations.push(v1::Operation { operation: Some(Op::DeleteNexthop(*key)) });
            batch.layout.push(Part::DeleteNexthop(*key));
        }
        // Whatever else was refused has nothing to be tried any more.
        let is_sent = |key: &u64| batch.layout.iter().any(|part| part.nexthop() == Some(*key));
        self.refused_nexthops.retain(|key, refused| now < refused.retry_at || is_sent(key));
        // What is sent counts as known until a refusal says otherwise, so that it is sent once.
        for part in &batch.layout {
            match part {
                Part::PutNexthop(nexthop) => drop(self.known_nexthops.insert(nexthop.key, nexthop.clone())),
                Part::DeleteNexthop(key) => drop(self.known_nexthops.remove(key)),
                Part::Routes(_) => {}
            }
        }
    }

    /// Takes the reply to a batch. Returns refusals that are new.
    pub fn acknowledge(&mut self, batch: Batch, refusals: &[v1::Refusal], now: Instant) -> Vec<v1::Refusal> {
        let mut by_operation: HashMap<u32, Vec<&v1::Refusal>> = HashMap::new();
        refusals.iter().for_each(|r| by_operation.entry(r.operation).or_default().push(r));
        let mut news = Vec::new();
        for (at, part) in batch.layout.into_iter().enumerate() {
            let refused = by_operation.remove(&(at as u32)).unwrap_or_default();
            match part {
                Part::Routes(slots) => self.acknowledge_routes(&slots, &refused, now, &mut news),
                Part::PutNexthop(sent) => {
                    self.acknowledge_nexthop(sent.key, Some(&sent), &refused, now, &mut news);
                }
                Part::DeleteNexthop(key) => {
                    self.acknowledge_nexthop(key, None, &refused, now, &mut news);
                }
            }
        }
        news
    }

    fn acknowledge_nexthop(
        &mut self,
        key: u64,
        sent: Option<&v1::Nexthop>,
        refused: &[&v1::Refusal],
        now: Instant,
        news: &mut Vec<v1::Refusal>,
    ) {
        let as_wanted = self.nexthops.get(&key) == sent;
        let Some(refusal) = refused.first() else {
            if as_wanted {
                self.refused_nexthops.remove(&key);
            }
            return;
        };
        // What is there now, nobody knows: it is put, or deleted, again.
        self.known_nexthops.insert(key, v1::Nexthop { key, ..v1::Nexthop::default() });
        let known = self.refused_nexthops.remove(&key);
        if known.is_none() {
            news.push((*refusal).clone());
        }
        self.refused_nexthops.insert(key, Refused { stuck: !as_wanted, ..Refused::again(known, now) });
    }

    fn acknowledge_routes(
        &mut self,
        slots: &[(u32, Number)],
        refused: &[&v1::Refusal],
        now: Instant,
        news: &mut Vec<v1::Refusal>,
    ) {
        self.in_flight -= slots.len() as u64;
        // A refusal of the message as a whole names the VRF, not a route.
        let whole = refused.iter().find(|refusal| !refusal.path.contains("/route["));
        let mut by_element: HashMap<u32, &v1::Refusal> = refused.iter().map(|r| (r.element, *r)).collect();
        for (element, (at, sent)) in slots.iter().enumerate() {
            match whole.copied().or_else(|| by_element.remove(&(element as u32))) {
                Some(refusal) => self.refuse(*at, *sent, refusal, now, news),
                None => self.accept(*at, *sent),
            }
        }
    }

    fn accept(&mut self, at: u32, sent: Number) {
        let slot = &mut self.slots[at as usize];
        let old = std::mem::replace(&mut slot.known, sent);
        slot.flying -= 1;
        self.progress.acknowledged += 1;
        self.drop_use(old);
        if !self.refused.is_empty() {
            self.pardon(at);
        }
        self.release_if_over(at);
    }

    /// Is everything sent and acknowledged, so that the two sides can be compared?
    pub fn is_settled(&self) -> bool {
        self.queue.is_empty() && self.in_flight == 0
    }

    // ---- slots, targets ------------------------------------------------------------------------------------

    fn vrf(&mut self, name: &str) -> u16 {
        let at = self.vrfs.iter().position(|vrf| &**vrf == name).unwrap_or_else(|| {
            self.vrfs.push(name.into());
            self.vrfs.len() - 1
        });
        at as u16
    }

    fn number(&mut self, target: TargetKey) -> Number {
        if let Some(number) = self.numbers.get(&target) {
            return *number;
        }
        self.targets.push(target);
        self.uses.push(0);
        let number = self.targets.len() as Number;
        self.numbers.insert(target, number);
        number
    }

    fn add_slot(&mut self, vrf: u16, prefix: IpNet) -> u32 {
        let slot = Slot { prefix, vrf, wanted: 0, sent: 0, known: 0, flying: 0, queued: false, marked: true };
        let at = match self.free.pop() {
            Some(at) => {
                self.slots[at as usize] = slot;
                at
            }
            None => {
                self.slots.push(slot);
                self.slots.len() as u32 - 1
            }
        };
        self.index.insert((vrf, prefix), at);
        at
    }

    fn release_if_over(&mut self, at: u32) {
        let slot = &self.slots[at as usize];
        if (slot.wanted, slot.sent, slot.known, slot.flying, slot.queued) == (0, 0, 0, 0, false) {
            self.release(at);
        }
    }

    /// A slot that nobody wants and nobody has.
    fn release(&mut self, at: u32) {
        let slot = self.slots[at as usize];
        if self.index.get(&(slot.vrf, slot.prefix)) == Some(&at) {
            self.index.remove(&(slot.vrf, slot.prefix));
            self.pardon(at);
            self.free.push(at);
        }
    }

    fn enqueue(&mut self, at: u32, now_ns: u64) {
        let slot = &self.slots[at as usize];
        if slot.wanted != slot.sent {
            self.enqueue_always(at, now_ns);
        }
    }

    fn enqueue_always(&mut self, at: u32, now_ns: u64) {
        let slot = &mut self.slots[at as usize];
        if !std::mem::replace(&mut slot.queued, true) {
            self.queue.push_back((at, now_ns));
        }
    }

    fn add_use(&mut self, number: Number) {
        if let Some(uses) = (number as usize).checked_sub(1).and_then(|at| self.uses.get_mut(at)) {
            *uses += 1;
        }
    }

    fn drop_use(&mut self, number: Number) {
        if let Some(uses) = (number as usize).checked_sub(1).and_then(|at| self.uses.get_mut(at)) {
            *uses = uses.saturating_sub(1);
        }
    }
}

/// What is put for a nexthop: itself, or while that is refused, one that says "unreachable", so that its routes have
/// somewhere to lead. Nothing while that is refused too.
fn stand_in(nexthop: &v1::Nexthop, refused: Option<&Refused>, now: Instant) -> Option<v1::Nexthop> {
    match refused.filter(|refused| now < refused.retry_at) {
        None => Some(nexthop.clone()),
        Some(refused) if refused.stuck => None,
        Some(_) => {
            let kind = Some(v1::nexthop::Kind::Unreachable(v1::Empty {}));
            Some(v1::Nexthop { key: nexthop.key, kind, backup: None })
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
