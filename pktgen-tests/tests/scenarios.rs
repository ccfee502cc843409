//! Every scenario, on ports in memory and through AF_XDP with the real forwarding daemon.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, ensure};
use ze_pktgen::lab::wait_until;
use ze_pktgen::require_lab_with_xdp;
use ze_pktgen::scenario::memory::Memory;
use ze_pktgen::scenario::veth::Veth;
use ze_pktgen::scenario::{Action, Amount, Backend, BackendKind, Place, Scenario, run, suite};

/// The suite is never smaller.
const SCENARIOS_MIN: usize = 150;
/// Which flow takes which member of a group, in memory.
const SEED: u64 = 1;
/// Mutated frames of the flood.
const FRAMES: usize = 20_000;
/// Frames sent in a row before the router is waited for.
const BURST: usize = 200;
/// How long packets may be under way after a burst: ICMP errors and waiting for neighbours are part of it.
const BALANCE_TIMEOUT: Duration = Duration::from_secs(10);

/// Plays all and tells every failure, not only the first.
fn play(backend: &mut dyn Backend, scenarios: &[&Scenario]) -> Result<()> {
    let mut failures = Vec::new();
    for scenario in scenarios {
        let Err(failure) = run(backend, scenario) else { continue };
        let is_broken = failure.backend_is_broken;
        failures.push(failure.to_string());
        // What the others would say of a broken router is no news.
        if is_broken {
            break;
        }
    }
    let count = failures.len();
    ensure!(count == 0, "{count} of {} scenarios failed:\n{}", scenarios.len(), failures.join("\n"));
    println!("{} scenarios", scenarios.len());
    Ok(())
}

fn started<B>(backend: Result<B, ze_pktgen::scenario::BackendError>) -> Result<B> {
    backend.map_err(|error| anyhow!("{error}"))
}

fn all() -> Result<Vec<Scenario>> {
    Ok(suite::read(&suite::directory())?)
}

#[test]
fn every_scenario_holds_in_memory() -> Result<()> {
    let all = all()?;
    ensure!(all.len() >= SCENARIOS_MIN, "there are only {} scenarios", all.len());
    for (router, members) in suite::by_router(&all, BackendKind::Mem) {
        play(&mut started(Memory::start(router, SEED))?, &members)?;
    }
    Ok(())
}

#[test]
fn every_scenario_holds_through_af_xdp() -> Result<()> {
    require_lab_with_xdp!();
    let all = all()?;
    let groups = suite::by_router(&all, BackendKind::Veth);
    let count: usize = groups.iter().map(|(_, members)| members.len()).sum();
    ensure!(count >= SCENARIOS_MIN, "there are only {count} scenarios for AF_XDP");
    for (router, members) in groups {
        let mut veth = started(Veth::start("scenarios", 1, router))?;
        let before = veth.client().info()?;
        play(&mut veth, &members)?;
        // All of it was one life of the daemon.
        let after = veth.client().info()?;
        ensure!((before.pid, before.instance) == (after.pid, after.instance), "the daemon was restarted");
        ensure!(veth.router.kernel_forwarded_packets()? == 0, "the kernel forwarded in its place");
    }
    Ok(())
}

#[test]
fn every_drop_reason_and_punt_class_that_a_packet_can_meet_has_a_scenario() -> Result<()> {
    // What takes a fault or an overload to happen has tests of its own: in the nodes, the worker and the lab.
    const ELSEWHERE: [&str; 11] = [
        "control_queue_full",
        "fragmentation_unsupported",
        "handoff_full",
        "neighbor_queue_full",
        "no_adjacency",
        "no_interface",
        "no_representor",
        "no_vrf",
        "pool_empty",
        "port_gone",
        "tx_ring_full",
    ];
    let all = all()?;
    let met = |amounts: fn(&Scenario) -> &std::collections::BTreeMap<String, Amount>| -> BTreeSet<String> {
        let positive =
            |scenario| amounts(scenario).iter().filter(|(_, amount): &(_, &Amount)| amount.least > 0);
        all.iter().flat_map(positive).map(|(name, _)| name.clone()).collect()
    };
    let (drops, punts) = (met(|scenario| &scenario.drops), met(|scenario| &scenario.punts));
    let known = ze_graph::DropReason::ALL.iter().map(|reason| reason.name());
    let missing: Vec<_> = known.filter(|name| !drops.contains(*name) && !ELSEWHERE.contains(name)).collect();
    ensure!(missing.is_empty(), "no scenario is dropped as {missing:?}");
    let known = ze_graph::PuntReason::ALL.iter().map(|reason| reason.name());
    let missing: Vec<_> = known.filter(|name| !punts.contains(*name)).collect();
    ensure!(missing.is_empty(), "no scenario is punted as {missing:?}");
    Ok(())
}

#[test]
fn a_flood_of_mutants_crashes_nothing_and_every_one_is_accounted_for() -> Result<()> {
    require_lab_with_xdp!();
    let all = all()?;
    let on_lan = |step: &ze_pktgen::scenario::Step| match &step.action {
        Action::Send(Place::Wire(port), frame) if port == "lan0" => Some(frame.clone()),
        Action::Send(..) | Action::Expect(..) | Action::Wait(_) => None,
    };
    let originals: Vec<_> = all.iter().flat_map(|scenario| &scenario.steps).filter_map(on_lan).collect();
    let mut veth = started(Veth::start("flood", 1, &all[0].router))?;
    let before = veth.client().info()?;
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
    println!("seed {seed}");
    flood(&mut veth, &originals, seed).map_err(|error| anyhow!("seed {seed}: {error}"))?;
    let after = veth.client().info()?;
    ensure!(
        (before.pid, before.instance) == (after.pid, after.instance),
        "seed {seed}: the daemon was restarted"
    );
    // And it forwards as before.
    let plain = all.iter().find(|scenario| scenario.file.ends_with("forward.yaml"));
    run(&mut veth, plain.context("there is no forward.yaml")?)
        .map_err(|failure| anyhow!("seed {seed}: {failure}"))
}

