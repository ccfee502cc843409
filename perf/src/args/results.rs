//! Options of `ze-perf report` and `ze-perf check`.

use std::path::PathBuf;

use super::values::within;

/// Options of `ze-perf report`.
#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// Results: what --json printed or --history kept. Of several results of one case the newest counts
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Write a page with plots, method and raw data to this file; it needs nothing else to be read
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// The page's title
    #[arg(long, default_value = "Ze: measured")]
    pub title: String,
}

/// Options of `ze-perf check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Results to compare with
    pub old: PathBuf,
    /// Results to be judged
    pub new: PathBuf,
    /// A change of less than so many percent is none, however quiet the machine was
    #[arg(long, value_name = "PERCENT", default_value = "3", value_parser = within(0.1, 100.0))]
    pub limit: f64,
    /// More noise than so many percent, and nothing is said about a case
    #[arg(long, value_name = "PERCENT", default_value = "10", value_parser = within(0.1, 100.0))]
    pub noise: f64,
    /// Compare results of different machines
    #[arg(long)]
    pub any_machine: bool,
}

pub(super) const CHECK_HELP: &str = "\
The noise model. A case is known by everything that was measured in it (scenario and parameters, but not seconds and \
core). Its figure is the median of its runs. How well that is known follows from the runs themselves: \
s = 1.4826 * (median absolute deviation of the runs), and the standard error of a median of n is e = 1.2533 * s / sqrt(n). \
If a file holds several results of a case (a history), their medians are the runs. \
The noise of a comparison is 3 * sqrt(e_old^2 + e_new^2), as a share of the old figure.

  worse    the figure is worse by more than --limit and by more than the noise
  better   the same, the other way round
  same     neither
  noisy    the noise is more than --noise, or not known, of fewer than three runs: measure again, longer or on a
           quiet machine
  missing  in OLD and not in NEW

Exit code: 0 if nothing is worse; 1 if a case is worse; 3 if none is worse, but one is noisy or missing; \
2 if the results can not be read or compared.";
