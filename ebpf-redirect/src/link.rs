//! What ties a program to a device.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::attached::{self, AttachedProgram};
use crate::{Error, Program, Result, sys};

/// Where in the receive path the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the driver, before the kernel has made a packet of the frame.
    Native,
    /// In the stack, on any device, behind a copy. Slow.
    Generic,
}

impl Mode {
    fn flags(self) -> u32 {
        match self {
            Self::Native => libbpf_sys::XDP_FLAGS_DRV_MODE,
            Self::Generic => libbpf_sys::XDP_FLAGS_SKB_MODE,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "native",
            Self::Generic => "generic",
        })
    }
}

/// A program on a device. The attachment ends when the last file descriptor of it is closed.
#[derive(Debug)]
pub struct Link {
    fd: OwnedFd,
}

impl Link {
    /// Takes over a link that another process has kept.
    ///
    /// # Errors
    /// When this is no XDP link, or its device is gone.
    pub fn adopt(fd: OwnedFd) -> Result<Self> {
        let info = sys::link_info(fd.as_fd()).map_err(|why| Error::NotALink(why.to_string()))?;
        if info.kind != libbpf_sys::BPF_LINK_TYPE_XDP {
            return Err(Error::NotALink(format!("a BPF link of type {}", info.kind)));
        }
        if info.ifindex == 0 {
            return Err(Error::Defunct);
        }
        Ok(Self { fd })
    }

    /// Puts `program` in the place of the one that runs. No frame meets both, or neither.
    ///
    /// # Errors
    /// When the device is gone.
    pub fn update(&self, program: &Program) -> Result<()> {
        let done = sys::link_update(self.fd.as_fd(), program.as_fd());
        done.map_err(|source| match source.raw_os_error() {
            // ENOLINK of bpf_xdp_link_update: the device was unregistered.
            Some(ENOLINK) => Error::Defunct,
            _ => Error::System { step: "replace the program of an XDP link", source },
        })
    }

    /// The device, in the network namespace it was attached in.
    ///
    /// # Errors
    /// When the device is gone.
    pub fn ifindex(&self) -> Result<u32> {
        let info = sys::link_info(self.fd.as_fd());
        let info = info.map_err(|source| Error::System { step: "query an XDP link", source })?;
        if info.ifindex == 0 { Err(Error::Defunct) } else { Ok(info.ifindex) }
    }

    /// Takes the program off the device now, whoever else holds the link. Without this it goes with the last holder.
    ///
    /// # Errors
    /// When the kernel refuses. A device that is gone is none.
    pub fn detach(self) -> Result<()> {
        let done = sys::link_detach(self.fd.as_fd());
        done.map_err(|source| Error::System { step: "detach an XDP link", source })
    }

    /// Gives the file descriptor away, to be kept or sent to another process.
    pub fn into_owned_fd(self) -> OwnedFd {
        self.fd
    }
}

const ENOLINK: i32 = 67;

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What [`attach_best`] came to.
#[derive(Debug)]
pub struct Attached {
    /// The link.
    pub link: Link,
    /// Where the program runs.
    pub mode: Mode,
    /// Why it does not run in native mode, if it does not.
    pub native_refused: Option<Error>,
}

/// Attaches the program to a device of this network namespace.
///
/// # Errors
/// When somebody else's program is there, the device does not know this mode, or its queues do not suffice.
pub fn attach(program: &Program, ifindex: u32, mode: Mode) -> Result<Link> {
    if let Some(there) = attached::attached(ifindex)? {
        return Err(taken(ifindex, &there));
    }
    let made = sys::link_create(program.as_fd(), ifindex, mode.flags());
    let fd = made.map_err(|source| Error::Attach { ifindex, mode, source })?;
    Ok(Link { fd })
}

/// Attaches in native mode, or, where the device cannot and it is allowed, in generic mode.
///
/// # Errors
/// As [`attach`]; the error of native mode when generic mode is not allowed.
pub fn attach_best(program: &Program, ifindex: u32, allow_generic: bool) -> Result<Attached> {
    match attach(program, ifindex, Mode::Native) {
        Ok(link) => Ok(Attached { link, mode: Mode::Native, native_refused: None }),
        Err(why @ Error::Attach { .. }) if allow_generic => {
            let link = attach(program, ifindex, Mode::Generic)?;
            Ok(Attached { link, mode: Mode::Generic, native_refused: Some(why) })
        }
        Err(why) => Err(why),
    }
}

fn taken(ifindex: u32, there: &AttachedProgram) -> Error {
    if there.ours {
        let source = io::Error::from(io::ErrorKind::ResourceBusy);
        return Error::Attach { ifindex, mode: there.mode, source };
    }
    Error::Foreign { ifindex, name: there.name.clone(), id: there.id }
}
