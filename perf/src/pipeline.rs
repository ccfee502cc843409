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
mod order;
mod peer;
pub(crate) mod random;
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
use crate::interrupt::Interrupt;
use crate::machine::{Machine, Stopwatch};
use crate::progress::Progress;

use baseline::Baseline;
use drain::{Drain, Samples};
use meter::{Measured, Meter, Outcome, Plan};
pub use order::run_order;
use peer::Peers;
pub use peer::{Peer, PeerCost};
pub(crate) use report::KIND;
pub use report::{Conservation, Measurement, NodeCost, Parameters, Report};
use router::Router;
use routes::{Model, Routes};
use source::Source;
use traffic::{Pattern, Traffic};
use verify::Between;

/// Measures one case. Interrupted, it reports the runs that had ended; none of them is None.
///
/// # Errors
/// When something could not be set up, or the path that was measured is broken.
pub fn run(options: &Options, interrupt: &Interrupt, progress: &Progress) -> Result<Option<Report>> {
    let mut bench = Bench::new(options, interrupt)?;
    let mut runs = Vec::new();
    for number in 1..=options.runs {
        progress.now(&format!("{} ({number} of {})", options.describe(), options.runs));
        let Some(run) = bench.run()? else { break };
        bench.peers.run(options.seconds, interrupt)?;
        if interrupt.is_set() {
            break;
        }
        progress.step(&format!("run {number} of {}: {}", options.runs, run.describe()));
        runs.push(run);
    }
    if runs.is_empty() {
        return Ok(None);
    }
    bench.end(&runs).map(Some)
}

/// Seconds that a case takes, about, without its setting up.
fn planned_s(options: &Options) -> f64 {
    let own = if options.scenario == Scenario::Baseline { 1.0 } else { 2.0 };
    let parts = own + 2.0 * options.peers.len() as f64;
    options.runs as f64 * parts * (options.seconds + meter::warm_up_s(options.seconds))
}

/// One run.
struct Run {
    baseline: Measured,
    /// None when the baseline is all that is measured.
    graph: Option<Measured>,
}

impl Run {
    fn describe(&self) -> String {
        let graph = self.graph.as_ref();
        let graph = graph.map_or_else(String::new, |graph| format!(", whole graph {:.1}", graph.cycles));
        format!("baseline {:.1}{graph} cycles per packet", self.baseline.cycles)
    }
}

/// Everything that measuring takes.
pub struct Bench {
    options: Options,
    interrupt: Interrupt,
    routes: usize,
    has_added_default: bool,
    model: Model,
    traffic: Arc<Traffic>,
    baseline: Baseline,
    router: Option<Router>,
    peers: Peers,
    table_bytes: u64,
    watch: Stopwatch,
}

impl Bench {
    /// Tables, traffic, and a worker that waits.
    ///
    /// # Errors
    /// When the table can not be read, or the system refuses something.
    pub fn new(options: &Options, interrupt: &Interrupt) -> Result<Self> {
        let watch = Stopwatch::start();
        let mut routes = Routes::load(&options.routes, options.scenario.family())?;
        let has_added_default = options.pattern == Pattern::Uniform && routes.add_default();
        let traffic = Traffic::new(&routes, options.pattern, options.flows, &options.sizes)?;
        let peers = Peers::start(&options.peers, options.core, &routes, &traffic)?;
        let is_baseline = options.scenario == Scenario::Baseline;
        let router = if is_baseline { None } else { Some(Router::new(options.core, &routes)?) };
        Ok(Self {
            options: options.clone(),
            interrupt: interrupt.clone(),
            routes: routes.all.len(),
            has_added_default,
            model: Model::new(&routes),
            peers,
            traffic: Arc::new(traffic),
            baseline: Baseline::new(options.core)?,
            table_bytes: router.as_ref().map_or(0, Router::lookup_bytes),
            router,
            watch,
        })
    }

    /// The baseline, then the graph, so that whatever changes with time changes both. None when interrupted.
    fn run(&mut self) -> Result<Option<Run>> {
        let baseline = self.run_baseline().context("baseline");
        let graph = if self.interrupt.is_set() { Ok(None) } else { self.run_graph() };
        // What was being measured when the interrupt came was measured too short, or not at all.
        if self.interrupt.is_set() {
            return Ok(None);
        }
        Ok(Some(Run { baseline: baseline?, graph: graph? }))
    }

    /// Cycles per packet of one run of the graph, or of the baseline if that is the scenario; nothing subtracted.
    ///
    /// # Errors
    /// When the path that was measured is broken.
    pub fn cycles(&mut self) -> Result<f64> {
        let graph = self.run_graph()?;
        graph.map_or_else(|| self.run_baseline().map(|baseline| baseline.cycles), |graph| Ok(graph.cycles))
    }

    fn run_baseline(&mut self) -> Result<Measured> {
        let meter = Meter::new(self.plan(), None, &self.interrupt);
        let (source, drain, ends) = self.ports(PortId(0), PortId(1), meter);
        self.baseline.pass(source, drain)?;
        self.result(&ends, &Between::Nothing)
    }

    fn run_graph(&mut self) -> Result<Option<Measured>> {
        let Some(mut router) = self.router.take() else { return Ok(None) };
        let meter = Meter::new(self.plan(), Some(router.counters()), &self.interrupt);
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

    fn end(mut self, runs: &[Run]) -> Result<Report> {
        let pages = self.router.as_ref().map_or(self.baseline.pages(), Router::pages);
        let machine = Machine::describe(self.options.core, self.watch.hertz(), pages);
        let counters = self.router.as_ref().map(Router::counters);
        if let Some(router) = self.router.take() {
            router.stop()?;
        }
        Report::new(&self, runs, machine, counters.as_deref())
    }
}

/// What the ports of a run hand over when they are closed.
struct Ends {
    outcome: Outcome,
    samples: Samples,
}
