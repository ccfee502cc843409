//! The program's maps, as types. Layouts are those of `bpf/redirect.bpf.c`.

use std::collections::HashSet;
use std::os::fd::{AsRawFd, BorrowedFd};

use libbpf_rs::{MapCore, MapFlags, MapHandle, Object};

use crate::{Error, Exchange, Mac, Result};

/// How many addresses one port may have: its own and, say, 255 VRRP groups of each family.
pub const MACS_MAX: usize = 512;

/// What happens to frames for a queue that no socket is bound to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoSocket {
    /// They are dropped: nothing gets past the firewall while the daemon is away.
    #[default]
    Drop,
    /// They go to the kernel.
    Pass,
}

/// Bytes of the program's settings.
const SETTINGS_BYTES: usize = 16;

impl NoSocket {
    /// The first half of the program's settings: `promiscuous`, then an `xdp_action`.
    fn settings(self, promiscuous: bool) -> [u8; 8] {
        let action = match self {
            Self::Drop => libbpf_sys::XDP_DROP,
            Self::Pass => libbpf_sys::XDP_PASS,
        };
        let mut entry = [0; 8];
        entry[..4].copy_from_slice(&u32::from(promiscuous).to_ne_bytes());
        entry[4..].copy_from_slice(&action.to_ne_bytes());
        entry
    }
}

/// How many frames went which way since the program was loaded. Every frame counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Given to a socket (which drops them itself when its fill ring is empty: see the socket's statistics).
    pub redirected: u64,
    /// Unicast to an address that is not ours; dropped.
    pub other_mac: u64,
    /// No socket on the queue; dropped.
    pub no_socket_dropped: u64,
    /// No socket on the queue; left to the kernel.
    pub no_socket_passed: u64,
    /// Shorter than an Ethernet header; dropped.
    pub runt: u64,
    /// Given to a worker in exchange for what it sends.
    pub exchanged: u64,
    /// Not taken by a worker that exchanges and did not keep up; dropped.
    pub exchange_full: u64,
}

/// Handles of the maps of one loaded program.
pub(crate) struct Maps {
    sockets: MapHandle,
    macs: MapHandle,
    settings: MapHandle,
    counters: MapHandle,
}

impl Maps {
    pub(crate) fn of(object: &Object) -> Result<Self> {
        Ok(Self {
            sockets: handle(object, "sockets")?,
            macs: handle(object, "macs")?,
            settings: handle(object, "settings")?,
            counters: handle(object, "counters")?,
        })
    }

    pub(crate) fn configure(&self, promiscuous: bool, no_socket: NoSocket) -> Result<()> {
        self.change_settings(|settings| settings[..8].copy_from_slice(&no_socket.settings(promiscuous)))
    }

    fn change_settings(&self, change: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let first = 0u32.to_ne_bytes();
        let present = self.settings.lookup(&first, MapFlags::ANY);
        let done = present.and_then(|present| {
            let mut settings = present.unwrap_or_else(|| vec![0; SETTINGS_BYTES]);
            change(&mut settings);
            self.settings.update(&first, &settings, MapFlags::ANY)
        });
        done.map_err(|source| Error::Map { map: "settings", step: "write them", source })
    }

    pub(crate) fn set_socket(&self, queue: u32, socket: BorrowedFd<'_>) -> Result<()> {
        self.check_queue(queue)?;
        let fd = socket.as_raw_fd().to_ne_bytes();
        let done = self.sockets.update(&queue.to_ne_bytes(), &fd, MapFlags::ANY);
        done.map_err(|source| Error::Map { map: "sockets", step: "enter a socket", source })
    }

    pub(crate) fn clear_socket(&self, queue: u32) -> Result<()> {
        self.check_queue(queue)?;
        match self.sockets.delete(&queue.to_ne_bytes()) {
            // The kernel takes a socket out by itself when it is closed.
            Err(why) if why.kind() != libbpf_rs::ErrorKind::NotFound => {
                Err(Error::Map { map: "sockets", step: "remove a socket", source: why })
            }
            _ => Ok(()),
        }
    }

