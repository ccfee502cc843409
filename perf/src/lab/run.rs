//! `ze-perf lab`: the order of things.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use ipnet::IpNet;
use ze_pktgen::lab::Requirements;
use ze_pktgen::traffic::{Rate, Sizes};

use super::bench::{Bench, BenchOptions, sizes};
use super::report::{CaseResult, LatencyAt, Parameters, Report, Throughput};
use super::search::{Bounds, Goal, Search, Step};
use super::trial::{Offer, Trial};
use super::{SinkKind, burst};
use crate::dut::{self, NoDut};
use crate::history;
use crate::interrupt::{EXIT_CODE, Interrupt};
use crate::machine::{Machine, Stopwatch};
use crate::pipeline::routes::{Family, Routes, Source};
use crate::progress::Progress;
use crate::stats::rounded;

/// Shares of the throughput at which latency is measured, per cent.
const LATENCY_PERCENT: [u32; 3] = [10, 50, 90];
/// Loads below this are not looked at, packets a second.
const LEAST_PPS: f64 = 1000.0;
/// A throughput above this share of what the tester can without a DUT is the tester's.
const TESTER_SHARE_MAX: f64 = 0.95;
/// A search that has not come to its end by then never will: the DUT is not the same from trial to trial.
const TRIALS_MAX: usize = 120;
/// Trials at the same load that the tester may fail at before it is taken to be too slow for that load.
const LIMITED_MAX: usize = 2;
/// What is tried then, as a share of that load.
const LIMITED_STEP: f64 = 0.95;
/// Trials of a search, as a guess for the time it takes.
const TRIALS_GUESS: f64 = 9.0;
/// What a trial takes besides its time: building flows, waiting for stragglers.
const TRIAL_EXTRA_S: f64 = 0.06;
/// The longest burst that is tried, seconds: RFC 2544 §26.4 asks for at least two.
const BURST_MAX_S: f64 = 2.0;

/// What is to be done.
#[derive(Clone, Debug)]
pub struct LabOptions {
    /// Name of the DUT.
    pub dut: String,
    /// Idle mode of Ze's worker.
    pub idle: String,
    /// Families.
    pub families: Vec<Family>,
    /// Sizes, as typed: IPv6 raises the smallest.
    pub sizes: Vec<Sizes>,
    /// Where routes come from, for each family.
    pub routes: Vec<Source>,
    /// How many flows.
    pub flows: u32,
    /// What to search for, in ascending order of loss.
    pub goals: Vec<Goal>,
    /// Measure latency?
    pub latency_seconds: f64,
    /// Searches for the longest burst; 0 for none.
    pub bursts: usize,
    /// The bench; its routes are still to come.
    pub bench: BenchOptions,
    /// Print JSON?
    pub json: bool,
    /// Where results are kept.
    pub history: Option<PathBuf>,
}

/// One family and size.
struct Case {
    family: Family,
    size: String,
    sizes: Sizes,
}

/// Measures as the options say.
///
/// # Errors
/// When the machine can not carry a lab, or the DUT or the tester failed.
pub fn run(mut options: LabOptions) -> Result<ExitCode> {
    let missing = Requirements::check_with_xdp();
    let list: Vec<_> = missing.iter().map(ToString::to_string).collect();
    ensure!(missing.is_empty(), "this machine lacks {}", list.join(", "));
    let dut = dut::named(&options.dut, &options.idle)?;
    if let Some(why) = dut.missing() {
        bail!("{} can not run here: {why}", options.dut);
    }
    let cases = cases(&options)?;
    options.bench.routes = routes(&options)?;
    if let Some(why) = dut.refuses(options.bench.routes.len()) {
        bail!("{}: {why}", options.dut);
    }
    let interrupt = Interrupt::listen()?;
    let steps = cases.len() * (2 + options.goals.len() + 2);
    let mut lab = LabRun {
        progress: Progress::new(steps),
        watch: Stopwatch::start(),
        notes: Vec::new(),
        interrupt,
        options,
    };
    lab.announce(&cases);
    let mut results = Vec::new();
    let measured = lab.measure(dut, &cases, &mut results);
    lab.progress.end();
    // What was measured before Ctrl-C is told; any other failure is one.
    if let Err(why) = measured
        && !lab.interrupt.is_set()
    {
        return Err(why);
    }
    lab.tell(results)
}

