//! What the figures were measured on.

use std::time::Instant;
use std::{fmt, fs};

use serde::{Deserialize, Serialize};
use ze_graph::clock;

/// The machine, as far as it explains figures. Unknown is null.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// The CPU's name.
    pub cpu: Option<String>,
    /// Cores that are online.
    pub cores: usize,
    /// The hypervisor, if it is a virtual machine that says so.
    pub hypervisor: Option<String>,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// Frequency governor of the worker's core; virtual machines have none.
    pub governor: Option<String>,
    /// Frequency of the time stamp counter, measured against the monotonic clock while the runs lasted.
    pub tsc_hz: u64,
    /// Pages that hold the frames, or the tables.
    pub huge_pages: String,
    /// Processes that wanted to run, mean of the last minute: above 1 the machine is not quiet.
    pub load_average: Option<f64>,
    /// The revision that this program was built from.
    pub git_revision: Option<String>,
}

impl Machine {
    /// Looks around.
    #[must_use]
    pub fn describe(core: usize, tsc_hz: u64, pages: impl ToString) -> Self {
        let governor = format!("/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor");
        Self {
            cpu: cpu_name(),
            cores: cores(),
            hypervisor: hypervisor(),
            kernel: line("/proc/sys/kernel/osrelease"),
            governor: line(&governor),
            tsc_hz,
            huge_pages: pages.to_string(),
            load_average: line("/proc/loadavg").and_then(|text| text.split(' ').next()?.parse().ok()),
            git_revision: option_env!("ZE_PERF_REVISION").map(str::to_owned),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
        write!(
            out,
            "{}, {} cores, TSC {:.3} GHz, Linux {}, governor {}, {}, load {}, revision {}",
            known(&self.cpu),
            self.cores,
            self.tsc_hz as f64 / 1e9,
            known(&self.kernel),
            known(&self.governor),
            self.huge_pages,
            known(&self.load_average.map(|load| load.to_string())),
            known(&self.git_revision),
        )
    }
}

pub(crate) fn line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Not those that this thread may use: it is held on one of them.
fn cores() -> usize {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.lines().filter(|line| line.starts_with("processor")).count()
}

fn cpu_name() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let name = text.lines().find_map(|line| line.strip_prefix("model name"))?;
    Some(name.trim_start_matches(['\t', ' ', ':']).to_owned())
}

/// What CPUID's flag says, and the firmware's name for it.
fn hypervisor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let flags = text.lines().find(|line| line.starts_with("flags"))?;
    flags.split(' ').any(|flag| flag == "hypervisor").then(|| {
        line("/sys/class/dmi/id/sys_vendor")
            .map_or_else(|| "yes".to_owned(), |vendor| format!("yes, {vendor}"))
    })
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
