//! A cable between two namespaces, with the offloads that a forwarder in userspace can live with.

use super::{LabError, Namespace};

/// Longest device name: IFNAMSIZ less the terminating zero.
const DEVICE_NAME_MAX_BYTES: usize = 15;

/// Device indexes start here: above those the kernel gives out by itself.
const FIRST_INDEX: u32 = 1000;

/// How packets wait in front of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Qdisc {
    /// No queue: what the peer cannot take at once is lost silently. The kernel's default for a veth.
    #[default]
    Noqueue,
    /// A queue of 1000: AF_XDP then sees back-pressure instead of loss.
    PfifoFast,
}

/// The properties of a cable; both ends are made alike unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VethOptions {
    /// MTU of both ends.
    pub mtu_bytes: u32,
    /// Receive and transmit queues of both ends. XDP needs as many receive queues as the peer has transmit queues.
    pub queues: u32,
    /// MAC address of the first end; the kernel's choice if absent.
    pub mac: Option<[u8; 6]>,
    /// MAC address of the second end; the kernel's choice if absent.
    pub peer_mac: Option<[u8; 6]>,
    /// Whether both ends keep checksum, segmentation and VLAN offload. On a veth that means packets with
    /// unfinished checksums and up to 64 KiB of payload, which no wire would carry; off by default.
    pub tx_offload: bool,
    /// Queueing at the first end.
    pub qdisc: Qdisc,
    /// Queueing at the second end.
    pub peer_qdisc: Qdisc,
}

impl Default for VethOptions {
    fn default() -> Self {
        Self {
            mtu_bytes: 1500,
            queues: 1,
            mac: None,
            peer_mac: None,
            tx_offload: false,
            qdisc: Qdisc::Noqueue,
            peer_qdisc: Qdisc::Noqueue,
        }
    }
}

pub(super) fn create(
    a: &Namespace,
    device_a: &str,
    b: &Namespace,
    device_b: &str,
    options: &VethOptions,
) -> Result<(), LabError> {
    check_device_name(device_a)?;
    check_device_name(device_b)?;
    // Both ends are born in their namespaces: nothing appears in the machine's own.
    let mut arguments = vec!["link", "add", "dev", device_a];
    let end_a = end_arguments(a, options, options.mac);
    let end_b = end_arguments(b, options, options.peer_mac);
    arguments.extend(end_a.iter().map(String::as_str));
    arguments.extend(["type", "veth", "peer", "name", device_b]);
    arguments.extend(end_b.iter().map(String::as_str));
    arguments.extend(["netns", b.name()]);
    a.ip(&arguments)?;
    finish_end(a, device_a, options, options.qdisc)?;
    finish_end(b, device_b, options, options.peer_qdisc)?;
    a.await_link(device_a)?;
    b.await_link(device_b)
}

/// Each end has an index of its own. In two fresh namespaces both would have the same, the kernel would take the veth
/// for a physical device (its link is itself), and tell a change of carrier only once a second.
fn end_arguments(namespace: &Namespace, options: &VethOptions, mac: Option<[u8; 6]>) -> Vec<String> {
    let queues = options.queues.to_string();
    let index = FIRST_INDEX + namespace.serial();
    let mut arguments = vec!["index".to_owned(), index.to_string()];
    arguments.extend(["mtu".to_owned(), options.mtu_bytes.to_string()]);
    arguments.extend(["numtxqueues".to_owned(), queues.clone(), "numrxqueues".to_owned(), queues]);
    if let Some(mac) = mac {
        arguments.extend(["address".to_owned(), mac_text(mac)]);
    }
    arguments
}

fn finish_end(
    namespace: &Namespace,
    device: &str,
    options: &VethOptions,
    qdisc: Qdisc,
) -> Result<(), LabError> {
    if !options.tx_offload {
        let off = ["tx", "tso", "gso", "gro", "tx-vlan-offload"].iter().flat_map(|name| [*name, "off"]);
        let arguments: Vec<&str> = ["-K", device].into_iter().chain(off).collect();
        namespace.ethtool(&arguments)?;
    }
    if qdisc == Qdisc::PfifoFast {
        namespace.tc(&["qdisc", "replace", "dev", device, "root", "pfifo_fast"])?;
    }
    namespace.set_link_up(device)
}

fn check_device_name(name: &str) -> Result<(), LabError> {
    if name.len() > DEVICE_NAME_MAX_BYTES {
        let reason = "the kernel takes at most 15 bytes";
        return Err(LabError::Name { kind: "device", name: name.to_owned(), reason });
    }
    Ok(())
}

/// A MAC address as `ip` reads it.
pub(super) fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
