//! Every scenario, on ports in memory and through AF_XDP with the real forwarding daemon.

use anyhow::{Result, anyhow, ensure};
use ze_pktgen::require_lab_with_xdp;
use ze_pktgen::scenario::memory::Memory;
use ze_pktgen::scenario::veth::Veth;
use ze_pktgen::scenario::{Backend, Scenario, run, suite};

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
