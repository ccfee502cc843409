//! The page as a whole. Nothing in it leads outside: style, plots and raw data are all inside.

use std::fmt::Write as _;

use super::html::{details, escape, table, warning};
use super::{compare, lab, pipeline};
use crate::machine::Machine;
use crate::results::Entry;

/// A load above which something else is likely to have run.
const QUIET_LOAD: f64 = 1.5;

/// All of it. `newest` is shown; `all` is kept as raw data.
pub(super) fn render(title: &str, newest: &[Entry], all: &[Entry]) -> String {
    let mut body = head(title, newest);
    let reports: Vec<_> = newest.iter().filter_map(|entry| entry.outcome.pipeline()).collect();
    if !reports.is_empty() {
        body.push_str(&pipeline::section(&reports));
    }
    for report in newest.iter().filter_map(|entry| entry.outcome.compare()) {
        body.push_str(&compare::section(report));
    }
    for result in newest.iter().filter_map(|entry| entry.outcome.lab()) {
        body.push_str(&lab::section(result));
    }
    body.push_str(&machines(newest));
    body.push_str(&raw(all));
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n\
         <style>\n{}</style></head>\n<body>\n{body}</body></html>\n",
        escape(title),
        include_str!("page.css")
    )
}

fn head(title: &str, entries: &[Entry]) -> String {
    let times = entries.iter().map(|entry| entry.outcome.taken_at());
    let (first, last) = (times.clone().min().unwrap_or_default(), times.max().unwrap_or_default());
    let when = if first == last { first.to_owned() } else { format!("{first} to {last}") };
    let revisions = distinct(entries, |machine| machine.git_revision.clone());
    let mut out = format!(
        "<h1>{}</h1>\n<p class=\"dim\">{} results, {when}, revision {}</p>\n",
        escape(title),
        entries.len(),
        escape(&revisions.join(", "))
    );
    if revisions.len() > 1 {
        out.push_str(&warning(
            "The results are of different revisions: they are no comparison of one program with itself.",
        ));
    }
    if distinct(entries, |machine| machine.cpu.clone()).len() > 1 {
        out.push_str(&warning("The results are of different machines."));
    }
    out
}

fn distinct(entries: &[Entry], of: impl Fn(&Machine) -> Option<String>) -> Vec<String> {
    let mut all = Vec::new();
    for entry in entries {
        let text = of(entry.outcome.machine()).unwrap_or_else(|| "unknown".to_owned());
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all
}

fn machines(entries: &[Entry]) -> String {
    let unknown = |text: Option<String>| text.unwrap_or_else(|| "unknown".to_owned());
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |name: &str, of: &dyn Fn(&Machine) -> Option<String>| {
        rows.push(vec![name.to_owned(), distinct(entries, of).join(", ")]);
    };
    row("processor", &|machine| machine.cpu.clone());
    row("cores of this process", &|machine| Some(machine.cores.to_string()));
    row("virtual machine", &|machine| Some(machine.hypervisor.clone().unwrap_or_else(|| "no".to_owned())));
    row("kernel", &|machine| machine.kernel.clone());
    row("frequency governor", &|machine| Some(machine.governor.clone().unwrap_or_else(|| "none".to_owned())));
    row("time stamp counter", &|machine| Some(format!("{:.3} GHz, measured", machine.tsc_hz as f64 / 1e9)));
    row("memory of frames", &|machine| Some(machine.huge_pages.clone()));
    let loads = entries.iter().filter_map(|entry| entry.outcome.machine().load_average);
    let load = loads.fold(None, |most: Option<f64>, load| Some(most.map_or(load, |most| most.max(load))));
    rows.push(vec!["load, the highest seen".to_owned(), unknown(load.map(|load| format!("{load:.2}")))]);
    let mut out = String::from("<h2 id=\"machine\">Machine</h2>\n");
    if load.is_some_and(|load| load > QUIET_LOAD) {
        out.push_str(&warning(
            "The load says that something else was running. Figures are worse than they would be.",
        ));
    }
    out + &table(&["", ""], &rows)
        .replacen("<thead><tr><th></th><th></th></tr></thead>", "", 1)
        .replace("<table>", "<table class=\"facts\">")
}

fn raw(entries: &[Entry]) -> String {
    let mut lines = String::new();
    for entry in entries {
        let _ = writeln!(lines, "{}", entry.raw);
    }
    let body = format!(
        "<p class=\"dim\">One JSON object a line, as `ze-perf --history` keeps them; `ze-perf report` and `ze-perf check` \
         read it. The fields are described by `--help` of the command that measured.</p><pre>{}</pre>",
        escape(&lines)
    );
    String::from("<h2 id=\"raw\">Raw data</h2>\n") + &details("All results", &body)
}
