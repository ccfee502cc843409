//! Several cases, one after the other, and what becomes of their results.

use std::process::ExitCode;

use anyhow::Result;

use super::report::Report;
use super::routes::{Routes, Source};
use super::{planned_s, run};
use crate::args::PipelineOrder;
use crate::history;
use crate::interrupt::{EXIT_CODE, Interrupt};
use crate::progress::{Progress, note};

/// Measures every case, and prints each result when it is there.
///
/// # Errors
/// When a case could not be measured: those before it have been printed.
pub fn run_order(order: &PipelineOrder) -> Result<ExitCode> {
    check_tables(order)?;
    let interrupt = Interrupt::listen()?;
    let progress = Progress::new(order.cases.iter().map(|case| case.runs).sum());
    announce(order, &progress);
    for case in &order.cases {
        if order.cases.len() > 1 {
            progress.say(&case.describe());
        }
        let report = run(case, &interrupt, &progress)?;
        if let Some(report) = &report {
            tell(report, order, &progress)?;
        }
        if interrupt.is_set() {
            progress.end();
            note(if report.is_some() { "interrupted" } else { "interrupted before a run had ended" });
            return Ok(EXIT_CODE.into());
        }
    }
    progress.end();
    Ok(ExitCode::SUCCESS)
}

/// A table that can not be read is told before anything is measured, and not after the cases before its own.
fn check_tables(order: &PipelineOrder) -> Result<()> {
    let mut seen: Vec<&Source> = Vec::new();
    for case in &order.cases {
        if matches!(case.routes, Source::File(_)) && !seen.contains(&&case.routes) {
            Routes::load(&case.routes, case.scenario.family())?;
            seen.push(&case.routes);
        }
    }
    Ok(())
}

fn tell(report: &Report, order: &PipelineOrder, progress: &Progress) -> Result<()> {
    let text = match (order.json, order.cases.len()) {
        (false, 1) => report.to_string(),
        (false, _) => format!("{report}\n"),
        (true, 1) => serde_json::to_string_pretty(report)? + "\n",
        (true, _) => serde_json::to_string(report)? + "\n",
    };
    progress.print(&text);
    order.history.as_ref().map_or(Ok(()), |path| history::append(path, report))
}

fn announce(order: &PipelineOrder, progress: &Progress) {
    let Some(case) = order.cases.first() else { return };
    let what = match order.cases.len() {
        1 => case.describe(),
        count => format!("{count} cases"),
    };
    let seconds = order.cases.iter().map(planned_s).sum::<f64>().ceil();
    progress.say(&format!(
        "{what}: {} runs of {} s on core {}: about {seconds} s",
        case.runs, case.seconds, case.core
    ));
}
