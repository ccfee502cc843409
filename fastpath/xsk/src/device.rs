//! A network device, by name and index.

use std::fmt;
use std::io;

use rustix::net::netdevice::{index_to_name, name_to_index};
use ze_graph::FRAME_BYTES_MAX;
use ze_packet::MacAddr;

use crate::{Error, Result, ioctl, netlink};

/// Ethernet header and two VLAN tags: what a frame has beside its MTU's worth.
const L2_BYTES_MAX: u32 = 14 + 2 * 4;
/// The largest MTU whose frames fit a chunk.
pub const MTU_MAX: u32 = FRAME_BYTES_MAX as u32 - L2_BYTES_MAX;

/// A device of the network namespace that the calling thread is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    name: String,
    ifindex: u32,
}

impl Device {
    /// Finds a device by its name.
    ///
    /// # Errors
    /// When there is none.
    pub fn by_name(name: &str) -> Result<Self> {
        let missing = || Error::NoDevice(format!("'{name}'"));
        let socket = ioctl::control_socket().map_err(|_| missing())?;
        let ifindex = name_to_index(&socket, name).map_err(|_| missing())?;
        Ok(Self { name: name.to_owned(), ifindex })
    }

    /// Finds a device by its index.
    ///
    /// # Errors
    /// When there is none.
    pub fn by_index(ifindex: u32) -> Result<Self> {
        let missing = || Error::NoDevice(format!("with index {ifindex}"));
        let socket = ioctl::control_socket().map_err(|_| missing())?;
        let name = index_to_name(&socket, ifindex).map_err(|_| missing())?;
        Ok(Self { name, ifindex })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its index.
    pub const fn ifindex(&self) -> u32 {
        self.ifindex
    }

    /// Its Ethernet address.
    ///
    /// # Errors
    /// When it is gone.
    pub fn mac(&self) -> Result<MacAddr> {
        let mac = ioctl::mac(&self.name).map_err(|source| self.failed("read the MAC address", source))?;
        Ok(MacAddr(mac))
    }

    /// Its MTU, bytes from L3 on.
    ///
    /// # Errors
    /// When it is gone.
    pub fn mtu(&self) -> Result<u32> {
        ioctl::mtu(&self.name).map_err(|source| self.failed("read the MTU", source))
    }

    /// Its driver's name, empty for devices that have none.
    pub fn driver(&self) -> String {
        let device = ze_ethtool::Device::open(&self.name);
        device.and_then(|device| device.driver()).unwrap_or_default()
    }

    /// How many receive queues it has now.
    ///
    /// # Errors
    /// When it is gone.
    pub fn rx_queues(&self) -> Result<u32> {
        let device = ze_ethtool::Device::open(&self.name);
        let asked = device.and_then(|device| device.channels()).map(|channels| channels.rx_queues());
        // Drivers that do not answer (lo, tun) have as many as were made.
        let asked = asked.or_else(|_| netlink::rx_queues(self.ifindex));
        Ok(asked.map_err(|source| self.failed("count the receive queues", source))?.max(1))
    }

    /// Do all frames of the device fit a chunk?
    pub(crate) fn check_mtu(&self) -> Result<()> {
        let mtu = self.mtu()?;
        if mtu > MTU_MAX {
            return Err(Error::Mtu { device: self.name.clone(), mtu, largest: MTU_MAX });
        }
        Ok(())
    }

    pub(crate) fn failed(&self, step: &'static str, source: io::Error) -> Error {
        Error::Device { device: self.name.clone(), step, source }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (index {})", self.name, self.ifindex)
    }
}
