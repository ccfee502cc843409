use rand::RngExt as _;

use super::*;
use crate::divergence;
use crate::reconcile::{RETRY_PAUSE_MAX, RETRY_PAUSE_MIN};
use std::time::Duration;

fn net(n: u32) -> IpNet {
    IpNet::new(std::net::IpAddr::from((0x0a00_0000 + (n << 8)).to_be_bytes()), 24).unwrap()
}

fn to(key: u64) -> Option<TargetKey> {
    Some(TargetKey::Nexthop(key))
}

fn nexthop(key: u64) -> v1::Nexthop {
    v1::Nexthop { key, kind: Some(v1::nexthop::Kind::Blackhole(v1::Empty {})), backup: None }
}

/// A table and a plain model of the fast path behind it.
#[derive(Default)]
struct Pair {
    table: Table,
    nexthops: BTreeMap<u64, v1::Nexthop>,
    routes: BTreeMap<(String, IpNet), TargetKey>,
    refused: Option<IpNet>,
    /// Refuses routes at random.
    moods: Option<rand_chacha::ChaCha8Rng>,
    sent: usize,
}

impl Pair {
    fn apply(&mut self, operation: &v1::Operation, index: u32) -> Vec<v1::Refusal> {
        let mut refusals = Vec::new();
        let mut refuse = |element: usize, path: String| {
            let reason = v1::Reason::Limit.into();
            refusals.push(v1::Refusal {
                operation: index,
                element: element as u32,
                path,
                reason,
                message: "no".into(),
            });
        };
        match operation.operation.as_ref().unwrap() {
            Op::PutNexthop(nexthop) => drop(self.nexthops.insert(nexthop.key, nexthop.clone())),
            Op::DeleteNexthop(key) => {
                assert!(!self.routes.values().any(|target| *target == TargetKey::Nexthop(*key)), "in use");
                self.nexthops.remove(key);
            }
            Op::PutPackedRoutes(packed) => {
                let targets: Vec<_> = packed::targets(packed).collect();
                for (element, route) in packed::read_put(packed).enumerate() {
                    let (prefix, number) = route.unwrap();
                    let TargetKey::Nexthop(key) = targets[number] else { panic!("no groups here") };
                    assert!(self.nexthops.contains_key(&key), "a route before its nexthop");
                    let is_in_the_mood = self.moods.as_mut().is_none_or(|moods| moods.random_bool(0.7));
                    if self.refused == Some(prefix) || !is_in_the_mood {
                        refuse(element, format!("/vrf[name='x']/route[prefix='{prefix}']"));
                        continue;
                    }
                    self.sent += 1;
                    self.routes.insert((packed.vrf.clone(), prefix), targets[number]);
                }
            }
            Op::DeletePackedRoutes(packed) => {
                for (element, prefix) in packed::read_delete(packed).enumerate() {
                    let prefix = prefix.unwrap();
                    if self.moods.as_mut().is_some_and(|moods| moods.random_bool(0.1)) {
                        refuse(element, format!("/vrf[name='x']/route[prefix='{prefix}']"));
                        continue;
                    }
                    self.sent += 1;
                    self.routes.remove(&(packed.vrf.clone(), prefix));
                }
            }
            other => panic!("{other:?}"),
        }
        refusals
    }

    /// Sends a batch; what the fast path says of it is still on its way.
    fn send(&mut self, limit: usize, now: Instant) -> Option<(Batch, Vec<v1::Refusal>)> {
        let mut batch = self.table.take(limit, now)?;
        let operations = std::mem::take(&mut batch.operations);
        let refusals = operations.iter().enumerate().flat_map(|(at, o)| self.apply(o, at as u32)).collect();
        Some((batch, refusals))
    }

    fn round(&mut self, limit: usize, now: Instant) -> bool {
        let Some((batch, refusals)) = self.send(limit, now) else { return false };
        self.table.acknowledge(batch, &refusals, now);
        true
    }

    /// Of the VRF "default".
    fn digests(&self) -> [v1::RouteDigest; 1] {
        let mut digest = ze_proto::digest::Digest::default();
        self.routes.iter().for_each(|((_, prefix), target)| digest.add(prefix, *target));
        let (routes, buckets) = (digest.routes, digest.buckets.to_vec());
        [v1::RouteDigest { vrf: "default".into(), routes, buckets }]
    }