fn cases(options: &LabOptions) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for family in &options.families {
        for asked in &options.sizes {
            let text = asked.to_string();
            // A named size that a family can not have is said once more as the family's least: as in RFC 5180 §5.1.
            let fits =
                sizes(&text, *family).or_else(|_| sizes(&Bench::least_bytes(*family).to_string(), *family));
            let sizes = fits.map_err(|why| anyhow::anyhow!(why))?;
            cases.push(Case { family: *family, size: sizes.to_string(), sizes });
        }
    }
    Ok(cases)
}

fn routes(options: &LabOptions) -> Result<Vec<IpNet>> {
    let with_family = |source: &Source| match source {
        Source::Synthetic(_) => Ok((source.clone(), None)),
        Source::File(path) => Ok((source.clone(), Some(Family::of_table(path)?))),
    };
    let sources = options.routes.iter().map(with_family).collect::<Result<Vec<_>>>()?;
    let mut all = Vec::new();
    for family in &options.families {
        let source = sources.iter().find(|(_, of)| of.is_none_or(|of| of == *family));
        let (source, _) = source.with_context(|| format!("there is no table for {}", name(*family)))?;
        all.extend(Routes::load(source, *family)?.all.into_iter().map(|(net, _)| net));
    }
    Ok(all)
}

const fn name(family: Family) -> &'static str {
    match family {
        Family::V4 => "ip4",
        Family::V6 => "ip6",
    }
}

/// A measurement under way.
struct LabRun {
    options: LabOptions,
    progress: Progress,
    watch: Stopwatch,
    interrupt: Interrupt,
    notes: Vec<String>,
}

impl LabRun {
    /// Says what will be measured, and how long that takes.
    fn announce(&self, cases: &[Case]) {
        let o = &self.options;
        let goal_s = |goal: &Goal| {
            TRIALS_GUESS * (goal.sum_seconds + TRIAL_EXTRA_S * goal.sum_seconds / goal.trial_seconds)
        };
        // The second goal begins where the first one has ended.
        let search_s: f64 = o
            .goals
            .iter()
            .zip([1.0, 0.5].into_iter().chain(std::iter::repeat(0.5)))
            .map(|(g, share)| goal_s(g) * share)
            .sum();
        let case_s =
            search_s + 2.0 * o.goals[0].trial_seconds + 3.0 * o.latency_seconds + o.bursts as f64 * 3.0;
        self.progress.say(&format!(
            "{}, {} case{}, about {:.0} s in all; Ctrl-C ends it with what there is",
            o.dut,
            cases.len(),
            if cases.len() == 1 { "" } else { "s" },
            case_s * cases.len() as f64 + 4.0
        ));
    }

    fn measure(
        &mut self,
        dut: Box<dyn dut::Dut>,
        cases: &[Case],
        results: &mut Vec<CaseResult>,
    ) -> Result<()> {
        let controls = self.control(cases)?;
        let mut bench = Bench::start(dut, self.options.bench.clone(), &self.interrupt.for_lab())?;
        self.notes = bench.dut().notes();
        for (case, control) in cases.iter().zip(controls) {
            let mut result = CaseResult {
                family: name(case.family),
                size: case.size.clone(),
                frame_bytes: control.frame_bytes,
                control: Some(control),
                overload: None,
                throughput: Vec::new(),
                latency: Vec::new(),
                back_to_back: None,
                trials: Vec::new(),
            };
            let measured = self.case(&mut bench, case, &mut result);
            results.push(result);
            measured?;
        }
        bench.stop()
    }

