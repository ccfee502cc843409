//! What is attached to a device, and who holds it.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::{EXCHANGE_PROGRAM_NAME, Error, Mode, PROGRAM_NAME, Result, sys};

/// An XDP program on a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedProgram {
    /// Its id in the kernel (`bpftool prog show id N`).
    pub id: u32,
    /// Its name in the kernel.
    pub name: String,
    /// Is it this crate's program, of whatever process?
    pub ours: bool,
    /// Where it runs.
    pub mode: Mode,
    /// Held by a link (else attached by netlink, which outlives its maker).
    pub via_link: bool,
}

/// What is attached to a device of this network namespace.
///
/// # Errors
/// When there is no such device.
pub fn attached(ifindex: u32) -> Result<Option<AttachedProgram>> {
    let query = sys::xdp_query(ifindex);
    let query =
        query.map_err(|source| Error::System { step: "query the XDP program of an interface", source })?;
    // With programs in several modes, the one that sees frames first.
    let (id, mode) = match (query.drv_prog_id, query.hw_prog_id, query.skb_prog_id, query.prog_id) {
        (0, 0, 0, 0) => return Ok(None),
        (0, 0, 0, id) if u32::from(query.attach_mode) == libbpf_sys::XDP_ATTACHED_SKB => (id, Mode::Generic),
        (0, 0, 0, id) => (id, Mode::Native),
        (0, 0, id, _) => (id, Mode::Generic),
        (0, id, _, _) | (id, _, _, _) => (id, Mode::Native),
    };
    // Gone between the two queries: as good as not there.
    let Ok(name) = sys::program_name(id) else { return Ok(None) };
    let via_link = link_of(ifindex, id).is_some();
    Ok(Some(AttachedProgram {
        id,
        ours: [PROGRAM_NAME, EXCHANGE_PROGRAM_NAME].contains(&name.as_str()),
        name,
        mode,
        via_link,
    }))
}

/// How long a link may take to go after its last holder: somebody who lists links holds each for a moment.
const LINK_TIMEOUT: Duration = Duration::from_millis(300);
const LINK_PAUSE: Duration = Duration::from_millis(2);

/// Removes what an earlier life of ours has left on a device. Returns what was removed.
///
/// # Errors
/// [`Error::Foreign`] when the program is not ours, [`Error::InUse`] when a running process holds it.
pub fn remove_stale(ifindex: u32) -> Result<Option<AttachedProgram>> {
    let deadline = Instant::now() + LINK_TIMEOUT;
    loop {
        let Some(there) = attached(ifindex)? else { return Ok(None) };
        if !there.ours {
            return Err(Error::Foreign { ifindex, name: there.name, id: there.id });
        }
        match remove(ifindex, &there) {
            Ok(()) => return Ok(Some(there)),
            Err(why) if Instant::now() >= deadline => return Err(why),
            Err(_) => std::thread::sleep(LINK_PAUSE),
        }
    }
}

fn remove(ifindex: u32, there: &AttachedProgram) -> Result<()> {
    if let Some(link) = link_of(ifindex, there.id) {
        return detach_link(ifindex, &link);
    }
    let flags = match there.mode {
        Mode::Native => libbpf_sys::XDP_FLAGS_DRV_MODE,
        Mode::Generic => libbpf_sys::XDP_FLAGS_SKB_MODE,
    };
    let done = sys::xdp_detach(ifindex, flags);
    done.map_err(|source| Error::System { step: "detach a stale XDP program", source })
}

/// A link that nobody holds does not exist, unless it is pinned: then it is taken off by force.
fn detach_link(ifindex: u32, link: &OwnedFd) -> Result<()> {
    let info = sys::link_info(link.as_fd());
    let info = info.map_err(|source| Error::System { step: "query a stale XDP link", source })?;
    if let Some((pid, command)) = holder_of(info.id) {
        return Err(Error::InUse { ifindex, pid, command });
    }
    sys::link_detach(link.as_fd()).map_err(|source| Error::System { step: "detach a stale XDP link", source })
}

/// The link by which this program is on this device. Interface indices repeat between network namespaces,
/// program ids do not.
fn link_of(ifindex: u32, program_id: u32) -> Option<OwnedFd> {
    let ids = std::iter::successors(sys::next_link_id(0), |id| sys::next_link_id(*id));
    ids.filter_map(|id| sys::link_by_id(id).ok()).find(|link| {
        sys::link_info(link.as_fd()).is_ok_and(|info| {
            info.kind == libbpf_sys::BPF_LINK_TYPE_XDP
                && info.program_id == program_id
                && info.ifindex == ifindex
        })
    })
}

/// The process that has the link open, other than by the descriptor of the asking thread.
fn holder_of(link_id: u32) -> Option<(u32, String)> {
    let line = format!("link_id:\t{link_id}");
    let ours = std::process::id();
    let pids = fs::read_dir("/proc").ok()?.flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    // This process has it open once for asking: only a second descriptor counts.
    pids.filter(|pid| open_count(*pid, &line) > usize::from(*pid == ours))
        .map(|pid| (pid, command(pid)))
        .next()
}

fn open_count(pid: u32, line: &str) -> usize {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else { return 0 };
    let texts = descriptors.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok());
    texts.filter(|text| text.lines().any(|have| have == line)).count()
}

fn command(pid: u32) -> String {
    let path = format!("/proc/{pid}/comm");
    fs::read_to_string(Path::new(&path)).map_or_else(|_| "?".to_owned(), |name| name.trim().to_owned())
}