    fn found(&self, buckets: &[u32]) -> Vec<(String, IpNet, TargetKey)> {
        let routes = self.routes.iter().map(|((vrf, prefix), target)| (vrf.clone(), *prefix, *target));
        let concerned = |prefix: &IpNet| buckets.contains(&(ze_proto::digest::bucket(prefix) as u32));
        routes.filter(|(_, prefix, _)| concerned(prefix)).collect()
    }

    fn settle(&mut self) -> usize {
        let before = self.sent;
        let now = Instant::now();
        while self.round(1000, now) {}
        assert!(self.table.is_settled());
        self.sent - before
    }
}

#[test]
fn what_changes_is_sent_once_and_what_does_not_is_not() {
    let mut pair = Pair::default();
    pair.table.set_nexthops([nexthop(1), nexthop(2)]);
    pair.table.update("default", (0..5000).map(|n| (net(n), to(1))), 1);
    assert_eq!(pair.settle(), 5000);
    pair.table.update("default", (0..5000).map(|n| (net(n), to(1))), 2);
    assert_eq!(pair.settle(), 0);
    // Three changes of one prefix before anything is sent are one.
    for key in [2, 1, 2] {
        pair.table.update("default", [(net(7), to(key))], 3);
    }
    assert_eq!(pair.settle(), 1);
    assert_eq!(pair.routes[&("default".to_owned(), net(7))], TargetKey::Nexthop(2));
    pair.table.update("default", (0..5000).map(|n| (net(n), None)), 4);
    assert_eq!(pair.settle(), 5000);
    assert!(pair.routes.is_empty());
    assert!(pair.table.index.is_empty() && pair.table.progress().wanted == 0);
}

#[test]
fn a_nexthop_goes_after_the_last_route_that_leads_to_it() {
    let mut pair = Pair::default();
    pair.table.set_nexthops([nexthop(1), nexthop(2)]);
    pair.table.update("default", (0..100).map(|n| (net(n), to(1))), 1);
    pair.settle();
    pair.table.set_nexthops([nexthop(2)]);
    pair.table.update("default", (0..100).map(|n| (net(n), to(2))), 2);
    let now = Instant::now();
    while pair.round(7, now) {}
    assert_eq!(pair.nexthops.keys().collect::<Vec<_>>(), [&2]);
}

#[test]
fn a_change_of_a_nexthop_sends_no_route() {
    let mut pair = Pair::default();
    pair.table.set_nexthops([nexthop(1)]);
    pair.table.update("default", (0..100).map(|n| (net(n), to(1))), 1);
    pair.settle();
    let changed = v1::Nexthop { kind: Some(v1::nexthop::Kind::Prohibit(v1::Empty {})), ..nexthop(1) };
    pair.table.set_nexthops([changed.clone()]);
    assert_eq!(pair.settle(), 0);
    assert_eq!(pair.nexthops[&1], changed);
}

#[test]
fn a_refused_route_is_tried_again_with_pauses_and_the_rest_goes_on() {
    let mut pair = Pair { refused: Some(net(3)), ..Pair::default() };
    pair.table.set_nexthops([nexthop(1)]);
    pair.table.update("default", (0..10).map(|n| (net(n), to(1))), 1);
    assert_eq!(pair.settle(), 9);
    assert_eq!(pair.table.progress().refused, 1);
    let retry_at = pair.table.retry_at().unwrap();
    assert!(!pair.round(10, retry_at - Duration::from_millis(1)));
    assert!(pair.round(10, retry_at));
    assert!(pair.table.retry_at().unwrap() >= retry_at + RETRY_PAUSE_MIN * 2);
    pair.refused = None;
    assert!(pair.round(10, retry_at + RETRY_PAUSE_MAX));
    assert_eq!((pair.routes.len(), pair.table.progress().refused), (10, 0));
}

