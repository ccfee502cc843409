//! What a comparison found.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::distance::{BeforeAndAfter, Place};
use super::search::throughput;
use crate::args::{CompareOrder, IpVersion};
use crate::history;
use crate::lab::{GeneratorKind, Trial};
use crate::machine::{Machine, Stopwatch};
use crate::pipeline::routes::Source;
use crate::results::Figure;
use crate::stats::{Summary, deviation, median, rounded};

/// What marks a result of this kind.
pub(crate) const KIND: &str = "compare";
/// The control, and what others are set in relation to.
pub(super) const CONTROL: &str = "none";
pub(super) const REFERENCE: &str = "kernel";
/// A forwarder that gives more than this share of the control may have been held up by the tester.
const CONTROL_SHARE: f64 = 0.9;
/// A generator that offers less than this share of what it is asked for is the limit.
const OFFERED_SHARE: f64 = 0.97;

/// A comparison. Its JSON form is described by `ze-perf compare --help`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are described where users read of them: by --help")]
pub struct Report {
    pub scenario: String,
    pub parameters: Parameters,
    pub forwarders: Vec<Forwarder>,
    #[serde(default)]
    pub places: Vec<Place>,
    pub warnings: Vec<String>,
    pub machine: Machine,
    pub interrupted: bool,
    pub kind: String,
    pub taken_at: String,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named as the options")]
pub struct Parameters {
    pub family: IpVersion,
    pub routes: usize,
    pub table: Option<String>,
    pub flows: u32,
    pub size: String,
    pub loss: f64,
    pub seconds: f64,
    pub rounds: usize,
    pub rules: u32,
    pub tester_core: usize,
    pub dut_core: usize,
    pub placement: String,
    #[serde(default)]
    pub generator: String,
    #[serde(default)]
    pub sink: String,
    #[serde(default)]
    pub moderation_us: f64,
    pub realtime: bool,
}

/// One forwarder.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are described where users read of them: by --help")]
pub struct Forwarder {
    pub name: String,
    pub mpps: Option<Summary>,
    pub overload_mpps: Option<Summary>,
    pub of_kernel: Option<f64>,
    pub noise: f64,
    pub notes: Vec<String>,
    pub skipped: Option<String>,
    pub failed: Option<String>,
    pub rounds: Vec<Round>,
}

/// One turn of one forwarder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Round {
    /// Counted from 1.
    pub round: usize,
    /// The throughput.
    pub mpps: f64,
    /// What arrived when as much was offered as there can be.
    pub overload_mpps: f64,
    /// Where the two cores were, seen from each other.
    #[serde(default)]
    pub cores: Option<BeforeAndAfter>,
    /// In their order, the overload first.
    pub trials: Vec<Shot>,
}

/// One trial.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are described where users read of them: by --help")]
pub struct Shot {
    pub asked_pps: Option<f64>,
    pub offered_pps: f64,
    pub received_pps: f64,
    pub loss_ratio: f64,
}

impl Shot {
    pub(super) fn of(trial: &Trial) -> Self {
        Self {
            asked_pps: trial.asked_pps,
            offered_pps: trial.offered_pps,
            received_pps: trial.received_pps,
            loss_ratio: trial.loss_ratio,
        }
    }
}

impl Round {
    /// Was there nothing to search for?
    fn is_overload_taken(&self) -> bool {
        self.trials.iter().all(|shot| shot.asked_pps.is_none())
    }

    /// What trials tell.
    pub(super) fn of(round: usize, trials: Vec<Shot>, loss: f64) -> Self {
        let mpps = throughput(&trials, loss).unwrap_or_default() / 1e6;
        let overload = trials.iter().filter(|shot| shot.asked_pps.is_none()).map(|shot| shot.received_pps);
        let overload_mpps = median(overload.collect()).unwrap_or_default() / 1e6;
        Self { round, mpps: rounded(mpps), overload_mpps: rounded(overload_mpps), cores: None, trials }
    }
}

impl Forwarder {
    pub(super) fn new(name: &str, missing: Option<String>) -> Self {
        Self {
            name: name.to_owned(),
            mpps: None,
            overload_mpps: None,
            of_kernel: None,
            noise: 0.0,
            notes: Vec::new(),
            skipped: missing,
            failed: None,
            rounds: Vec::new(),
        }
    }

