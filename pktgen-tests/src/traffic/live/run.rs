//! The call that libbpf-rs has no safe way for: `BPF_PROG_TEST_RUN` with live frames in batches of a chosen size.

#![expect(unsafe_code, reason = "libbpf's C function, wrapped once")]

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd};

use libbpf_rs::libbpf_sys::{BPF_F_TEST_XDP_LIVE_FRAMES, bpf_prog_test_run_opts, bpf_test_run_opts, size_t};

/// Runs an XDP program `times` times, on pages that begin as `template`; what it redirects leaves `batch` by `batch`.
/// A signal ends it early.
///
/// # Errors
/// When the kernel refuses: before 5.18 it has no live frames.
pub(super) fn run(program: BorrowedFd<'_>, template: &[u8], times: i32, batch: u32) -> io::Result<()> {
    let mut options = bpf_test_run_opts {
        sz: size_of::<bpf_test_run_opts>() as size_t,
        data_in: template.as_ptr().cast(),
        data_size_in: template.len() as u32,
        repeat: times,
        flags: BPF_F_TEST_XDP_LIVE_FRAMES,
        batch_size: batch,
        ..Default::default()
    };
    // SAFETY: the options state their size, and what they point to outlives the call, which only reads it.
    let result = unsafe { bpf_prog_test_run_opts(program.as_raw_fd(), &raw mut options) };
    match io::Error::from_raw_os_error(-result) {
        _ if result >= 0 => Ok(()),
        why if why.kind() == io::ErrorKind::Interrupted => Ok(()),
        why => Err(why),
    }
}
