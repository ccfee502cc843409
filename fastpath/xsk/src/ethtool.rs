//! What ethtool tells and sets: queues, driver, and the offloads that do not go with AF_XDP.

use std::ffi::CStr;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use crate::ioctl::{self, Channels, DriverInfo, EthtoolRequest, Value};

// Commands of linux/ethtool.h.
const GDRVINFO: u32 = 0x03;
const GFLAGS: u32 = 0x25;
const SFLAGS: u32 = 0x26;
const GGRO: u32 = 0x2b;
const SGRO: u32 = 0x2c;
const GCHANNELS: u32 = 0x3c;
// Flags of GFLAGS.
const FLAG_RXVLAN: u32 = 1 << 8;
const FLAG_LRO: u32 = 1 << 15;

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

impl fmt::Display for Offload {
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
    /// Belongs to the device's network namespace, wherever the thread that restores is by then.
    socket: OwnedFd,
    device: String,
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
        ioctl::mtu(device)?;
        let socket = ioctl::control_socket()?;
        let mut offloads = Self { socket, device: device.to_owned(), changed: vec![], kept: vec![] };
        for offload in [Offload::Gro, Offload::Lro, Offload::RxVlan] {
            // What cannot be read is not there.
            if offloads.is_on(offload).unwrap_or(false) {
                match offloads.set(offload, false) {
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
        changed.into_iter().map(|offload| self.set(offload, true)).fold(Ok(()), Result::and)
    }

    fn is_on(&self, offload: Offload) -> io::Result<bool> {
        Ok(match offload {
            Offload::Gro => self.value(GGRO, 0)? != 0,
            Offload::Lro => self.value(GFLAGS, 0)? & FLAG_LRO != 0,
            Offload::RxVlan => self.value(GFLAGS, 0)? & FLAG_RXVLAN != 0,
        })
    }

    fn set(&self, offload: Offload, on: bool) -> io::Result<()> {
        let flag = match offload {
            Offload::Gro => return self.value(SGRO, u32::from(on)).map(drop),
            Offload::Lro => FLAG_LRO,
            Offload::RxVlan => FLAG_RXVLAN,
        };
        let flags = self.value(GFLAGS, 0)?;
        let wanted = if on { flags | flag } else { flags & !flag };
        self.value(SFLAGS, wanted).map(drop)
    }

    fn value(&self, command: u32, data: u32) -> io::Result<u32> {
        let mut request = Value { command, data };
        ioctl::ethtool(self.socket.as_fd(), &self.device, &mut request)?;
        Ok(request.data)
    }
}

impl Drop for Offloads {
    fn drop(&mut self) {
        // Best effort: with the device gone there is nothing to restore.
        let _ = self.undo();
    }
}

/// How many receive queues a device has.
pub(crate) fn rx_queues(device: &str) -> io::Result<u32> {
    let channels = ask(device, Channels { command: GCHANNELS, ..Default::default() })?;
    Ok(channels.rx + channels.combined)
}

/// The name of a device's driver.
pub(crate) fn driver(device: &str) -> io::Result<String> {
    let info = ask(device, DriverInfo { command: GDRVINFO, driver: [0; 32], rest: [0; 160] })?;
    Ok(CStr::from_bytes_until_nul(&info.driver).unwrap_or_default().to_string_lossy().into_owned())
}

fn ask<R: EthtoolRequest>(device: &str, mut request: R) -> io::Result<R> {
    let socket = ioctl::control_socket()?;
    ioctl::ethtool(socket.as_fd(), device, &mut request)?;
    Ok(request)
}
