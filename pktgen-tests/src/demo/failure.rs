//! Why a tour ended early.

use std::fmt;

/// Lines of each daemon's log that a failure quotes.
const LOG_LINES: usize = 25;

/// A step that failed, with what the daemons had to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The step.
    pub step: String,
    /// What went wrong.
    pub reason: String,
    /// The ends of the daemons' logs, by daemon.
    pub logs: Vec<(String, String)>,
}

impl Failure {
    /// A failure before there were daemons.
    pub(super) fn before(step: &str, reason: &dyn fmt::Display) -> Self {
        Self { step: step.to_owned(), reason: reason.to_string(), logs: Vec::new() }
    }

    /// Adds the end of a log.
    pub(super) fn quote(&mut self, daemon: &str, log: &str) {
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
        self.logs.push((daemon.to_owned(), tail));
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "ze demo failed at: {}", self.step)?;
        write!(f, "  {}", self.reason.replace('\n', "\n  "))?;
        for (daemon, log) in &self.logs {
            write!(f, "\n\nthe end of the log of {daemon}:")?;
            if log.is_empty() {
                write!(f, " (empty)")?;
            }
            for line in log.lines() {
                write!(f, "\n  | {line}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_step_and_quotes_the_end_of_the_logs() {
        let mut failure = Failure::before("ping", &"no answer");
        let log: String = (0..100).map(|line| format!("line {line}\n")).collect();
        failure.quote("ze-fastpath", &log);
        failure.quote("ze-slowpath", "");
        let text = failure.to_string();
        assert!(text.contains("failed at: ping") && text.contains("no answer"), "{text}");
        assert!(text.contains("| line 99") && !text.contains("| line 74\n"), "{text}");
        assert!(text.contains("ze-slowpath: (empty)"), "{text}");
    }
}
