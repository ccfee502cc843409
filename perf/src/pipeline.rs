//! `ze-perf pipeline`: cycles per packet of the graph in memory.
//!
//! ```text
//!  Source ── receive ──▶ worker: graph ──▶ transmit ── Drain        the graph, by the loop of ze-worker
//!  Source ── receive ─────────────────────▶ transmit ── Drain       the baseline
//!    │ its meter reads the clock every 64 rounds          │ a sample of packets, to be verified
//! ```

mod baseline;
mod drain;
mod meter;
mod random;
mod report;
mod router;
pub mod routes;
mod source;
#[cfg(test)]
mod tests;
pub mod traffic;
mod verify;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use ze_graph::clock;
use ze_packet::PortId;

use crate::args::{Options, Scenario};
use crate::machine::{Machine, Stopwatch};
use crate::stats::rounded;

use baseline::Baseline;
use drain::{Drain, Samples};
use meter::{Measured, Meter, Outcome, Plan};
pub use report::Report;
use router::Router;
use routes::{Family, Model, Routes};
use source::Source;
use traffic::{Pattern, Traffic};
use verify::Between;

/// Measures as the options say, telling on stderr how far it is.
///
/// # Errors
/// When something could not be set up, or the path that was measured is broken.
pub fn run(options: &Options) -> Result<Report> {
    let mut bench = Bench::new(options)?;
    announce(options);
    let runs = (1..=options.runs).map(|number| bench.run(number)).collect::<Result<Vec<_>>>()?;
    bench.end(runs)
}

/// One run.
struct Run {
    baseline: Measured,
    /// None when the baseline is all that is measured.
    graph: Option<Measured>,
}

/// Everything that measuring takes.
struct Bench {
    options: Options,
    routes: usize,
    has_added_default: bool,
    model: Model,
    traffic: Arc<Traffic>,
    baseline: Baseline,
    router: Option<Router>,
    table_bytes: u64,
    watch: Stopwatch,
}

impl Bench {
    fn new(options: &Options) -> Result<Self> {
        let watch = Stopwatch::start();
        let family = if options.scenario == Scenario::Ip6 { Family::V6 } else { Family::V4 };
        let mut routes = Routes::load(&options.routes, family)?;
        let has_added_default = options.pattern == Pattern::Uniform && routes.add_default();
        eprintln!(
            "ze-perf: {} routes to {} nexthops, {} flows",
            routes.all.len(),
            routes.hops,
            options.flows
        );
        let traffic = Traffic::new(&routes, options.pattern, options.flows, &options.sizes)?;
        let is_baseline = options.scenario == Scenario::Baseline;
        let router = if is_baseline { None } else { Some(Router::new(options.core, &routes)?) };
        Ok(Self {
            options: options.clone(),
            routes: routes.all.len(),
            has_added_default,
            model: Model::new(&routes),
            traffic: Arc::new(traffic),
            baseline: Baseline::new(options.core)?,
            table_bytes: router.as_ref().map_or(0, Router::lookup_bytes),
            router,
            watch,
        })
    }

    /// The baseline, then the graph, so that whatever changes with time changes both.
    fn run(&mut self, number: usize) -> Result<Run> {
        let baseline = self.run_baseline().context("baseline")?;
        let graph = self.run_graph()?;
        let told =
            graph.as_ref().map_or_else(String::new, |graph| format!(", whole graph {:.1}", graph.cycles));
        eprintln!(
            "ze-perf: run {number} of {}: baseline {:.1}{told} cycles per packet",
            self.options.runs, baseline.cycles
        );
        Ok(Run { baseline, graph })
    }

    fn run_baseline(&mut self) -> Result<Measured> {
        let meter = Meter::new(self.plan(), None);
        let (source, drain, ends) = self.ports(PortId(0), PortId(1), meter);
        self.baseline.pass(source, drain)?;
        self.result(&ends, &Between::Nothing)
    }

    fn run_graph(&mut self) -> Result<Option<Measured>> {
        let Some(mut router) = self.router.take() else { return Ok(None) };
        let meter = Meter::new(self.plan(), Some(router.counters()));
        let (source, drain, ends) = self.ports(router.port_in, router.port_out, meter);
        router.pass(source, drain, &ends.outcome, Duration::from_secs_f64(self.options.seconds))?;
        // Before the look at single packets: it says why they are missing.
        router.check()?;
        let measured = self.result(&ends, &Between::Router(&self.model, &router.hops))?;
        self.router = Some(router);
        Ok(Some(measured))
    }

    fn plan(&self) -> Plan {
        Plan::new(self.options.seconds, clock::hertz())
    }

    fn ports(&self, port_in: PortId, port_out: PortId, meter: Meter) -> (Source, Drain, Ends) {
        let outcome = meter.outcome();
        let source = Source::new(port_in, Arc::clone(&self.traffic), self.options.batch, meter);
        let drain = Drain::new(port_out, self.options.batch);
        let samples = drain.samples();
        (source, drain, Ends { outcome, samples })
    }

    fn result(&self, ends: &Ends, between: &Between<'_>) -> Result<Measured> {
        let samples = std::mem::take(&mut *ends.samples.lock().unwrap_or_else(PoisonError::into_inner));
        verify::check(between, &self.traffic, &samples)?;
        Ok(Measured { verified: samples.len(), ..ends.outcome.measured()? })
    }

    fn end(mut self, runs: Vec<Run>) -> Result<Report> {
        let pages = self.router.as_ref().map_or(self.baseline.pages(), Router::pages);
        let machine = Machine::describe(self.options.core, self.watch.hertz(), pages);
        let counters = self.router.as_ref().map(Router::counters);
        if let Some(router) = self.router.take() {
            router.stop()?;
        }
        Report::new(&self, &runs, machine, counters.as_deref())
    }
}

/// What the ports of a run hand over when they are closed.
struct Ends {
    outcome: Outcome,
    samples: Samples,
}

fn announce(options: &Options) {
    let parts = if options.scenario == Scenario::Baseline { 1.0 } else { 2.0 };
    let each = options.seconds + (options.seconds / 10.0).max(0.05);
    let seconds = rounded(options.runs as f64 * parts * each).ceil();
    eprintln!(
        "ze-perf: {} runs on core {}, {} s each: about {seconds} s",
        options.runs, options.core, options.seconds
    );
}
