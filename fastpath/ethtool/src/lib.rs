//! What a network device does by itself: its features, its queues, its driver. Read and set through the `SIOCETHTOOL`
//! ioctl, which every driver and every kernel has.
//!
//! A [`Device`] belongs to the network namespace of the thread that opened it, and may be used from any.
#![expect(unsafe_code, reason = "SIOCETHTOOL takes a pointer inside a struct ifreq; no safe wrapper exists")]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// A feature that changes what AF_XDP or a packet socket sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Feature {
    /// The device checks checksums of received packets.
    RxChecksum,
    /// Packets leave the stack with unfinished checksums (CHECKSUM_PARTIAL).
    TxChecksum,
    /// TCP segments leave the stack larger than the MTU.
    Tso,
    /// The stack segments late, in software.
    Gso,
    /// The stack joins received segments.
    Gro,
    /// The device joins received segments.
    Lro,
    /// VLAN tags are taken out of received frames.
    RxVlan,
    /// VLAN tags leave the stack beside the frame.
    TxVlan,
}

impl Feature {
    /// Every feature.
    pub const ALL: [Self; 8] = [
        Self::RxChecksum,
        Self::TxChecksum,
        Self::Tso,
        Self::Gso,
        Self::Gro,
        Self::Lro,
        Self::RxVlan,
        Self::TxVlan,
    ];

    /// The name `ethtool -k` shows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RxChecksum => "rx-checksumming",
            Self::TxChecksum => "tx-checksumming",
            Self::Tso => "tcp-segmentation-offload",
            Self::Gso => "generic-segmentation-offload",
            Self::Gro => "generic-receive-offload",
            Self::Lro => "large-receive-offload",
            Self::RxVlan => "rx-vlan-offload",
            Self::TxVlan => "tx-vlan-offload",
        }
    }

    /// How the kernel is asked: commands of their own, or a bit in the flags (linux/ethtool.h).
    const fn access(self) -> Access {
        match self {
            Self::RxChecksum => Access::Value { get: 0x14, set: 0x15 },
            Self::TxChecksum => Access::Value { get: 0x16, set: 0x17 },
            Self::Tso => Access::Value { get: 0x1e, set: 0x1f },
            Self::Gso => Access::Value { get: 0x23, set: 0x24 },
            Self::Gro => Access::Value { get: 0x2b, set: 0x2c },
            Self::TxVlan => Access::Flag(1 << 7),
            Self::RxVlan => Access::Flag(1 << 8),
            Self::Lro => Access::Flag(1 << 15),
        }
    }
}

/// Queues as the driver counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Channels {
    /// The most receive-only queues.
    pub max_rx: u32,
    /// The most transmit-only queues.
    pub max_tx: u32,
    /// The most queues that do both.
    pub max_combined: u32,
    /// Receive-only queues now.
    pub rx: u32,
    /// Transmit-only queues now.
    pub tx: u32,
    /// Queues that do both now.
    pub combined: u32,
}

impl Channels {
    /// Receive queues now.
    pub const fn rx_queues(&self) -> u32 {
        self.rx + self.combined
    }

    /// Transmit queues now.
    pub const fn tx_queues(&self) -> u32 {
        self.tx + self.combined
    }
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Longer than 15 bytes, empty, or with a zero byte.
    #[error("'{0}' cannot be a device name")]
    Name(String),
    /// The kernel refused.
    #[error("{device}: {what}: {source}")]
    Kernel {
        /// The device.
        device: String,
        /// What was asked.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel accepted, but the feature did not change: the driver fixes it.
    #[error("{device}: the driver does not let {feature} be turned {}", if *.wanted { "on" } else { "off" })]
    Fixed {
        /// The device.
        device: String,
        /// Which feature.
        feature: &'static str,
        /// What was wanted.
        wanted: bool,
    },
}

impl From<Error> for io::Error {
    /// The kernel's own answer, if it gave one.
    fn from(error: Error) -> Self {
        match error {
            Error::Kernel { source, .. } => source,
            Error::Name(_) => Self::new(io::ErrorKind::InvalidInput, error.to_string()),
            Error::Fixed { .. } => Self::new(io::ErrorKind::Unsupported, error.to_string()),
        }
    }
}

/// A device of one network namespace.
#[derive(Debug)]
pub struct Device {
    socket: OwnedFd,
    name: String,
}

impl Device {
    /// The device of this name in the calling thread's network namespace. Nothing is asked yet.
    ///
    /// # Errors
    /// When the name is impossible or no socket can be made.
    pub fn open(name: &str) -> Result<Self, Error> {
        if name.is_empty() || name.len() >= libc::IFNAMSIZ || name.contains('\0') {
            return Err(Error::Name(name.to_owned()));
        }
        let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).map_err(
            |source| Error::Kernel { device: name.to_owned(), what: "socket", source: source.into() },
        )?;
        Ok(Self { socket, name: name.to_owned() })
    }

    /// Is the feature on?
    ///
    /// # Errors
    /// When the device is gone.
    pub fn feature(&self, feature: Feature) -> Result<bool, Error> {
        match feature.access() {
            Access::Value { get, .. } => Ok(self.value(get, 0, feature.name())? != 0),
            Access::Flag(bit) => Ok(self.value(GET_FLAGS, 0, feature.name())? & bit != 0),
        }
    }