#[test]
fn what_was_not_told_again_is_swept_and_after_a_restart_everything_is_sent() {
    let mut pair = Pair::default();
    pair.table.set_nexthops([nexthop(1)]);
    pair.table.update("default", (0..10).map(|n| (net(n), to(1))), 1);
    pair.settle();
    pair.table.mark();
    pair.table.update("default", (5..10).map(|n| (net(n), to(1))), 2);
    pair.table.sweep(3);
    assert_eq!(pair.settle(), 5);
    pair.routes.clear();
    pair.nexthops.clear();
    pair.table.forget(4);
    assert_eq!(pair.settle(), 5);
    assert_eq!(pair.routes.len(), 5);
}

#[test]
fn what_was_changed_behind_our_back_is_found_and_healed() {
    let mut pair = Pair::default();
    pair.table.set_nexthops([nexthop(1), nexthop(2)]);
    pair.table.update("default", (0..1000).map(|n| (net(n), to(1))), 1);
    pair.settle();
    let right = pair.routes.clone();
    let key = |n| ("default".to_owned(), net(n));
    pair.routes.remove(&key(3));
    pair.routes.insert(key(4), TargetKey::Nexthop(2));
    pair.routes.insert(key(5000), TargetKey::Nexthop(1));
    pair.nexthops.remove(&2);
    let compared = pair.table.compare_digests(pair.nexthops.clone(), &pair.digests());
    let (nexthops, buckets) = compared.unwrap();
    assert!((1..=3).contains(&buckets.len()), "{buckets:?}");
    let found = pair.found(&buckets);
    assert_eq!((nexthops.missing, nexthops.surplus, nexthops.different), (1, 0, 0));
    let report = pair.table.compare(&buckets, found, 2);
    assert_eq!((report.missing, report.surplus, report.different), (1, 1, 1));
    assert_eq!(pair.settle(), 3);
    assert_eq!(pair.routes, right);
    assert_eq!(pair.nexthops.len(), 2);
}

#[test]
fn an_audit_compares_what_is_acknowledged_whatever_the_source_tells_meanwhile() {
    let mut pair = Pair::default();
    pair.table.set_nexthops([nexthop(1)]);
    pair.table.update("default", (0..100).map(|n| (net(n), to(1))), 1);
    pair.settle();
    let key = |n| ("default".to_owned(), net(n));
    pair.routes.remove(&key(3));
    pair.table.update("default", [(net(3), None), (net(4), None), (net(200), to(1))], 2);
    let compared = pair.table.compare_digests(pair.nexthops.clone(), &pair.digests());
    let (mut report, buckets) = compared.unwrap();
    assert_eq!(report.checked, 1 + 99);
    let found = pair.found(&buckets);
    divergence::add(&mut report, pair.table.compare(&buckets, found, 3));
    assert_eq!((report.missing, report.surplus, report.different), (1, 0, 0));
    let (batch, refusals) = pair.send(1, Instant::now()).unwrap();
    assert!(pair.table.compare_digests(pair.nexthops.clone(), &pair.digests()).is_none(), "under way");
    pair.table.acknowledge(batch, &refusals, Instant::now());
    // What was told meanwhile is brought, and nothing else.
    pair.settle();
    assert_eq!((pair.sent, pair.routes.len(), pair.table.index.len()), (102, 99, 99));
}

#[test]
fn until_the_snapshot_ends_what_is_there_of_another_life_is_no_surplus() {
    let mut pair = Pair::default();
    pair.table.forget(0);
    pair.table.set_nexthops([nexthop(1), nexthop(3)]);
    pair.table.update("default", [(net(1), to(1))], 1);
    pair.settle();
    assert!(!pair.table.is_told());
    // Of another life; a route of it leads to a nexthop that this life has put as well.
    pair.nexthops.insert(2, nexthop(2));
    pair.routes.insert(("default".to_owned(), net(2)), TargetKey::Nexthop(3));
    pair.table.set_nexthops([nexthop(1)]);
    let there = pair.routes.clone();
    let audit = |pair: &mut Pair| {
        let mut report = pair.table.compare_nexthops(pair.nexthops.clone());
        let buckets: Vec<_> = (0..ze_proto::digest::BUCKETS as u32).collect();
        let found = pair.found(&buckets);
        divergence::add(&mut report, pair.table.compare(&buckets, found, 2));
        report
    };
    assert_eq!(divergence::count(&audit(&mut pair)), 0);
    pair.settle();
    assert_eq!((&pair.routes, pair.nexthops.len()), (&there, 3));
    // What is lost of this life is healed as ever.
    pair.routes.remove(&("default".to_owned(), net(1)));
    assert_eq!(audit(&mut pair).missing, 1);
    pair.settle();
    assert_eq!(pair.routes, there);
    pair.table.sweep(3);
    assert!(pair.table.is_told());
    pair.table.swept();
    let report = audit(&mut pair);
    assert_eq!((report.missing, report.surplus, report.different), (0, 2, 0));
    pair.settle();
    assert_eq!((pair.routes.len(), pair.nexthops.len()), (1, 1));
}

