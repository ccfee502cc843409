//! Every command, in both forms, against a fast path that gives the same answers each time.
//!
//! `ZE_UPDATE_GOLDEN=1 cargo test -p ze-cli --test golden` writes the files anew; read the difference before you
//! keep it: the JSON ones are a promise to scripts.

mod fake;
mod support;

use std::path::{Path, PathBuf};

use fake::Fake;
use support::{Running, stderr, stdout};

fn golden(name: &str, words: &[&str]) {
    check(name, words, &Running::start(Fake::default()));
}

fn check(name: &str, words: &[&str], running: &Running) {
    let output = running.ze(words);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()), "{words:?}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let text = stdout(&output);
    if std::env::var_os("ZE_UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{words:?} differs from {}:\n{text}", PathBuf::from(name).display());
}

macro_rules! goldens {
    ($($test:ident: $file:literal = $($word:literal)+;)+) => {
        $(#[test]
        fn $test() {
            golden($file, &[$($word),+]);
        })+
    };
}

goldens! {
    interfaces_as_table: "interfaces.txt" = "show" "interfaces";
    interfaces_as_json: "interfaces.json" = "-o" "json" "show" "interfaces";
    one_interface: "interface_wan0.txt" = "show" "interface" "wan0";
    ports_as_table: "ports.txt" = "show" "ports";
    ports_with_everything: "ports_all.txt" = "show" "ports" "--all";
    ports_as_json: "ports.json" = "show" "ports" "-o" "json";
    routes_as_table: "routes.txt" = "show" "routes";
    routes_as_json: "routes.json" = "show" "routes" "-o" "json";
    ipv6_routes: "routes_6.txt" = "show" "routes" "-6";
    routes_of_a_vrf: "routes_blue.txt" = "show" "routes" "--vrf" "blue";
    routes_of_an_owner: "routes_static.txt" = "show" "routes" "--owner" "static";
    routes_that_do_not_exist: "routes_none.json" = "show" "routes" "--owner" "nobody" "-o" "json";
    the_route_of_a_destination: "route.txt" = "show" "route" "10.0.0.77";
    the_route_as_json: "route.json" = "show" "route" "10.0.0.77" "-o" "json";
    the_route_of_a_flow: "route_flow.txt" = "show" "route" "10.0.0.77" "--from" "10.0.0.1";
    the_route_of_a_flow_as_json: "route_flow.json" = "show" "route" "10.0.0.77" "--from" "10.0.0.1" "-o" "json";
    no_route_is_asked: "route_instead.txt" = "show" "route" "224.5.5.5";
    no_route_is_asked_as_json: "route_instead.json" = "show" "route" "224.5.5.5" "-o" "json";
    a_route_into_a_vrf_without_one: "route_leak.txt" = "show" "route" "192.0.2.9" "--vrf" "blue";
    a_route_into_a_vrf_without_one_as_json:
        "route_leak.json" = "show" "route" "192.0.2.9" "--vrf" "blue" "-o" "json";
    fib_as_table: "fib.txt" = "show" "fib";
    fib_as_json: "fib.json" = "show" "fib" "-o" "json";
    fib_audit: "fib_audit.txt" = "show" "fib" "audit";
    no_route: "route_none.txt" = "show" "route" "203.0.113.1";
    no_route_as_json: "route_none.json" = "show" "route" "203.0.113.1" "-o" "json";
    neighbors_as_table: "neighbors.txt" = "show" "neighbors";
    neighbors_as_json: "neighbors.json" = "show" "neighbours" "--interface" "wan0" "-o" "json";
    workers_as_table: "workers.txt" = "show" "workers";
    workers_as_json: "workers.json" = "show" "workers" "-o" "json";
    counters_as_table: "counters.txt" = "show" "counters";
    counters_of_one_worker_as_json: "counters_1.json" = "show" "counters" "--worker" "1" "-o" "json";
    drops_as_table: "drops.txt" = "show" "drops";
    drops_as_json: "drops.json" = "show" "drops" "-o" "json";
    punts_as_table: "punts.txt" = "show" "punts";
    punts_as_json: "punts.json" = "show" "punts" "-o" "json";
    vrfs_as_table: "vrfs.txt" = "show" "vrfs";
    vrfs_as_json: "vrfs.json" = "show" "vrfs" "-o" "json";
    version_as_table: "version.txt" = "show" "version";
    version_as_json: "version.json" = "show" "version" "-o" "json";
    colours_when_asked_for: "ports_color.txt" = "show" "ports" "--color" "always";
    clear_neighbors: "clear_neighbors.txt" = "clear" "neighbors";
    clear_one_neighbor_as_json: "clear_neighbors.json" = "clear" "neighbors" "10.0.0.7" "-o" "json";
    trace_as_json: "trace.json" = "-o" "json" "trace" "-c" "2" "icmp";
    top_once: "top.txt" = "top" "--once" "--interval" "0.1";
    top_once_ports: "top_ports.txt" = "top" "--once" "--interval" "0.1" "--view" "ports";
    top_once_nodes: "top_nodes.txt" = "top" "--once" "--interval" "0.1" "--view" "nodes";
    top_once_drops: "top_drops.txt" = "top" "--once" "--interval" "0.1" "--view" "drops";
    top_once_interfaces: "top_interfaces.txt" = "top" "--once" "--interval" "0.1" "--view" "interfaces";
    top_once_as_json: "top.json" = "top" "--once" "--interval" "0.1" "-o" "json";
}

#[test]
fn an_empty_router_says_so_in_words() {
    let running = Running::start(Fake { empty: true, ..Fake::default() });
    for (words, expected) in [
        (["show", "interfaces"], "No interfaces are configured."),
        (["show", "ports"], "No ports are configured."),
        (["show", "routes"], "There are no routes."),
        (["show", "neighbors"], "No neighbours are known."),
        (["show", "workers"], "There are no workers"),
        (["show", "counters"], "There are no workers."),
        (["show", "drops"], "Nothing was dropped"),
        (["show", "punts"], "Nothing was punted"),
    ] {
        let text = stdout(&running.ze(&words));
        assert!(text.starts_with(expected), "{words:?}: {text}");
        let json = stdout(&running.ze(&[&words[..], &["-o", "json"]].concat()));
        assert!(json == "[]\n" || words[1] == "counters", "{words:?}: {json}");
    }
}

#[test]
fn every_drop_and_punt_reason_is_listed_on_demand() {
    let running = Running::start(Fake::default());
    let drops = stdout(&running.ze(&["show", "drops", "--all"]));
    for reason in ze_graph::DropReason::ALL {
        assert!(
            drops.lines().any(|line| line.starts_with(&format!("{} ", reason.name()))),
            "{reason:?}\n{drops}"
        );
    }
    let punts = stdout(&running.ze(&["show", "punts", "--all"]));
    assert!(ze_graph::PuntReason::ALL.iter().all(|reason| punts.contains(reason.sentence())), "{punts}");
}
