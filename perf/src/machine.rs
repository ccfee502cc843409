//! What the figures were measured on.

use std::fs;
use std::time::Instant;

use serde::Serialize;
use ze_graph::{Pages, clock};

/// The machine, as far as it explains figures. Unknown is null.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    /// The CPU's name.
    pub(crate) cpu: Option<String>,
    /// Cores that this process may use.
    pub(crate) cores: usize,
    /// The kernel's release.
    pub(crate) kernel: Option<String>,
    /// Frequency governor of the worker's core; virtual machines have none.
    pub(crate) governor: Option<String>,
    /// Frequency of the time stamp counter, measured against the monotonic clock while the runs lasted.
    pub(crate) tsc_hz: u64,
    /// Pages that hold the frames.
    pub(crate) huge_pages: String,
    /// Processes that wanted to run, mean of the last minute: above 1 the machine is not quiet.
    pub(crate) load_average: Option<f64>,
    /// The revision that this program was built from.
    pub(crate) git_revision: Option<&'static str>,
}

impl Machine {
    /// Looks around.
    pub(crate) fn describe(core: usize, tsc_hz: u64, pages: Pages) -> Self {
        let governor = format!("/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor");
        Self {
            cpu: cpu_name(),
            cores: core_affinity::get_core_ids().map_or(0, |cores| cores.len()),
            kernel: line("/proc/sys/kernel/osrelease"),
            governor: line(&governor),
            tsc_hz,
            huge_pages: pages.to_string(),
            load_average: line("/proc/loadavg").and_then(|text| text.split(' ').next()?.parse().ok()),
            git_revision: option_env!("ZE_PERF_REVISION"),
        }
    }
}

fn line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn cpu_name() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let name = text.lines().find_map(|line| line.strip_prefix("model name"))?;
    Some(name.trim_start_matches(['\t', ' ', ':']).to_owned())
}

/// Measures the time stamp counter's frequency from its making to [`Stopwatch::hertz`].
pub(crate) struct Stopwatch {
    began: Instant,
    cycles: u64,
}

impl Stopwatch {
    /// Starts.
    pub(crate) fn start() -> Self {
        let (began, cycles) = reading();
        Self { began, cycles }
    }

    /// Cycles a second since the start.
    pub(crate) fn hertz(&self) -> u64 {
        let (now, cycles) = reading();
        let nanoseconds = now.duration_since(self.began).as_nanos().max(1);
        (u128::from(cycles.wrapping_sub(self.cycles)) * 1_000_000_000 / nanoseconds) as u64
    }
}

/// Both clocks at one moment: the closest of some tries, since the core may be taken away between the two.
fn reading() -> (Instant, u64) {
    let attempt = |_| {
        let before = clock::cycles();
        let now = Instant::now();
        let after = clock::cycles();
        (after.wrapping_sub(before), now, before)
    };
    let closest = (0..16).map(attempt).min_by_key(|(distance, ..)| *distance);
    closest.map_or_else(|| (Instant::now(), clock::cycles()), |(_, now, cycles)| (now, cycles))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_stopwatch_agrees_with_the_counters_stated_rate() {
        let watch = Stopwatch::start();
        while watch.began.elapsed() < Duration::from_millis(30) {
            std::hint::spin_loop();
        }
        let ratio = watch.hertz() as f64 / clock::hertz() as f64;
        assert!((ratio - 1.0).abs() < 0.05, "{ratio}");
    }
}
