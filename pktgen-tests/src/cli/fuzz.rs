//! `ze-pktgen fuzz`: mutates the packets of scenarios until something breaks, or the time is over.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use super::import::beside;
use crate::scenario::fuzz::{Find, MemoryOracle, fuzz, inputs, until};
use crate::scenario::router::Router;
use crate::scenario::write::{Draft, Line};
use crate::scenario::{BackendKind, file, suite};

/// A week.
const SECONDS_MAX: u64 = 7 * 24 * 3600;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Scenario files, or directories of them.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Where the mutations begin; the time of day if it is not said. The same seed makes the same ones.
    #[arg(long)]
    seed: Option<u64>,
    /// How long.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=SECONDS_MAX))]
    seconds: u64,
    /// Where a scenario that shows what was found is written.
    #[arg(long, value_name = "DIRECTORY", default_value = ".")]
    save: PathBuf,
}

/// Says whether nothing was found.
pub(super) fn run(args: &Args) -> Result<bool> {
    // Not when the find of hours is to be written.
    if !args.save.is_dir() {
        bail!("--save {}: there is no such directory", args.save.display());
    }
    let mut scenarios = Vec::new();
    for path in &args.paths {
        scenarios.extend(suite::read(path)?);
    }
    let groups = suite::by_router(&scenarios, BackendKind::Mem);
    if groups.iter().all(|(_, members)| inputs(members).is_empty()) {
        bail!("there is no scenario that sends a packet");
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = args.seed.unwrap_or(now.as_secs());
    let share = Duration::from_secs(args.seconds) / groups.len() as u32;
    say!("seed {seed}, {} scenarios, {} s", scenarios.len(), args.seconds);
    // What panics is told once, as the find that it is, and not for each of the smaller inputs.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut outcome = Ok(true);
    for (router, members) in groups {
        let mut oracle = MemoryOracle::new(router, seed);
        let (rounds, find) = fuzz(&mut oracle, &inputs(&members), seed, until(Instant::now() + share));
        say!("{}: {rounds} rounds", router.file.display());
        if let Some(find) = find {
            outcome = save(&args.save, router, seed, &find).map(|()| false);
            break;
        }
    }
    std::panic::set_hook(hook);
    if matches!(outcome, Ok(true)) {
        say!("no packet got lost, and nothing broke");
    }
    outcome
}

fn save(directory: &Path, router: &Router, seed: u64, find: &Find) -> Result<()> {
    let round_seed = seed.wrapping_add(find.round);
    let path = directory.join(format!("fuzz-{round_seed}.yaml"));
    let lines: Vec<_> = find.input.iter().map(|(at, frame)| Line::Send(at.clone(), frame.clone())).collect();
    let router = beside(&std::path::absolute(&router.file)?, &std::path::absolute(&path)?);
    let (about, name) = (format!("Found by fuzzing with seed {round_seed}."), format!("once: {}", find.what));
    let draft = Draft { about: &about, router: &router, name: &name, law_only: true, lines: &lines };
    std::fs::write(&path, draft.text()).with_context(|| format!("write {}", path.display()))?;
    file::read(&path)?;
    say!(
        "FOUND in round {}: {}\n  {} frames show it: {}",
        find.round,
        find.what,
        lines.len(),
        path.display()
    );
    Ok(())
}
