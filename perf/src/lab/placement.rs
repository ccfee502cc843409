//! What runs on which core.
//!
//! On a veth the *sender's* core runs the receiver's soft interrupt: without care the generator would do the DUT's
//! receiving for it, and the DUT the sink's. So each device with NAPI (that is, with XDP or GRO) gets NAPI threads
//! (`/sys/class/net/DEV/threaded`), which are pinned to the core of whom the device belongs to. Devices without (kernel
//! forwarding behind a generator on sockets) get there by RPS. The threads have real-time priorities: above the tester and above a DUT that polls for
//! ever, below a DUT that sleeps.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::{Pid, gettid};
use ze_pktgen::lab::Namespace;

/// SCHED_FIFO priority of NAPI threads beside somebody who polls for ever: they interrupt, as an interrupt does. Beyond
/// its capacity such a core does nothing but receive (receive livelock), as with a network card.
const NAPI_PRIORITY_ABOVE: u8 = 20;
/// SCHED_FIFO priority of NAPI threads below a DUT that sleeps when it is idle: they run while it sleeps. What they do
/// not receive in time is lost before it has cost anything.
const NAPI_PRIORITY_BELOW: u8 = 5;
/// SCHED_FIFO priority of a DUT's threads that forward.
const DUT_PRIORITY: u8 = 10;
/// SCHED_FIFO priority of the tester.
const TESTER_PRIORITY: u8 = 10;

/// Which core does what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores {
    /// Generator and sink, their soft interrupts included.
    pub tester: usize,
    /// The DUT, its soft interrupts included.
    pub dut: usize,
}

/// Where NAPI threads stand on a core, if there are real-time priorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NapiRank {
    /// Above the core's other work.
    Above,
    /// Below it.
    Below,
}

/// Makes what comes by a device of `namespace` be received on `core`: by RPS, which is for devices without NAPI.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn steer(namespace: &Namespace, device: &str, core: usize) -> Result<()> {
    let mask = format!("{:x}", 1_u128 << core);
    let queues = format!("/sys/class/net/{device}/queues/rx-*");
    in_sysfs(namespace, &format!("for queue in {queues}; do echo {mask} >$queue/rps_cpus || exit 1; done"))
        .with_context(|| format!("steer {device} to core {core}"))
}

/// Makes what comes by a device be received on `core`, by pinned NAPI threads. The device's name is used nowhere else
/// on the machine. Returns how many threads there are: none if the device has no NAPI, as a veth without XDP or GRO.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn pin_napi(
    namespace: &Namespace,
    device: &str,
    core: usize,
    rank: Option<NapiRank>,
) -> Result<usize> {
    // Without NAPI the kernel refuses; that is seen by the threads that are not there.
    let _ = in_sysfs(namespace, &format!("echo 1 >/sys/class/net/{device}/threaded"));
    let prefix = format!("napi/{device}-");
    let mut pinned = 0;
    for pid in processes() {
        let name = name_of(&format!("/proc/{pid}"));
        if name.starts_with(&prefix) {
            pin(Pid::from_raw(pid), core).with_context(|| format!("pin {name}"))?;
            match rank {
                Some(NapiRank::Above) => fifo(pid, NAPI_PRIORITY_ABOVE)?,
                Some(NapiRank::Below) => fifo(pid, NAPI_PRIORITY_BELOW)?,
                None => {}
            }
            pinned += 1;
        }
    }
    Ok(pinned)
}

/// Makes NAPI of a device wait after a turn that had work, as cards do (`rx-usecs`). Without it a veth's sender wakes the
/// receiver again and again, for a few packets each time.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn moderate(namespace: &Namespace, device: &str, wait: Duration) -> Result<()> {
    if wait.is_zero() {
        return Ok(());
    }
    let nanoseconds = wait.as_nanos();
    let script = format!(
        "cd /sys/class/net/{device} && echo 2 >napi_defer_hard_irqs && echo {nanoseconds} >gro_flush_timeout"
    );
    in_sysfs(namespace, &script).with_context(|| format!("moderate interrupts of {device}"))
}

/// Runs a line of shell in which `/sys` is that of the namespace.
fn in_sysfs(namespace: &Namespace, script: &str) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace.name(), "sh", "-c", script]);
    let output = command.output().context("run ip netns exec")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

/// Gives the threads of a process and of its children the DUT's real-time priority, if their names begin like this.
/// Without it, whatever else the machine does takes turns with the DUT, and its queues run over.
///
/// # Errors
/// When the kernel refuses.
pub fn prioritize(pid: u32, names: &str) -> Result<usize> {
    let mut count = 0;
    for (tid, name) in threads(pid) {
        if name.starts_with(names) {
            fifo(tid, DUT_PRIORITY)?;
            count += 1;
        }
    }
    Ok(count)
}

/// Threads of a process and of its children, with their names.
fn threads(pid: u32) -> Vec<(i32, String)> {
    let tasks = format!("/proc/{pid}/task");
    let mut all = Vec::new();
    for entry in fs::read_dir(&tasks).into_iter().flatten().flatten() {
        let Some(tid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        all.push((tid, name_of(&format!("{tasks}/{tid}"))));
        let children = fs::read_to_string(format!("{tasks}/{tid}/children")).unwrap_or_default();
        all.extend(children.split_whitespace().filter_map(|pid| pid.parse().ok()).flat_map(threads));
    }
    all
}

fn name_of(directory: &str) -> String {
    fs::read_to_string(format!("{directory}/comm")).unwrap_or_default().trim().to_owned()
}

/// Takes the calling thread to a core.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn pin_this_thread(core: usize) -> Result<()> {
    pin(gettid(), core).with_context(|| format!("pin a thread to core {core}"))
}

/// Takes the calling thread to the tester's core.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn take_tester_core(core: usize, realtime: bool) -> Result<()> {
    pin_this_thread(core)?;
    if realtime {
        fifo(gettid().as_raw(), TESTER_PRIORITY)?;
    }
    Ok(())
}

pub(super) fn processes() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn pin(pid: Pid, core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    Ok(sched_setaffinity(pid, &set)?)
}

fn fifo(pid: i32, priority: u8) -> Result<()> {
    let output = Command::new("chrt").args(["-f", "-p", &priority.to_string(), &pid.to_string()]).output();
    let output = output.context("run chrt")?;
    ensure!(output.status.success(), "chrt: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Stdio;
    use std::time::{Duration, Instant};

    #[test]
    fn threads_of_a_process_and_of_its_children_are_found_by_name() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "cat & cat"]).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut shell = shell.spawn().unwrap();
        let names = || threads(shell.id()).into_iter().map(|(_, name)| name).collect::<Vec<_>>();
        // A child has its own name only once it runs its own program.
        let deadline = Instant::now() + Duration::from_secs(20);
        let tries = std::iter::repeat_with(names).take_while(|_| Instant::now() < deadline);
        let all = tries.into_iter().find(|names| names.iter().any(|name| name == "cat"));
        assert!(all.is_some_and(|names| names.len() >= 2), "{:?}", threads(shell.id()));
        drop(shell.stdin.take());
        shell.wait().unwrap();
        assert!(threads(shell.id()).is_empty());
    }
}
