//! `ze-perf check OLD NEW`: is anything worse? The noise model is told by `--help`.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::args::CheckArgs;
use crate::progress::note;
use crate::results::{self, Entry, Figure};

/// Standard errors that a difference must exceed: of changes that are none, one in 370 does.
const ERRORS: f64 = 3.0;

/// The exit codes, besides 0 and the 2 of results that can not be compared.
const EXIT_WORSE: u8 = 1;
const EXIT_UNKNOWN: u8 = 3;
const EXIT_TROUBLE: u8 = 2;

/// What became of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Same,
    Better,
    Worse,
    Noisy,
    Missing,
}

/// A case, then and now.
#[derive(Debug)]
struct Comparison {
    old: Figure,
    new: Option<Figure>,
    /// Percent, positive if more.
    change: f64,
    /// Percent.
    noise: f64,
    verdict: Verdict,
}

/// Compares two files, and prints what it found.
#[must_use]
pub fn run(args: &CheckArgs) -> ExitCode {
    match compare(args) {
        Ok(comparisons) => {
            let (code, summary) = judge(&comparisons);
            // Nobody may be reading; the exit code tells all the same.
            let mut out = io::stdout().lock();
            let _ = comparisons.iter().try_for_each(|comparison| writeln!(out, "{comparison}"));
            let _ = writeln!(out, "{summary}");
            code.into()
        }
        Err(error) => {
            note(format_args!("{error:#}"));
            EXIT_TROUBLE.into()
        }
    }
}

fn compare(args: &CheckArgs) -> Result<Vec<Comparison>> {
    let (old, new) = (results::read(&[&args.old])?, results::read(&[&args.new])?);
    if !args.any_machine {
        same_machine(&old, &new)?;
    }
    let (old, mut new) = (figures(&old), figures(&new));
    let comparisons = old.into_iter().map(|(case, old)| {
        let now = new.remove(&case);
        compare_one(old, now, args)
    });
    let comparisons: Vec<_> = comparisons.collect();
    for figure in new.values() {
        let _ = writeln!(io::stdout(), "new      {}: {:.2} {}", figure.case, figure.value(), figure.unit);
    }
    Ok(comparisons)
}

/// By case. Of several results of a case the medians are the runs.
fn figures(entries: &[Entry]) -> BTreeMap<(String, &'static str), Figure> {
    let mut all: BTreeMap<(String, &'static str), Vec<Figure>> = BTreeMap::new();
    for figure in entries.iter().flat_map(|entry| entry.outcome.figures()) {
        all.entry((figure.case.clone(), figure.unit)).or_default().push(figure);
    }
    all.into_iter().filter_map(|(case, figures)| Some((case, merge(figures)?))).collect()
}

fn merge(mut figures: Vec<Figure>) -> Option<Figure> {
    let medians: Vec<f64> = figures.iter().map(Figure::value).collect();
    let last = figures.pop()?;
    Some(if medians.len() == 1 { last } else { Figure { runs: medians, ..last } })
}

fn same_machine(old: &[Entry], new: &[Entry]) -> Result<()> {
    let cpu = |entries: &[Entry]| entries.first().and_then(|entry| entry.outcome.machine().cpu.clone());
    let (then, now) = (cpu(old), cpu(new));
    if then != now {
        let name = |cpu: Option<String>| cpu.unwrap_or_else(|| "unknown".to_owned());
        bail!("the machines differ ({} and {}): --any-machine compares all the same", name(then), name(now));
    }
    Ok(())
}

fn compare_one(old: Figure, new: Option<Figure>, args: &CheckArgs) -> Comparison {
    let Some(new) = new else {
        return Comparison { old, new, change: f64::NAN, noise: f64::NAN, verdict: Verdict::Missing };
    };
    let before = old.value();
    let change = (new.value() / before - 1.0) * 100.0;
    let noise = ERRORS * old.error().hypot(new.error()) / before * 100.0;
    let verdict = if !change.is_finite() || !noise.is_finite() || noise > args.noise {
        Verdict::Noisy
    } else if change.abs() <= args.limit.max(noise) {
        Verdict::Same
    } else if (change > 0.0) == old.is_more_better {
        Verdict::Better
    } else {
        Verdict::Worse
    };
    Comparison { old, new: Some(new), change, noise, verdict }
}

/// The exit code, and why.
fn judge(comparisons: &[Comparison]) -> (u8, String) {
    let count = |verdict| comparisons.iter().filter(|comparison| comparison.verdict == verdict).count();
    let (worse, unknown) = (count(Verdict::Worse), count(Verdict::Noisy) + count(Verdict::Missing));
    let code = match (worse, unknown) {
        (0, 0) => 0,
        (0, _) => EXIT_UNKNOWN,
        _ => EXIT_WORSE,
    };
    let better = count(Verdict::Better);
    let same = count(Verdict::Same);
    (code, format!("{worse} worse, {better} better, {same} the same, {unknown} noisy or missing"))
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Same => "same",
            Self::Better => "better",
            Self::Worse => "WORSE",
            Self::Noisy => "noisy",
            Self::Missing => "missing",
        })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:9}{}: ", self.verdict, self.old.case)?;
        let Some(new) = &self.new else {
            return write!(out, "{:.2} {}, and now nothing", self.old.value(), self.old.unit);
        };
        write!(
            out,
            "{:.2} → {:.2} {} ({:+.1} %, noise {:.1} %)",
            self.old.value(),
            new.value(),
            self.old.unit,
            self.change,
            self.noise
        )
    }
}
