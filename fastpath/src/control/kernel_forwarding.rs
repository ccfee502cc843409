//! The kernel's own forwarding on our ports: off while the port is ours.
//!
//! The XDP program drops what no socket takes, and the supervisor keeps it attached while the daemon restarts. Should
//! both be killed, nothing is attached any more and the kernel sees every frame. It must not forward them past the
//! policy that ran here; so its forwarding switch of the device is off from the moment that the port opens, and is
//! put back only at an orderly close.

use std::fs;
use std::io;
use std::path::PathBuf;

/// Switches that were on and are put back by [`KernelForwarding::restore`].
#[derive(Debug, Default)]
pub(super) struct KernelForwarding {
    switched_off: Vec<PathBuf>,
}

impl KernelForwarding {
    /// Switches it off for both families on a device of this network namespace.
    ///
    /// # Errors
    /// When a switch that is on can not be turned off. A family that the kernel lacks has no switch.
    pub(super) fn switch_off(device: &str) -> io::Result<Self> {
        let mut this = Self::default();
        for family in ["ipv4", "ipv6"] {
            let path = PathBuf::from(format!("/proc/sys/net/{family}/conf/{device}/forwarding"));
            match fs::read_to_string(&path) {
                Ok(text) if text.trim() != "0" => {
                    fs::write(&path, "0")?;
                    this.switched_off.push(path);
                }
                Ok(_) | Err(_) => {}
            }
        }
        Ok(this)
    }

    /// Puts it back. A device that has gone needs nothing.
    pub(super) fn restore(self) {
        for path in self.switched_off {
            let _ = fs::write(path, "1");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_does_not_exist_has_nothing_to_switch() {
        let none = KernelForwarding::switch_off("ze-no-device").unwrap();
        assert!(none.switched_off.is_empty());
        none.restore();
    }
}
