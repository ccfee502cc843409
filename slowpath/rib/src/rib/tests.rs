use super::*;
use crate::state::{Key, Nexthop, RouteTarget, Value};
use ze_engine::{Discard, Target, Via, Way};

pub(super) fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

/// "192.0.2.1%wan0*3", "%wan0", "vrf:blue"
pub(super) fn via(text: &str) -> Via {
    let (text, weight) = text.split_once('*').map_or((text, 1), |(t, w)| (t, w.parse().unwrap()));
    let (gateway, interface) = text.split_once('%').map_or((text, None), |(g, i)| (g, Some(i.into())));
    let way = match (gateway.strip_prefix("vrf:"), gateway, interface) {
        (Some(vrf), ..) => Way::Vrf(vrf.into()),
        (None, "", Some(interface)) => Way::Interface(interface),
        (None, gateway, interface) => Way::Gateway(gateway.parse().unwrap(), interface),
    };
    Via { way, weight }
}

pub(super) fn path(distance: u8, vias: &[&str]) -> Path {
    Path { distance, target: Target::Via(vias.iter().map(|text| via(text)).collect()) }
}

pub(super) fn discard(distance: u8) -> Path {
    Path { distance, target: Target::Discard(Discard::Blackhole) }
}

pub(super) fn told(rib: &mut Rib, prefix: &str, paths: Vec<Path>) -> bool {
    told_in(rib, "default", prefix, paths)
}

pub(super) fn told_in(rib: &mut Rib, vrf: &str, prefix: &str, paths: Vec<Path>) -> bool {
    rib.update(Source::Static, RouteUpdate { vrf: vrf.into(), prefix: net(prefix), paths })
}

pub(super) fn connected(rib: &mut Rib, all: &[(&str, &str, &str)]) {
    let one = |(vrf, prefix, interface): &(&str, &str, &str)| Connected {
        vrf: (*vrf).into(),
        prefix: net(prefix),
        interface: (*interface).into(),
    };
    rib.set_connected(all.iter().map(one).collect());
}

pub(super) const WAN: (&str, &str, &str) = ("default", "192.0.2.0/24", "wan0");
pub(super) const LAN: (&str, &str, &str) = ("default", "10.0.0.0/24", "lan0");

pub(super) fn show_nexthop(fib: &Fib, key: u64) -> String {
    match &fib.state[&Key::Nexthop(key)] {
        Value::Nexthop(Nexthop::Discard(discard), _) => format!("{discard:?}"),
        Value::Nexthop(Nexthop::Vrf(vrf), _) => format!("vrf:{vrf}"),
        Value::Nexthop(Nexthop::Interface { gateway, interface }, _) => {
            format!("{}%{interface}", gateway.map(|g| g.to_string()).unwrap_or_default())
        }
        other => panic!("{other:?}"),
    }
}

/// Where a route leads: "192.0.2.1%wan0*1 …", "" if it is not in force.
pub(super) fn leads(fib: &Fib, vrf: &str, prefix: &str) -> String {
    match fib.state.get(&Key::Route(vrf.into(), net(prefix))) {
        None => String::new(),
        Some(Value::Route(RouteTarget::Nexthop(key))) => show_nexthop(fib, *key),
        Some(Value::Route(RouteTarget::Group(key))) => match &fib.state[&Key::Group(*key)] {
            Value::Group(members, _) => {
                let show = |(key, weight): &(u64, u8)| format!("{}*{weight}", show_nexthop(fib, *key));
                members.iter().map(show).collect::<Vec<_>>().join(" ")
            }
            other => panic!("{other:?}"),
        },
        Some(other) => panic!("{other:?}"),
    }
}

fn default(rib: &Rib, prefix: &str) -> String {
    leads(&rib.compute(), "default", prefix)
}

#[test]
fn a_gateway_goes_out_of_the_interface_whose_prefix_covers_it() {
    let mut rib = Rib::new();
    connected(&mut rib, &[WAN, LAN]);
    told(&mut rib, "0.0.0.0/0", vec![path(1, &["192.0.2.1"])]);
    assert_eq!(default(&rib, "0.0.0.0/0"), "192.0.2.1%wan0");
    connected(&mut rib, &[LAN]);
    assert_eq!(default(&rib, "0.0.0.0/0"), "");
    assert_eq!(rib.compute().problems[0].what, ProblemKind::Unreachable);
}

