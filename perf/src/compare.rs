//! `ze-perf compare`: Ze and others between the same two cables, by turns.

mod distance;
mod report;
mod search;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use anyhow::Result;
use ze_pktgen::daemons::Binaries;
use ze_pktgen::lab::Requirements;
use ze_pktgen::traffic::Rate;

use crate::args::CompareOrder;
use crate::dut::{Dut, DutKind};
use crate::history;
use crate::interrupt::{EXIT_CODE, Interrupt};
use crate::lab::{Bench, BenchOptions, Distance, Offer, sizes};
use crate::machine::Stopwatch;
use crate::pipeline::routes::Routes;
use crate::progress::Progress;

pub use distance::{BeforeAndAfter, Cores, Place, Share};
pub(crate) use report::KIND;
pub use report::{Forwarder, Parameters, Report, Round, Shot};

/// What Ze's worker does when idle: it shares the core with its soft interrupts.
const ZE_IDLE: &str = "interrupt";
/// Packets a second of the trickle that shows whether a forwarder forwards.
const TRICKLE_PPS: f64 = 10_000.0;
/// How much of the trickle must arrive.
const TRICKLE_SHARE: f64 = 0.98;
/// How often it is tried.
const TRICKLES_MAX: usize = 10;
/// How long the trickle lasts.
const TRICKLE_S: f64 = 0.1;

/// Compares, and prints what came of it.
///
/// # Errors
/// When the machine can not have a lab at all, or the table can not be read.
pub fn run(order: &CompareOrder) -> Result<ExitCode> {
    let missing = Requirements::check_with_xdp();
    if !missing.is_empty() {
        let all: Vec<_> = missing.iter().map(ToString::to_string).collect();
        anyhow::bail!("the lab lacks {}", all.join("; "));
    }
    let interrupt = Interrupt::listen()?;
    let watch = Stopwatch::start();
    let mut comparison = Comparison::new(order, &interrupt)?;
    comparison.measure()?;
    comparison.progress.end();
    let report = Report::new(order, comparison.routes, comparison.forwarders, &watch, interrupt.is_set());
    order.history.as_ref().map_or(Ok(()), |path| history::append(path, &report))?;
    crate::tell(&report, order.json)?;
    Ok(match (report.interrupted, report.has_failures()) {
        (true, _) => EXIT_CODE.into(),
        (false, true) => ExitCode::FAILURE,
        (false, false) => ExitCode::SUCCESS,
    })
}

/// A comparison that is going on.
struct Comparison<'a> {
    order: &'a CompareOrder,
    interrupt: &'a Interrupt,
    options: BenchOptions,
    routes: usize,
    forwarders: Vec<Forwarder>,
    progress: Progress,
}

impl<'a> Comparison<'a> {
    fn new(order: &'a CompareOrder, interrupt: &'a Interrupt) -> Result<Self> {
        let routes = Routes::load(&order.routes, order.family.family())?;
        let options = BenchOptions {
            routes: routes.all.iter().map(|(net, _)| *net).collect(),
            generator: order.generator,
            sink: order.sink,
            moderation: order.moderation,
            placement: order.placement,
            queues: 1,
            cores: order.cores,
            realtime: order.realtime,
            binaries: Binaries::new(None),
        };
        let forwarders = order.duts.iter().map(|kind| {
            let dut = kind.make(ZE_IDLE, order.rules, order.vpp.as_deref());
            Forwarder::new(dut.name(), why_skipped(&*dut, routes.all.len()))
        });
        let forwarders: Vec<_> = forwarders.collect();
        let there = forwarders.iter().filter(|forwarder| forwarder.is_measured()).count();
        let progress = Progress::new(there * order.rounds);
        for forwarder in &forwarders {
            if let Some(why) = &forwarder.skipped {
                progress.say(&format!("{} is skipped: {why}", forwarder.name));
            }
        }
        let trials = search::TRIALS_GUESS as f64;
        progress.say(&format!(
            "{} routes, {there} forwarders, {} rounds of about {trials} trials of {} s each: about {:.0} s, and the \
             setting up",
            routes.all.len(),
            order.rounds,
            order.seconds,
            (there * order.rounds) as f64 * trials * order.seconds
        ));
        Ok(Self { order, interrupt, routes: routes.all.len(), options, forwarders, progress })
    }

    /// Round by round, one forwarder after the other.
    fn measure(&mut self) -> Result<()> {
        for round in 1..=self.order.rounds {
            for at in 0..self.forwarders.len() {
                if self.interrupt.is_set() {
                    return Ok(());
                }
                if self.forwarders[at].is_measured() {
                    self.measure_one(round, at);
                }
            }
        }
        Ok(())
    }

    fn measure_one(&mut self, round: usize, at: usize) {
        let name = self.forwarders[at].name.clone();
        self.progress.now(&format!("{name}, round {round} of {}", self.order.rounds));
        let outcome = self.one_round(self.order.duts[at], round);
        let forwarder = &mut self.forwarders[at];
        match outcome {
            Ok((done, notes)) => {
                let told = format!("round {round} of {}: {name} {:.3} Mpps", self.order.rounds, done.mpps);
                forwarder.notes = notes;
                forwarder.rounds.push(done);
                self.progress.step(&told);
            }
            Err(_) if self.interrupt.is_set() => {}
            Err(why) => {
                self.progress.say(&format!("{name} fails: {why:#}"));
                forwarder.failed = Some(format!("{why:#}"));
            }
        }
    }

    fn one_round(&self, kind: DutKind, round: usize) -> Result<(Round, Vec<String>)> {
        let dut = kind.make(ZE_IDLE, self.order.rules, self.order.vpp.as_deref());
        let before = Distance::measure(self.order.cores)?;
        let mut bench = Bench::start(dut, self.options.clone(), &self.interrupt.for_lab())?;
        let family = self.order.family.family();
        let offer = Offer {
            rate: Rate::PacketsPerSecond(TRICKLE_PPS),
            seconds: TRICKLE_S,
            sizes: sizes(&self.order.size, family).map_err(|why| anyhow::anyhow!(why))?,
            family,
            flows: self.order.flows,
        };
        forwards(&mut bench, &offer)?;
        let mut trial = |rate: Rate| -> Result<Shot> {
            Ok(Shot::of(&bench.trial(&Offer { rate, seconds: self.order.seconds, ..offer.clone() })?))
        };
        let shots = search::search(self.order.loss, &mut trial)?;
        let notes = bench.dut().notes();
        bench.stop()?;
        let after = Distance::measure(self.order.cores)?;
        let cores = before.zip(after).map(|(before, after)| BeforeAndAfter::new(before, after));
        Ok((Round { cores, ..Round::of(round, shots, self.order.loss) }, notes))
    }
}

/// Why a forwarder is not even started.
fn why_skipped(dut: &dyn Dut, routes: usize) -> Option<String> {
    dut.missing().or_else(|| dut.refuses(routes))
}

/// A trickle must arrive, in one of some trials: on a busy machine a forwarder may have no core for a while.
fn forwards(bench: &mut Bench, trickle: &Offer) -> Result<()> {
    let (mut sent, mut received) = (0, 0);
    for _ in 0..TRICKLES_MAX {
        let trial = bench.trial(trickle)?;
        if trial.received as f64 >= trial.sent as f64 * TRICKLE_SHARE {
            return Ok(());
        }
        (sent, received) = (sent + trial.sent, received + trial.received);
    }
    let how = bench.dut().notes().join("; ");
    anyhow::bail!("of {sent} packets that were offered slowly {received} arrived; how it ran: {how}")
}