    /// What generator and sink can, with nothing between them.
    fn control(&self, cases: &[Case]) -> Result<Vec<Trial>> {
        let mut bench = Bench::start(Box::new(NoDut), self.options.bench.clone(), &self.interrupt.for_lab())?;
        let mut controls = Vec::new();
        for case in cases {
            self.progress.now(&format!("{} {}: the tester alone", name(case.family), case.size));
            let trial = bench.trial(&self.offer(case, Rate::Max, self.options.goals[0].trial_seconds))?;
            if let Some(fault) = trial.fault() {
                bail!("without a DUT: {fault}");
            }
            self.progress.step(&format!(
                "{} {}: the tester alone {:.3} Mpps",
                name(case.family),
                case.size,
                trial.received_pps / 1e6
            ));
            controls.push(trial);
        }
        bench.stop()?;
        Ok(controls)
    }

    fn offer(&self, case: &Case, rate: Rate, seconds: f64) -> Offer {
        Offer { rate, seconds, sizes: case.sizes.clone(), family: case.family, flows: self.options.flows }
    }

    fn case(&self, bench: &mut Bench, case: &Case, result: &mut CaseResult) -> Result<()> {
        let title = format!("{} {}", name(case.family), case.size);
        self.progress.now(&format!("{title}: overload"));
        let overload = bench.trial(&self.offer(case, Rate::Max, self.options.goals[0].trial_seconds))?;
        if let Some(fault) = overload.fault() {
            bail!("{title}: {fault}");
        }
        let most_pps = result.control.as_ref().map_or(overload.offered_pps, |control| control.received_pps);
        let mut search = Search::new(LEAST_PPS, most_pps, overload.received_pps);
        self.progress.step(&format!("{title}: {:.3} Mpps of too much", overload.received_pps / 1e6));
        result.overload = Some(overload);
        for goal in &self.options.goals {
            let found = self.search(bench, case, goal, &mut search, result)?;
            self.progress.step(&format!("{title}: {found}"));
            result.throughput.push(found);
        }
        let (no_loss, most_loss) = (result.throughput.first(), result.throughput.last());
        let (no_loss, most_loss) = (no_loss.and_then(|t| t.pps), most_loss.and_then(|t| t.pps));
        if let Some(pps) = most_loss
            && self.options.bench.sink == SinkKind::Full
        {
            self.latency(bench, case, pps, result)?;
        }
        self.progress.step(&format!("{title}: latency"));
        if self.options.bursts > 0 && no_loss.is_some() {
            self.progress.now(&format!("{title}: back-to-back"));
            let offer = self.offer(case, Rate::Max, 0.0);
            let most = (most_pps * BURST_MAX_S) as u64;
            result.back_to_back = Some(burst::longest(bench, &offer, most, self.options.bursts, no_loss)?);
        }
        self.progress.step(&format!("{title}: back-to-back"));
        Ok(())
    }

    fn search(
        &self,
        bench: &mut Bench,
        case: &Case,
        goal: &Goal,
        search: &mut Search,
        result: &mut CaseResult,
    ) -> Result<Throughput> {
        let name = if goal.loss_ratio == 0.0 { "ndr" } else { "pdr" };
        let none = Throughput {
            name,
            loss_ratio: goal.loss_ratio,
            pps: None,
            upper_pps: None,
            gbps: None,
            trials: 0,
            no_figure: None,
        };
        let mut limited = 0;
        for trials in 0..TRIALS_MAX {
            match search.next(goal) {
                Step::Found(bounds) => {
                    return Ok(self.judge(bounds, search, result, Throughput { trials, ..none }));
                }
                Step::Nothing { least_pps } => {
                    let why = format!("even {least_pps:.0} packets a second are too many");
                    return Ok(Throughput { trials, no_figure: Some(why), ..none });
                }
                Step::Try { pps } => {
                    let title = format!("{} {}: {}", result.family, result.size, name.to_uppercase());
                    self.progress.now(&format!("{title}, trial {}: {:.3} Mpps", trials + 1, pps / 1e6));
                    let trial =
                        bench.trial(&self.offer(case, Rate::PacketsPerSecond(pps), goal.trial_seconds))?;
                    if let Some(fault) = trial.fault() {
                        bail!("{title} at {pps:.0} packets a second: {fault}");
                    }
                    if trial.tester_limit().is_none() {
                        search.note(pps, goal.trial_seconds, trial.loss_ratio);
                        limited = 0;
                    } else if limited < LIMITED_MAX {
                        // Once may be chance; the same load is tried again.
                        limited += 1;
                    } else {
                        search.limit(pps * LIMITED_STEP);
                        limited = 0;
                    }
                    result.trials.push(trial);
                }
            }
        }
        let why = format!("no end after {TRIALS_MAX} trials: the loss is not the same from trial to trial");
        Ok(Throughput { trials: TRIALS_MAX, no_figure: Some(why), ..none })
    }