#[test]
fn the_smallest_distance_that_can_be_reached_wins() {
    let mut rib = Rib::new();
    connected(&mut rib, &[WAN, LAN]);
    told(&mut rib, "0.0.0.0/0", vec![path(1, &["192.0.2.1"]), path(5, &["10.0.0.9"]), discard(200)]);
    assert_eq!(default(&rib, "0.0.0.0/0"), "192.0.2.1%wan0");
    connected(&mut rib, &[LAN]);
    assert_eq!(default(&rib, "0.0.0.0/0"), "10.0.0.9%lan0");
    connected(&mut rib, &[]);
    assert_eq!(default(&rib, "0.0.0.0/0"), "Blackhole");
}

#[test]
fn a_connected_prefix_wins_over_any_route() {
    let mut rib = Rib::new();
    connected(&mut rib, &[WAN]);
    told(&mut rib, "192.0.2.0/24", vec![discard(1)]);
    let fib = rib.compute();
    assert!(fib.state.is_empty());
    assert_eq!(fib.problems[0].what, ProblemKind::Connected);
}

#[test]
fn a_gateway_behind_another_route_is_followed_to_the_interface() {
    let mut rib = Rib::new();
    connected(&mut rib, &[WAN]);
    told(&mut rib, "198.51.100.0/24", vec![path(1, &["192.0.2.7"])]);
    told(&mut rib, "203.0.113.0/24", vec![path(1, &["198.51.100.1"])]);
    told(&mut rib, "10.8.0.0/16", vec![path(1, &["%wan0"])]);
    told(&mut rib, "10.9.0.0/16", vec![path(1, &["10.8.0.3"])]);
    assert_eq!(default(&rib, "203.0.113.0/24"), "192.0.2.7%wan0");
    assert_eq!(default(&rib, "10.8.0.0/16"), "%wan0");
    assert_eq!(
        default(&rib, "10.9.0.0/16"),
        "10.8.0.3%wan0",
        "where the route ends on a link, the gateway is there"
    );
}

#[test]
fn neither_a_default_route_nor_the_route_itself_resolves_a_gateway() {
    let mut rib = Rib::new();
    connected(&mut rib, &[WAN]);
    told(&mut rib, "0.0.0.0/0", vec![path(1, &["192.0.2.1"])]);
    told(&mut rib, "10.0.0.0/8", vec![path(1, &["172.16.0.1"])]);
    told(&mut rib, "198.51.100.0/24", vec![path(1, &["198.51.100.1"])]);
    assert_eq!(default(&rib, "10.0.0.0/8"), "");
    assert_eq!(default(&rib, "198.51.100.0/24"), "");
}

#[test]
fn a_gateway_inside_a_discarded_prefix_can_not_be_reached() {
    let mut rib = Rib::new();
    connected(&mut rib, &[WAN]);
    told(&mut rib, "192.0.2.128/25", vec![discard(1)]);
    told(&mut rib, "10.0.0.0/8", vec![path(1, &["192.0.2.200"]), path(9, &["192.0.2.1"])]);
    assert_eq!(default(&rib, "10.0.0.0/8"), "192.0.2.1%wan0");
}

#[test]
fn a_more_specific_route_that_is_not_in_force_does_not_hide_a_shorter_one() {
    let mut rib = Rib::new();
    connected(&mut rib, &[WAN]);
    told(&mut rib, "192.0.2.128/25", vec![path(1, &["172.16.0.1"])]);
    told(&mut rib, "10.0.0.0/8", vec![path(1, &["192.0.2.200"])]);
    assert_eq!(default(&rib, "10.0.0.0/8"), "192.0.2.200%wan0");
}

