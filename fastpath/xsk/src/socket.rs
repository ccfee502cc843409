//! System calls on an AF_XDP socket.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, Result};
use rustix::net::xdp::{
    SocketAddrXdp, SocketAddrXdpFlags, SocketAddrXdpWithSharedUmem, XdpOptionsFlags, XdpStatistics,
    XdpUmemReg, XdpUmemRegFlags,
};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with, sockopt,
};

use ze_graph::{Arena, CHUNK_BYTES};

use crate::mapping::{RingSizes, Rings};

/// A socket and nothing else: the rings are held by who works on them.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
}

impl Socket {
    pub(crate) fn new() -> Result<Self> {
        let fd = socket_with(AddressFamily::XDP, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        Ok(Self { fd })
    }

    /// Makes the arena this socket's UMEM.
    pub(crate) fn register(&self, arena: &Arena) -> Result<()> {
        let registration = XdpUmemReg {
            addr: arena.base() as u64,
            len: arena.len_bytes() as u64,
            chunk_size: CHUNK_BYTES as u32,
            // Beside XDP_PACKET_HEADROOM, which the kernel always leaves.
            headroom: 0,
            flags: XdpUmemRegFlags::empty(),
            tx_metadata_len: 0,
        };
        sockopt::set_xdp_umem_reg(&self.fd, registration)
    }

    /// Makes and maps the four rings.
    pub(crate) fn rings(&self, sizes: RingSizes) -> Result<Rings> {
        sockopt::set_xdp_umem_fill_ring_size(&self.fd, sizes.fill)?;
        sockopt::set_xdp_umem_completion_ring_size(&self.fd, sizes.completion)?;
        sockopt::set_xdp_rx_ring_size(&self.fd, sizes.receive)?;
        sockopt::set_xdp_tx_ring_size(&self.fd, sizes.transmit)?;
        let offsets = sockopt::xdp_mmap_offsets(&self.fd)?;
        Rings::map(self.fd.as_fd(), &offsets, sizes)
    }

    /// Binds with the UMEM that this socket registered.
    pub(crate) fn bind_own(&self, ifindex: u32, queue: u32, zero_copy: bool) -> Result<()> {
        let mode = if zero_copy { SocketAddrXdpFlags::XDP_ZEROCOPY } else { SocketAddrXdpFlags::XDP_COPY };
        let flags = mode | SocketAddrXdpFlags::XDP_USE_NEED_WAKEUP;
        bind(&self.fd, &SocketAddrXdp::new(flags, ifindex, queue))
    }

    /// Binds with the UMEM of a socket that is bound. Any other flag is EINVAL: the mode is the other socket's.
    pub(crate) fn bind_shared(&self, ifindex: u32, queue: u32, with: &Self) -> Result<()> {
        let addr = SocketAddrXdp::new(SocketAddrXdpFlags::XDP_SHARED_UMEM, ifindex, queue);
        bind(&self.fd, &SocketAddrXdpWithSharedUmem { addr, shared_umem_fd: with.fd.as_fd() })
    }

    /// Was it bound for zero copy? The kernel's word, whatever was asked for.
    pub(crate) fn is_zero_copy(&self) -> Result<bool> {
        Ok(sockopt::xdp_options(&self.fd)?.contains(XdpOptionsFlags::XDP_OPTIONS_ZEROCOPY))
    }

    pub(crate) fn statistics(&self) -> Result<XdpStatistics> {
        sockopt::xdp_statistics(&self.fd)
    }

    /// Asks the kernel to send what is in the transmit ring.
    #[inline]
    pub(crate) fn wake_transmit(&self) -> Result<()> {
        send(&self.fd, &[], SendFlags::DONTWAIT).map(drop)
    }

    /// Asks the kernel to look at the fill ring.
    #[inline]
    pub(crate) fn wake_receive(&self) -> Result<()> {
        let mut nothing = [0u8; 0];
        recv(&self.fd, &mut nothing[..], RecvFlags::DONTWAIT).map(drop)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Errors of a wake-up that only say "not now": the ring stays as it is and the next round tries again.
pub(crate) fn is_transient(why: Errno) -> bool {
    // EAGAIN: batch limit, or the queue is full. ENOBUFS: no memory for the copy, or the device's queue dropped
    // it and keeps the descriptor. EBUSY: the driver's transmit lock.
    matches!(why, Errno::AGAIN | Errno::NOBUFS | Errno::BUSY | Errno::INTR)
}