#[test]
fn a_lasting_refusal_is_told_once_and_asked_for_less_and_less_though_more_is_taken_than_acknowledged() {
    let mut pair = Pair { refused: Some(net(3)), ..Pair::default() };
    pair.table.set_nexthops([nexthop(1)]);
    let mut now = Instant::now();
    assert!(pair.round(10, now));
    pair.table.update("default", [(net(3), to(1))], 1);
    let (mut pauses, mut told) = (Vec::new(), 0);
    for _ in 0..9 {
        let (batch, refusals) = pair.send(10, now).unwrap();
        assert!(pair.send(10, now).is_none(), "it is on its way already");
        told += pair.table.acknowledge(batch, &refusals, now).len();
        let retry_at = pair.table.retry_at().unwrap();
        assert!(pair.send(10, retry_at - Duration::from_millis(1)).is_none());
        pauses.push((retry_at - now).as_millis());
        now = retry_at;
    }
    assert_eq!((pauses, told), (vec![100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000], 1));
    // Nobody wants it any more: nothing is sent, and nothing is left over.
    pair.table.update("default", [(net(3), None)], 2);
    assert!(pair.send(10, now).is_none() && pair.table.retry_at().is_none());
    assert_eq!((pair.table.progress().refused, pair.table.index.len()), (0, 0));
}

#[test]
fn a_route_that_flaps_around_a_refusal_goes_when_it_is_withdrawn() {
    let mut pair = Pair { refused: Some(net(3)), ..Pair::default() };
    pair.table.set_nexthops([nexthop(1)]);
    let now = Instant::now();
    assert!(pair.round(10, now));
    let mut flying = Vec::new();
    for target in [to(1), None, to(1)] {
        pair.table.update("default", [(net(3), target)], 1);
        flying.extend(pair.send(10, now));
        pair.refused = None;
    }
    assert_eq!(flying.len(), 3);
    for (batch, refusals) in flying {
        pair.table.acknowledge(batch, &refusals, now);
    }
    assert_eq!((pair.routes.len(), pair.table.progress().refused), (1, 0));
    pair.table.update("default", [(net(3), None)], 2);
    pair.settle();
    assert_eq!((pair.routes.len(), pair.table.index.len()), (0, 0));
}