    /// Is it measured, as far as is known?
    #[must_use]
    pub const fn is_measured(&self) -> bool {
        self.skipped.is_none() && self.failed.is_none()
    }

    /// Is it the control?
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.name == CONTROL
    }

    fn sum_up(&mut self) {
        let figures = |of: fn(&Round) -> f64| self.rounds.iter().map(of).collect::<Vec<_>>();
        let all = figures(|round| round.mpps);
        self.mpps = Summary::of(all.clone());
        self.overload_mpps = Summary::of(figures(|round| round.overload_mpps));
        let middle = self.mpps.map_or(1.0, |summary| summary.median);
        self.noise =
            deviation(&all).filter(|_| middle > 0.0).map_or(0.0, |deviation| rounded(deviation / middle));
    }

    fn median(&self) -> Option<f64> {
        self.mpps.map(|summary| summary.median).filter(|median| *median > 0.0)
    }
}

/// A throughput as a multiple of the kernel's, if that has one.
pub(super) fn of_kernel(mpps: f64, kernel: Option<f64>) -> Option<f64> {
    kernel.filter(|kernel| *kernel > 0.0).map(|kernel| rounded(mpps / kernel))
}

impl Report {
    pub(super) fn new(
        order: &CompareOrder,
        routes: usize,
        mut forwarders: Vec<Forwarder>,
        watch: &Stopwatch,
        interrupted: bool,
    ) -> Self {
        forwarders.iter_mut().for_each(Forwarder::sum_up);
        let reference = forwarders.iter().find(|one| one.name == REFERENCE).and_then(Forwarder::median);
        for one in forwarders.iter_mut().filter(|one| !one.is_control()) {
            one.of_kernel = one.median().and_then(|mpps| of_kernel(mpps, reference));
        }
        Self {
            scenario: KIND.to_owned(),
            parameters: Parameters::of(order, routes),
            warnings: warnings(&forwarders, order.generator),
            places: Place::of(&forwarders),
            forwarders,
            machine: Machine::describe(order.cores.dut, watch.hertz(), ze_graph::Pages::Plain),
            interrupted,
            kind: KIND.to_owned(),
            taken_at: history::now(),
        }
    }

    /// Did a forwarder fail that the machine has?
    #[must_use]
    pub fn has_failures(&self) -> bool {
        self.forwarders.iter().any(|one| one.failed.is_some())
    }

    /// What was measured, in a line.
    #[must_use]
    pub fn title(&self) -> String {
        let p = &self.parameters;
        let table = p
            .table
            .as_ref()
            .map_or_else(String::new, |table| format!(" ({})", table.rsplit('/').next().unwrap_or(table)));
        let family = if p.family == IpVersion::Ip4 { "IPv4" } else { "IPv6" };
        // Older results do not name them.
        let ends = if p.generator.is_empty() {
            String::new()
        } else {
            format!(", generator {}, sink {}", p.generator, p.sink)
        };
        format!(
            "{family}, {} route{}{table}, {} flows, {} bytes, at most {:.2} % of loss, {}{ends}",
            p.routes,
            if p.routes == 1 { "" } else { "s" },
            p.flows,
            p.size,
            p.loss * 100.0,
            p.placement
        )
    }

    /// What can be compared with another comparison's.
    #[must_use]
    pub fn figures(&self) -> Vec<Figure> {
        let measured = self.forwarders.iter().filter(|one| !one.rounds.is_empty() && !one.is_control());
        let figure = |one: &Forwarder| Figure {
            case: format!("{}: {}", one.name, self.title()),
            unit: "Mpps",
            is_more_better: true,
            runs: one.rounds.iter().map(|round| round.mpps).collect(),
        };
        measured.map(figure).collect()
    }
}

impl Parameters {
    fn of(order: &CompareOrder, routes: usize) -> Self {
        Self {
            family: order.family,
            routes,
            table: match &order.routes {
                Source::Synthetic(_) => None,
                Source::File(path) => Some(path.display().to_string()),
            },
            flows: order.flows,
            size: order.size.clone(),
            loss: order.loss,
            seconds: order.seconds,
            rounds: order.rounds,
            rules: order.rules,
            tester_core: order.cores.tester,
            dut_core: order.cores.dut,
            placement: name_of(order.placement),
            generator: name_of(order.generator),
            sink: name_of(order.sink),
            moderation_us: order.moderation.as_secs_f64() * 1e6,
            realtime: order.realtime,
        }
    }
}

