//! Results as Markdown, for a README.

use std::fmt::Write as _;

use super::{compare, lab, pipeline};
use crate::pipeline::Report;
use crate::results::Entry;

/// Tables of all results, and where they were measured.
pub(super) fn render(entries: &[Entry]) -> String {
    let mut out = String::new();
    if let Some(entry) = entries.last() {
        let _ = writeln!(out, "{}; {}.\n", entry.outcome.machine(), entry.outcome.taken_at());
    }
    let reports: Vec<_> = entries.iter().filter_map(|entry| entry.outcome.pipeline()).collect();
    if !reports.is_empty() {
        out.push_str(&pipeline_table(&reports));
    }
    for report in entries.iter().filter_map(|entry| entry.outcome.compare()) {
        let rows: Vec<_> = report.forwarders.iter().map(compare::figures).collect();
        let _ = write!(out, "Mpps, {}:\n\n{}", report.title(), table(&compare::FIGURES, &rows));
        if !report.places.is_empty() {
            out.push_str(&table(&compare::PLACES, &compare::places(report)));
        }
    }
    for result in entries.iter().filter_map(|entry| entry.outcome.lab()) {
        let _ = write!(out, "{}:\n\n{}", result.title(), table(&lab::FIGURES, &lab::figures(result)));
    }
    out
}

fn pipeline_table(reports: &[&Report]) -> String {
    let rows: Vec<_> = reports
        .iter()
        .zip(pipeline::labels(reports))
        .map(|(report, label)| pipeline::figures(report, label))
        .collect();
    format!(
        "Cycles per packet in memory, one worker, the baseline subtracted:\n\n{}",
        table(&pipeline::FIGURES, &rows)
    )
}

/// A table. Its first column is text, the others are figures.
fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut out = format!("| {} |\n|---|{}\n", head.join(" | "), "---:|".repeat(head.len() - 1));
    for row in rows {
        let cells: Vec<_> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out.push('\n');
    out
}
