//! What the control thread sees of a queue while a worker has it.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Weak};

use rustix::io::Errno;

use crate::exchange::Takes;
use crate::socket::{Socket, is_transient};
use crate::{Error, Result};

/// Does a queue work?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Yes.
    Up,
    /// The device is down; frames wait until it is up again.
    Down,
    /// The device or the queue is gone (deleted, or reset by its driver): the port must be opened anew.
    Gone,
    /// The kernel refuses for another reason (an errno).
    Failed(i32),
    /// The queue was closed.
    Closed,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up => f.write_str("up"),
            Self::Down => f.write_str("the device is down"),
            Self::Gone => f.write_str("the device or its queue is gone; the port must be opened anew"),
            Self::Failed(errno) => write!(f, "wake-up fails: {}", std::io::Error::from_raw_os_error(*errno)),
            Self::Closed => f.write_str("closed"),
        }
    }
}

impl Health {
    fn of(errno: Errno) -> Self {
        match errno {
            Errno::NETDOWN => Self::Down,
            // ENXIO: the socket is not bound any more (xsk_is_bound).
            Errno::NXIO | Errno::NODEV | Errno::BADF => Self::Gone,
            other => Self::Failed(other.raw_os_error()),
        }
    }
}

/// The last errno of a wake-up that was more than "not now"; 0 when the last one worked. Written by the worker.
#[derive(Debug, Default)]
pub(crate) struct LastError(AtomicI32);

impl LastError {
    #[inline]
    pub(crate) fn set(&self, errno: i32) {
        self.0.store(errno, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn get(&self) -> i32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters that the kernel keeps for a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelStatistics {
    /// Received frames dropped: too long for a chunk, or no frame to put them in.
    pub rx_dropped: u64,
    /// Received frames dropped because the receive ring was full.
    pub rx_ring_full: u64,
    /// Times that the fill ring was found empty.
    pub fill_ring_empty: u64,
    /// Addresses in the fill ring that make no sense.
    pub rx_invalid_descriptors: u64,
    /// Descriptors in the transmit ring that make no sense.
    pub tx_invalid_descriptors: u64,
    /// Times that the transmit ring was found empty.
    pub tx_ring_empty: u64,
}

/// Looks at one queue from outside, without being in its worker's way, and without keeping it open.
#[derive(Clone, Debug)]
pub struct Monitor {
    pub(crate) device: String,
    pub(crate) queue: u32,
    pub(crate) zero_copy: bool,
    pub(crate) socket: Weak<Socket>,
    pub(crate) last_error: Arc<LastError>,
    pub(crate) takes: Option<Arc<Takes>>,
}

impl Monitor {
    /// Says which devices take other devices' pages now. What is given to one that has just ceased to gets lost.
    pub fn tell_targets(&self, targets: &HashSet<u32>) {
        if let Some(takes) = &self.takes {
            takes.tell(targets);
        }
    }

    /// The queue.
    pub const fn queue(&self) -> u32 {
        self.queue
    }

    /// Does the queue work? Asks the kernel, so it also knows when nothing is being sent.
    pub fn health(&self) -> Health {
        let Some(socket) = self.socket.upgrade() else { return Health::Closed };
        match socket.wake_receive() {
            Err(why) if !is_transient(why) => return Health::of(why),
            _ => (),
        }
        match self.last_error.get() {
            0 => Health::Up,
            errno => Health::of(Errno::from_raw_os_error(errno)),
        }
    }

    /// The kernel's counters; none once the queue is closed.
    pub fn statistics(&self) -> Option<KernelStatistics> {
        let seen = self.socket.upgrade()?.statistics().ok()?;
        Some(KernelStatistics {
            rx_dropped: seen.rx_dropped,
            rx_ring_full: seen.rx_ring_full.unwrap_or_default(),
            fill_ring_empty: seen.rx_fill_ring_empty_descs.unwrap_or_default(),
            rx_invalid_descriptors: seen.rx_invalid_descs,
            tx_invalid_descriptors: seen.tx_invalid_descs,
            tx_ring_empty: seen.tx_ring_empty_descs.unwrap_or_default(),
        })
    }

    /// Verifies that the queue is in the mode that was reported, and that the kernel takes a wake-up.
    ///
    /// # Errors
    /// [`Error::SelfTest`] says what is wrong.
    pub fn self_test(&self) -> Result<()> {
        let failed = |what: String| Error::SelfTest { device: self.device.clone(), queue: self.queue, what };
        let socket = self.socket.upgrade().ok_or_else(|| failed("the queue is closed".to_owned()))?;
        let zero_copy = socket.is_zero_copy().map_err(|why| failed(format!("XDP_OPTIONS: {why}")))?;
        if zero_copy != self.zero_copy {
            return Err(failed(format!("zero copy is {zero_copy}, and was {}", self.zero_copy)));
        }
        for (what, done) in [("transmit", socket.wake_transmit()), ("receive", socket.wake_receive())] {
            if let Err(why) = done
                && !is_transient(why)
            {
                return Err(failed(format!("{what} wake-up: {}", Health::of(why))));
            }
        }
        Ok(())
    }
}
