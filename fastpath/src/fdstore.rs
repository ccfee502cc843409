//! File descriptors that outlive the daemon: the links of its XDP programs.
//!
//! As long as somebody holds a link, its program stays on the port. When the daemon dies its sockets go, the program
//! finds none and drops: traffic fails closed instead of leaking into the kernel. The daemon gives each link to its
//! supervisor with systemd's own protocol (`FDSTORE=1` over `NOTIFY_SOCKET`, back through `LISTEN_FDS`), so the same
//! code works under systemd (`FileDescriptorStoreMax=`) and under our own [`supervise`](crate::supervise).

#![expect(unsafe_code, reason = "descriptors that were inherited by number become owned ones")]

use std::collections::HashMap;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};

use sd_notify::NotifyState;

/// The descriptors kept for us from an earlier life, by name. Call once, at start-up.
pub fn inherited() -> HashMap<String, OwnedFd> {
    let Ok(all) = sd_notify::listen_fds_with_names() else {
        return HashMap::new();
    };
    let own = |(fd, name)| {
        // SAFETY: the service manager passed this descriptor for us alone, and this function runs once, before
        // anything else could have closed or taken it.
        (name, unsafe { OwnedFd::from_raw_fd(fd) })
    };
    all.map(own).collect()
}

/// Asks the supervisor to keep a duplicate of `fd` under `name`. Without a supervisor nothing happens.
///
/// # Errors
/// When the supervisor's socket refuses.
pub fn keep(name: &str, fd: &impl AsFd) -> std::io::Result<()> {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return Ok(());
    }
    // One under this name is replaced, not doubled.
    forget(name)?;
    sd_notify::notify_with_fds(&[NotifyState::FdStore, NotifyState::FdName(name)], &[fd.as_fd()])
}

/// Asks the supervisor to let go of what it keeps under `name`.
///
/// # Errors
/// When the supervisor's socket refuses.
pub fn forget(name: &str) -> std::io::Result<()> {
    sd_notify::notify(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)])
}

/// Says that start-up is complete.
pub fn ready() {
    let _ = sd_notify::notify(&[NotifyState::Ready]);
}
