//! Sysctls of the punt namespaces. `/proc/sys/net` shows the namespace of the thread that opens it, so all of this
//! runs in a thread inside ([`super::netns::Netns::run`]).

use std::fs;
use std::io;

use super::Error;

const ROOT: &str = "/proc/sys/net";

/// Per device, IPv4: only the fast path's FIB routes; several interfaces are one host.
const IPV4: [(&str, &str); 6] = [
    // The fast path has checked the source already, and replies may leave by another interface.
    ("rp_filter", "0"),
    // ICMP errors of the fast path about what the host stack sent come from one of its own addresses.
    ("accept_local", "1"),
    ("send_redirects", "0"),
    ("accept_redirects", "0"),
    ("accept_source_route", "0"),
    // The second address of a subnet stays when the first goes.
    ("promote_secondaries", "1"),
];

/// Per device, IPv6: addresses come from the configuration alone.
const IPV6: [(&str, &str); 9] = [
    ("forwarding", "0"),
    ("accept_ra", "0"),
    ("autoconf", "0"),
    ("accept_redirects", "0"),
    ("router_solicitations", "0"),
    // The fast path answers for the addresses; a tentative one could not be bound.
    ("accept_dad", "0"),
    ("dad_transmits", "0"),
    // 1 is none: our own link-local address, which the fast path answers for, is set explicitly.
    ("addr_gen_mode", "1"),
    ("disable_ipv6", "0"),
];

/// Sets what holds for the whole namespace and for devices to come.
pub(super) fn prepare_namespace() -> Result<(), Error> {
    // First, for the kernel resets some of the others with it.
    set("ipv4/ip_forward", "0")?;
    for scope in ["all", "default"] {
        set_device(scope)?;
    }
    Ok(())
}

/// Sets what holds for one device.
pub(super) fn set_device(device: &str) -> Result<(), Error> {
    for (key, value) in IPV4 {
        set(&format!("ipv4/conf/{device}/{key}"), value)?;
    }
    if !has_ipv6(device) {
        return Ok(());
    }
    for (key, value) in IPV6 {
        set(&format!("ipv6/conf/{device}/{key}"), value)?;
    }
    Ok(())
}

/// The outer end is a wire, not an interface: the kernel shall say nothing on it.
pub(super) fn silence_device(device: &str) -> Result<(), Error> {
    if has_ipv6(device) { set(&format!("ipv6/conf/{device}/disable_ipv6"), "1") } else { Ok(()) }
}

/// Not if the kernel was booted without IPv6, nor if the device's MTU is below 1280.
fn has_ipv6(device: &str) -> bool {
    fs::exists(format!("{ROOT}/ipv6/conf/{device}")).unwrap_or(false)
}

/// Writes only what differs: some sysctls act on each write.
fn set(key: &str, value: &str) -> Result<(), Error> {
    let path = format!("{ROOT}/{key}");
    let wrong = |source: io::Error| Error::Sysctl { path: path.clone(), source };
    if fs::read_to_string(&path).map_err(wrong)?.trim() == value {
        return Ok(());
    }
    fs::write(&path, value).map_err(wrong)
}