#[test]
fn any_history_ends_with_what_was_wanted_last() {
    use rand::SeedableRng as _;
    let seed: u64 =
        std::env::var("ZE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(rand::random);
    println!("ZE_SEED={seed}");
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut pair = Pair::default();
    pair.table.set_nexthops((1..=4).map(nexthop));
    let mut now = Instant::now();
    for _ in 0..300 {
        now += RETRY_PAUSE_MAX;
        let prefixes = rng.random_range(1..50);
        let model = history(&mut pair, &mut rng, prefixes, &mut now);
        settle_refused(&mut pair, now);
        assert_eq!(pair.routes, model);
        assert_eq!(pair.table.progress().wanted, model.len() as u64);
        assert_eq!(pair.table.index.len(), model.len(), "no slot is left over");
        for (vrf, prefix) in model.keys() {
            pair.table.update(vrf, [(*prefix, None)], 2);
        }
        settle_refused(&mut pair, now);
        assert_eq!((pair.routes.len(), pair.table.index.len()), (0, 0));
        assert!(pair.table.uses.iter().all(|uses| *uses == 0), "{:?}", pair.table.uses);
        assert_eq!(pair.table.free.len(), pair.table.slots.len());
    }
}

/// Changes, batches and replies in any order, some of them refusals. Returns what is wanted in the end.
fn history(
    pair: &mut Pair,
    rng: &mut rand_chacha::ChaCha8Rng,
    prefixes: u32,
    now: &mut Instant,
) -> BTreeMap<(String, IpNet), TargetKey> {
    use rand::SeedableRng as _;
    let mut model = BTreeMap::new();
    let mut flying: VecDeque<(Batch, Vec<v1::Refusal>)> = VecDeque::new();
    pair.settle();
    pair.moods = Some(rand_chacha::ChaCha8Rng::from_rng(rng));
    for _ in 0..200 {
        *now += Duration::from_millis(rng.random_range(0..50));
        match rng.random_range(0..4) {
            0 | 1 => {
                let (vrf, prefix) = (["a", "b"][rng.random_range(0..2)], net(rng.random_range(0..prefixes)));
                let target = rng.random_bool(0.6).then(|| TargetKey::Nexthop(rng.random_range(1..=4)));
                pair.table.update(vrf, [(prefix, target)], 1);
                match target {
                    Some(target) => drop(model.insert((vrf.to_owned(), prefix), target)),
                    None => drop(model.remove(&(vrf.to_owned(), prefix))),
                }
            }
            2 if flying.len() < 4 => flying.extend(pair.send(rng.random_range(1..8), *now)),
            _ => {
                let Some((batch, refusals)) = flying.pop_front() else { continue };
                pair.table.acknowledge(batch, &refusals, *now);
            }
        }
    }
    for (batch, refusals) in flying {
        pair.table.acknowledge(batch, &refusals, *now);
    }
    pair.moods = None;
    model
}

/// Settles once what was refused may be tried again, and is taken.
fn settle_refused(pair: &mut Pair, now: Instant) {
    while pair.round(1000, now + RETRY_PAUSE_MAX) {}
    assert!(pair.table.is_settled() && pair.table.retry_at().is_none());
    assert_eq!(pair.table.progress().refused, 0);
}

#[test]
fn routes_of_a_refused_nexthop_lead_to_unreachable_until_it_is_taken() {
    let mut table = Table::default();
    table.set_nexthops([nexthop(1)]);
    table.update("default", [(net(1), to(1))], 1);
    let now = Instant::now();
    let refusal = |batch: &Batch| {
        assert!(batch.alone, "nexthops go alone");
        v1::Refusal { path: "/nexthop[key='1']".into(), ..v1::Refusal::default() }
    };
    let batch = table.take(10, now).unwrap();
    let refused = refusal(&batch);
    assert_eq!(table.acknowledge(batch, &[refused], now).len(), 1);
    let batch = table.take(10, now).unwrap();
    let Some(Op::PutNexthop(stand_in)) = &batch.operations[0].operation else { panic!("no nexthop") };
    assert!(matches!(stand_in.kind, Some(v1::nexthop::Kind::Unreachable(_))));
    table.acknowledge(batch, &[], now);
    let batch = table.take(10, now).unwrap();
    assert!(!batch.alone, "now the route");
    table.acknowledge(batch, &[], now);
    assert!(table.take(10, now).is_none());
    let later = table.retry_at().unwrap();
    let batch = table.take(10, later).unwrap();
    assert_eq!(batch.operations[0].operation, Some(Op::PutNexthop(nexthop(1))));
    table.acknowledge(batch, &[], later);
    assert!(table.take(10, later).is_none() && table.retry_at().is_none());
    // What stands in is refused as well: that is no reason to ask a thousand times a second.
    table.set_nexthops([nexthop(2)]);
    for _ in 0..2 {
        let batch = table.take(10, later).unwrap();
        let refused = refusal(&batch);
        table.acknowledge(batch, &[refused], later);
    }
    assert!(table.take(10, later).is_none());
}

#[test]
fn a_refused_nexthop_that_an_audit_finds_as_it_shall_be_is_waited_for_no_more() {
    let mut table = Table::default();
    table.set_nexthops([nexthop(1)]);
    let now = Instant::now();
    let batch = table.take(10, now).unwrap();
    table.acknowledge(batch, &[v1::Refusal::default()], now);
    table.compare_nexthops(BTreeMap::from([(1, nexthop(1))]));
    let later = table.retry_at().unwrap();
    assert!(table.take(10, later).is_none());
    // Who waits until a time that is over does not wait.
    assert_eq!(table.retry_at(), None);
}
