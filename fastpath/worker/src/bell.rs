//! What wakes a worker that sleeps.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering, fence};

use rustix::event::{EventfdFlags, eventfd};

/// An eventfd, and whether its worker listens: who hands something to a worker that is awake needs no system call.
pub(crate) struct Bell {
    fd: OwnedFd,
    is_heard: AtomicBool,
}

impl Bell {
    pub(crate) fn new() -> std::io::Result<Self> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { fd, is_heard: AtomicBool::new(false) })
    }

    /// Ends the worker's sleep, or the next one.
    pub(crate) fn ring(&self) {
        // It can only fail when 2^64 - 2 rings have not been read, and then the reader is awake anyway.
        let _ = rustix::io::write(&self.fd, &1u64.to_ne_bytes());
    }

    /// Ends the worker's sleep if there is one. Call after something was pushed for it.
    pub(crate) fn ring_if_heard(&self) {
        // We have pushed, and look whether it listens; it listens, and looks whether there is something
        // ([`Bell::listen`]). Without a full fence on either side both could miss the other's news.
        fence(Ordering::SeqCst);
        if self.is_heard.load(Ordering::Relaxed) {
            self.ring();
        }
    }

    /// The worker is about to sleep. Afterwards it must look once more for what was pushed.
    pub(crate) fn listen(&self) {
        self.is_heard.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The worker is awake; what has rung is forgotten.
    pub(crate) fn ignore(&self) {
        self.is_heard.store(false, Ordering::Relaxed);
        let mut count = [0; 8];
        // Non-blocking: empty when something else has ended the sleep.
        let _ = rustix::io::read(&self.fd, &mut count);
    }

    /// Readable when it has rung.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
