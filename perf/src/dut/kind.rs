//! Devices under test by name.

use std::path::Path;

use clap::ValueEnum;

use super::{Dut, Kernel, KernelNft, L3fwd, NoDut, Testpmd, Vpp, XdpFib, Ze};

/// What can stand between the cables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DutKind {
    /// The control: nothing but a cable
    None,
    /// Ze
    Ze,
    /// The kernel's forwarding
    Kernel,
    /// The kernel's forwarding with nftables rules (--rules)
    KernelNft,
    /// An XDP program with bpf_fib_lookup
    XdpFib,
    /// DPDK's testpmd in mode mac: looks nothing up
    DpdkTestpmd,
    /// DPDK's example l3fwd with longest prefix match
    DpdkL3fwd,
    /// VPP (--vpp)
    Vpp,
}

impl DutKind {
    /// One of it; Ze with an idle mode, the kernel with so many rules, VPP by its program.
    #[must_use]
    pub fn make(self, idle: &str, rules: u32, vpp: Option<&Path>) -> Box<dyn Dut> {
        match self {
            Self::None => Box::new(NoDut),
            Self::Ze => Box::new(Ze::new(idle)),
            Self::Kernel => Box::new(Kernel),
            Self::KernelNft => Box::new(KernelNft::new(rules)),
            Self::XdpFib => Box::new(XdpFib::default()),
            Self::DpdkTestpmd => Box::new(Testpmd::default()),
            Self::DpdkL3fwd => Box::new(L3fwd::default()),
            Self::Vpp => Box::new(Vpp::new(vpp)),
        }
    }
}
