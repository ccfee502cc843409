//! The offloads of a device that do not go with AF_XDP.

use std::fmt;
use std::io;

use ze_ethtool::{Device, Feature};

/// An offload that was switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offload {
    /// Generic receive offload: in generic mode the program would see several frames merged into one.
    Gro,
    /// Large receive offload: the device itself merges frames.
    Lro,
    /// Receive VLAN stripping: the device takes the tag away, and AF_XDP has no place to tell it.
    RxVlan,
}

impl Offload {
    const ALL: [Self; 3] = [Self::Gro, Self::Lro, Self::RxVlan];

    const fn feature(self) -> Feature {
        match self {
            Self::Gro => Feature::Gro,
            Self::Lro => Feature::Lro,
            Self::RxVlan => Feature::RxVlan,
        }
    }
}

impl fmt::Display for Offload {
    /// As `ethtool -K` calls it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gro => "gro",
            Self::Lro => "lro",
            Self::RxVlan => "rxvlan",
        })
    }
}

/// Offloads that were switched off on a device; they come back when this goes.
#[derive(Debug)]
pub struct Offloads {
    /// Belongs to its network namespace, wherever the thread that restores is by then.
    device: Device,
    changed: Vec<Offload>,
    /// What the driver would not switch off.
    kept: Vec<String>,
}

impl Offloads {
    /// Switches off what merges frames or takes tags away.
    ///
    /// # Errors
    /// When there is no such device. An offload that cannot be changed is no error: see [`Offloads::kept`].
    pub fn switch_off(device: &str) -> io::Result<Self> {
        crate::ioctl::mtu(device)?;
        let mut offloads = Self { device: Device::open(device)?, changed: vec![], kept: vec![] };
        for offload in Offload::ALL {
            // What cannot be read is not there.
            if offloads.device.feature(offload.feature()).unwrap_or(false) {
                match offloads.device.set_feature(offload.feature(), false) {
                    Ok(()) => offloads.changed.push(offload),
                    Err(why) => offloads.kept.push(format!("{offload} ({why})")),
                }
            }
        }
        Ok(offloads)
    }

    /// What was switched off.
    pub fn changed(&self) -> &[Offload] {
        &self.changed
    }

    /// What is on and would not go off, with the reason.
    pub fn kept(&self) -> &[String] {
        &self.kept
    }

    /// Switches on again what was switched off.
    ///
    /// # Errors
    /// When the device is gone, or refuses.
    pub fn restore(mut self) -> io::Result<()> {
        self.undo()
    }

    fn undo(&mut self) -> io::Result<()> {
        let changed = std::mem::take(&mut self.changed);
        let back = |offload: Offload| Ok(self.device.set_feature(offload.feature(), true)?);
        changed.into_iter().map(back).fold(Ok(()), Result::and)
    }
}

impl Drop for Offloads {
    fn drop(&mut self) {
        // Best effort: with the device gone there is nothing to restore.
        let _ = self.undo();
    }
}
