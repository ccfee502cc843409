use std::time::{Duration, Instant};

use ipnet::IpNet;
use rand::{RngExt as _, SeedableRng};
use ze_proto::v1;

use super::*;
use crate::reconcile::Reconciler;
use crate::wire;

#[path = "../../../tests/fake/tables.rs"]
#[allow(dead_code, reason = "shared with the tests of the daemon")]
mod tables;
use tables::Tables;

fn port(name: &str, device: &str) -> (Key, Value) {
    let port = v1::Port { name: name.into(), device: device.into(), ..Default::default() };
    (Key::Port(name.into()), Value::Port(Box::new(port)))
}

fn interface(name: &str, port: &str, vlan: u32, vrf: &str) -> (Key, Value) {
    let interface =
        v1::Interface { name: name.into(), port: port.into(), vlan, vrf: vrf.into(), ..Default::default() };
    (Key::Interface(name.into()), Value::Interface(Box::new(interface)))
}

fn address(interface: &str, address: &str) -> (Key, Value) {
    (Key::Address(interface.into(), address.parse().unwrap()), Value::Address)
}

fn nexthop(key: u64, interface: &str) -> (Key, Value) {
    (
        Key::Nexthop(key),
        Value::Nexthop(Nexthop::Interface { gateway: None, interface: interface.into() }, None),
    )
}

fn group(key: u64, members: &[u64]) -> (Key, Value) {
    (Key::Group(key), Value::Group(members.iter().map(|m| (*m, 1)).collect(), crate::GroupHash::default()))
}

fn route(prefix: &str, target: RouteTarget) -> (Key, Value) {
    (Key::Route("default".into(), prefix.parse().unwrap()), Value::Route(target))
}

fn state(objects: impl IntoIterator<Item = (Key, Value)>) -> State {
    objects.into_iter().collect()
}

/// A router and its fast path.
#[derive(Default)]
struct Pair {
    reconciler: Reconciler,
    tables: Tables,
    log: Vec<String>,
}

impl Pair {
    /// One round of at most `limit` steps. Returns whether there was anything to do.
    fn round(&mut self, desired: &State, limit: usize, now: Instant) -> bool {
        assert!(self.log.len() < 10_000, "no end: {:#?}", &self.log[9_900..]);
        let steps = self.reconciler.plan(desired, limit, now);
        let some = !steps.is_empty();
        for step in &steps {
            self.log.push(match step {
                Step::Put(key, _) => format!("put {key}"),
                Step::Delete(key) => format!("delete {key}"),
            });
        }
        let (operations, layout) = wire::operations(steps);
        let mut refusals = Vec::new();
        for (index, operation) in operations.iter().enumerate() {
            refusals.extend(self.tables.apply("slowpath", index as u32, operation));
        }
        self.reconciler.acknowledge(layout, &refusals, now);
        some
    }

    /// Rounds until there is nothing to do; refusals are an error.
    fn reach(&mut self, desired: &State, limit: usize) -> Vec<String> {
        self.reconciler.swept();
        self.log.clear();
        let now = Instant::now();
        for _ in 0..100_000 {
            let more = self.round(desired, limit, now);
            let refused: Vec<_> = self.reconciler.refused().collect();
            assert!(refused.is_empty(), "{refused:#?}\n{:#?}", self.log);
            if !more {
                self.agree(desired);
                return std::mem::take(&mut self.log);
            }
        }
        panic!("no end");
    }

    /// The router dies, and another one with another wish finds the tables.
    fn restart(&mut self, desired: &State) {
        let mut now = Instant::now();
        for snapshots in 0.. {
            self.reconciler.forget();
            self.tables.mark_stale("slowpath");
            while self.round(desired, 7, now) {}
            self.tables.sweep("slowpath");
            self.reconciler.swept();
            while !self.reconciler.needs_snapshot(now) {
                if self.round(desired, usize::MAX, now) {
                    continue;
                }
                let Some(retry_at) = self.reconciler.retry_at() else { return self.agree(desired) };
                now = now.max(retry_at);
            }
            let refused: Vec<_> = self.reconciler.refused().collect();
            assert!(snapshots < 4, "{refused:#?}\n{:#?}", self.log);
        }
    }

    /// The tables hold what is desired and nothing else.
    fn agree(&self, desired: &State) {
        let wanted: Vec<Step> =
            desired.iter().map(|(key, value)| Step::Put(key.clone(), value.clone())).collect();
        let mut model = Tables::default();
        for (index, operation) in wire::operations(wanted).0.iter().enumerate() {
            let refusals = model.apply("slowpath", index as u32, operation);
            assert!(refusals.is_empty(), "the test wants the impossible: {refusals:?}");
        }
        assert_eq!(self.tables.objects, model.objects);
    }
}

