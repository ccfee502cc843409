//! `ze-pktgen run`: plays scenarios.

use anyhow::{Result, anyhow};
use clap::ValueEnum;

use crate::scenario::memory::Memory;
use crate::scenario::veth::Veth;
use crate::scenario::{Backend, BackendError, run as play, suite};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What the scenarios are played on.
    #[arg(long, value_enum, default_value = "mem")]
    backend: Kind,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// The graph and a worker in this process, with ports in memory.
    Mem,
    /// The real forwarding daemon through AF_XDP on veths, in a lab (root).
    Veth,
}

/// Says whether everything was as it should be.
pub(super) fn run(args: &Args) -> Result<bool> {
    let mut backend = start(args.backend).map_err(|error| anyhow!("{error}"))?;
    let scenarios = suite::all();
    let mut failed = 0;
    for scenario in &scenarios {
        if let Err(failure) = play(backend.as_mut(), scenario) {
            println!("{failure}");
            failed += 1;
        }
    }
    println!("{} scenarios, {failed} failed", scenarios.len());
    Ok(failed == 0)
}

fn start(kind: Kind) -> Result<Box<dyn Backend>, BackendError> {
    Ok(match kind {
        Kind::Mem => Box::new(Memory::start()?),
        Kind::Veth => Box::new(Veth::start("run", 1)?),
    })
}
