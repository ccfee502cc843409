//! The two ioctls on network devices that there is no safe way for.

#![expect(unsafe_code, reason = "ioctl on a device, with a pointer to a request")]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// A socket to ask about devices. It stays in the network namespace it was made in.
pub(crate) fn control_socket() -> io::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?)
}

/// SIOCGIFMTU.
pub(crate) fn mtu(device: &str) -> io::Result<u32> {
    let mut interface = request_of(device)?;
    let socket = control_socket()?;
    // SAFETY: the kernel writes an integer into the request.
    done(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFMTU, &raw mut interface) })?;
    // SAFETY: this is the member which that command writes.
    let mtu = unsafe { interface.ifr_ifru.ifru_mtu };
    Ok(u32::try_from(mtu).unwrap_or_default())
}

/// SIOCGIFHWADDR.
pub(crate) fn mac(device: &str) -> io::Result<[u8; 6]> {
    let mut interface = request_of(device)?;
    let socket = control_socket()?;
    // SAFETY: the kernel writes a `sockaddr` into the request.
    done(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFHWADDR, &raw mut interface) })?;
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
