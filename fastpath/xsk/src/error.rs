//! What can go wrong with a port, in words that lead somewhere.

use std::fmt;
use std::io;

use rustix::io::Errno;
use ze_graph::FRAME_BYTES_MAX;

/// Why a port could not be opened, or a device not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such device in this network namespace.
    #[error("no device {0} in this network namespace")]
    NoDevice(String),
    /// Frames of this device can be longer than a chunk.
    #[error(
        "device {device} has MTU {mtu}, whose frames do not fit a chunk: {max_frame} bytes with Ethernet header and \
         two tags do. Set the MTU to {largest} or less",
        max_frame = FRAME_BYTES_MAX
    )]
    Mtu {
        /// The device.
        device: String,
        /// Its MTU.
        mtu: u32,
        /// The largest that fits.
        largest: u32,
    },
    /// Not enough free frames for the fill rings.
    #[error(
        "device {device} needs {needed} frames for the fill rings of {queues} queues, and {given} are free"
    )]
    TooFewFrames {
        /// The device.
        device: String,
        /// How many queues are to be bound.
        queues: usize,
        /// Frames that they need.
        needed: usize,
        /// Frames that there are.
        given: usize,
    },
    /// A queue that the device does not have.
    #[error("device {device} has no queue {queue}; it has {queues}")]
    NoSuchQueue {
        /// The device.
        device: String,
        /// The queue asked for.
        queue: u32,
        /// How many it has.
        queues: u32,
    },
    /// No queue, no frames, or more than a ring takes.
    #[error("device {device}: {what} must be {range}, not {value}")]
    Range {
        /// The device.
        device: String,
        /// Which setting.
        what: &'static str,
        /// What is allowed.
        range: &'static str,
        /// What was asked for.
        value: u64,
    },
    /// A step of the set-up of one queue failed.
    #[error("device {device}, queue {queue}: cannot {step}: {why}")]
    Queue {
        /// The device.
        device: String,
        /// The queue.
        queue: u32,
        /// Which step.
        step: Step,
        /// What the kernel said, and what that means here.
        why: Why,
    },
    /// A step that concerns the whole device failed.
    #[error("device {device}: cannot {step}: {source}")]
    Device {
        /// The device.
        device: String,
        /// Which step.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The XDP program could not be loaded, attached or told about a socket.
    #[error("device {device}: {source}")]
    Redirect {
        /// The device.
        device: String,
        /// What went wrong.
        source: ze_redirect::Error,
    },
    /// None of the modes that were allowed worked.
    #[error("device {device} cannot be opened in any mode that is allowed: {}", .tried.join("; "))]
    NoMode {
        /// The device.
        device: String,
        /// Each mode, and why it did not work.
        tried: Vec<String>,
    },
    /// A self-test found a queue in another state than was reported.
    #[error("device {device}, queue {queue}: self-test: {what}")]
    SelfTest {
        /// The device.
        device: String,
        /// The queue.
        queue: u32,
        /// What is wrong.
        what: String,
    },
}

/// What this crate's functions return.
pub type Result<T> = std::result::Result<T, Error>;

/// A step in the set-up of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Making the socket.
    Socket,
    /// Registering the frames' memory (XDP_UMEM_REG).
    Register,
    /// Making and mapping the rings.
    Rings,
    /// Binding to the queue, with the memory registered on the same socket.
    Bind,
    /// Binding to the queue, with the memory of another socket.
    BindShared,
    /// Asking which mode it became (XDP_OPTIONS).
    Options,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Socket => "make an AF_XDP socket",
            Self::Register => "register the frames' memory",
            Self::Rings => "make its rings",
            Self::Bind => "bind the socket",
            Self::BindShared => "bind the socket with shared memory",
            Self::Options => "ask for the socket's mode",
        })
    }
}

/// An errno of a step, with its meaning there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Why {
    step: Step,
    errno: Errno,
}

impl Why {
    pub(crate) const fn new(step: Step, errno: Errno) -> Self {
        Self { step, errno }
    }

    pub(crate) const fn step(&self) -> Step {
        self.step
    }

    /// What the kernel said.
    pub const fn errno(&self) -> Errno {
        self.errno
    }

    /// What it means, as read in the kernel's `net/xdp`.
    fn meaning(self) -> &'static str {
        match (self.step, self.errno) {
            (_, Errno::PERM) => "CAP_NET_RAW is needed",
            (Step::Socket, Errno::AFNOSUPPORT) => "the kernel was built without CONFIG_XDP_SOCKETS",
            (Step::Register, Errno::NOBUFS) => "RLIMIT_MEMLOCK is too low and CAP_IPC_LOCK is missing",
            (Step::Rings, Errno::INVAL) => "ring sizes must be powers of two",
            (Step::Bind | Step::BindShared, Errno::BUSY) => {
                "the queue belongs to another socket, or one that was just closed"
            }
            (Step::Bind | Step::BindShared, Errno::OPNOTSUPP) => "the driver has no zero copy",
            (Step::Bind | Step::BindShared, Errno::INVAL) => {
                "the device has no such queue, or refuses these flags"
            }
            (Step::Bind | Step::BindShared, Errno::NODEV) => "the device is gone",
            (Step::BindShared, Errno::BADF) => "the other socket is not bound any more",
            _ => "",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", io::Error::from(self.errno))?;
        match self.meaning() {
            "" => Ok(()),
            meaning => write!(f, " ({meaning})"),
        }
    }
}