    /// Turns a feature on or off; nothing happens when it is so already.
    ///
    /// # Errors
    /// When the device is gone, the caller may not, or the driver fixes the feature.
    pub fn set_feature(&self, feature: Feature, on: bool) -> Result<(), Error> {
        if self.feature(feature)? == on {
            return Ok(());
        }
        match feature.access() {
            Access::Value { set, .. } => self.value(set, u32::from(on), feature.name())?,
            Access::Flag(bit) => {
                let flags = self.value(GET_FLAGS, 0, feature.name())?;
                self.value(SET_FLAGS, if on { flags | bit } else { flags & !bit }, feature.name())?
            }
        };
        if self.feature(feature)? == on {
            return Ok(());
        }
        Err(Error::Fixed { device: self.name.clone(), feature: feature.name(), wanted: on })
    }

    /// Turns features off, in this order, and remembers which were on.
    ///
    /// # Errors
    /// As [`Device::set_feature`]; what was turned off before the error is turned on again.
    pub fn turn_off(self, features: &[Feature]) -> Result<Saved, Error> {
        let mut before = Vec::new();
        for feature in features {
            // All are read before any is written: one off can take others along.
            if self.feature(*feature)? {
                before.push(*feature);
            }
        }
        let saved = Saved { device: self, were_on: before };
        for feature in &saved.were_on {
            saved.device.set_feature(*feature, false)?;
        }
        Ok(saved)
    }

    /// How many queues the device has.
    ///
    /// # Errors
    /// When the device is gone or its driver does not count queues (EOPNOTSUPP).
    pub fn channels(&self) -> Result<Channels, Error> {
        let mut request = RawChannels { command: GET_CHANNELS, ..RawChannels::default() };
        self.ioctl(&mut request, "channels")?;
        Ok(Channels {
            max_rx: request.max_rx,
            max_tx: request.max_tx,
            max_combined: request.max_combined,
            rx: request.rx,
            tx: request.tx,
            combined: request.combined,
        })
    }

    /// The driver's name, as in `veth` or `ixgbe`.
    ///
    /// # Errors
    /// When the device is gone.
    pub fn driver(&self) -> Result<String, Error> {
        let mut request = RawDriver { command: GET_DRIVER, driver: [0; 32], rest: [0; 160] };
        self.ioctl(&mut request, "driver")?;
        let name = CStr::from_bytes_until_nul(&request.driver).unwrap_or_default();
        Ok(name.to_string_lossy().into_owned())
    }

    fn value(&self, command: u32, value: u32, what: &'static str) -> Result<u32, Error> {
        let mut request = RawValue { command, value };
        self.ioctl(&mut request, what)?;
        Ok(request.value)
    }

    fn ioctl<T: Request>(&self, request: &mut T, what: &'static str) -> Result<(), Error> {
        let mut name = [0; libc::IFNAMSIZ];
        for (to, from) in name.iter_mut().zip(self.name.bytes()) {
            *to = from.cast_signed();
        }
        let data = std::ptr::from_mut(request).cast();
        let mut ifreq =
            libc::ifreq { ifr_name: name, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_data: data } };
        // SAFETY: the name is zero-terminated (`open` checked its length); `data` points to a live, exclusively
        // borrowed struct whose layout and size are those of its command, which `Request` promises.
        let result = unsafe { libc::ioctl(self.socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut ifreq) };
        if result < 0 {
            let source = io::Error::last_os_error();
            return Err(Error::Kernel { device: self.name.clone(), what, source });
        }
        Ok(())
    }
}

/// Features that were on before we turned them off. Dropped, it turns them on again.
#[derive(Debug)]
#[must_use = "dropped, it turns the features on again"]
pub struct Saved {
    device: Device,
    were_on: Vec<Feature>,
}

impl Saved {
    /// What was turned off.
    pub fn changed(&self) -> &[Feature] {
        &self.were_on
    }

    /// Turns them on again.
    ///
    /// # Errors
    /// The first feature that could not be; the others are tried all the same.
    pub fn restore(mut self) -> Result<(), Error> {
        let results: Vec<_> = self.take_back().collect();
        results.into_iter().collect()
    }

    /// Leaves them off for good.
    pub fn keep(mut self) {
        self.were_on.clear();
    }

    /// In the order of turning off: a feature may need one that was turned off before it.
    fn take_back(&mut self) -> impl Iterator<Item = Result<(), Error>> + '_ {
        let device = &self.device;
        self.were_on.drain(..).map(|feature| device.set_feature(feature, true))
    }
}

impl Drop for Saved {
    fn drop(&mut self) {
        // The device may be gone, and then there is nothing to restore.
        self.take_back().for_each(drop);
    }
}

enum Access {
    Value { get: u32, set: u32 },
    Flag(u32),
}

// linux/ethtool.h
const GET_DRIVER: u32 = 0x03;
const GET_FLAGS: u32 = 0x25;
const SET_FLAGS: u32 = 0x26;
const GET_CHANNELS: u32 = 0x3c;

/// A struct with the layout that linux/ethtool.h gives to the commands it is used with.
trait Request {}

/// `struct ethtool_value`.
#[repr(C)]
struct RawValue {
    command: u32,
    value: u32,
}

/// `struct ethtool_channels`.
#[repr(C)]
#[derive(Default)]
struct RawChannels {
    command: u32,
    max_rx: u32,
    max_tx: u32,
    max_other: u32,
    max_combined: u32,
    rx: u32,
    tx: u32,
    other: u32,
    combined: u32,
}

/// `struct ethtool_drvinfo`: what follows the driver's name is not read.
#[repr(C)]
struct RawDriver {
    command: u32,
    driver: [u8; 32],
    rest: [u8; 160],
}

const _: () = assert!(size_of::<RawValue>() == 8);
const _: () = assert!(size_of::<RawChannels>() == 36);
const _: () = assert!(size_of::<RawDriver>() == 196);

impl Request for RawValue {}
impl Request for RawChannels {}
impl Request for RawDriver {}
