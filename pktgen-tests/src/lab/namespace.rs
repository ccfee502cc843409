//! A host: one network namespace, its addresses, routes and counters.

use std::fs::{self, File};
use std::net::IpAddr;
use std::panic;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sched::{CloneFlags, setns};

use super::error::Context;
use super::{Interrupt, LabError, Process, Shared, command, process, wait_until};

/// A network namespace of a lab. Clones are handles on the same one; it goes when the lab goes.
#[derive(Clone, Debug)]
pub struct Namespace {
    shared: Arc<Shared>,
    name: String,
}

/// The counters of a device, as the kernel keeps them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Bytes received.
    pub rx_bytes: u64,
    /// Packets received.
    pub rx_packets: u64,
    /// Packets received and dropped.
    pub rx_dropped: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Packets dropped instead of sent.
    pub tx_dropped: u64,
}

/// How long the kernel may take to see a carrier; it looks once a second when it is not in a hurry.
const LINK_TIMEOUT: Duration = Duration::from_secs(5);

/// What every host of a lab has: silence, and answers to every probe.
///
/// The kernel sends at most one unreachable message a second to one host (RFC 1812 §4.3.2.8 asks for a limit); our
/// measurements count on each.
/// An IPv6 address shall survive its link's going down, as an IPv4 address does.
///
/// IPv4 values of a new namespace come from the machine's own, so those that matter are all set.
const HOST_SYSCTLS: [(&str, &str); 13] = [
    ("net.ipv4.ip_forward", "0"),
    ("net.ipv4.icmp_ratelimit", "0"),
    ("net.ipv6.icmp.ratelimit", "0"),
    ("net.ipv6.conf.all.accept_dad", "0"),
    ("net.ipv6.conf.default.accept_dad", "0"),
    ("net.ipv6.conf.default.dad_transmits", "0"),
    ("net.ipv6.conf.default.accept_ra", "0"),
    ("net.ipv6.conf.default.autoconf", "0"),
    ("net.ipv6.conf.default.router_solicitations", "0"),
    ("net.ipv6.conf.all.keep_addr_on_down", "1"),
    ("net.ipv6.conf.default.keep_addr_on_down", "1"),
    ("net.ipv4.conf.all.rp_filter", "0"),
    ("net.ipv4.conf.default.rp_filter", "0"),
];

impl Namespace {
    pub(super) fn create(shared: Arc<Shared>, label: &str) -> Result<Self, LabError> {
        let namespace = Self { name: format!("{}-{label}", shared.prefix), shared };
        command::output(Command::new("ip").args(["netns", "add", &namespace.name]))?;
        namespace.run(|| HOST_SYSCTLS.iter().try_for_each(|(key, value)| write_sysctl(key, value)))??;
        namespace.set_link_up("lo")?;
        Ok(namespace)
    }

    pub(super) fn adopt(shared: Arc<Shared>, label: &str) -> Result<Self, LabError> {
        let namespace = Self { name: format!("{}-{label}", shared.prefix), shared };
        namespace.open()?;
        Ok(namespace)
    }

    /// The full name, as `ip netns` shows it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The lab's request to stop.
    #[must_use]
    pub fn interrupt(&self) -> &Interrupt {
        &self.shared.interrupt
    }

    /// A number not handed out before in this lab.
    pub(super) fn serial(&self) -> u32 {
        self.shared.serial()
    }

    fn open(&self) -> Result<File, LabError> {
        let path = format!("/run/netns/{}", self.name);
        File::open(&path).context(|| format!("open {path}"))
    }

