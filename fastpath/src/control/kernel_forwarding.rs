//! The kernel's own forwarding on our ports: off while the port is ours.
//!
//! The XDP program drops what no socket takes, and the supervisor keeps it attached while the daemon restarts. Should
//! both be killed, nothing is attached any more and the kernel sees every frame. It must not forward them past the
//! policy that ran here; so its forwarding switch of the device is off from the moment that the port opens, and is
//! put back when the port is given up in good order.
//!
//! What is off by us is written down in the run directory, so that the daemon's next life knows it and can put it back:
//! a line for each switch, `FAMILY DEVICE IFINDEX`. File and switches both go with the next boot.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::net::if_::if_nametoindex;

/// The file's name in the run directory.
const RECORD: &str = "kernel-forwarding";
/// Where the switches are. It shows the network namespace of who looks.
const SWITCHES: &str = "/proc/sys/net";
const FAMILIES: [&str; 2] = ["ipv4", "ipv6"];

/// A switch of one device. Another device of the same name has another number, and a switch of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Switch {
    family: String,
    device: String,
    ifindex: u32,
}

/// Switches that were on and are off now, by us or by an earlier life of ours.
#[derive(Debug)]
pub(super) struct KernelForwarding {
    record: PathBuf,
    switches: PathBuf,
    off: BTreeSet<Switch>,
}

impl KernelForwarding {
    /// With what an earlier life left in this run directory.
    pub(super) fn open(run_dir: &Path) -> Self {
        Self::open_at(run_dir, Path::new(SWITCHES))
    }

    fn open_at(run_dir: &Path, switches: &Path) -> Self {
        let record = run_dir.join(RECORD);
        // No file: nothing was left. What can not be read as a switch is none of ours.
        let text = fs::read_to_string(&record).unwrap_or_default();
        let off = text.lines().filter_map(Switch::read).collect();
        Self { record, switches: switches.to_owned(), off }
    }

    /// Switches it off for both families on a device of this network namespace.
    ///
    /// # Errors
    /// When a switch that is on can not be turned off, or (it is off then) that can not be written down. A family that
    /// the kernel lacks has no switch.
    pub(super) fn switch_off(&mut self, device: &str) -> io::Result<()> {
        let ifindex = if_nametoindex(device)?;
        // First written, then done: who is killed in between leaves nothing off that nobody knows of.
        let on = FAMILIES.map(|family| Switch { family: family.into(), device: device.into(), ifindex });
        let on: Vec<_> = on.into_iter().filter(|switch| self.is_on(switch)).collect();
        self.off.extend(on.iter().cloned());
        let written = self.write();
        for switch in on {
            fs::write(self.path(&switch), "0")?;
        }
        written
    }

    /// Puts it back on every device of which `is_ours` says no. A device that has gone needs nothing.
    pub(super) fn restore_except(&mut self, is_ours: impl Fn(&str) -> bool) {
        let (keep, back): (BTreeSet<_>, BTreeSet<_>) =
            std::mem::take(&mut self.off).into_iter().partition(|switch| is_ours(&switch.device));
        self.off = keep;
        for switch in back.iter().filter(|switch| switch.is_there()) {
            let _ = fs::write(self.path(switch), "1");
        }
        if !back.is_empty() {
            // A line too many makes the next life switch on what is on.
            let _ = self.write();
        }
    }

    fn is_on(&self, switch: &Switch) -> bool {
        fs::read_to_string(self.path(switch)).is_ok_and(|text| text.trim() != "0")
    }

    fn path(&self, switch: &Switch) -> PathBuf {
        self.switches.join(&switch.family).join("conf").join(&switch.device).join("forwarding")
    }

    fn write(&self) -> io::Result<()> {
        let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", self.record.display()));
        if self.off.is_empty() {
            return match fs::remove_file(&self.record) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(named(e)),
                Ok(()) | Err(_) => Ok(()),
            };
        }
        let text: String = self.off.iter().map(Switch::line).collect();
        // Whole or not at all.
        let new = self.record.with_extension("new");
        fs::write(&new, text).and_then(|()| fs::rename(&new, &self.record)).map_err(named)
    }
}

impl Switch {
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (family, device, ifindex) = (words.next()?, words.next()?, words.next()?.parse().ok()?);
        let is_name = !device.is_empty() && !device.contains('/') && !device.starts_with('.');
        let is_ours = FAMILIES.contains(&family) && is_name && words.next().is_none();
        is_ours.then(|| Self { family: family.to_owned(), device: device.to_owned(), ifindex })
    }

    fn line(&self) -> String {
        format!("{} {} {}\n", self.family, self.device, self.ifindex)
    }

    /// Is the device still the one that it was?
    fn is_there(&self) -> bool {
        if_nametoindex(self.device.as_str()).is_ok_and(|ifindex| ifindex == self.ifindex)
    }
}

#[cfg(test)]
mod tests;
