//! A core for the DUT alone.
//!
//! Kernel threads of the machine that may run anywhere (memory management, say) run on the DUT's core, too, for a millisecond at a
//! time, which no priority prevents if the kernel is not preemptible. In that time a device with room for 256 packets
//! loses what comes. They are told to stay away, and told otherwise afterwards.

use std::fs;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use super::placement::processes;

/// `PF_KTHREAD` and `PF_NO_SETAFFINITY` of the kernel's `sched.h`, in the ninth field of `/proc/PID/stat`.
const KERNEL_THREAD: u32 = 0x0020_0000;
const IMMOVABLE: u32 = 0x0400_0000;
/// Makes all kernel threads, which inherit from it.
const KTHREADD: i32 = 2;

/// As long as it lives, movable kernel threads that are there keep off a core.
#[derive(Debug)]
pub(super) struct Shield {
    moved: Vec<(Pid, CpuSet)>,
}

impl Shield {
    /// Best effort: those that will not go stay.
    pub(super) fn raise(core: usize) -> Self {
        Self::against(movable(), core)
    }

    fn against(threads: impl Iterator<Item = Pid>, core: usize) -> Self {
        Self { moved: threads.filter_map(|pid| move_off(pid, core).map(|was| (pid, was))).collect() }
    }
}

impl Drop for Shield {
    fn drop(&mut self) {
        for (pid, was) in &self.moved {
            // It may have ended.
            let _ = sched_setaffinity(*pid, was);
        }
    }
}

fn movable() -> impl Iterator<Item = Pid> {
    processes().filter(|pid| *pid != KTHREADD && is_movable(*pid)).map(Pid::from_raw)
}

fn is_movable(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    flags(&stat).is_some_and(|flags| flags & KERNEL_THREAD != 0 && flags & IMMOVABLE == 0)
}

/// The ninth field; the second one, in brackets, may have anything in it.
fn flags(stat: &str) -> Option<u32> {
    let (_, behind) = stat.rsplit_once(')')?;
    behind.split_whitespace().nth(6)?.parse().ok()
}

/// Returns where it was allowed to run, if it has been moved.
fn move_off(pid: Pid, core: usize) -> Option<CpuSet> {
    let was = sched_getaffinity(pid).ok()?;
    let mut rest = was;
    rest.unset(core).ok()?;
    let others = (0..CpuSet::count()).any(|cpu| rest.is_set(cpu).unwrap_or(false));
    (was.is_set(core).ok()? && others && sched_setaffinity(pid, &rest).is_ok()).then_some(was)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn flags_are_found_behind_any_name() {
        assert_eq!(flags("77 (a b) c) S 2 0 0 0 -1 69238848 0 0"), Some(69_238_848));
        assert_eq!(flags("77 (short) S 2"), None);
    }

    #[test]
    fn kernel_threads_are_meant_and_nobody_else() {
        let ours = std::process::id().cast_signed();
        assert!(!is_movable(ours));
        // Who makes them would make them elsewhere.
        assert!(movable().all(|pid| pid.as_raw() != KTHREADD && pid.as_raw() != ours));
    }

    #[test]
    fn threads_keep_off_the_core_and_are_allowed_back() {
        // Others that are measured at this moment move the machine's threads; this one is ours.
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed());
        let was = sched_getaffinity(pid).unwrap();
        let core = (0..CpuSet::count()).find(|cpu| was.is_set(*cpu).unwrap()).unwrap();
        let shield = Shield::against([pid].into_iter(), core);
        let now = sched_getaffinity(pid).unwrap();
        // With one core there is nowhere else to go.
        let is_alone = (0..CpuSet::count()).filter(|cpu| was.is_set(*cpu).unwrap()).count() == 1;
        assert_eq!(now.is_set(core).unwrap(), is_alone);
        drop(shield);
        assert_eq!(sched_getaffinity(pid).unwrap(), was);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
