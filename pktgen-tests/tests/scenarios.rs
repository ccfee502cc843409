//! Every scenario, on ports in memory and through AF_XDP with the real forwarding daemon.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow, ensure};
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
    flood(&mut veth, seed)?;
    let after = veth.client().info()?;
    ensure!((before.pid, before.instance) == (after.pid, after.instance), "seed {seed}: the daemon was restarted");
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
    let before = veth.client().totals()?;
    for sent in (BURST..=FRAMES).step_by(BURST) {
        for _ in 0..BURST {
            let at = next(&mut random) as usize % originals.len();
            veth.send(At::Wire("lan0"), &mutant(&originals[at], &mut random)).map_err(|error| anyhow!("{error}"))?;
        }
        await_balance(veth, sent)?;
    }
    let after = veth.client().totals()?.since(&before);
    ensure!(after.law.rx > FRAMES as u64 / 2, "seed {seed}: hardly anything arrived: {:?}", after.law);
    ensure!(after.drops.len() > 10, "seed {seed}: {:?}", after.drops);
    Ok(())
}

fn await_balance(veth: &mut Veth, sent: usize) -> Result<()> {
    let mut law = None;
    let balanced = ze_pktgen::lab::wait_until(BALANCE_TIMEOUT, "balance", || {
        law = veth.client().totals().ok().map(|totals| totals.law);
        law.is_some_and(|law| law.imbalance() == 0)
    });
    balanced.map_err(|_| anyhow!("after {sent} frames the law does not hold: {law:?}"))
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
