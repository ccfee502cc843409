//! A network on one machine: hosts in network namespaces, joined by veths, with real traffic between them.
//!
//! ```no_run
//! use ze_pktgen::lab::{Lab, PingOptions, VethOptions, ping};
//!
//! # fn main() -> Result<(), ze_pktgen::lab::LabError> {
//! let lab = Lab::new("example")?;
//! let (lan, wan) = (lab.namespace("lan")?, lab.namespace("wan")?);
//! lab.veth(&lan, "eth0", &wan, "eth0", &VethOptions::default())?;
//! lan.address("eth0", "10.0.0.1/24")?;
//! wan.address("eth0", "10.0.0.2/24")?;
//! let report = ping(&lan, "10.0.0.2".parse().unwrap(), &PingOptions::default())?;
//! assert_eq!(report.sent, report.received);
//! # Ok(())
//! # }
//! ```
//!
//! **Nothing is left behind.** Everything a lab makes carries its prefix, `ze-<name>-<pid>`. Dropping the [`Lab`] removes
//! it, a panic included. When the owner is killed, the lab's *reaper*, a small detached shell script that waits on
//! a pipe only the owner holds open, does the same. If even that is killed, the next [`Lab::new`] finds the
//! lab's directory without an owner holding its lock, and sweeps it.

mod command;
mod error;
mod error_queue;
mod namespace;
mod path_mtu;
mod ping;
mod process;
mod raw;
mod reaper;
mod requirements;
mod router;
mod tcp;
mod traceroute;
mod udp;
mod udp_window;
mod veth;
mod wait;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

pub use error::LabError;
pub use error_queue::IcmpReport;
pub use namespace::{LinkCounters, Namespace};
pub use path_mtu::{PathMtuReport, path_mtu};
pub use ping::{PingOptions, PingReport, RoundTrip, ping};
pub use process::Process;
pub use raw::{CapturedFrame, RawPort};
pub use requirements::{Missing, Requirements, TestOutcome, skip_or_fail};
pub use router::{KernelRouter, KernelRouterOptions, RouterSide};
pub use tcp::{Progress, TransferOptions, TransferReport, tcp_transfer};
pub use traceroute::{Hop, TracerouteOptions, traceroute};
pub use udp::{UdpCounts, UdpEcho, UdpOptions, UdpReport, UdpStream};
pub(crate) use udp_window::{Arrival, SequenceWindow};
pub use veth::{Qdisc, VethOptions};
pub use wait::{Interrupt, wait_for, wait_until};

use error::Context;
use reaper::{Order, Reaper};

/// Labs a process may own over its life before the search for a free name gives up.
const LABS_PER_PROCESS_MAX: u32 = 10_000;

/// A set of namespaces, links and processes which disappears with its owner.
#[derive(Debug)]
pub struct Lab {
    shared: Arc<Shared>,
    reaper: Option<Reaper>,
    /// Held for as long as the lab has an owner; see [`Lab::sweep_stale`].
    _lock: reaper::OwnerLock,
}

/// What namespaces and processes need to know of their lab.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) prefix: String,
    pub(crate) directory: PathBuf,
    pub(crate) interrupt: Interrupt,
    pub(crate) kept: AtomicBool,
    serial: AtomicU32,
}

impl Shared {
    /// A number not handed out before in this lab.
    pub(crate) fn serial(&self) -> u32 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }
}

/// A lab found on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabSummary {
    /// The prefix of everything in it; [`Lab::remove`] takes it.
    pub prefix: String,
    /// Its owner is alive.
    pub owned: bool,
    /// It was left running on purpose, by [`Lab::keep`].
    pub kept: bool,
}

/// A lab left running on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptLab {
    /// The prefix of everything in it; [`Lab::remove`] takes it.
    pub prefix: String,
    /// A shell command that removes it.
    pub remove_command: String,
}

