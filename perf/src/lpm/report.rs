//! What was measured, as text and as JSON.

use std::fmt;

use serde::Serialize;

use super::args::{LpmArgs, Trace};
use super::engine::{Built, ReadersLose};
use crate::machine::Machine;
use crate::pipeline::routes::Family;
use crate::progress::note;
use crate::stats::{median, rounded};

/// The figures of all engines.
#[derive(Debug, Serialize)]
pub struct Report {
    pub(super) results: Vec<Line>,
    pub(super) machine: Option<Machine>,
    pub(super) tables: Vec<TableReport>,
    skipped: Vec<Skipped>,
    runs: u16,
    batch: u16,
    #[serde(skip)]
    wanted: Vec<String>,
}

/// One engine on one trace.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    engine: String,
    family: u8,
    trace: Trace,
    mlps: f64,
    memory_bytes: u64,
    build_s: f64,
    updates_per_s: Option<f64>,
}

/// What was looked up in.
#[derive(Debug, Serialize)]
pub(super) struct TableReport {
    pub(super) family: u8,
    pub(super) routes: usize,
    pub(super) source: String,
    pub(super) readers_lose: Option<ReadersLose>,
    pub(super) loads_mlps: Option<f64>,
}

/// An engine that was not measured.
#[derive(Debug, Serialize)]
pub(super) struct Skipped {
    pub(super) engine: String,
    pub(super) reason: String,
}

/// An engine's figures as they come in.
pub(super) struct Measured {
    pub(super) name: String,
    pub(super) built: Built,
    /// By trace, of all chunks.
    pub(super) rates: Vec<Vec<f64>>,
    pub(super) updates_per_s: Option<f64>,
}

impl Measured {
    pub(super) fn new(name: &str, built: Built, traces: usize) -> Self {
        Self { name: name.to_owned(), built, rates: vec![Vec::new(); traces], updates_per_s: None }
    }
}

impl Report {
    pub(super) fn new(args: &LpmArgs) -> Self {
        Self {
            results: Vec::new(),
            machine: None,
            tables: Vec::new(),
            skipped: Vec::new(),
            runs: args.runs,
            batch: args.batch,
            wanted: args.engine.clone(),
        }
    }

    pub(super) fn skip(&mut self, engine: &str, error: &anyhow::Error) {
        if self.wanted.is_empty() || self.wanted.iter().any(|wanted| wanted == engine) {
            note(format_args!("SKIPPED: {engine}: {error:#}"));
            self.skipped.push((engine, error).into());
        }
    }

    /// Why there are no results.
    pub(super) fn why_not(&self) -> String {
        match self.skipped.first() {
            Some(Skipped { engine, reason }) => format!("{engine}: {reason}"),
            None => format!("this family has no engine called {}", self.wanted.join(" or ")),
        }
    }

    pub(super) fn add(&mut self, family: Family, traces: &[Trace], measured: Vec<Measured>) {
        for engine in measured {
            for (&trace, rates) in traces.iter().zip(engine.rates) {
                self.results.push(Line {
                    engine: engine.name.clone(),
                    family: family.number(),
                    trace,
                    mlps: rounded(median(rates).unwrap_or(0.0)),
                    memory_bytes: engine.built.bytes,
                    build_s: rounded(engine.built.seconds),
                    updates_per_s: engine.updates_per_s,
                });
            }
        }
    }

    fn write_table(&self, out: &mut fmt::Formatter<'_>, table: &TableReport) -> fmt::Result {
        let TableReport { family, routes, source, readers_lose, loads_mlps } = table;
        let lines: Vec<_> = self.results.iter().filter(|line| line.family == *family).collect();
        let Some(first) = lines.first() else { return Ok(()) };
        writeln!(
            out,
            "IPv{family}, {routes} routes ({source}), batches of {}, {} runs",
            self.batch, self.runs
        )?;
        writeln!(out)?;
        write!(out, "  {:16}", "M lookups/s")?;
        let engines = lines.chunk_by(|a, b| a.engine == b.engine);
        for line in lines.iter().take_while(|line| line.engine == first.engine) {
            write!(out, "{:>9}", line.trace.name())?;
        }
        writeln!(out, "{:>11}{:>10}{:>13}", "memory", "build", "updates/s")?;
        for engine in engines {
            self.write_engine(out, engine)?;
        }
        writeln!(out)?;
        if let Some(ReadersLose { to_updates, to_a_writer }) = readers_lose {
            let (to_updates, to_a_writer) = (to_updates * 100.0, to_a_writer * 100.0);
            writeln!(
                out,
                "  While Ze's routes change, a reader on another core loses {to_updates:.1} % of what it does while \
                 the writer is merely awake, {to_a_writer:.1} % of what it does while the writer sleeps."
            )?;
        }
        write_ratios(out, &lines)?;
        if let Some(rate) = loads_mlps {
            writeln!(
                out,
                "  One load from anywhere in as much memory as Ze's table has, and nothing else: {rate:.1} M/s."
            )?;
        }
        Ok(())
    }

    fn write_engine(&self, out: &mut fmt::Formatter<'_>, engine: &[&Line]) -> fmt::Result {
        let Some(first) = engine.first() else { return Ok(()) };
        write!(out, "  {:16}", first.engine)?;
        for line in engine {
            write!(out, "{:>9.1}", line.mlps)?;
        }
        let megabytes = first.memory_bytes as f64 / 1e6;
        let updates = match first.updates_per_s {
            Some(rate) if rate >= 1e5 => format!("{:.2} M", rate / 1e6),
            Some(rate) => format!("{rate:.0}"),
            None => "?".to_owned(),
        };
        writeln!(out, "{megabytes:>8.2} MB{:>8.3} s{updates:>13}", first.build_s)
    }
}

/// How many times the peers' rates Ze has.
fn write_ratios(out: &mut fmt::Formatter<'_>, lines: &[&Line]) -> fmt::Result {
    for peer in ["rte_fib", "rte_fib6", "prefix_trie"] {
        let ratios: Vec<_> = lines
            .iter()
            .filter_map(|line| {
                let other =
                    |name| lines.iter().find(|other| other.engine == name && other.trace == line.trace);
                (line.engine == "ze").then_some(())?;
                Some(format!("{} {:.2}", line.trace.name(), line.mlps / other(peer)?.mlps))
            })
            .collect();
        if !ratios.is_empty() {
            writeln!(out, "  Ze is to {peer}: {} to 1.", ratios.join(", "))?;
        }
    }
    Ok(())
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, table) in self.tables.iter().enumerate() {
            if at > 0 {
                writeln!(out)?;
            }
            self.write_table(out, table)?;
        }
        for Skipped { engine, reason } in &self.skipped {
            writeln!(out, "  Not measured: {engine}: {reason}")?;
        }
        if let Some(load) =
            self.machine.as_ref().and_then(|machine| machine.load_average).filter(|&load| load > 1.5)
        {
            writeln!(out, "\n  The machine is not quiet: its load is {load}.")?;
        }
        Ok(())
    }
}
