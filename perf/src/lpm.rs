//! `ze-perf lpm`: longest-prefix match beside its peers.
//!
//! ```text
//!  Table ─ routes, addresses, right answers ──▶ Engine: ze, its scalar twins     in this process
//!                                           ──▶ Engine: crates                   in this process
//!                                           ──▶ Engine: DPDK ── pipe ──▶ a C program, built when it is needed
//! ```
//!
//! All engines have the same routes and answer the same addresses, by turns, on one core, one at a time.

pub mod args;
mod crates;
mod dpdk;
mod engine;
mod loads;
mod report;
mod table;
mod ze;

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};
use args::LpmArgs;
use crates::Rivals;
use dpdk::Dpdk;
use engine::Engine;
use loads::Loads;
pub use report::Report;
use report::{Measured, Skipped, TableReport};
use table::{Addresses, Table};
use ze::Ze;
use ze_lpm::{V4, V6};

use crate::args::choose_core;
use crate::machine::{Machine, Stopwatch, line};
use crate::pipeline::routes::Family;
use crate::progress::note;
use crate::stats::{median, rounded};

/// glibc's switch that makes malloc ask for 2 MB pages. It is read when a program starts.
const TUNABLES: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1");
/// Whether the kernel gives 2 MB pages to those who ask.
const TRANSPARENT: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

/// Measures what the options say.
///
/// # Errors
/// When a table can not be read, an engine that was asked for does not exist, or an answer was wrong.
pub fn run(args: &LpmArgs) -> Result<Report> {
    let families = args.families()?;
    refuse_unknown(args, &families)?;
    let core = choose_core(args.core, "lpm").unwrap_or_else(|error| error.exit());
    start_with_huge_heap()?;
    let watch = Stopwatch::start();
    if !core_affinity::set_for_current(core_affinity::CoreId { id: core }) {
        bail!("this thread can not be pinned to core {core}");
    }
    let mut report = Report::new(args);
    for family in families {
        match family {
            Family::V4 => measure::<V4>(args, core, &mut report)?,
            Family::V6 => measure::<V6>(args, core, &mut report)?,
        }
    }
    if report.results.is_empty() {
        bail!("nothing was measured: {}", report.why_not());
    }
    let pages = line(TRANSPARENT).unwrap_or_else(|| "none".to_owned());
    report.machine = Some(Machine::describe(core, watch.hertz(), format!("transparent: {pages}")));
    Ok(report)
}

/// Refuses engines that no family has, before any table is made.
fn refuse_unknown(args: &LpmArgs, families: &[Family]) -> Result<()> {
    let mut known: Vec<String> = Vec::new();
    for name in families.iter().flat_map(|&family| names(family)) {
        if !known.contains(&name) {
            known.push(name);
        }
    }
    match args.engine.iter().find(|wanted| !known.contains(wanted)) {
        Some(unknown) => bail!("no engine here is called {unknown}; these are: {}", known.join(", ")),
        None => Ok(()),
    }
}

/// All engines of a family that this machine may have.
fn names(family: Family) -> Vec<String> {
    let ours = ze_lpm::Engine::all().into_iter().map(ze::name);
    let rivals = match family {
        Family::V4 => V4::rivals().iter().map(|engine| engine.name().to_owned()).collect::<Vec<_>>(),
        Family::V6 => V6::rivals().iter().map(|engine| engine.name().to_owned()).collect(),
    };
    ours.chain(dpdk::names(family).map(str::to_owned)).chain(rivals).collect()
}

/// Starts this program anew, once, with an allocator that asks for 2 MB pages: with small ones the rivals, whose tables
/// are ordinary vectors, would be measured by their TLB misses.
fn start_with_huge_heap() -> Result<()> {
    let (name, value) = TUNABLES;
    if env::var_os(name).is_some() {
        return Ok(());
    }
    let error = Command::new(env::current_exe()?).args(env::args_os().skip(1)).env(name, value).exec();
    Err(error).context("ze-perf does not start a second time")
}

