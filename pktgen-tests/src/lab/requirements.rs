//! What a lab needs of the machine, and what a test does without it.

use std::env;
use std::fmt;
use std::path::Path;

use nix::unistd::geteuid;

/// Something the machine lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What.
    pub what: &'static str,
    /// What it is needed for.
    pub needed_for: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (needed for {}; {})", self.what, self.needed_for, self.remedy)
    }
}

/// The preconditions of a lab.
#[derive(Clone, Copy, Debug)]
pub struct Requirements;

/// The tools a lab runs, and where they come from.
const TOOLS: [(&str, &str, &str); 4] = [
    ("ip", "namespaces, links, addresses and routes", "apt install iproute2"),
    ("tc", "queueing disciplines", "apt install iproute2"),
    ("ethtool", "switching offloads off", "apt install ethtool"),
    ("setsid", "the lab's reaper", "apt install util-linux"),
];

impl Requirements {
    /// What is missing for a lab with hosts and kernel forwarding.
    #[must_use]
    pub fn check() -> Vec<Missing> {
        let root = (!geteuid().is_root()).then_some(Missing {
            what: "root",
            needed_for: "network namespaces",
            remedy: "run it with sudo",
        });
        let tools = TOOLS.iter().filter(|(name, ..)| !on_path(name));
        let tools = tools.map(|&(what, needed_for, remedy)| Missing { what, needed_for, remedy });
        root.into_iter().chain(tools).collect()
    }

    /// As [`Requirements::check`], and what AF_XDP and BPF need besides.
    #[must_use]
    pub fn check_with_xdp() -> Vec<Missing> {
        let btf = Path::new("/sys/kernel/btf/vmlinux").exists();
        let btf = (!btf).then_some(Missing {
            what: "/sys/kernel/btf/vmlinux",
            needed_for: "loading BPF programs",
            remedy: "boot a kernel with CONFIG_DEBUG_INFO_BTF=y",
        });
        Self::check().into_iter().chain(btf).collect()
    }
}

fn on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// For tests: true when nothing is missing. Otherwise says `SKIPPED` and why, and returns false, so that the test
/// can return.
///
/// # Panics
/// With `CI=true` or `ZE_REQUIRE_ALL=1` in the environment: there, a test that cannot run is a failure.
#[must_use]
pub fn skip_or_fail(missing: &[Missing]) -> bool {
    let Some(text) = skip_reason(missing) else { return true };
    let (ci, all) = (env::var("CI").ok(), env::var("ZE_REQUIRE_ALL").ok());
    assert!(!must_run(ci.as_deref(), all.as_deref()), "this test must run here, but needs {text}");
    // Straight to the descriptor: the test harness would swallow `eprintln!` of a test that passes.
    let line = format!("SKIPPED: needs {text}\n");
    let _ = rustix::io::write(rustix::stdio::stderr(), line.as_bytes());
    false
}

/// By the values of `CI`, as CI services set it, and of `ZE_REQUIRE_ALL`.
fn must_run(ci: Option<&str>, require_all: Option<&str>) -> bool {
    matches!(ci, Some("true" | "1")) || require_all == Some("1")
}

fn skip_reason(missing: &[Missing]) -> Option<String> {
    let texts: Vec<String> = missing.iter().map(Missing::to_string).collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

/// What a test may return.
pub trait TestOutcome {
    /// The value of a test that did not run.
    fn skipped() -> Self;
}

impl TestOutcome for () {
    fn skipped() -> Self {}
}

impl<E> TestOutcome for Result<(), E> {
    fn skipped() -> Self {
        Ok(())
    }
}

/// At the start of a test: returns from it, visibly, when the machine cannot carry a lab; fails it in CI.
#[macro_export]
macro_rules! require_lab {
    () => {
        if !$crate::lab::skip_or_fail(&$crate::lab::Requirements::check()) {
            return $crate::lab::TestOutcome::skipped();
        }
    };
}

/// As [`require_lab!`], for a test that needs AF_XDP and BPF, too.
#[macro_export]
macro_rules! require_lab_with_xdp {
    () => {
        if !$crate::lab::skip_or_fail(&$crate::lab::Requirements::check_with_xdp()) {
            return $crate::lab::TestOutcome::skipped();
        }
    };
}

#[cfg(test)]
mod tests;
