//! Devices under test: what forwards between the two cables of a bench.
//!
//! ```text
//!   tester                                 the DUT's namespace
//!   generator ── tx ═══════ ingress ─▶ [ DUT ] ─▶ egress ═══════ rx ── sink
//! ```
//!
//! A DUT finds two devices that are up and have addresses, and routes to put. When [`Dut::start`] has returned it
//! forwards what comes by `ingress` for any of the routes to `egress.peer4` or `egress.peer6` at `egress.peer_mac`,
//! and nothing it runs may run anywhere but on [`Site::core`]. The tester answers no ARP and no ND: the neighbour is
//! static.

pub(crate) mod dpdk;
mod kernel;
mod kind;
mod none;
mod vpp;
mod xdp_fib;
mod ze;

use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::{Result, bail};
use clap::ValueEnum;
use ipnet::IpNet;
use ze_pktgen::daemons::Binaries;
use ze_pktgen::lab::{Lab, Namespace};

pub use dpdk::{L3fwd, Testpmd};
pub use kernel::{Kernel, KernelNft};
pub use kind::DutKind;
pub use none::NoDut;
pub use vpp::Vpp;
pub use xdp_fib::XdpFib;
pub use ze::Ze;

/// One device of the DUT, and what is at the other end of its cable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// The device in the DUT's namespace; the name is used nowhere else on the machine.
    pub device: String,
    /// Its Ethernet address.
    pub mac: [u8; 6],
    /// Its IPv4 address, already set, of a /24.
    pub ip4: Ipv4Addr,
    /// Its IPv6 address, already set, of a /64.
    pub ip6: Ipv6Addr,
    /// The tester's Ethernet address on this cable.
    pub peer_mac: [u8; 6],
    /// The tester's IPv4 address on this cable.
    pub peer4: Ipv4Addr,
    /// The tester's IPv6 address on this cable.
    pub peer6: Ipv6Addr,
}

/// Where a DUT works and what it is to do.
#[derive(Debug)]
pub struct Site<'a> {
    /// The lab, for files, processes and namespaces of the DUT's own.
    pub lab: &'a Lab,
    /// Where the devices are; nothing else is there.
    pub namespace: &'a Namespace,
    /// Where packets come in.
    pub ingress: &'a Side,
    /// Where they go out.
    pub egress: &'a Side,
    /// What to route to the egress side's peer: prefixes of one or both families.
    pub routes: &'a [IpNet],
    /// The one core that the DUT may use.
    pub core: usize,
    /// Should what forwards get a real-time priority (see [`prioritize`](crate::lab::prioritize))?
    pub realtime: bool,
    /// Where programs of this project are.
    pub binaries: &'a Binaries,
}

/// Something that forwards.
pub trait Dut {
    /// Its name on the command line and in reports: `ze`, `kernel`, `dpdk-l3fwd`.
    fn name(&self) -> &str;

    /// What this machine lacks to run it, as a sentence; none if nothing.
    fn missing(&self) -> Option<String> {
        None
    }

    /// Why it can not take so many routes; none if it can.
    fn refuses(&self, _routes: usize) -> Option<String> {
        None
    }

    /// Is there nothing between generator and sink but a cable? Then there is no [`Site`], and neither `start` nor
    /// `stop` is called.
    fn is_cable(&self) -> bool {
        false
    }

    /// Does it poll for ever, so that soft interrupts on its core must take precedence to run at all?
    fn polls(&self) -> bool {
        true
    }

    /// Starts it, and returns when it forwards.
    ///
    /// # Errors
    /// When it does not start; the end of its log belongs into the error.
    fn start(&mut self, site: &Site<'_>) -> Result<()>;

    /// How it runs, for the report, while it does: version, mode of its ports, idle mode.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// Stops it; the lab goes next. Also called after `start` has failed.
    ///
    /// # Errors
    /// When it has failed meanwhile: then what was measured is worth nothing.
    fn stop(&mut self) -> Result<()>;
}

/// Rules of the kernel's filter where nobody says how many.
const RULES: u32 = 100;

/// The names of all.
pub fn names() -> Vec<String> {
    let kinds = DutKind::value_variants().iter();
    kinds.filter_map(|kind| Some(kind.to_possible_value()?.get_name().to_owned())).collect()
}

/// The DUT of a name; `idle` is the idle mode of Ze's worker.
///
/// # Errors
/// When there is no such DUT, or the machine lacks what it needs.
pub fn named(name: &str, idle: &str) -> Result<Box<dyn Dut>> {
    let Ok(kind) = DutKind::from_str(name, false) else {
        bail!("there is no DUT '{name}'; there are {}", names().join(", "));
    };
    let dut = kind.make(idle, RULES, None);
    match dut.missing() {
        Some(why) => bail!("{name} can not run here: {why}"),
        None => Ok(dut),
    }
}
