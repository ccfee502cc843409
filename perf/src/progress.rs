//! What is being measured, and how long it still takes: on stderr, a bar if that is a terminal, else a line a step.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write as _, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How often the bar is drawn. Rarely: it is drawn on the machine that is measured.
const TICK: Duration = Duration::from_millis(250);

/// Tells on stderr. Nobody may be reading there: measuring goes on all the same.
pub fn note(line: impl Display) {
    let _ = writeln!(stderr(), "ze-perf: {line}");
}

/// How far measuring is.
#[derive(Debug)]
pub struct Progress {
    /// None if stderr is no terminal.
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Of so many steps, which take about as long as each other.
    #[must_use]
    pub fn new(steps: usize) -> Self {
        if !stderr().is_terminal() {
            return Self { bar: None };
        }
        let template = "{bar:24} {pos}/{len}  {elapsed} gone, {eta} left  {wide_msg}";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(steps as u64).with_style(style.progress_chars("━╸ "));
        bar.enable_steady_tick(TICK);
        Self { bar: Some(bar) }
    }

    /// Shows nothing.
    #[must_use]
    pub fn silent() -> Self {
        Self { bar: Some(ProgressBar::hidden()) }
    }

    /// A sentence that stays.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(format!("ze-perf: {line}")),
            None => note(line),
        }
    }

    /// This is being measured now.
    pub fn now(&self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(what.to_owned());
        }
    }

    /// A step has ended, with this result.
    pub fn step(&self, result: &str) {
        match &self.bar {
            Some(bar) => bar.inc(1),
            None => note(result),
        }
    }

    /// Prints to stdout what is not to be mixed up with the bar.
    pub fn print(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| drop(io::stdout().write_all(text.as_bytes()))),
            None => drop(io::stdout().write_all(text.as_bytes())),
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