    /// Runs `work` on a thread inside the namespace and returns its result. Sockets made there belong to the namespace
    /// for ever, so they can be returned and used anywhere.
    ///
    /// Only the network namespace changes: `/run`, `/sys` and bpffs are those of the caller.
    ///
    /// # Errors
    /// When the namespace is gone.
    ///
    /// # Panics
    /// When `work` does.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, LabError> {
        let namespace = self.open()?;
        let enter = || setns(&namespace, CloneFlags::CLONE_NEWNET).map(|()| work());
        let result = thread::scope(|scope| scope.spawn(enter).join());
        match result {
            Ok(done) => done.context(|| format!("enter namespace {}", self.name)),
            Err(payload) => panic::resume_unwind(payload),
        }
    }

    /// Runs a command to its end inside the namespace and returns what it wrote to standard output.
    ///
    /// # Errors
    /// When it cannot be started or fails; its standard error is in the error.
    pub fn output(&self, mut command: Command) -> Result<String, LabError> {
        self.run(move || command::output(&mut command))?
    }

    /// Starts a process inside the namespace. Its output goes to a log file in the lab's directory; it is killed
    /// when the handle is dropped, and with the lab.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self, name: &str, command: Command) -> Result<Process, LabError> {
        super::check_name("process", name, 32)?;
        process::spawn(Arc::clone(&self.shared), self, name, command)
    }

    fn tool(&self, program: &str, arguments: &[&str]) -> Result<String, LabError> {
        let mut command = Command::new(program);
        command.args(arguments);
        self.output(command)
    }

    /// Runs `ip` with these arguments inside the namespace.
    ///
    /// # Errors
    /// When it fails; what it said is in the error.
    pub fn ip(&self, arguments: &[&str]) -> Result<String, LabError> {
        self.tool("ip", arguments)
    }

    /// Runs `ethtool` with these arguments inside the namespace.
    ///
    /// # Errors
    /// When it fails; what it said is in the error.
    pub fn ethtool(&self, arguments: &[&str]) -> Result<String, LabError> {
        self.tool("ethtool", arguments)
    }

    /// Runs `tc` with these arguments inside the namespace.
    ///
    /// # Errors
    /// When it fails; what it said is in the error.
    pub fn tc(&self, arguments: &[&str]) -> Result<String, LabError> {
        self.tool("tc", arguments)
    }

    /// Gives `device` an address with its prefix length, such as `10.0.0.1/24` or `2001:db8::1/64`; usable at once.
    ///
    /// # Errors
    /// When `ip` refuses.
    pub fn address(&self, device: &str, address: &str) -> Result<(), LabError> {
        self.ip(&["address", "add", address, "dev", device]).map(drop)
    }

    /// Sends `destination` (a prefix, or `default`) to `gateway`; replaces an earlier route.
    ///
    /// # Errors
    /// When `ip` refuses.
    pub fn route(&self, destination: &str, gateway: IpAddr) -> Result<(), LabError> {
        let family = if gateway.is_ipv4() { "-4" } else { "-6" };
        self.ip(&[family, "route", "replace", destination, "via", &gateway.to_string()]).map(drop)
    }

    /// Sets a permanent neighbour entry.
    ///
    /// # Errors
    /// When `ip` refuses.
    pub fn neighbor(&self, device: &str, address: IpAddr, mac: [u8; 6]) -> Result<(), LabError> {
        let mac = super::veth::mac_text(mac);
        self.ip(&["neighbor", "replace", &address.to_string(), "lladdr", &mac, "dev", device]).map(drop)
    }

    /// Forgets all neighbours that were learned.
    ///
    /// # Errors
    /// When `ip` refuses.
    pub fn neighbor_flush(&self) -> Result<(), LabError> {
        self.ip(&["neighbor", "flush", "all"]).map(drop)
    }

    /// Forgets all path MTUs that were learned.
    ///
    /// # Errors
    /// When `ip` refuses.
    pub fn path_mtu_flush(&self) -> Result<(), LabError> {
        self.ip(&["-4", "route", "flush", "cache"])?;
        self.ip(&["-6", "route", "flush", "cache"]).map(drop)
    }

    /// Sets a `net.*` sysctl of the namespace.
    ///
    /// # Errors
    /// When there is no such sysctl, or it does not take the value.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<(), LabError> {
        self.run(|| write_sysctl(key, value))?
    }

    /// Makes the kernel of this namespace a router, for IPv4 and IPv6.
    ///
    /// # Errors
    /// As [`Namespace::sysctl`].
    pub fn enable_forwarding(&self) -> Result<(), LabError> {
        self.sysctl("net.ipv4.ip_forward", "1")?;
        self.sysctl("net.ipv6.conf.all.forwarding", "1")
    }

    /// Brings a device up.
    ///
    /// # Errors
    /// When `ip` refuses.
    pub fn set_link_up(&self, device: &str) -> Result<(), LabError> {
        self.ip(&["link", "set", "dev", device, "up"]).map(drop)
    }

    /// Waits until the kernel has taken note that a device has a carrier. It does so in its own time after both ends
    /// of a cable are up, and an IPv6 address set before is unusable until then.
    ///
    /// # Errors
    /// [`LabError::Timeout`], or when there is no such device.
    pub fn await_link(&self, device: &str) -> Result<(), LabError> {
        self.run(|| {
            super::raw::link_address(device)?;
            let what = format!("the carrier of {device} in {}", self.name);
            wait_until(LINK_TIMEOUT, &what, || is_operational(device))
        })?
    }

    /// Brings a device down.
    ///
    /// # Errors
    /// When `ip` refuses.
    pub fn set_link_down(&self, device: &str) -> Result<(), LabError> {
        self.ip(&["link", "set", "dev", device, "down"]).map(drop)
    }

    /// Sets the MTU of a device.
    ///
    /// # Errors
    /// When `ip` refuses.
    pub fn set_mtu(&self, device: &str, mtu_bytes: u32) -> Result<(), LabError> {
        self.ip(&["link", "set", "dev", device, "mtu", &mtu_bytes.to_string()]).map(drop)
    }

    /// Deletes a device, and with it the other end of its cable.
    ///
    /// # Errors
    /// When `ip` refuses.
    pub fn delete_link(&self, device: &str) -> Result<(), LabError> {
        self.ip(&["link", "delete", "dev", device]).map(drop)
    }

    /// The MAC address of a device.
    ///
    /// # Errors
    /// When there is no such device.
    pub fn mac(&self, device: &str) -> Result<[u8; 6], LabError> {
        let link = self.run(|| super::raw::link_address(device))??;
        link.addr().ok_or_else(|| LabError::Io {
            what: format!("MAC address of {device}"),
            source: std::io::ErrorKind::NotFound.into(),
        })
    }

    /// The kernel's counters of a device.
    ///
    /// # Errors
    /// When there is no such device.
    pub fn link_counters(&self, device: &str) -> Result<LinkCounters, LabError> {
        let table = self.proc_net("dev")?;
        parse_link_counters(&table, device).ok_or_else(|| LabError::Io {
            what: format!("counters of {device} in {}", self.name),
            source: std::io::ErrorKind::NotFound.into(),
        })
    }

    /// Packets this namespace's kernel has forwarded, IPv4 and IPv6 together. Zero proves that nothing leaked past
    /// a forwarder in userspace.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn kernel_forwarded_packets(&self) -> Result<u64, LabError> {
        let ip4 = snmp_value(&self.proc_net("snmp")?, "Ip:", "ForwDatagrams");
        let ip6 = self.proc_net("snmp6")?;
        let ip6 = ip6.lines().find_map(|line| line.strip_prefix("Ip6OutForwDatagrams"));
        let ip6: u64 = ip6.and_then(|value| value.trim().parse().ok()).unwrap_or(0);
        Ok(ip4.unwrap_or(0) + ip6)
    }

    /// Segments this namespace's TCP has sent more than once.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn tcp_retransmitted_segments(&self) -> Result<u64, LabError> {
        Ok(snmp_value(&self.proc_net("snmp")?, "Tcp:", "RetransSegs").unwrap_or(0))
    }

    fn proc_net(&self, file: &str) -> Result<String, LabError> {
        // `/proc/net` is the view of the process's first thread, not of ours.
        let path = format!("/proc/thread-self/net/{file}");
        self.run(|| fs::read_to_string(&path))?.context(|| format!("read {path} in {}", self.name))
    }
}

