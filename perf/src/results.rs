//! Results as they are read back, whatever measured them: each a list of figures that can be compared.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::history;
use crate::machine::Machine;
use crate::report::lab;
use crate::stats::{deviation, median};
use crate::{compare, pipeline};

/// The standard error of a median is this much larger than that of a mean, for normally distributed figures.
const ERROR_OF_MEDIAN: f64 = 1.2533;

/// Fewer runs than these do not tell how far one is from the next.
const RUNS_MIN: usize = 3;

/// One result.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Of `ze-perf pipeline`.
    Pipeline(Box<pipeline::Report>),
    /// Of `ze-perf compare`.
    Compare(Box<compare::Report>),
    /// Of `ze-perf lab`.
    Lab(Box<lab::LabResult>),
}

/// What was measured of a case.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Everything that was measured in it, in words.
    pub case: String,
    /// Of what.
    pub unit: &'static str,
    /// Is more better?
    pub is_more_better: bool,
    /// By run.
    pub runs: Vec<f64>,
}

impl Figure {
    /// The median of the runs.
    #[must_use]
    pub fn value(&self) -> f64 {
        median(self.runs.clone()).unwrap_or(f64::NAN)
    }

    /// The standard error of [`value`](Self::value), in the same unit. Too few runs say nothing of it: then it is no
    /// number.
    #[must_use]
    pub fn error(&self) -> f64 {
        if self.runs.len() < RUNS_MIN {
            return f64::NAN;
        }
        let deviation = deviation(&self.runs).unwrap_or(f64::NAN);
        ERROR_OF_MEDIAN * deviation / (self.runs.len() as f64).sqrt()
    }
}

/// A result and the object that it was read from.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it says.
    pub outcome: Outcome,
    /// How it said it.
    pub raw: Value,
}

impl Outcome {
    /// Of the object that [`history`] holds.
    ///
    /// # Errors
    /// When it is of no known kind, or lacks something.
    pub fn of(value: &Value) -> Result<Self> {
        let kind = value["kind"].as_str().unwrap_or_default();
        match kind {
            pipeline::KIND => Ok(Self::Pipeline(Box::new(serde_json::from_value(value.clone())?))),
            compare::KIND => Ok(Self::Compare(Box::new(serde_json::from_value(value.clone())?))),
            lab::KIND => Ok(Self::Lab(Box::new(serde_json::from_value(value.clone())?))),
            _ => bail!("results of kind '{kind}' are unknown"),
        }
    }

    /// If it is of the pipeline: its report.
    #[must_use]
    pub const fn pipeline(&self) -> Option<&pipeline::Report> {
        match self {
            Self::Pipeline(report) => Some(report),
            Self::Compare(_) | Self::Lab(_) => None,
        }
    }

    /// If it is of the lab: its result.
    #[must_use]
    pub const fn lab(&self) -> Option<&lab::LabResult> {
        match self {
            Self::Pipeline(_) | Self::Compare(_) => None,
            Self::Lab(result) => Some(result),
        }
    }

    /// If it is a comparison: its report.
    #[must_use]
    pub const fn compare(&self) -> Option<&compare::Report> {
        match self {
            Self::Pipeline(_) | Self::Lab(_) => None,
            Self::Compare(report) => Some(report),
        }
    }

    /// Where it was measured.
    #[must_use]
    pub const fn machine(&self) -> &Machine {
        match self {
            Self::Pipeline(report) => &report.machine,
            Self::Compare(report) => &report.machine,
            Self::Lab(result) => &result.machine,
        }
    }

    /// When.
    #[must_use]
    pub fn taken_at(&self) -> &str {
        match self {
            Self::Pipeline(report) => &report.taken_at,
            Self::Compare(report) => &report.taken_at,
            Self::Lab(result) => &result.taken_at,
        }
    }

    /// What can be compared with another result's.
    #[must_use]
    pub fn figures(&self) -> Vec<Figure> {
        match self {
            Self::Pipeline(report) => vec![report.figure()],
            Self::Compare(report) => report.figures(),
            Self::Lab(result) => result.figures(),
        }
    }

    /// Everything that was measured, in words: the same for two results of the same case.
    #[must_use]
    pub fn case(&self) -> String {
        match self {
            Self::Pipeline(report) => report.title(),
            Self::Compare(report) => report.title(),
            Self::Lab(result) => result.title(),
        }
    }
}

/// All results of these files, in their order.
///
/// # Errors
/// When one can not be read: which, and why.
pub fn read(paths: &[impl AsRef<Path>]) -> Result<Vec<Entry>> {
    let mut all = Vec::new();
    for path in paths {
        for (at, raw) in history::read(path.as_ref())?.into_iter().enumerate() {
            let outcome = Outcome::of(&raw)
                .with_context(|| format!("{}: result {}", path.as_ref().display(), at + 1))?;
            all.push(Entry { outcome, raw });
        }
    }
    Ok(all)
}

/// Of each case the newest result, in the order in which cases first came.
#[must_use]
pub fn newest(entries: &[Entry]) -> Vec<Entry> {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut all: Vec<Entry> = Vec::new();
    for entry in entries {
        let place = *places.entry(entry.outcome.case()).or_insert(all.len());
        match all.get_mut(place) {
            Some(there) if there.outcome.taken_at() <= entry.outcome.taken_at() => *there = entry.clone(),
            Some(_) => {}
            None => all.push(entry.clone()),
        }
    }
    all
}