impl Lab {
    /// Starts an empty lab called `name` (lower-case letters, digits and dashes, at most 24, no digit after a dash),
    /// after sweeping labs whose owner is gone.
    ///
    /// # Errors
    /// A name that is not usable, or a missing right: see [`Requirements::check`].
    pub fn new(name: &str) -> Result<Self, LabError> {
        Self::with_interrupt(name, &Interrupt::default())
    }

    /// As [`Lab::new`], with a request to stop that exists already, in a signal handler for one.
    ///
    /// # Errors
    /// As [`Lab::new`].
    pub fn with_interrupt(name: &str, interrupt: &Interrupt) -> Result<Self, LabError> {
        check_lab_name(name)?;
        Self::sweep_stale()?;
        for attempt in 1..LABS_PER_PROCESS_MAX {
            let prefix = prefix(name, std::process::id(), attempt);
            if let Some(lock) = reaper::claim(&prefix)? {
                return Self::with_prefix(prefix, lock, interrupt.clone());
            }
        }
        Err(LabError::Name { kind: "lab", name: name.to_owned(), reason: "too many labs of this name" })
    }

    fn with_prefix(prefix: String, lock: reaper::OwnerLock, interrupt: Interrupt) -> Result<Self, LabError> {
        let reaper = Reaper::start(&prefix)?;
        let shared = Shared {
            directory: reaper::directory(&prefix),
            prefix,
            interrupt,
            kept: AtomicBool::new(false),
            serial: AtomicU32::new(0),
        };
        Ok(Self { shared: Arc::new(shared), reaper: Some(reaper), _lock: lock })
    }