/// Whether a device of the namespace the calling thread is in is up, and the kernel knows of its carrier.
fn is_operational(device: &str) -> bool {
    let operational = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING | InterfaceFlags::IFF_LOWER_UP;
    let entry =
        getifaddrs().ok().and_then(|mut entries| entries.find(|entry| entry.interface_name == device));
    entry.is_some_and(|entry| entry.flags.contains(operational))
}

/// Writes a sysctl of the namespace the calling thread is in.
fn write_sysctl(key: &str, value: &str) -> Result<(), LabError> {
    let path = format!("/proc/sys/{}", key.replace('.', "/"));
    fs::write(&path, value).context(|| format!("set {key} to {value}"))
}

/// Finds one value in the pairs of lines of `/proc/net/snmp`: names first, values below.
fn snmp_value(table: &str, protocol: &str, name: &str) -> Option<u64> {
    let mut lines = table.lines().filter(|line| line.starts_with(protocol));
    let names = lines.next()?.split_whitespace();
    let values = lines.next()?.split_whitespace();
    names.zip(values).find(|(found, _)| *found == name)?.1.parse().ok()
}

fn parse_link_counters(table: &str, device: &str) -> Option<LinkCounters> {
    let row = table.lines().find_map(|line| line.trim().strip_prefix(device)?.strip_prefix(':'))?;
    let values: Vec<u64> = row.split_whitespace().map_while(|value| value.parse().ok()).collect();
    // Columns: rx bytes packets errs drop fifo frame compressed multicast, then tx bytes packets errs drop …
    Some(LinkCounters {
        rx_bytes: *values.first()?,
        rx_packets: *values.get(1)?,
        rx_dropped: *values.get(3)?,
        tx_bytes: *values.get(8)?,
        tx_packets: *values.get(9)?,
        tx_dropped: *values.get(11)?,
    })
}

#[cfg(test)]
mod tests;