#[test]
fn a_scenario_that_is_wrong_fails_and_says_where() -> Result<()> {
    let all = all()?;
    let right = all.iter().find(|scenario| scenario.name == "an IPv4 packet is forwarded with one hop less");
    let right = right.context("the first scenario has another name")?;
    let mut memory = started(Memory::start(&right.router, SEED))?;
    run(&mut memory, right)?;
    let mut says = |scenario: &Scenario, what: &[&str]| {
        let text =
            run(&mut memory, scenario).map_err(|failure| failure.to_string()).expect_err("it is wrong");
        let missing: Vec<_> = what.iter().filter(|what| !text.contains(**what)).collect();
        ensure!(missing.is_empty(), "{missing:?} is not in\n{text}");
        Ok(())
    };
    let unexpected = Scenario { steps: right.steps[..1].to_vec(), ..right.clone() };
    says(&unexpected, &["a frame that nobody expects came out at wan0", "ttl=63", "forward.yaml:5:"])?;
    let nothing = Scenario { steps: right.steps[1..].to_vec(), ..right.clone() };
    says(&nothing, &["nothing came out at wan0", "forward.yaml:8:"])?;
    let mut dropped = right.clone();
    dropped.drops.insert("no_route".to_owned(), Amount { least: 1, most: 1 });
    says(&dropped, &["drops no_route is 0, expected was 1"])?;
    let mut counted = right.clone();
    counted.counters.insert("wan0.tx.packets".to_owned(), Amount { least: 2, most: 9 });
    says(&counted, &["counter wan0.tx.packets is 1, expected was 2..9"])?;
    let mut other = right.clone();
    if let Some(Action::Send(_, frame)) = other.steps.first_mut().map(|step| &mut step.action) {
        // The type of service, and nothing else: so the header checksum is wrong.
        frame[15] = 4;
    }
    says(&other, &["nothing came out", "eth_input > ip4_input (drop: ip4_checksum) > drop"])?;
    if let Some(Action::Send(_, frame)) = other.steps.first_mut().map(|step| &mut step.action) {
        frame[15] = 0;
        let last = frame.len() - 1;
        frame[last] ^= 1;
    }
    says(&other, &["another packet than expected", ">> payload byte 63 of 64", "ip4_lookup > ip4_rewrite"])
}

fn flood(veth: &mut Veth, originals: &[Vec<u8>], seed: u64) -> Result<()> {
    let mut random = seed | 1;
    let lan = Place::Wire("lan0".to_owned());
    let (before, arrived) = (veth.client().totals()?, Arrived::now(veth)?);
    for burst in 1..=FRAMES / BURST {
        for _ in 0..BURST {
            let at = next(&mut random) as usize % originals.len();
            started(veth.send(&lan, &mutant(&originals[at], &mut random)))?;
        }
        await_burst(veth, arrived.at_xdp + (burst * BURST) as u64)?;
    }
    let after = veth.client().totals()?.since(&before);
    ensure!(after.law.rx > FRAMES as u64 / 2, "only {} frames reached the router", after.law.rx);
    ensure!(after.drops.len() > 10, "{:?}", after.drops);
    Ok(())
}

/// Frames that came so far, as they pass from hand to hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Arrived {
    /// Seen by the XDP programs.
    at_xdp: u64,
    /// Of these, given to the router.
    redirected: u64,
    /// Received by workers.
    rx: u64,
    /// What the law misses.
    imbalance: i64,
}

impl Arrived {
    fn now(veth: &mut Veth) -> Result<Self> {
        let ports = veth.client().ports()?;
        let counters: Vec<_> =
            ports.iter().filter(|port| !port.representor).flat_map(|port| &port.xdp).collect();
        let redirected = counters.iter().filter(|counter| counter.name == "redirected");
        let law = veth.client().totals()?.law;
        Ok(Self {
            at_xdp: counters.iter().map(|counter| counter.value).sum(),
            redirected: redirected.map(|counter| counter.value).sum(),
            rx: law.rx,
            imbalance: law.imbalance(),
        })
    }
}

/// Waits until as many frames were seen as were sent, and all that were let in are received and accounted for.
fn await_burst(veth: &mut Veth, sent: u64) -> Result<()> {
    let mut last = None;
    let settled = wait_until(BALANCE_TIMEOUT, "the end of a burst", || {
        last = Arrived::now(veth).ok();
        last.is_some_and(|now| now.at_xdp == sent && now.rx == now.redirected && now.imbalance == 0)
    });
    settled.map_err(|_| anyhow!("{sent} frames were sent; the router says {last:?}"))
}

/// The destination stays: frames for other stations never reach the router.
fn mutant(original: &[u8], random: &mut u64) -> Vec<u8> {
    let mut frame = original.to_vec();
    for _ in 0..=next(random) % 4 {
        let at = 12 + next(random) as usize % (frame.len().min(90) - 12);
        frame[at] = next(random) as u8;
    }
    if next(random).is_multiple_of(4) {
        let length = 14 + next(random) as usize % (frame.len() - 13);
        frame.truncate(length);
    }
    frame
}

/// Marsaglia's xorshift64.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state >> 11
}