fn measure<F: Rivals>(args: &LpmArgs, core: usize, report: &mut Report) -> Result<()> {
    let table = Table::<F>::load(args)?;
    let mut engines = contenders(args, core, &table, report)?;
    let mut measured = build(&mut engines, &table, report)?;
    let mut loads = loads_like_ours(&measured, &table);
    for run in 0..args.runs {
        for (at, addresses) in table.traces.iter().enumerate() {
            for (engine, measured) in engines.iter_mut().zip(&mut measured) {
                // Whose turn it was before has left other things in the caches, or, where two engines are two codes for
                // one table, the right ones. So all begin alike: the first round is not counted.
                engine.rates(addresses, args.batch.into())?;
                measured.rates[at].extend(engine.rates(addresses, args.batch.into())?);
            }
        }
        if let Some(loads) = &mut loads {
            loads.measure(args.batch.into());
        }
        note(format_args!("{:?}, run {} of {}", F::FAMILY, run + 1, args.runs));
    }
    let mut readers_lose = None;
    for (engine, measured) in engines.iter_mut().zip(&mut measured) {
        let updates = match engine.updates(&table, args.batch.into()) {
            Ok(updates) => updates,
            Err(error) if engine.name().starts_with("rte_") => {
                report.skip(engine.name(), &error.context("updates"));
                continue;
            }
            Err(error) => return Err(error.context(format!("updates of {}", engine.name()))),
        };
        measured.updates_per_s = Some(updates.per_second.round());
        readers_lose = readers_lose.or(updates.readers_lose);
        // What was changed has been changed back.
        check(engine.as_mut(), &table.traces)?;
    }
    let traces: Vec<_> = table.traces.iter().map(|addresses| addresses.trace).collect();
    report.add(F::FAMILY, &traces, measured);
    report.tables.push(TableReport {
        family: F::FAMILY.number(),
        routes: table.routes.len(),
        source: table.source,
        readers_lose,
        loads_mlps: loads.and_then(|loads| median(loads.into_rates())).map(rounded),
    });
    Ok(())
}

/// Loads from as many bytes as Ze's table has, as many as there are addresses; none if Ze was not asked for.
fn loads_like_ours<F: Rivals>(measured: &[Measured], table: &Table<F>) -> Option<Loads> {
    let ours = measured.iter().find(|engine| engine.name.starts_with("ze"))?;
    Some(Loads::new(ours.built.bytes, table.traces.first()?.all.len()))
}

/// Everybody who was asked for and is there.
fn contenders<F: Rivals>(
    args: &LpmArgs,
    core: usize,
    table: &Table<F>,
    report: &mut Report,
) -> Result<Vec<Box<dyn Engine<F>>>> {
    let others = core_affinity::get_core_ids().unwrap_or_default();
    let reader_core = others.iter().map(|core| core.id).find(|&other| other != core);
    let mut all: Vec<Box<dyn Engine<F>>> = Vec::new();
    for engine in Ze::<F>::all(reader_core)? {
        all.push(Box::new(engine));
    }
    let names = dpdk::names(F::FAMILY);
    if names.iter().any(|name| args.wants(name)) {
        match Dpdk::start(table, args.build_limit) {
            Ok(engines) => engines.into_iter().for_each(|engine| all.push(Box::new(engine))),
            Err(error) => names.iter().for_each(|name| report.skip(name, &error)),
        }
    }
    all.extend(F::rivals());
    all.retain(|engine| args.wants(engine.name()));
    Ok(all)
}

/// Builds all tables and checks what they answer; rivals that can not are left out.
fn build<F: Rivals>(
    engines: &mut Vec<Box<dyn Engine<F>>>,
    table: &Table<F>,
    report: &mut Report,
) -> Result<Vec<Measured>> {
    let mut measured = Vec::new();
    let mut failed = None;
    engines.retain_mut(|engine| {
        note(format_args!("{:?}, {} builds {} routes", F::FAMILY, engine.name(), table.routes.len()));
        match engine.build(table) {
            Ok(built) => {
                measured.push(Measured::new(engine.name(), built, table.traces.len()));
                true
            }
            Err(error) if engine.name().starts_with("ze") => {
                failed = Some(error);
                true
            }
            Err(error) => {
                report.skip(engine.name(), &error);
                false
            }
        }
    });
    if let Some(error) = failed {
        return Err(error.context("Ze's table"));
    }
    for engine in engines {
        check(engine.as_mut(), &table.traces)?;
    }
    Ok(measured)
}

fn check<F: Rivals>(engine: &mut dyn Engine<F>, traces: &[Addresses<F>]) -> Result<()> {
    for addresses in traces {
        let answers = engine.answers(addresses)?;
        addresses.check(engine.name(), &answers)?;
    }
    Ok(())
}

impl From<(&str, &anyhow::Error)> for Skipped {
    fn from((engine, error): (&str, &anyhow::Error)) -> Self {
        Self { engine: engine.to_owned(), reason: format!("{error:#}") }
    }
}