#[test]
fn loops_are_not_in_force_and_spare_the_rest() {
    let mut rib = Rib::new();
    connected(&mut rib, &[WAN]);
    told(&mut rib, "10.1.0.0/16", vec![path(1, &["10.2.0.1"])]);
    told(&mut rib, "10.2.0.0/16", vec![path(1, &["10.1.0.1"]), path(9, &["192.0.2.9"])]);
    told(&mut rib, "10.3.0.0/16", vec![path(1, &["10.1.0.1", "192.0.2.3"])]);
    assert_eq!(default(&rib, "10.1.0.0/16"), "");
    assert_eq!(default(&rib, "10.2.0.0/16"), "192.0.2.9%wan0");
    assert_eq!(default(&rib, "10.3.0.0/16"), "192.0.2.3%wan0");
}

#[test]
fn resolution_goes_to_its_depth_and_no_further() {
    let mut rib = Rib::new();
    connected(&mut rib, &[("default", "10.0.0.0/24", "lan0")]);
    // 10.n.0.0/24 by way of 10.(n-1).0.1: n steps.
    for n in 1..=RESOLUTION_DEPTH_MAX + 2 {
        told(&mut rib, &format!("10.{n}.0.0/24"), vec![path(1, &[&format!("10.{}.0.1", n - 1)])]);
    }
    let at = |n: usize| default(&rib, &format!("10.{n}.0.0/24"));
    assert_eq!(at(RESOLUTION_DEPTH_MAX), "10.0.0.1%lan0");
    assert_eq!(at(RESOLUTION_DEPTH_MAX + 2), "");
}

#[test]
fn several_nexthops_make_a_group_with_their_weights() {
    let mut rib = Rib::new();
    connected(&mut rib, &[WAN, LAN]);
    told(&mut rib, "0.0.0.0/0", vec![path(1, &["192.0.2.1*3", "10.0.0.2", "172.16.0.1*9"])]);
    assert_eq!(default(&rib, "0.0.0.0/0"), "192.0.2.1%wan0*3 10.0.0.2%lan0*1");
}

#[test]
fn shares_multiply_through_recursion() {
    let mut rib = Rib::new();
    connected(&mut rib, &[WAN, LAN]);
    told(&mut rib, "172.16.0.0/16", vec![path(1, &["192.0.2.1*2", "10.0.0.2"])]);
    told(&mut rib, "172.17.0.0/16", vec![path(1, &["172.16.0.1", "10.0.0.2"])]);
    // Half of it goes 2 : 1, the other half straight to 10.0.0.2.
    assert_eq!(default(&rib, "172.17.0.0/16"), "10.0.0.2%lan0*2 192.0.2.1%wan0*1");
    told(&mut rib, "172.18.0.0/16", vec![path(1, &["172.16.0.1"])]);
    assert_eq!(default(&rib, "172.18.0.0/16"), "10.0.0.2%lan0*1 192.0.2.1%wan0*2");
}

#[test]
fn routes_with_the_same_nexthops_share_objects() {
    let mut rib = Rib::new();
    connected(&mut rib, &[WAN]);
    for n in 0..50 {
        told(&mut rib, &format!("10.{n}.0.0/16"), vec![path(1, &["192.0.2.1"])]);
        told(&mut rib, &format!("10.1{n:02}.0.0/16"), vec![path(1, &["192.0.2.1", "192.0.2.2"])]);
        told(&mut rib, &format!("172.16.{n}.0/24"), vec![discard(1)]);
    }
    let state = rib.compute().state;
    let count = |wanted: fn(&Key) -> bool| state.keys().filter(|key| wanted(key)).count();
    // One alone, one for each member of the group and one for each backup of these, and the hole.
    assert_eq!(count(|key| matches!(key, Key::Nexthop(_))), 6);
    assert_eq!(count(|key| matches!(key, Key::Group(_))), 1);
    assert_eq!(count(|key| matches!(key, Key::Route(..))), 150);
}