    /// The beginning of the name of everything in this lab: `ze-<name>-<pid>`.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.shared.prefix
    }

    /// The lab's own directory, for logs, sockets and configuration; removed with the lab.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.shared.directory
    }

    /// The full name a namespace called `label` has, or would have, in this lab.
    #[must_use]
    pub fn namespace_name(&self, label: &str) -> String {
        format!("{}-{label}", self.shared.prefix)
    }

    /// Makes a namespace: `lo` up, not forwarding, no IPv6 autoconfiguration and no duplicate address detection.
    ///
    /// # Errors
    /// When `ip` fails or the name is taken or not usable.
    pub fn namespace(&self, label: &str) -> Result<Namespace, LabError> {
        check_name("namespace", label, 32)?;
        Namespace::create(Arc::clone(&self.shared), label)
    }

    /// As [`Lab::namespace`], with IPv6 disabled: a host that sends nothing by itself, for tests of raw frames.
    ///
    /// # Errors
    /// As [`Lab::namespace`].
    pub fn quiet_namespace(&self, label: &str) -> Result<Namespace, LabError> {
        let namespace = self.namespace(label)?;
        namespace.sysctl("net.ipv6.conf.all.disable_ipv6", "1")?;
        namespace.sysctl("net.ipv6.conf.default.disable_ipv6", "1")?;
        Ok(namespace)
    }

    /// A handle on a namespace which something else made under [`Lab::namespace_name`], such as the punt namespace
    /// of a fast path. It goes with the lab like all others.
    ///
    /// # Errors
    /// When it does not exist.
    pub fn adopt(&self, label: &str) -> Result<Namespace, LabError> {
        check_name("namespace", label, 32)?;
        Namespace::adopt(Arc::clone(&self.shared), label)
    }

    /// Joins two namespaces: `device_a` in `a` and `device_b` in `b` are the two ends of one cable, both up.
    ///
    /// # Errors
    /// When `ip`, `ethtool` or `tc` fails.
    pub fn veth(
        &self,
        a: &Namespace,
        device_a: &str,
        b: &Namespace,
        device_b: &str,
        options: &VethOptions,
    ) -> Result<(), LabError> {
        veth::create(a, device_a, b, device_b, options)
    }

    /// The lab's request to stop; set it from a Ctrl-C handler and let the stack unwind.
    #[must_use]
    pub fn interrupt(&self) -> Interrupt {
        self.shared.interrupt.clone()
    }

    /// Adds a shell command to what is run when the lab is taken apart, after its processes are killed and before
    /// its namespaces are deleted; also when the owner was killed. All commands together have 10 s.
    ///
    /// # Errors
    /// When the lab's directory cannot be written.
    pub fn on_cleanup(&self, command: &str) -> Result<(), LabError> {
        use std::io::Write;
        let path = self.shared.directory.join(reaper::CLEANUP_FILE);
        let append = || -> io::Result<()> {
            let mut file = fs::OpenOptions::new().create(true).append(true).open(&path)?;
            writeln!(file, "{command}")
        };
        append().context(|| format!("write {}", path.display()))
    }

    /// Leaves everything running, namespaces and processes, and says how to remove it.
    ///
    /// # Errors
    /// When the lab's directory cannot be written; then the lab is removed as usual.
    pub fn keep(mut self) -> Result<KeptLab, LabError> {
        let path = self.shared.directory.join(reaper::KEPT_FILE);
        fs::write(&path, b"").context(|| format!("write {}", path.display()))?;
        self.shared.kept.store(true, Ordering::Relaxed);
        if let Some(reaper) = self.reaper.take() {
            reaper.finish(&Order::Keep);
        }
        let prefix = self.shared.prefix.clone();
        Ok(KeptLab { remove_command: reaper::remove_command(&prefix), prefix })
    }

    /// Removes the lab with this prefix, whoever owns it.
    ///
    /// # Errors
    /// When `prefix` is not a lab's, or the removal fails.
    pub fn remove(prefix: &str) -> Result<(), LabError> {
        reaper::remove(prefix)
    }

    /// Removes labs whose owner is gone and that were not kept; returns their prefixes.
    ///
    /// # Errors
    /// When the directory of labs cannot be read, or a removal fails.
    pub fn sweep_stale() -> Result<Vec<String>, LabError> {
        let stale = Self::list()?.into_iter().filter(|lab| !lab.owned && !lab.kept);
        stale.map(|lab| reaper::remove(&lab.prefix).map(|()| lab.prefix)).collect()
    }

    /// The labs on this machine.
    ///
    /// # Errors
    /// When the directory of labs cannot be read.
    pub fn list() -> Result<Vec<LabSummary>, LabError> {
        reaper::list()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(reaper) = self.reaper.take() {
            reaper.finish(&Order::Remove);
        }
    }
}

/// `ze-<name>-<pid>` for the first lab of a name in a process, `ze-<name>-<pid>.<n>` for later ones.
///
/// The dot matters: everything in a lab starts with its prefix and a dash, and no lab's names may start like
/// another's. So does the rule of [`check_lab_name`] about digits.
fn prefix(name: &str, pid: u32, attempt: u32) -> String {
    if attempt == 1 {
        return format!("ze-{name}-{pid}");
    }
    format!("ze-{name}-{pid}.{attempt}")
}

/// With a digit after a dash, lab `a-1` of process 2 would lie among the names of lab `a` of process 1.
fn check_lab_name(name: &str) -> Result<(), LabError> {
    check_name("lab", name, 24)?;
    if name.split('-').skip(1).any(|word| word.starts_with(|first: char| first.is_ascii_digit())) {
        let reason = "a digit follows a dash";
        return Err(LabError::Name { kind: "lab", name: name.to_owned(), reason });
    }
    Ok(())
}

fn check_name(kind: &'static str, name: &str, length_max: usize) -> Result<(), LabError> {
    let error = |reason| Err(LabError::Name { kind, name: name.to_owned(), reason });
    if name.is_empty() || name.len() > length_max {
        return error("it is empty or too long");
    }
    if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        return error("only a-z, 0-9 and - are allowed");
    }
    if name.starts_with('-') {
        return error("it starts with a dash");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
