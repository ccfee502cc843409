//! Progress on standard error: a line a step, and a bar while bytes move.

use std::io::{IsTerminal, Write as _, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::lab::Progress;

/// Columns of a step's title.
const TITLE_COLUMNS: usize = 46;
/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(100);

/// Somebody who watches the tour.
pub(super) trait Screen {
    /// A step begins.
    fn begin(&mut self, title: &str);
    /// Bytes have moved.
    fn progress(&mut self, progress: &Progress);
    /// The step has succeeded.
    fn done(&mut self, outcome: &str);
    /// The step has failed.
    fn failed(&mut self);
}

/// Nobody watches.
pub(super) struct Silent;

impl Screen for Silent {
    fn begin(&mut self, _: &str) {}
    fn progress(&mut self, _: &Progress) {}
    fn done(&mut self, _: &str) {}
    fn failed(&mut self) {}
}

/// Standard error. Bars are drawn only if it is a terminal; the line a step comes always.
pub(super) struct Terminal {
    is_interactive: bool,
    title: String,
    bar: Option<ProgressBar>,
}

impl Terminal {
    pub(super) fn new() -> Self {
        Self { is_interactive: stderr().is_terminal(), title: String::new(), bar: None }
    }

    fn end(&mut self, mark: &str, outcome: &str) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let title = &self.title;
        // Nobody may be reading: the tour goes on.
        _ = writeln!(stderr(), "  {mark} {title:TITLE_COLUMNS$} {outcome}");
    }
}

impl Screen for Terminal {
    fn begin(&mut self, title: &str) {
        title.clone_into(&mut self.title);
        if !self.is_interactive {
            return;
        }
        let bar = ProgressBar::new_spinner().with_style(style("  {spinner} {msg}"));
        bar.set_message(self.title.clone());
        bar.enable_steady_tick(TICK);
        self.bar = Some(bar);
    }

    fn progress(&mut self, progress: &Progress) {
        let Some(bar) = &self.bar else { return };
        if bar.length() != Some(progress.total_bytes) {
            bar.set_length(progress.total_bytes);
            bar.set_style(style("  {spinner} {msg} [{bar:24}] {percent:>3} %  {prefix}"));
            bar.set_message(format!("{:TITLE_COLUMNS$}", self.title));
        }
        let seconds = progress.elapsed.as_secs_f64();
        if seconds > 0.0 {
            let gigabits = progress.received_bytes as f64 * 8e-9 / seconds;
            bar.set_prefix(format!("{gigabits:.2} Gbit/s"));
        }
        bar.set_position(progress.received_bytes);
    }

    fn done(&mut self, outcome: &str) {
        self.end("✓", outcome);
    }

    fn failed(&mut self) {
        self.end("✗", "failed");
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants of this file; the test below reads each.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_readable() {
        for template in ["  {spinner} {msg}", "  {spinner} {msg} [{bar:24}] {percent:>3} %  {prefix}"] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
