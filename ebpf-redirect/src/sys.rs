//! The calls into libbpf that libbpf-rs has no safe way for: links with attach flags, and queries.

#![expect(unsafe_code, reason = "libbpf's C functions; each is wrapped once, here")]

use std::ffi::{CStr, c_int};
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libbpf_sys as bpf;

/// What `bpf_xdp_query` tells about a device.
pub(crate) type XdpQuery = bpf::bpf_xdp_query_opts;

/// The part of `bpf_link_info` that concerns XDP.
pub(crate) struct LinkInfo {
    pub(crate) id: u32,
    pub(crate) program_id: u32,
    pub(crate) kind: u32,
    /// 0 when the device is gone.
    pub(crate) ifindex: u32,
}

/// `BPF_LINK_CREATE` for XDP.
pub(crate) fn link_create(program: BorrowedFd<'_>, ifindex: u32, flags: u32) -> io::Result<OwnedFd> {
    let options = bpf::bpf_link_create_opts {
        sz: size_of::<bpf::bpf_link_create_opts>() as bpf::size_t,
        flags,
        ..Default::default()
    };
    // SAFETY: the options are initialised, state their size, and outlive the call.
    let fd = unsafe {
        bpf::bpf_link_create(program.as_raw_fd(), ifindex as c_int, bpf::BPF_XDP, &raw const options)
    };
    owned(fd)
}

/// `BPF_LINK_UPDATE`: swaps the program of a link.
pub(crate) fn link_update(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: null options mean the defaults.
    let done = unsafe { bpf::bpf_link_update(link.as_raw_fd(), program.as_raw_fd(), std::ptr::null()) };
    check(done).map(drop)
}

/// `BPF_LINK_DETACH`: takes the program off the device, whoever else holds the link.
pub(crate) fn link_detach(link: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: takes a file descriptor and nothing else.
    check(unsafe { bpf::bpf_link_detach(link.as_raw_fd()) }).map(drop)
}

/// `BPF_OBJ_GET_INFO_BY_FD` of a link.
pub(crate) fn link_info(link: BorrowedFd<'_>) -> io::Result<LinkInfo> {
    let mut info = bpf::bpf_link_info::default();
    let mut len_bytes = size_of::<bpf::bpf_link_info>() as u32;
    // SAFETY: the kernel writes at most `len_bytes` bytes to `info`, which is that long.
    check(unsafe { bpf::bpf_link_get_info_by_fd(link.as_raw_fd(), &raw mut info, &raw mut len_bytes) })?;
    // SAFETY: the union is plain integers and was zeroed; `kind` says whether this variant means something.
    let xdp = unsafe { info.__bindgen_anon_1.xdp };
    Ok(LinkInfo { id: info.id, program_id: info.prog_id, kind: info.type_, ifindex: xdp.ifindex })
}

/// The link ids after `id`, in order.
pub(crate) fn next_link_id(id: u32) -> Option<u32> {
    let mut next = 0;
    // SAFETY: writes one integer.
    check(unsafe { bpf::bpf_link_get_next_id(id, &raw mut next) }).ok().map(|_| next)
}

/// Opens a link by its id.
pub(crate) fn link_by_id(id: u32) -> io::Result<OwnedFd> {
    // SAFETY: takes an integer and nothing else.
    owned(unsafe { bpf::bpf_link_get_fd_by_id(id) })
}

/// The name of a program, by its id. The kernel keeps 15 characters.
pub(crate) fn program_name(id: u32) -> io::Result<String> {
    // SAFETY: takes an integer and nothing else.
    let program = owned(unsafe { bpf::bpf_prog_get_fd_by_id(id) })?;
    let mut info = bpf::bpf_prog_info::default();
    let mut len_bytes = size_of::<bpf::bpf_prog_info>() as u32;
    // SAFETY: the kernel writes at most `len_bytes` bytes to `info`, which is that long; its pointers are null.
    check(unsafe { bpf::bpf_prog_get_info_by_fd(program.as_raw_fd(), &raw mut info, &raw mut len_bytes) })?;
    let name: Vec<u8> = info.name.iter().map(|byte| byte.cast_unsigned()).collect();
    Ok(CStr::from_bytes_until_nul(&name).unwrap_or_default().to_string_lossy().into_owned())
}

/// What is attached to a device.
pub(crate) fn xdp_query(ifindex: u32) -> io::Result<XdpQuery> {
    let mut query = XdpQuery { sz: size_of::<XdpQuery>() as bpf::size_t, ..Default::default() };
    // SAFETY: `query` states its size, and outlives the call.
    check(unsafe { bpf::bpf_xdp_query(ifindex as c_int, 0, &raw mut query) })?;
    Ok(query)
}

/// Takes a program off that was attached by netlink (not by a link).
pub(crate) fn xdp_detach(ifindex: u32, flags: u32) -> io::Result<()> {
    // SAFETY: null options mean the defaults.
    check(unsafe { bpf::bpf_xdp_detach(ifindex as c_int, flags, std::ptr::null()) }).map(drop)
}

/// libbpf returns a negative errno.
fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(result) }
}

fn owned(result: c_int) -> io::Result<OwnedFd> {
    let fd = check(result)?;
    // SAFETY: the call has just made this descriptor for us; nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