/// As on the command line.
fn name_of(choice: impl Serialize) -> String {
    let name = serde_json::to_value(choice).ok();
    name.and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Where the tester, and not the forwarder, was the limit; and what never kept its loss.
fn warnings(forwarders: &[Forwarder], generator: GeneratorKind) -> Vec<String> {
    let mut all = Vec::new();
    let control = forwarders.iter().find(|one| one.is_control()).and_then(Forwarder::median);
    if control.is_none() {
        all.push(
            "the control has no figure: whether generator and sink were the limit is not known".to_owned(),
        );
    }
    for one in forwarders.iter().filter(|one| !one.is_control()) {
        if let Some((median, control)) =
            one.median().zip(control).filter(|(one, control)| *one > control * CONTROL_SHARE)
        {
            all.push(format!(
                "{}: {median:.2} Mpps are nearly the {control:.2} of the control: generator and sink may have been the limit",
                one.name
            ));
        }
        let takes_all = one.rounds.iter().any(Round::is_overload_taken);
        if takes_all {
            let why = match generator {
                GeneratorKind::AfXdp => {
                    "packets are the generator's until the forwarder frees them, so that it was slowed to what the \
                     forwarder takes"
                }
                GeneratorKind::LiveFrames => "the generator was the limit",
            };
            all.push(format!("{}: lost nothing at overload: {why}", one.name));
        }
        let late = one.rounds.iter().flat_map(|round| &round.trials).filter(|shot| shot.is_short()).count();
        if late > 0 {
            all.push(format!(
                "{}: in {late} trials the generator offered less than it was asked for",
                one.name
            ));
        }
        if one.rounds.iter().any(|round| round.mpps == 0.0) {
            all.push(format!("{}: in some round no trial kept the loss that is allowed", one.name));
        }
    }
    all
}

impl Shot {
    /// Was no more lost than is allowed, of all that was asked for?
    pub(super) fn is_good(&self, loss: f64) -> bool {
        self.loss_ratio <= loss && !self.is_short()
    }

    fn is_short(&self) -> bool {
        self.asked_pps.is_some_and(|asked| self.offered_pps < asked * OFFERED_SHARE)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}\n{}\n", self.title(), self.machine)?;
        writeln!(
            out,
            "{:16}{:>8}{:>8}{:>8}{:>10}{:>10}{:>8}",
            "Mpps", "min", "median", "max", "× kernel", "overload", "noise"
        )?;
        for one in &self.forwarders {
            one.line(out)?;
        }
        for place in &self.places {
            write!(out, "\n{place}")?;
        }
        let noted = self.forwarders.iter().filter(|one| !one.notes.is_empty());
        for (at, one) in noted.enumerate() {
            if at == 0 {
                writeln!(out)?;
            }
            writeln!(out, "{:16}{}", one.name, one.notes.join("; "))?;
        }
        for warning in &self.warnings {
            writeln!(out, "\nwarning: {warning}")?;
        }
        if self.interrupted { writeln!(out, "\ninterrupted") } else { Ok(()) }
    }
}

impl Forwarder {
    fn line(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.is_control() { "none (control)" } else { &self.name };
        if let Some(why) = &self.skipped {
            return writeln!(out, "{name:16}skipped: {why}");
        }
        if let Some(why) = &self.failed {
            return writeln!(out, "{name:16}failed: {why}");
        }
        let Some((mpps, overload)) = self.mpps.zip(self.overload_mpps) else {
            return writeln!(out, "{name:16}not measured");
        };
        let of_kernel = self.of_kernel.map_or_else(|| "-".to_owned(), |share| format!("{share:.2}"));
        writeln!(
            out,
            "{name:16}{:8.3}{:8.3}{:8.3}{of_kernel:>10}{:10.3}{:>6.1} %",
            mpps.min,
            mpps.median,
            mpps.max,
            overload.median,
            self.noise * 100.0
        )
    }
}
