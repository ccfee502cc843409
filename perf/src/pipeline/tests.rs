//! The bench as a whole: right paths are measured, broken ones are refused.

use super::*;
use crate::args::{Args, Command};
use clap::Parser;
use ze_fib::Target;
use ze_fib::writer::{NexthopSpec, RouteSource};
use ze_packet::MacAddr;

fn bench(line: &str) -> Bench {
    let words = format!("ze-perf pipeline {line}");
    let words = if line.contains("--seconds") { words } else { words + " --seconds 0.05" };
    let Command::Pipeline(options) = Args::try_parse_from(words.split(' ')).unwrap().command else {
        panic!("{words} is another command");
    };
    Bench::new(&options.check().unwrap().cases[0], &Interrupt::default()).unwrap()
}

/// The interface that packets leave by.
fn way_out(router: &Router) -> ze_packet::InterfaceId {
    let address = "203.0.113.1".parse().unwrap();
    router.fib.connected_interface(ze_fib::writer::Fib::DEFAULT_VRF, address).unwrap()
}

fn error(bench: &mut Bench) -> String {
    format!("{:#}", bench.run().err().expect("a broken path is refused"))
}

#[test]
fn both_families_forward_every_pattern_and_size() {
    let lines = [
        "ip4 --routes 1 --flows 7",
        "ip4 --routes 5000 --pattern uniform --flows 3000 --size imix",
        "ip4 --routes 5000 --pattern zipf --flows 300 --batch 16",
        "ip6 --routes 1 --size 1518",
        "ip6 --routes 5000 --pattern covered --flows 3000",
        "ip6 --routes 500 --pattern uniform --flows 3000 --batch 33",
    ];
    for line in lines {
        let mut bench = bench(line);
        let run = bench.run().unwrap_or_else(|error| panic!("{line}: {error:#}")).unwrap();
        let graph = run.graph.as_ref().unwrap();
        assert!(graph.verified > 0 && run.baseline.verified > 0, "{line}");
        assert_eq!(graph.batch_fill, Some(bench.options.batch as f64), "{line}");
        let nodes = graph.nodes.iter().filter(|cycles| **cycles > 0.0).count();
        assert_eq!(nodes, 5, "{line}: input, check, lookup, rewrite, output");
        assert!(graph.nodes.iter().sum::<f64>() < graph.cycles, "{line}: nodes are a part of the whole");
        let report = bench.end(&[run]).unwrap();
        assert!(report.interrupted, "one run is fewer than five");
    }
}

#[test]
fn a_neighbour_with_another_address_is_noticed() {
    let mut bench = bench("ip4");
    let router = bench.router.as_mut().unwrap();
    let out = way_out(router);
    router.fib.neighbor_resolved(out, router::gateway(0), MacAddr([2, 0, 0, 2, 0, 0])).unwrap();
    let error = error(&mut bench);
    assert!(error.contains("wrong destination MAC: byte 3 is 0x02, not 0x01"), "{error}");
}

#[test]
fn a_route_to_the_wrong_nexthop_is_noticed() {
    let mut bench = bench("ip6 --routes 2");
    let destination = bench.traffic.family().address(bench.traffic.destination(0));
    let router = bench.router.as_mut().unwrap();
    let out = way_out(router);
    let gateway = router::gateway(999);
    router.fib.neighbor_resolved(out, gateway, MacAddr([2, 0, 0, 0, 9, 9])).unwrap();
    let wrong = router.fib.create_nexthop(NexthopSpec::Gateway(out, gateway)).unwrap();
    let target = Target::Nexthop(wrong);
    router
        .fib
        .put_route(ze_fib::writer::Fib::DEFAULT_VRF, destination.into(), RouteSource::Owner(2), target)
        .unwrap();
    let error = error(&mut bench);
    assert!(
        error.contains(&format!("the packet to {destination} left with a wrong destination MAC")),
        "{error}"
    );
}

#[test]
fn packets_that_do_not_leave_are_noticed_with_the_reason() {
    let mut blackhole = bench("ip4");
    let router = blackhole.router.as_mut().unwrap();
    let hole = router.fib.create_nexthop(NexthopSpec::Blackhole).unwrap();
    let all = "198.18.0.0/15".parse().unwrap();
    router
        .fib
        .put_route(ze_fib::writer::Fib::DEFAULT_VRF, all, RouteSource::Connected, Target::Nexthop(hole))
        .unwrap();
    let reason = error(&mut blackhole);
    assert!(reason.contains("did not leave") && reason.contains("dropped: blackhole"), "{reason}");

    let mut unresolved = bench("ip6");
    let router = unresolved.router.as_mut().unwrap();
    let out = way_out(router);
    router.fib.neighbor_withdrawn(out, router::gateway(0));
    let reason = error(&mut unresolved);
    assert!(reason.contains("did not leave"), "{reason}");
}

#[test]
fn a_tag_that_should_not_be_there_is_noticed() {
    let mut bench = bench("ip4 --size 1518");
    let router = bench.router.as_mut().unwrap();
    let out = way_out(router);
    let spec = ze_fib::writer::InterfaceSpec {
        name: "link2".into(),
        port: router.port_out,
        vlan: 5,
        tags: vec![(0x8100, 5)],
        mac: traffic::ROUTER_OUT,
        mtu: 1500,
        vrf: ze_fib::writer::Fib::DEFAULT_VRF,
        up: true,
        representor: None,
    };
    router.fib.replace_interface(out, spec).unwrap();
    let error = error(&mut bench);
    assert!(error.contains("never came") || error.contains("left with"), "{error}");
}

#[test]
fn an_interrupted_run_is_not_reported() {
    let mut bench = bench("ip4 --seconds 600");
    bench.interrupt.set();
    assert!(bench.run().unwrap().is_none());
}
