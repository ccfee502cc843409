//! What can go wrong with an XDP program.

use std::io;

use crate::Mode;

/// A step that failed, with what an operator needs to go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel did not take the program or one of its maps.
    #[error("the XDP program cannot be loaded: {0}")]
    Load(#[source] libbpf_rs::Error),
    /// A map of the program could not be written or read.
    #[error("map '{map}' of the XDP program: cannot {step}: {source}")]
    Map {
        /// Which map.
        map: &'static str,
        /// What was tried.
        step: &'static str,
        /// What the kernel said.
        source: libbpf_rs::Error,
    },
    /// More addresses than the program compares.
    #[error("{0} MAC addresses for one port; the XDP program compares at most {max}", max = crate::MACS_MAX)]
    TooManyMacs(usize),
    /// The program was loaded for fewer queues.
    #[error("queue {queue} on an XDP program that was loaded for {queues}")]
    NoSuchQueue {
        /// The queue asked for.
        queue: u32,
        /// How many there are.
        queues: u32,
    },
    /// The device does not take the program in this mode.
    #[error("the XDP program cannot be attached to interface {ifindex} in {mode} mode: {source}{}", hint(.source))]
    Attach {
        /// The device.
        ifindex: u32,
        /// The mode asked for.
        mode: Mode,
        /// What the kernel said.
        source: io::Error,
    },
    /// Somebody else's program is on the device.
    #[error(
        "interface {ifindex} already has the XDP program '{name}' (id {id}), which is not ours; remove it first"
    )]
    Foreign {
        /// The device.
        ifindex: u32,
        /// The program's name in the kernel.
        name: String,
        /// The program's id in the kernel.
        id: u32,
    },
    /// Our own program is on the device, and a process that runs holds it.
    #[error("interface {ifindex} is already served by process {pid} ({command}), which holds its XDP link")]
    InUse {
        /// The device.
        ifindex: u32,
        /// Who holds the link.
        pid: u32,
        /// Its name.
        command: String,
    },
    /// The file descriptor is no XDP link.
    #[error("the file descriptor is not an XDP link ({0})")]
    NotALink(String),
    /// The link lives, but its device is gone.
    #[error("the XDP link's device is gone")]
    Defunct,
    /// Another system call failed.
    #[error("cannot {step}: {source}")]
    System {
        /// What was tried.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// What this crate's functions return.
pub type Result<T> = std::result::Result<T, Error>;

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        // ENOSPC of veth_xdp_set: each transmit queue of the peer needs a receive queue here.
        io::ErrorKind::StorageFull => " (has it fewer receive queues than its peer has transmit queues?)",
        io::ErrorKind::PermissionDenied => " (CAP_NET_ADMIN and CAP_BPF are needed)",
        io::ErrorKind::ResourceBusy => " (another XDP program is attached)",
        _ => "",
    }
}