fn small() -> State {
    state([
        (Key::System, Value::System(v1::System { fail_open: false })),
        (Key::Vrf("blue".into()), Value::Vrf),
        port("lan0", "eth0"),
        interface("lan0", "lan0", 0, "default"),
        interface("lan0.5", "lan0", 5, "blue"),
        address("lan0", "10.0.0.1/24"),
        nexthop(1, "lan0"),
        nexthop(2, "lan0.5"),
        group(3, &[1, 2]),
        route("10.1.0.0/16", RouteTarget::Nexthop(1)),
        route("10.2.0.0/16", RouteTarget::Group(3)),
    ])
}

#[test]
fn what_is_referred_to_comes_first_and_goes_last() {
    let mut pair = Pair::default();
    let put = pair.reach(&small(), usize::MAX);
    assert_eq!(put.len(), small().len());
    let none = state([(Key::System, Value::System(v1::System { fail_open: false }))]);
    let deleted = pair.reach(&none, usize::MAX);
    assert_eq!(deleted.len(), small().len() - 1);
    assert!(deleted[0].contains("route"));
    assert_eq!(deleted.last().unwrap(), "delete /vrf[name='blue']");
}

#[test]
fn nothing_is_sent_where_nothing_differs() {
    let mut pair = Pair::default();
    pair.reach(&small(), usize::MAX);
    assert!(pair.reach(&small(), usize::MAX).is_empty());
}

#[test]
fn a_route_is_pointed_to_the_new_nexthop_before_the_old_one_goes() {
    let mut pair = Pair::default();
    pair.reach(&small(), usize::MAX);
    let mut desired = small();
    desired.extend([nexthop(7, "lan0"), route("10.1.0.0/16", RouteTarget::Nexthop(7)), group(3, &[2, 7])]);
    desired.remove(&Key::Nexthop(1));
    assert_eq!(
        pair.reach(&desired, usize::MAX),
        [
            "put /nexthop[key='7']",
            "put /nexthop-group[key='3']",
            "put /vrf[name='default']/route[prefix='10.1.0.0/16']",
            "delete /nexthop[key='1']"
        ]
    );
}

#[test]
fn a_nexthop_that_changes_touches_no_route() {
    let mut pair = Pair::default();
    pair.reach(&small(), usize::MAX);
    let mut desired = small();
    desired.extend([nexthop(1, "lan0.5")]);
    assert_eq!(pair.reach(&desired, usize::MAX), ["put /nexthop[key='1']"]);
}

#[test]
fn units_can_exchange_their_vlans_and_move_to_another_vrf() {
    let mut pair = Pair::default();
    let mut desired = small();
    desired.extend([interface("lan0.6", "lan0", 6, "default"), address("lan0.6", "10.6.0.1/24")]);
    pair.reach(&desired, usize::MAX);
    desired.extend([interface("lan0.6", "lan0", 5, "blue"), interface("lan0.5", "lan0", 6, "default")]);
    pair.reach(&desired, usize::MAX);
    desired.remove(&Key::Vrf("blue".into()));
    desired.extend([interface("lan0.6", "lan0", 5, "default")]);
    pair.reach(&desired, usize::MAX);
}

#[test]
fn an_address_moves_to_another_interface() {
    let mut pair = Pair::default();
    let mut desired = state([
        port("a", ""),
        port("b", ""),
        interface("a", "a", 0, "default"),
        interface("b", "b", 0, "default"),
        address("b", "10.0.0.1/24"),
    ]);
    pair.reach(&desired, usize::MAX);
    desired.remove(&Key::Address("b".into(), "10.0.0.1/24".parse().unwrap()));
    desired.extend([address("a", "10.0.0.1/24")]);
    pair.reach(&desired, usize::MAX);
}

#[test]
fn ports_can_exchange_their_devices() {
    let two = |first: &str, second: &str| {
        state([
            port("a", first),
            port("b", second),
            interface("a", "a", 0, "default"),
            interface("b", "b", 0, "default"),
            nexthop(1, "a"),
            route("10.0.0.0/8", RouteTarget::Nexthop(1)),
        ])
    };
    let mut pair = Pair::default();
    pair.reach(&two("eth0", "eth1"), usize::MAX);
    pair.reach(&two("eth1", "eth0"), usize::MAX);
}