#[test]
fn when_a_gateway_resolves_differently_no_route_is_touched() {
    let mut rib = Rib::new();
    connected(&mut rib, &[WAN, LAN]);
    told(&mut rib, "172.16.0.0/16", vec![path(1, &["192.0.2.1"])]);
    told(&mut rib, "203.0.113.0/24", vec![path(1, &["172.16.0.1"])]);
    told(&mut rib, "198.51.100.0/24", vec![path(1, &["172.16.0.1", "10.0.0.3"])]);
    let before = rib.compute().state;
    told(&mut rib, "172.16.0.0/16", vec![path(1, &["10.0.0.2"])]);
    let fib = rib.compute();
    assert_eq!(leads(&fib, "default", "203.0.113.0/24"), "10.0.0.2%lan0");
    for prefix in ["203.0.113.0/24", "198.51.100.0/24"] {
        let key = Key::Route("default".into(), net(prefix));
        assert_eq!(before[&key], fib.state[&key]);
    }
}

#[test]
fn keys_are_the_same_in_another_life_and_another_order() {
    let state = |order: &[&str]| {
        let mut rib = Rib::new();
        connected(&mut rib, &[WAN]);
        for gateway in order {
            told(&mut rib, &format!("10.{}.0.0/16", &gateway[8..]), vec![path(1, &[gateway])]);
        }
        rib.compute().state
    };
    assert_eq!(state(&["192.0.2.1", "192.0.2.2"]), state(&["192.0.2.2", "192.0.2.1"]));
}

#[test]
fn vrfs_do_not_see_each_other() {
    let mut rib = Rib::new();
    connected(&mut rib, &[WAN, ("blue", "192.0.2.0/24", "blue0")]);
    told_in(&mut rib, "blue", "0.0.0.0/0", vec![path(1, &["192.0.2.1"])]);
    told_in(&mut rib, "red", "0.0.0.0/0", vec![path(1, &["192.0.2.1"])]);
    let fib = rib.compute();
    assert_eq!(leads(&fib, "blue", "0.0.0.0/0"), "192.0.2.1%blue0");
    assert_eq!(leads(&fib, "red", "0.0.0.0/0"), "");
}

#[test]
fn a_group_has_members_to_the_limit_and_says_when_there_are_more() {
    let route = |count: usize| {
        let mut rib = Rib::new();
        connected(&mut rib, &[("default", "10.0.0.0/16", "lan0")]);
        let vias: Vec<_> = (0..count).map(|n| format!("10.0.{}.{}", n / 200, n % 200 + 1)).collect();
        told(&mut rib, "172.16.0.0/16", vec![path(1, &vias.iter().map(String::as_str).collect::<Vec<_>>())]);
        rib.compute()
    };
    assert!(route(GROUP_MEMBERS_MAX).problems.is_empty());
    let fib = route(GROUP_MEMBERS_MAX + 1);
    assert_eq!(fib.problems[0].what, ProblemKind::TooManyNexthops);
    assert_eq!(leads(&fib, "default", "172.16.0.0/16").split(' ').count(), GROUP_MEMBERS_MAX);
}

#[test]
fn updates_say_whether_they_change_anything() {
    let mut rib = Rib::new();
    assert!(told(&mut rib, "10.0.0.0/8", vec![discard(1)]));
    assert!(!told(&mut rib, "10.0.0.0/8", vec![discard(1)]));
    assert!(told(&mut rib, "10.0.0.0/8", vec![discard(2)]));
    assert_eq!(rib.len(), 1);
    assert!(told(&mut rib, "10.0.0.0/8", vec![]));
    assert!(!told(&mut rib, "10.0.0.0/8", vec![]));
    assert!(rib.is_empty());
}

#[test]
fn what_a_new_life_of_a_source_does_not_tell_again_is_swept() {
    let mut rib = Rib::new();
    told(&mut rib, "10.0.0.0/8", vec![discard(1)]);
    told(&mut rib, "172.16.0.0/12", vec![discard(1)]);
    rib.mark_stale(Source::Static);
    assert_eq!(default(&rib, "10.0.0.0/8"), "Blackhole", "stale routes stay in force");
    told(&mut rib, "10.0.0.0/8", vec![discard(1)]);
    assert!(rib.sweep(Source::Static));
    assert!(!rib.sweep(Source::Static));
    assert_eq!(rib.len(), 1);
    assert_eq!(default(&rib, "10.0.0.0/8"), "Blackhole");
}
