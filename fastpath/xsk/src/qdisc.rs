//! Back-pressure on veth.
//!
//! A veth without a queueing discipline completes a descriptor and then drops the frame when its peer is slow: loss
//! that no counter of ours sees. With one, the driver stops the queue, the wake-up says EAGAIN, and the frame stays
//! in the transmit ring.

use std::io;

use crate::Device;
use crate::netlink::Netlink;

const KIND: &str = "pfifo_fast";

/// A queueing discipline that was installed for its back-pressure; it goes when this goes.
#[derive(Debug)]
pub struct BackPressure {
    /// Belongs to the device's network namespace, wherever the thread that restores is by then.
    netlink: Netlink,
    ifindex: u32,
    installed: bool,
}

/// Gives a veth without queueing discipline one that makes it push back. None for other devices, and where the
/// operator has chosen one.
///
/// # Errors
/// When the kernel refuses.
pub fn back_pressure(device: &Device) -> io::Result<Option<BackPressure>> {
    if device.driver() != "veth" {
        return Ok(None);
    }
    let netlink = Netlink::open()?;
    if netlink.root_qdisc(device.ifindex())?.is_some() {
        return Ok(None);
    }
    netlink.set_root_qdisc(device.ifindex(), KIND)?;
    Ok(Some(BackPressure { netlink, ifindex: device.ifindex(), installed: true }))
}

impl BackPressure {
    /// Takes the queueing discipline away again.
    ///
    /// # Errors
    /// When the device is gone.
    pub fn restore(mut self) -> io::Result<()> {
        self.undo()
    }

    fn undo(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.installed) {
            return Ok(());
        }
        // Somebody else's choice since then stays.
        if self.netlink.root_qdisc(self.ifindex)?.as_deref() != Some(KIND) {
            return Ok(());
        }
        self.netlink.clear_root_qdisc(self.ifindex)
    }
}

impl Drop for BackPressure {
    fn drop(&mut self) {
        // Best effort: with the device gone there is nothing to restore.
        let _ = self.undo();
    }
}
