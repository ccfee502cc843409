//! What is armed behind a nexthop, and routes into other VRFs.

use super::tests::*;
use super::*;
use crate::state::{Key, RouteTarget, Value};

/// Where a route leads and what stands behind: "192.0.2.1%wan0 > 10.0.0.2%lan0", members with commas.
fn armed(fib: &Fib, vrf: &str, prefix: &str) -> String {
    let chain = |key: u64| {
        let mut words = Vec::new();
        let mut next = Some(key);
        while let Some(key) = next {
            words.push(show_nexthop(fib, key));
            let Value::Nexthop(_, backup) = &fib.state[&Key::Nexthop(key)] else { panic!("no nexthop") };
            assert!(backup.is_none_or(|backup| backup < key), "a backup is put before what it backs");
            next = *backup;
        }
        words.join(" > ")
    };
    match fib.state.get(&Key::Route(vrf.into(), net(prefix))) {
        None => String::new(),
        Some(Value::Route(RouteTarget::Nexthop(key))) => chain(*key),
        Some(Value::Route(RouteTarget::Group(key))) => match &fib.state[&Key::Group(*key)] {
            Value::Group(members, _) => {
                members.iter().map(|(key, _)| chain(*key)).collect::<Vec<_>>().join(", ")
            }
            other => panic!("{other:?}"),
        },
        Some(other) => panic!("{other:?}"),
    }
}

fn default(rib: &Rib, prefix: &str) -> String {
    armed(&rib.compute(), "default", prefix)
}

const ALT: (&str, &str, &str) = ("default", "203.0.113.0/24", "alt0");

#[test]
fn the_next_larger_distances_stand_behind_the_best() {
    let mut rib = Rib::new();
    connected(&mut rib, &[WAN, LAN, ALT]);
    let paths = vec![path(1, &["192.0.2.1"]), path(5, &["172.16.0.1"]), path(9, &["10.0.0.9"]), discard(200)];
    told(&mut rib, "0.0.0.0/0", paths);
    // 172.16.0.1 can not be reached.
    assert_eq!(default(&rib, "0.0.0.0/0"), "192.0.2.1%wan0 > 10.0.0.9%lan0 > Blackhole");
    connected(&mut rib, &[LAN]);
    assert_eq!(default(&rib, "0.0.0.0/0"), "10.0.0.9%lan0 > Blackhole");
    connected(&mut rib, &[]);
    assert_eq!(default(&rib, "0.0.0.0/0"), "Blackhole");
}

#[test]
fn many_gateways_behind_each_other_are_searched_for_backups_once_each() {
    let mut rib = Rib::new();
    connected(&mut rib, &[WAN, ALT]);
    const LEVELS: u8 = 14;
    for level in 1..=LEVELS {
        let net = if level == LEVELS { "192.0.2".to_owned() } else { format!("10.{}.0", level + 1) };
        let gateways: Vec<_> = (1..=8).map(|host| format!("{net}.{host}")).collect();
        let gateways: Vec<_> = gateways.iter().map(String::as_str).collect();
        let alternative = format!("203.0.113.{level}");
        told(&mut rib, &format!("10.{level}.0.0/16"), vec![path(1, &gateways), path(9, &[&alternative])]);
    }
    // The farthest of all stands behind the first route first: what the gateways' routes fall back on, then its own.
    let first = default(&rib, "10.1.0.0/16");
    let members: Vec<_> = first.split(", ").collect();
    assert_eq!(members.len(), 8, "{first}");
    assert!(members.iter().all(|member| member.contains("203.0.113.14%alt0")), "{first}");
}

#[test]
fn nothing_stands_behind_what_can_not_fail_and_no_more_than_the_limit_behind_anything() {
    let mut rib = Rib::new();
    connected(&mut rib, &[WAN]);
    let many: Vec<_> = (1..9)
        .map(|n| {
            path(
                n,
                &[[
                    "192.0.2.1",
                    "192.0.2.2",
                    "192.0.2.3",
                    "192.0.2.4",
                    "192.0.2.5",
                    "192.0.2.6",
                    "192.0.2.7",
                    "192.0.2.8",
                ][usize::from(n) - 1]],
            )
        })
        .collect();
    told(&mut rib, "10.1.0.0/16", many);
    assert_eq!(default(&rib, "10.1.0.0/16").matches(" > ").count(), BACKUPS_MAX);
    told(&mut rib, "10.2.0.0/16", vec![path(1, &["vrf:blue"]), path(2, &["192.0.2.1"])]);
    assert_eq!(default(&rib, "10.2.0.0/16"), "vrf:blue");
    told(
        &mut rib,
        "10.3.0.0/16",
        vec![path(1, &["192.0.2.1"]), path(2, &["vrf:blue"]), path(3, &["192.0.2.2"])],
    );
    assert_eq!(default(&rib, "10.3.0.0/16"), "192.0.2.1%wan0 > vrf:blue");
}

#[test]
fn members_of_a_group_stand_in_for_each_other_before_a_larger_distance_does() {
    let mut rib = Rib::new();
    connected(&mut rib, &[WAN, LAN, ALT]);
    told(
        &mut rib,
        "0.0.0.0/0",
        vec![path(1, &["192.0.2.1", "192.0.2.2", "10.0.0.2"]), path(9, &["203.0.113.1"])],
    );
    assert_eq!(
        default(&rib, "0.0.0.0/0"),
        "192.0.2.1%wan0 > 10.0.0.2%lan0 > 203.0.113.1%alt0, \
         192.0.2.2%wan0 > 10.0.0.2%lan0 > 203.0.113.1%alt0, \
         10.0.0.2%lan0 > 192.0.2.1%wan0 > 203.0.113.1%alt0"
    );
}