/// A state that the tables can take, at random.
fn random(rng: &mut impl rand::Rng) -> State {
    let mut desired = state([(Key::System, Value::System(v1::System { fail_open: rng.random() }))]);
    let vrfs: Vec<&str> = ["default", "blue", "red"].into_iter().filter(|_| rng.random_bool(0.7)).collect();
    desired.extend(vrfs.iter().filter(|v| **v != "default").map(|v| (Key::Vrf((*v).into()), Value::Vrf)));
    let mut devices = ["eth0", "eth1", "eth2"].to_vec();
    let mut interfaces = Vec::new();
    let mut addresses: Vec<u8> = (1..20).collect();
    for name in ["a", "b", "c"] {
        if rng.random_bool(0.3) {
            continue;
        }
        desired.extend([port(name, devices.swap_remove(rng.random_range(0..devices.len())))]);
        let mut vlans: Vec<u32> = (0..5).collect();
        for unit in 0..3 {
            let vlan = vlans.swap_remove(rng.random_range(0..vlans.len()));
            let vrf = vrfs.get(rng.random_range(0..=vrfs.len())).unwrap_or(&"default");
            let unit_name = format!("{name}.{unit}");
            desired.extend([interface(&unit_name, name, vlan, vrf)]);
            let host = addresses.swap_remove(rng.random_range(0..addresses.len()));
            desired.extend([address(&unit_name, &format!("10.0.0.{host}/24"))]);
            interfaces.push(unit_name);
        }
    }
    let Some(last) = interfaces.len().checked_sub(1) else { return desired };
    let nexthops: Vec<u64> = (0..5).filter(|_| rng.random_bool(0.7)).collect();
    desired.extend(nexthops.iter().map(|key| nexthop(*key, &interfaces[rng.random_range(0..=last)])));
    if nexthops.is_empty() {
        return desired;
    }
    let some = |rng: &mut _| nexthops[rand::RngExt::random_range(rng, 0..nexthops.len())];
    let groups: Vec<u64> = (10..13).filter(|_| rng.random_bool(0.5)).collect();
    for key in &groups {
        let members = [some(rng), some(rng)];
        desired.extend([group(*key, &members)]);
    }
    for n in 0..8 {
        let target = match groups.get(rng.random_range(0..4)) {
            Some(group) => RouteTarget::Group(*group),
            None => RouteTarget::Nexthop(some(rng)),
        };
        if rng.random_bool(0.7) {
            desired.extend([route(&format!("10.{n}.0.0/16"), target)]);
        }
    }
    desired
}

#[test]
fn any_state_leads_to_any_other_without_a_refusal_in_rounds_of_any_size() {
    let seed: u64 =
        std::env::var("ZE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(rand::random);
    println!("ZE_SEED={seed}");
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut pair = Pair::default();
    for _ in 0..500 {
        let desired = random(&mut rng);
        let limit = [1, 2, 3, 7, usize::MAX][rng.random_range(0..5)];
        pair.reach(&desired, limit);
    }
}

#[test]
fn a_new_life_with_any_wish_leads_any_state_there() {
    let seed: u64 =
        std::env::var("ZE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(rand::random);
    println!("ZE_SEED={seed}");
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut pair = Pair::default();
    for _ in 0..300 {
        let desired = random(&mut rng);
        pair.log.clear();
        pair.restart(&desired);
    }
}

#[test]
fn what_is_refused_at_random_is_reached_when_the_refusals_end() {
    let seed: u64 =
        std::env::var("ZE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(rand::random);
    println!("ZE_SEED={seed}");
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut pair = Pair::default();
    let mut now = Instant::now();
    for _ in 0..200 {
        let desired = random(&mut rng);
        let names: Vec<_> = {
            let mut model = Tables::default();
            let steps = desired.iter().map(|(k, v)| Step::Put(k.clone(), v.clone())).collect();
            wire::operations(steps)
                .0
                .iter()
                .for_each(|operation| drop(model.apply("slowpath", 0, operation)));
            model.objects.into_keys().collect()
        };
        pair.log.clear();
        pair.tables.refused = (0..3).map(|_| names[rng.random_range(0..names.len())].clone()).collect();
        for _ in 0..20 {
            pair.round(&desired, 5, now);
            now += Duration::from_millis(rng.random_range(0..200));
        }
        pair.tables.refused.clear();
        let mut rounds = 0;
        loop {
            now += crate::reconcile::RETRY_PAUSE_MAX;
            if !pair.round(&desired, usize::MAX, now) {
                break;
            }
            rounds += 1;
            assert!(rounds < 20, "{:#?}", pair.reconciler.refused().collect::<Vec<_>>());
        }
        pair.agree(&desired);
    }
}

#[test]
fn routes_share_operations_up_to_the_limit_and_never_across_vrfs() {
    let mut steps: Vec<Step> = Vec::new();
    for vrf in ["a", "b"] {
        for n in 0..wire::ROUTES_PER_OPERATION_MAX as u32 + 1 {
            let prefix = IpNet::new(std::net::Ipv4Addr::from(n << 8).into(), 24).unwrap();
            steps.push(Step::Put(Key::Route(vrf.into(), prefix), Value::Route(RouteTarget::Nexthop(1))));
        }
    }
    let (operations, layout) = wire::operations(steps.clone());
    assert_eq!(layout.iter().map(Vec::len).collect::<Vec<_>>(), [1024, 1, 1024, 1]);
    assert_eq!(operations.len(), 4);
    assert_eq!(layout.concat(), steps);
}
