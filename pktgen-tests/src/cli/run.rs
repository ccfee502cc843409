//! `ze-pktgen run`: plays scenarios and judges what comes of them.

mod junit;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use regex::Regex;

use crate::scenario::devices::Cable;
use crate::scenario::memory::Memory;
use crate::scenario::router::Router;
use crate::scenario::veth::Veth;
use crate::scenario::{Backend, BackendError, BackendKind, Failure, Scenario, run as play, suite};

/// The lab's name.
const LAB: &str = "scenarios";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Scenario files, or directories of them.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// What the scenarios are played on.
    #[arg(long, value_enum, default_value = "mem")]
    backend: BackendKind,
    /// For --backend nic: the router's device and the one cabled to it, for each port of the scenarios' router.
    #[arg(long = "port", value_name = "PORT=DEVICE,TESTER")]
    cables: Vec<Cable>,
    /// Play only scenarios whose "FILE: NAME" this regular expression finds something in.
    #[arg(long, value_name = "REGEX")]
    filter: Option<Regex>,
    /// Write a JUnit report.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Decides, in memory, which flow takes which member of a group.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Name every scenario, not only those that fail.
    #[arg(short, long)]
    verbose: bool,
    /// Only read the files and check what they say.
    #[arg(long)]
    check: bool,
}

/// One scenario, played.
pub(super) struct Played<'a> {
    scenario: &'a Scenario,
    took: Duration,
    failure: Option<Failure>,
}

/// Says whether everything was as it should be.
pub(super) fn run(args: &Args) -> Result<bool> {
    check_cables(args)?;
    let mut scenarios = Vec::new();
    for path in &args.paths {
        scenarios.extend(suite::read(path)?);
    }
    if let Some(filter) = &args.filter {
        scenarios.retain(|scenario| filter.is_match(&full_name(scenario)));
    }
    if scenarios.is_empty() {
        bail!("there is no scenario to play");
    }
    if args.check {
        say!("{} scenarios are well-formed", scenarios.len());
        return Ok(true);
    }
    let kind = if args.backend == BackendKind::Nic { BackendKind::Veth } else { args.backend };
    let began = Instant::now();
    let mut all = Vec::new();
    for (router, members) in suite::by_router(&scenarios, kind) {
        all.extend(play_group(args, router, &members)?);
    }
    if let Some(file) = &args.junit {
        let report = junit::report(&all, began.elapsed());
        std::fs::write(file, report).with_context(|| format!("write {}", file.display()))?;
    }
    let failed = all.iter().filter(|played| played.failure.is_some()).count();
    let others = scenarios.len() - all.len();
    let left_out = if others > 0 { format!(", {others} are for another backend") } else { String::new() };
    let plural = if all.len() == 1 { "" } else { "s" };
    say!(
        "{} scenario{plural}, {failed} failed{left_out} ({:.1} s)",
        all.len(),
        began.elapsed().as_secs_f64()
    );
    Ok(failed == 0)
}

/// Refuses what nothing would come of, and a device at the end of two cables.
fn check_cables(args: &Args) -> Result<()> {
    if args.backend != BackendKind::Nic && !args.cables.is_empty() {
        bail!("--port names devices for --backend nic, and this is another");
    }
    let mut seen = std::collections::HashSet::new();
    for cable in &args.cables {
        for (what, name) in [("port", &cable.port), ("device", &cable.router), ("device", &cable.tester)] {
            if !seen.insert((what, name)) {
                bail!("--port: {what} {name} is named twice");
            }
        }
    }
    Ok(())
}

/// "icmp-errors.yaml: a reject route says host unreachable".
fn full_name(scenario: &Scenario) -> String {
    let file = scenario.file.file_name().unwrap_or_default().to_string_lossy();
    format!("{file}: {}", scenario.name)
}

fn play_group<'a>(args: &Args, router: &Router, members: &[&'a Scenario]) -> Result<Vec<Played<'a>>> {
    let new = || start(args, router).map_err(|error| anyhow!("{error}"));
    let mut backend = new().with_context(|| format!("start the router of {}", router.file.display()))?;
    let mut played = Vec::new();
    for scenario in members {
        let began = Instant::now();
        let failure = play(backend.as_mut(), scenario).err();
        let took = began.elapsed();
        match &failure {
            Some(failure) => say!("{}", failure.to_string().trim_end()),
            None if args.verbose => {
                say!("ok     {} ({:.0} ms)", full_name(scenario), took.as_secs_f64() * 1e3)
            }
            None => {}
        }
        if failure.as_ref().is_some_and(|failure| failure.backend_is_broken) {
            drop(backend);
            backend = new().context("start the router anew after it failed")?;
        }
        played.push(Played { scenario, took, failure });
    }
    Ok(played)
}

fn start(args: &Args, router: &Router) -> Result<Box<dyn Backend>, BackendError> {
    Ok(match args.backend {
        BackendKind::Mem => Box::new(Memory::start(router, args.seed)?),
        BackendKind::Veth => Box::new(Veth::start(LAB, 1, router)?),
        BackendKind::Nic => Box::new(Veth::start_on(LAB, &args.cables, router)?),
    })
}
