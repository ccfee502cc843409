//! The two ioctls on network devices that there is no safe way for.

#![expect(unsafe_code, reason = "ioctl on a device, with a pointer to a request")]

use std::ffi::c_char;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// A socket to ask about devices. It stays in the network namespace it was made in.
pub(crate) fn control_socket() -> io::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?)
}

/// Ethtool requests (`linux/ethtool.h`) this crate makes: structures of integers that begin with a command.
///
/// # Safety
/// The type has the layout of the structure that the kernel reads and writes for its command.
pub(crate) unsafe trait EthtoolRequest {}

/// `struct ethtool_value`: one number.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Value {
    pub(crate) command: u32,
    pub(crate) data: u32,
}
// SAFETY: as `struct ethtool_value`.
unsafe impl EthtoolRequest for Value {}

/// `struct ethtool_channels`: how many queues there are, and may be.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Channels {
    pub(crate) command: u32,
    pub(crate) max: [u32; 4],
    pub(crate) rx: u32,
    pub(crate) tx: u32,
    pub(crate) other: u32,
    pub(crate) combined: u32,
}
// SAFETY: as `struct ethtool_channels`: the command, four maxima, four counts.
unsafe impl EthtoolRequest for Channels {}

/// `struct ethtool_drvinfo`: the driver's name, and more.
#[repr(C)]
pub(crate) struct DriverInfo {
    pub(crate) command: u32,
    pub(crate) driver: [u8; 32],
    pub(crate) rest: [u8; 4 * 32 + 12 + 5 * 4],
}
// SAFETY: as `struct ethtool_drvinfo`; `rest` is five strings' worth of bytes and five integers.
unsafe impl EthtoolRequest for DriverInfo {}
const _: () = assert!(size_of::<DriverInfo>() == 196);

/// SIOCETHTOOL.
pub(crate) fn ethtool(
    socket: BorrowedFd<'_>,
    device: &str,
    request: &mut impl EthtoolRequest,
) -> io::Result<()> {
    let data = std::ptr::from_mut(request).cast::<c_char>();
    let mut interface = request_of(device)?;
    interface.ifr_ifru.ifru_data = data;
    // SAFETY: `ifr_data` leads to a structure of the layout the command wants, as `EthtoolRequest` promises.
    done(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut interface) })
}

/// SIOCGIFMTU.
pub(crate) fn mtu(device: &str) -> io::Result<u32> {
    let mut interface = request_of(device)?;
    let socket = control_socket()?;
    // SAFETY: the kernel writes an integer into the request.
    done(unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::SIOCGIFMTU, &raw mut interface) })?;
    // SAFETY: this is the member which that command writes.
    let mtu = unsafe { interface.ifr_ifru.ifru_mtu };
    Ok(u32::try_from(mtu).unwrap_or_default())
}

/// SIOCGIFHWADDR.
pub(crate) fn mac(device: &str) -> io::Result<[u8; 6]> {
    let mut interface = request_of(device)?;
    let socket = control_socket()?;
    // SAFETY: the kernel writes a `sockaddr` into the request.
    done(unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::SIOCGIFHWADDR, &raw mut interface) })?;
    // SAFETY: this is the member which that command writes.
    let address = unsafe { interface.ifr_ifru.ifru_hwaddr };
    let [a, b, c, d, e, f, ..] = address.sa_data.map(|octet| octet.cast_unsigned());
    Ok([a, b, c, d, e, f])
}

fn request_of(device: &str) -> io::Result<libc::ifreq> {
    let name = device.as_bytes();
    // SAFETY: integers, and a union of integers and a pointer that may be null.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.is_empty() || name.len() >= request.ifr_name.len() || name.contains(&0) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("'{device}' is no name of a device"),
        ));
    }
    for (place, octet) in request.ifr_name.iter_mut().zip(name) {
        *place = octet.cast_signed();
    }
    Ok(request)
}

fn done(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
