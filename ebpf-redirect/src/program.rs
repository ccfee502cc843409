//! One loaded program: the steering of one port.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use libbpf_rs::{Object, ObjectBuilder, OpenObject};

use crate::maps::{self, Maps};
use crate::{Counters, EXCHANGE_SLOTS, Error, Exchange, Lanes, NoSocket, Result};

/// The program's name in the kernel: how we know our own. At most 15 characters (BPF_OBJ_NAME_LEN).
pub const PROGRAM_NAME: &str = "ze_redirect";
/// The name of the program that exchanges pages besides.
pub const EXCHANGE_PROGRAM_NAME: &str = "ze_exchange";

/// An Ethernet address, as on the wire.
pub type Mac = [u8; 6];

static OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/redirect.bpf.o")));

/// ELF structures are read in place.
#[repr(C, align(8))]
struct Aligned<B: ?Sized>(B);

/// How a port's frames are steered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Take unicast frames whatever their destination.
    pub promiscuous: bool,
    /// Our addresses on this port. Broadcast and multicast need no entry.
    pub macs: Vec<Mac>,
    /// What happens where no socket is bound.
    pub no_socket: NoSocket,
    /// How many receive queues the port has.
    pub queues: u32,
}

/// A program in the kernel, with maps of its own. Attached to nothing until a link ties it to a device.
pub struct Program {
    /// Program and maps live in the kernel as long as these handles do; libbpf's object is not needed for that.
    program: OwnedFd,
    maps: Maps,
    exchange: Option<Box<Exchange>>,
    promiscuous: bool,
    queues: u32,
}

impl Program {
    /// Loads the program for one port.
    ///
    /// # Errors
    /// When the kernel refuses it, or there are more than [`MACS_MAX`](crate::MACS_MAX) addresses.
    pub fn load(options: &Options) -> Result<Self> {
        Self::load_named(PROGRAM_NAME, options, None)
    }

    /// Loads the program that can exchange pages with workers, too; every queue goes through its socket until its worker
    /// switches it over.
    ///
    /// # Errors
    /// As [`Program::load`]; also before Linux 5.18.
    pub fn load_exchanging(options: &Options, lanes: &Lanes) -> Result<Self> {
        Self::load_named(EXCHANGE_PROGRAM_NAME, options, Some(lanes))
    }

    fn load_named(name: &str, options: &Options, lanes: Option<&Lanes>) -> Result<Self> {
        let queues = options.queues.max(1);
        let mut open = ObjectBuilder::default().open_memory(&OBJECT.0).map_err(Error::Load)?;
        open.progs_mut().for_each(|mut program| {
            let is_wanted = program.name() == name;
            program.set_autoload(is_wanted);
        });
        size_for(&mut open, queues, lanes.is_some()).map_err(Error::Load)?;
        if let Some(lanes) = lanes {
            lanes.put_into(&mut open).map_err(Error::Load)?;
        }
        let object = open.load().map_err(Error::Load)?;
        let maps = Maps::of(&object)?;
        let exchange = lanes.map(|_| maps::exchange(&object).map(Box::new)).transpose()?;
        let program = program_of(&object, name)?;
        maps.configure(options.promiscuous, options.no_socket)?;
        maps.set_macs(&options.macs)?;
        Ok(Self { program, maps, exchange, promiscuous: options.promiscuous, queues })
    }

    /// The rings beside the sockets, if it was loaded with them.
    pub fn exchange(&self) -> Option<&Exchange> {
        self.exchange.as_deref()
    }

    /// Sends the frames of a queue to this socket, which must be bound to that queue of the device.
    ///
    /// # Errors
    /// When there is no such queue, or it is no AF_XDP socket.
    pub fn set_socket(&self, queue: u32, socket: BorrowedFd<'_>) -> Result<()> {
        self.maps.set_socket(queue, socket)
    }

    /// Takes the socket of a queue away: do it before the socket is closed. None being there is no error.
    ///
    /// # Errors
    /// When there is no such queue.
    pub fn clear_socket(&self, queue: u32) -> Result<()> {
        self.maps.clear_socket(queue)
    }

    /// Replaces the port's addresses, without a gap for those that stay.
    ///
    /// # Errors
    /// When there are more than [`MACS_MAX`](crate::MACS_MAX).
    pub fn set_macs(&self, macs: &[Mac]) -> Result<()> {
        self.maps.set_macs(macs)
    }

    /// Changes what happens where no socket is bound.
    ///
    /// # Errors
    /// When the kernel refuses the write.
    pub fn set_no_socket(&self, no_socket: NoSocket) -> Result<()> {
        self.maps.configure(self.promiscuous, no_socket)
    }

    /// What was counted since the program was loaded, over all CPUs.
    ///
    /// # Errors
    /// When the kernel refuses the read.
    pub fn counters(&self) -> Result<Counters> {
        self.maps.counters()
    }

    /// How many queues it was loaded for.
    pub const fn queues(&self) -> u32 {
        self.queues
    }
}

impl AsFd for Program {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.program.as_fd()
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PROGRAM_NAME} for {} queues", self.queues)
    }
}

/// Does the kernel publish its BTF? Nothing here needs it; diagnostics report it.
pub fn kernel_btf_present() -> bool {
    Path::new("/sys/kernel/btf/vmlinux").exists()
}

fn size_for(open: &mut OpenObject, queues: u32, exchanges: bool) -> libbpf_rs::Result<()> {
    for mut map in open.maps_mut() {
        match map.name().to_str() {
            Some("sockets") => map.set_max_entries(queues)?,
            Some("queues") if exchanges => map.set_max_entries(queues)?,
            Some("received") if exchanges => map.set_max_entries(queues * EXCHANGE_SLOTS)?,
            // Older kernels do not know all of these.
            Some("queues" | "received" | "lanes" | "sending") if !exchanges => map.set_autocreate(false)?,
            _ => {}
        }
    }
    Ok(())
}

fn program_of(object: &Object, name: &str) -> Result<OwnedFd> {
    let missing = || Error::System { step: "find the XDP program", source: io::ErrorKind::NotFound.into() };
    let program = object.progs_mut().find(|program| program.name() == name).ok_or_else(missing)?;
    let copy = program.as_fd().try_clone_to_owned();
    copy.map_err(|source| Error::System { step: "keep the XDP program", source })
}
