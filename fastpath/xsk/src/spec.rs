//! What a port is to be, and what it became.

use std::fmt;

use ze_packet::{MacAddr, PortId};
use ze_redirect::{Link, Mode, NoSocket};

use std::sync::Arc;

use crate::{Device, Lanes, Offload};

/// A way to receive and send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindMode {
    /// The driver works on our frames.
    ZeroCopy,
    /// The kernel copies, behind a program in the driver.
    Copy,
    /// The kernel copies, behind a program in the stack.
    Generic,
}

impl BindMode {
    pub(crate) const fn xdp_mode(self) -> Mode {
        match self {
            Self::ZeroCopy | Self::Copy => Mode::Native,
            Self::Generic => Mode::Generic,
        }
    }

    pub(crate) const fn is_zero_copy(self) -> bool {
        matches!(self, Self::ZeroCopy)
    }
}

impl fmt::Display for BindMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ZeroCopy => "zero copy",
            Self::Copy => "copy",
            Self::Generic => "generic",
        })
    }
}

/// Frames kept on the receive side of each queue: 1 ms of minimal frames at 1.5 Mpps, with room.
pub const FILL_FRAMES_DEFAULT: u32 = 2048;
/// Entries of each transmit ring.
pub const TRANSMIT_FRAMES_DEFAULT: u32 = 2048;
/// The most of either; rings are powers of two up to this.
pub const RING_FRAMES_MAX: u32 = 1 << 15;

/// What a port is to be.
#[derive(Debug)]
pub struct PortSpec {
    /// Its id in the graph.
    pub id: PortId,
    /// The device.
    pub device: Device,
    /// The queues to bind; none means all. Frames that come by other queues are dropped (see `no_socket`).
    pub queues: Option<Vec<u32>>,
    /// Frames kept on the receive side of each queue.
    pub fill_frames: u32,
    /// Entries of each transmit ring.
    pub transmit_frames: u32,
    /// The modes that may be used, best first.
    pub modes: Vec<BindMode>,
    /// Take unicast frames whatever their destination (representors).
    pub promiscuous: bool,
    /// Our addresses on this port.
    pub macs: Vec<MacAddr>,
    /// What happens to frames for a queue without socket, also while the daemon is away.
    pub no_socket: NoSocket,
    /// The link of an earlier life, whose program is to be replaced without a gap.
    pub link: Option<Link>,
    /// By what busy queues in copy mode may send instead of by their sockets.
    pub lanes: Option<Arc<Lanes>>,
}

impl PortSpec {
    /// A port with all queues, the default sizes, and every mode allowed.
    pub fn new(id: PortId, device: Device) -> Self {
        Self {
            id,
            device,
            queues: None,
            fill_frames: FILL_FRAMES_DEFAULT,
            transmit_frames: TRANSMIT_FRAMES_DEFAULT,
            modes: vec![BindMode::ZeroCopy, BindMode::Copy, BindMode::Generic],
            promiscuous: false,
            macs: vec![],
            no_socket: NoSocket::Drop,
            link: None,
            lanes: None,
        }
    }
}

/// What a port became: for the log, `ze show` and `ze doctor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortReport {
    /// The device's name.
    pub device: String,
    /// Its index.
    pub ifindex: u32,
    /// Its driver.
    pub driver: String,
    /// How many receive queues it has.
    pub device_queues: u32,
    /// The queues that are bound.
    pub queues: Vec<QueueReport>,
    /// Where the XDP program runs.
    pub xdp_mode: Mode,
    /// The mode of all queues.
    pub mode: BindMode,
    /// Better modes that were tried, and why they did not work.
    pub fallbacks: Vec<String>,
    /// Offloads that were switched off, until the port is closed.
    pub offloads_off: Vec<Offload>,
    /// Offloads that harm and would not go off.
    pub offloads_kept: Vec<String>,
    /// Pages are exchanged when it is busy: see [`Lanes`].
    pub exchanges: bool,
    /// A queueing discipline was installed so that the device pushes back instead of dropping.
    pub back_pressure: bool,
}

/// One bound queue, as the kernel tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueReport {
    /// Its number.
    pub queue: u32,
    /// Bound for zero copy, by XDP_OPTIONS.
    pub zero_copy: bool,
}

impl fmt::Display for PortReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let driver = if self.driver.is_empty() { "no driver" } else { &self.driver };
        write!(f, "{} ({driver}): {} of {} queues, ", self.device, self.queues.len(), self.device_queues)?;
        write!(f, "{} behind {} XDP", self.mode, self.xdp_mode)?;
        if self.exchanges {
            f.write_str(", exchanging pages")?;
        }
        for why in &self.fallbacks {
            write!(f, "; not {why}")?;
        }
        for offload in &self.offloads_off {
            write!(f, "; {offload} off")?;
        }
        for kept in &self.offloads_kept {
            write!(f, "; {kept} stays on")?;
        }
        Ok(())
    }
}