#[test]
fn what_a_gateways_route_falls_back_on_protects_those_who_go_by_it() {
    let mut rib = Rib::new();
    connected(&mut rib, &[WAN, LAN, ALT]);
    told(&mut rib, "172.16.0.0/16", vec![path(1, &["192.0.2.1"]), path(7, &["%lan0"])]);
    told(&mut rib, "198.51.100.0/24", vec![path(1, &["172.16.0.1"]), path(9, &["203.0.113.1"])]);
    assert_eq!(
        default(&rib, "198.51.100.0/24"),
        "192.0.2.1%wan0 > 172.16.0.1%lan0 > 203.0.113.1%alt0",
        "where the backup ends on a link, the gateway is there"
    );
    // And by another step; a hole behind the gateway's route is not this route's.
    told(&mut rib, "172.16.0.0/16", vec![path(1, &["192.0.2.1"]), path(7, &["10.0.0.7"]), discard(200)]);
    told(&mut rib, "100.64.0.0/16", vec![path(1, &["198.51.100.9"])]);
    assert_eq!(default(&rib, "100.64.0.0/16"), "192.0.2.1%wan0 > 10.0.0.7%lan0 > 203.0.113.1%alt0");
}

#[test]
fn two_routes_that_fall_back_on_each_other_do_not_wait_for_each_other() {
    let mut rib = Rib::new();
    connected(&mut rib, &[WAN]);
    told(&mut rib, "10.1.0.0/16", vec![path(1, &["192.0.2.1"]), path(9, &["10.2.0.1"])]);
    told(&mut rib, "10.2.0.0/16", vec![path(1, &["10.1.0.1"]), path(9, &["192.0.2.9"])]);
    assert_eq!(default(&rib, "10.1.0.0/16"), "192.0.2.1%wan0");
    assert_eq!(default(&rib, "10.2.0.0/16"), "192.0.2.1%wan0 > 192.0.2.9%wan0");
}

#[test]
fn a_backup_that_resolves_differently_touches_no_route() {
    let mut rib = Rib::new();
    connected(&mut rib, &[WAN, LAN, ALT]);
    told(&mut rib, "172.16.0.0/16", vec![path(1, &["10.0.0.2"])]);
    told(&mut rib, "0.0.0.0/0", vec![path(1, &["192.0.2.1"]), path(9, &["172.16.0.1"])]);
    told(&mut rib, "198.51.100.0/24", vec![path(1, &["192.0.2.1", "192.0.2.2"]), path(9, &["172.16.0.1"])]);
    let before = rib.compute();
    told(&mut rib, "172.16.0.0/16", vec![path(1, &["203.0.113.1"])]);
    let after = rib.compute();
    assert_eq!(armed(&before, "default", "0.0.0.0/0"), "192.0.2.1%wan0 > 10.0.0.2%lan0");
    assert_eq!(armed(&after, "default", "0.0.0.0/0"), "192.0.2.1%wan0 > 203.0.113.1%alt0");
    for prefix in ["0.0.0.0/0", "198.51.100.0/24"] {
        let key = Key::Route("default".into(), net(prefix));
        assert_eq!(before.state[&key], after.state[&key]);
    }
}

#[test]
fn a_gateway_that_a_leak_covers_is_found_in_the_other_vrf() {
    let mut rib = Rib::new();
    connected(&mut rib, &[WAN, ("blue", "10.7.0.0/24", "blue0"), ("blue", "10.8.0.0/24", "blue1")]);
    told(&mut rib, "10.0.0.0/8", vec![path(1, &["vrf:blue"])]);
    told(&mut rib, "172.16.0.0/16", vec![path(1, &["10.7.0.9"])]);
    assert_eq!(default(&rib, "10.0.0.0/8"), "vrf:blue");
    assert_eq!(default(&rib, "172.16.0.0/16"), "10.7.0.9%blue0");
    // By several ways there, and one here: shares are of the whole.
    told_in(&mut rib, "blue", "10.9.0.0/16", vec![path(1, &["10.7.0.9", "10.8.0.9"])]);
    told(&mut rib, "10.9.0.0/16", vec![path(1, &["vrf:blue", "192.0.2.1"])]);
    told(&mut rib, "172.17.0.0/16", vec![path(1, &["10.9.0.1"])]);
    let fib = rib.compute();
    assert_eq!(leads(&fib, "default", "172.17.0.0/16"), "10.7.0.9%blue0*1 10.8.0.9%blue1*1 192.0.2.1%wan0*2");
    let ways = rib.reach("default", &["10.9.0.1".parse().unwrap(), "10.200.0.1".parse().unwrap()]);
    let ways: Vec<Vec<_>> =
        ways.iter().map(|ways| ways.iter().map(|(g, i, w)| format!("{g}%{i}*{w}")).collect()).collect();
    assert_eq!(ways, [vec!["10.7.0.9%blue0*1", "10.8.0.9%blue1*1", "192.0.2.1%wan0*2"], vec![]]);
}

#[test]
fn a_search_for_a_gateway_does_not_go_round_in_vrfs() {
    let mut rib = Rib::new();
    connected(&mut rib, &[WAN]);
    told(&mut rib, "10.0.0.0/8", vec![path(1, &["vrf:blue"])]);
    told_in(&mut rib, "blue", "10.0.0.0/8", vec![path(1, &["vrf:default"])]);
    told(&mut rib, "172.16.0.0/16", vec![path(1, &["10.7.0.9"]), path(9, &["192.0.2.1"])]);
    assert_eq!(default(&rib, "172.16.0.0/16"), "192.0.2.1%wan0");
}