    /// Replaces the addresses. Those in both sets are matched without a gap.
    pub(crate) fn set_macs(&self, macs: &[Mac]) -> Result<()> {
        let wanted: HashSet<[u8; 8]> = macs.iter().map(|mac| mac_key(*mac)).collect();
        if wanted.len() > MACS_MAX {
            return Err(Error::TooManyMacs(wanted.len()));
        }
        let present: HashSet<Vec<u8>> = self.macs.keys().collect();
        // The old go first only where both sets together would not fit.
        let crowded = present.len() + wanted.len() > MACS_MAX;
        if crowded {
            self.forget_macs(&present, &wanted)?;
        }
        for key in &wanted {
            let done = self.macs.update(key, &[1], MapFlags::ANY);
            done.map_err(|source| Error::Map { map: "macs", step: "enter an address", source })?;
        }
        self.change_settings(|settings| settings[8..].copy_from_slice(&first_mac(macs)))?;
        if crowded { Ok(()) } else { self.forget_macs(&present, &wanted) }
    }

    fn forget_macs(&self, present: &HashSet<Vec<u8>>, wanted: &HashSet<[u8; 8]>) -> Result<()> {
        for key in present.iter().filter(|key| !wanted.iter().any(|wanted| wanted == key.as_slice())) {
            let done = self.macs.delete(key);
            done.map_err(|source| Error::Map { map: "macs", step: "remove an address", source })?;
        }
        Ok(())
    }

    pub(crate) fn counters(&self) -> Result<Counters> {
        let mut sums = [0u64; 7];
        for (reason, sum) in (0u32..).zip(&mut sums) {
            *sum = self.counter(reason)?;
        }
        let [redirected, other_mac, no_socket_dropped, no_socket_passed, runt, exchanged, exchange_full] =
            sums;
        Ok(Counters {
            redirected,
            other_mac,
            no_socket_dropped,
            no_socket_passed,
            runt,
            exchanged,
            exchange_full,
        })
    }

    fn counter(&self, reason: u32) -> Result<u64> {
        let cells = self.counters.lookup_percpu(&reason.to_ne_bytes(), MapFlags::ANY);
        let cells = cells.map_err(|source| Error::Map { map: "counters", step: "read them", source })?;
        let value = |cell: Vec<u8>| cell.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
        Ok(cells.into_iter().flatten().map(value).sum())
    }

    fn check_queue(&self, queue: u32) -> Result<()> {
        let queues = self.sockets.max_entries();
        if queue < queues { Ok(()) } else { Err(Error::NoSuchQueue { queue, queues }) }
    }
}

/// The maps beside the sockets.
pub(crate) fn exchange(object: &Object) -> Result<Exchange> {
    Ok(Exchange::new(handle(object, "queues")?, handle(object, "received")?))
}

fn handle(object: &Object, name: &'static str) -> Result<MapHandle> {
    let missing = || libbpf_rs::Error::from(std::io::Error::from(std::io::ErrorKind::NotFound));
    let map = object.maps().find(|map| map.name() == name);
    let opened = map.ok_or_else(missing).and_then(|map| MapHandle::try_from(&map));
    opened.map_err(|source| Error::Map { map: name, step: "open it", source })
}

/// The second half of the program's settings: the first address, and whether there is one.
fn first_mac(macs: &[Mac]) -> [u8; 8] {
    let mut half = macs.first().copied().map(mac_key).unwrap_or_default();
    half[6..].copy_from_slice(&u16::from(!macs.is_empty()).to_ne_bytes());
    half
}

/// The key of the hash map: the address, padded to eight octets.
fn mac_key(mac: Mac) -> [u8; 8] {
    let [a, b, c, d, e, f] = mac;
    [a, b, c, d, e, f, 0, 0]
}
