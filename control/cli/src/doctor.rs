//! `ze doctor`: what is wrong with the router and this machine, why it matters, and what to do.
//!
//! Facts are gathered first ([`machine::Machine`], [`dataplane::Dataplane`]); what they mean is decided by pure
//! functions.

pub mod dataplane;
pub mod machine;
mod offloads;
mod programming;
#[cfg(test)]
mod tests;

use std::path::Path;

use serde::Serialize;
use ze_proto::endpoint::Address;

use crate::args::DoctorArgs;
use crate::client;
use crate::error::Error;
use crate::output::{Output, Page, Paint, Style};
use crate::text::clean;
use dataplane::Dataplane;
use machine::Machine;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Traffic is lost, or Ze can not work.
    Error,
    /// It works, but worse than it could, or not for long.
    Warning,
    /// Worth knowing.
    Note,
    /// It is right.
    Ok,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was looked at: a stable name.
    pub check: &'static str,
    /// What was found, and what it means.
    pub message: String,
    /// What to do; none when there is nothing to do.
    pub advice: Option<String>,
}

impl Finding {
    /// Something to do something about.
    pub fn new(
        severity: Severity,
        check: &'static str,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            check,
            message: message.into(),
            advice: Some(advice.into()).filter(|a: &String| !a.is_empty()),
        }
    }

    /// Something that is right.
    pub fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Ok, check, message: message.into(), advice: None }
    }
}

/// What `doctor` says.
#[derive(Debug, Serialize)]
struct Report {
    errors: usize,
    warnings: usize,
    notes: usize,
    findings: Vec<Finding>,
}

/// Runs `ze doctor`; true when there is no error among the findings.
///
/// # Errors
/// When nobody reads any more. A daemon that does not answer is a finding.
pub async fn run(daemon: &Address, args: DoctorArgs, out: &mut Output) -> Result<bool, Error> {
    let dataplane = match client::connect(daemon).await {
        Ok(client) => Dataplane::ask(client).await,
        Err(error) => Err(error),
    };
    let mut findings = Vec::new();
    let pid = dataplane.as_ref().ok().map(|d| d.info.pid);
    let machine = Machine::read(Path::new("/"), pid);
    match &dataplane {
        Ok(dataplane) => {
            findings.push(Finding::ok(
                "daemon",
                format!("ze-fastpath {} answers at {daemon}.", clean(&dataplane.info.version)),
            ));
            if let Address::Socket(path) = daemon {
                findings.extend(machine::socket_findings(path));
            }
            findings.extend(machine.findings(Some(&dataplane.info)));
            findings.extend(dataplane.findings());
            findings.extend(programming::findings(&dataplane.fib));
            findings.extend(offloads::findings(&dataplane.stats.ports, machine.same_network));
        }
        Err(error) => {
            findings.push(unreachable(error));
            findings.extend(machine.findings(None));
        }
    }
    let page = page(findings, args.all, out.paint)?;
    out.page(&page.0)?;
    Ok(page.1)
}

fn unreachable(error: &Error) -> Finding {
    match error {
        Error::Told { message, hint } => {
            Finding::new(Severity::Error, "daemon", format!("{message}."), hint.as_str())
        }
        Error::Usage(message) => Finding::new(Severity::Error, "daemon", message.as_str(), ""),
        Error::BrokenPipe => Finding::new(Severity::Error, "daemon", "The connection broke.", ""),
    }
}

/// The page, worst findings first, and whether there is no error.
fn page(mut findings: Vec<Finding>, all: bool, paint: Paint) -> Result<(Page, bool), Error> {
    findings.sort_by_key(|f| f.severity);
    let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
    let (errors, warnings, notes) = (count(Severity::Error), count(Severity::Warning), count(Severity::Note));
    let right = count(Severity::Ok);
    if !all {
        findings.retain(|f| f.severity != Severity::Ok);
    }
    let mut text: String = findings.iter().map(|f| finding_text(f, paint)).collect();
    let several = |n: usize, noun: &str| ze_tui::units::plural(n as u64, noun);
    let summary = format!(
        "{}, {}, {}; {} passed.",
        several(errors, "error"),
        several(warnings, "warning"),
        several(notes, "note"),
        several(right, "check")
    );
    text += &paint.paint(if errors == 0 { Style::Good } else { Style::Bad }, &summary);
    text.push('\n');
    Ok((Page::new(&Report { errors, warnings, notes, findings }, text)?, errors == 0))
}

fn finding_text(finding: &Finding, paint: Paint) -> String {
    let (word, style) = match finding.severity {
        Severity::Error => ("error", Style::Bad),
        Severity::Warning => ("warning", Style::Warning),
        Severity::Note => ("note", Style::Heading),
        Severity::Ok => ("ok", Style::Good),
    };
    let mut text =
        format!("{}{}  {}\n", paint.paint(style, word), " ".repeat(7 - word.len()), clean(&finding.message));
    if let Some(advice) = &finding.advice {
        text += &format!("         {}\n", paint.paint(Style::Dim, &clean(advice)));
    }
    text
}