    /// Is it the DUT's throughput, or the tester's?
    fn judge(&self, bounds: Bounds, search: &Search, result: &CaseResult, found: Throughput) -> Throughput {
        let pps = bounds.lower_pps;
        let tester_pps = result.control.as_ref().map_or(f64::INFINITY, |control| control.received_pps);
        let is_tester = bounds.upper_pps.is_none() || pps > tester_pps * TESTER_SHARE_MAX;
        if is_tester && self.options.dut != "none" {
            let most = search.most_pps().min(tester_pps) / 1e6;
            let why = format!("at least {:.3} Mpps; the tester ends at {most:.3}", pps / 1e6);
            return Throughput { no_figure: Some(why), upper_pps: bounds.upper_pps.map(rounded), ..found };
        }
        Throughput {
            pps: Some(rounded(pps)),
            upper_pps: bounds.upper_pps.map(rounded),
            gbps: Some(rounded(pps * result.frame_bytes * 8.0 / 1e9)),
            ..found
        }
    }

    fn latency(&self, bench: &mut Bench, case: &Case, pps: f64, result: &mut CaseResult) -> Result<()> {
        for percent in LATENCY_PERCENT {
            let rate = pps * f64::from(percent) / 100.0;
            self.progress.now(&format!("{} {}: latency at {percent} %", result.family, result.size));
            let trial =
                bench.trial(&self.offer(case, Rate::PacketsPerSecond(rate), self.options.latency_seconds))?;
            if let Some(latency) = trial.latency {
                let (offered_pps, loss_ratio) = (trial.offered_pps, trial.loss_ratio);
                result.latency.push(LatencyAt { percent, offered_pps, loss_ratio, latency });
            }
        }
        Ok(())
    }

    fn tell(self, results: Vec<CaseResult>) -> Result<ExitCode> {
        let o = self.options;
        let files = o.routes.iter().filter_map(|source| match source {
            Source::File(path) => Some(path.display().to_string()),
            Source::Synthetic(_) => None,
        });
        let interrupted = self.interrupt.is_set();
        let machine = Machine::describe(o.bench.cores.dut, self.watch.hertz(), ze_graph::Pages::Plain);
        let report = Report {
            kind: "lab",
            taken_at: history::now(),
            dut: o.dut,
            notes: self.notes,
            parameters: Parameters {
                routes: o.bench.routes.len(),
                tables: files.collect(),
                flows: o.flows,
                queues: o.bench.queues,
                sink: o.bench.sink,
                placement: o.bench.placement,
                realtime: o.bench.realtime,
                tester_core: o.bench.cores.tester,
                dut_core: o.bench.cores.dut,
                goals: o.goals,
            },
            machine,
            results,
            interrupted,
        };
        if let Some(path) = &o.history {
            history::append(path, &report)?;
        }
        crate::tell(&report, o.json)?;
        Ok(if interrupted { ExitCode::from(EXIT_CODE) } else { ExitCode::SUCCESS })
    }
}
