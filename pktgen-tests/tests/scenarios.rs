//! Every scenario, on ports in memory and through AF_XDP with the real forwarding daemon.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow, ensure};
use ze_pktgen::lab::wait_until;
use ze_pktgen::require_lab_with_xdp;
use ze_pktgen::scenario::memory::Memory;
use ze_pktgen::scenario::veth::Veth;
use ze_pktgen::scenario::{At, Backend, Scenario, Step, run, suite};

/// Mutated frames of the flood.
const FRAMES: usize = 20_000;
/// Frames sent in a row before the router is waited for.
const BURST: usize = 200;
/// How long packets may be under way after a burst: ICMP errors and waiting for neighbours are part of it.
const BALANCE_TIMEOUT: Duration = Duration::from_secs(10);

/// Plays all and tells every failure, not only the first.
fn play(backend: &mut dyn Backend, scenarios: &[Scenario]) -> Result<()> {
    let failures: Vec<_> =
        scenarios.iter().filter_map(|scenario| run(backend, scenario).err()).map(|e| e.to_string()).collect();
    ensure!(
        failures.is_empty(),
        "{} of {} scenarios failed:\n{}",
        failures.len(),
        scenarios.len(),
        failures.join("\n\n")
    );
    println!("{} scenarios", scenarios.len());
    Ok(())
}

fn started<B>(backend: Result<B, ze_pktgen::scenario::BackendError>) -> Result<B> {
    backend.map_err(|error| anyhow!("{error}"))
}

#[test]
fn every_scenario_holds_in_memory() -> Result<()> {
    let mut memory = started(Memory::start())?;
    play(&mut memory, &suite::all())
}

#[test]
fn every_scenario_holds_through_af_xdp() -> Result<()> {
    require_lab_with_xdp!();
    let mut veth = started(Veth::start("scenarios", 1))?;
    let before = veth.client().info()?;
    play(&mut veth, &suite::all())?;
    // All of it was one life of the daemon.
    let after = veth.client().info()?;
    ensure!((before.pid, before.instance) == (after.pid, after.instance), "the daemon was restarted");
    ensure!(veth.router.kernel_forwarded_packets()? == 0, "the kernel forwarded in its place");
    Ok(())
}

#[test]
fn a_flood_of_mutants_crashes_nothing_and_every_one_is_accounted_for() -> Result<()> {
    require_lab_with_xdp!();
    let mut veth = started(Veth::start("flood", 1))?;
    let before = veth.client().info()?;
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
    println!("seed {seed}");
    flood(&mut veth, seed).map_err(|error| anyhow!("seed {seed}: {error}"))?;
    let after = veth.client().info()?;
    ensure!(
        (before.pid, before.instance) == (after.pid, after.instance),
        "seed {seed}: the daemon was restarted"
    );
    // And it forwards as before.
    run(&mut veth, &suite::all()[0]).map_err(|failure| anyhow!("seed {seed}: {failure}"))
}

#[test]
fn a_scenario_that_is_wrong_fails_and_says_where() -> Result<()> {
    let mut memory = started(Memory::start())?;
    let right = suite::all().swap_remove(0);
    run(&mut memory, &right)?;
    let unexpected = Scenario { steps: right.steps[..1].to_vec(), ..right.clone() };
    let text = run(&mut memory, &unexpected).unwrap_err().to_string();
    ensure!(text.contains("an unexpected frame came out at Wire(\"wan0\")"), "{text}");
    let no_drop = right.clone().drops("no_route", 1);
    let text = run(&mut memory, &no_drop).unwrap_err().to_string();
    ensure!(text.contains("drops were {}"), "{text}");
    let mut other = right;
    if let Some(ze_pktgen::scenario::Step::Send(_, frame)) = other.steps.first_mut() {
        let last = frame.len() - 1;
        frame[last] ^= 1;
    }
    let text = run(&mut memory, &other).unwrap_err().to_string();
    ensure!(text.contains("different at bytes"), "{text}");
    Ok(())
}

fn flood(veth: &mut Veth, seed: u64) -> Result<()> {
    let originals = suite::all().into_iter().flat_map(|scenario| scenario.steps);
    let originals: Vec<Vec<u8>> = originals
        .filter_map(|step| match step {
            Step::Send(At::Wire("lan0"), frame) => Some(frame),
            _ => None,
        })
        .collect();
    let mut random = seed | 1;
    let (before, arrived) = (veth.client().totals()?, Arrived::now(veth)?);
    for burst in 1..=FRAMES / BURST {
        for _ in 0..BURST {
            let at = next(&mut random) as usize % originals.len();
            veth.send(At::Wire("lan0"), &mutant(&originals[at], &mut random))
                .map_err(|error| anyhow!("{error}"))?;
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
