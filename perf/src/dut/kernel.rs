//! The kernel's own forwarding, with and without a filter.

use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use ipnet::IpNet;

use super::{Dut, Side, Site};

/// `ip_forward`: nothing but the kernel's tables.
#[derive(Debug, Default)]
pub struct Kernel;

impl Dut for Kernel {
    fn name(&self) -> &str {
        "kernel"
    }

    fn start(&mut self, site: &Site<'_>) -> Result<()> {
        forward(site)
    }

    fn notes(&self) -> Vec<String> {
        vec!["ip_forward; soft interrupts confined to its core; no filter, no connection tracking".to_owned()]
    }

    fn stop(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The kernel with an nftables chain that every forwarded packet walks from end to end.
#[derive(Debug)]
pub struct KernelNft {
    rules: u32,
}

impl KernelNft {
    /// With so many rules, none of which matches.
    #[must_use]
    pub const fn new(rules: u32) -> Self {
        Self { rules }
    }

    /// Rules as operators write them: prefixes, protocol and port; 240/4 and fc00::/7 send nothing here.
    fn ruleset(&self) -> String {
        let mut text =
            String::from("table inet ze-perf {\n chain forward {\n  type filter hook forward priority 0;\n");
        for n in 0..self.rules {
            let (high, low, port) = (n / 256 % 256, n % 256, 1024 + n % 60_000);
            let rule = if n % 2 == 0 {
                format!("ip saddr 240.{high}.{low}.0/24 udp dport {port} drop")
            } else {
                format!("ip6 saddr fc00:{high:x}:{low:x}::/48 udp dport {port} drop")
            };
            let _ = writeln!(text, "  {rule}");
        }
        text + " }\n}\n"
    }
}

impl Dut for KernelNft {
    fn name(&self) -> &str {
        "kernel-nft"
    }

    fn missing(&self) -> Option<String> {
        let found = Command::new("nft").arg("--version").output().is_ok_and(|output| output.status.success());
        (!found).then(|| "there is no nft (Debian: apt install nftables)".to_owned())
    }

    fn start(&mut self, site: &Site<'_>) -> Result<()> {
        forward(site)?;
        let path = site.lab.directory().join("rules.nft");
        fs::write(&path, self.ruleset())?;
        let mut command = Command::new("nft");
        command.arg("-f").arg(&path);
        site.namespace.output(command).context("nft")?;
        Ok(())
    }

    fn notes(&self) -> Vec<String> {
        let rules = self.rules;
        vec![format!(
            "ip_forward and {rules} nftables rules (prefix, protocol, port), none of which matches; Ze has no filter \
             yet and looks at no rules, so this is not the same work"
        )]
    }

    fn stop(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Forwarding on, neighbours static, and the routes.
pub(super) fn forward(site: &Site<'_>) -> Result<()> {
    site.namespace.enable_forwarding()?;
    for side in [site.ingress, site.egress] {
        site.namespace.neighbor(&side.device, side.peer4.into(), side.peer_mac)?;
        site.namespace.neighbor(&side.device, side.peer6.into(), side.peer_mac)?;
    }
    let path: PathBuf = site.lab.directory().join("routes.batch");
    fs::write(&path, batch(site.routes, site.egress))?;
    let mut command = Command::new("ip");
    command.arg("-batch").arg(&path);
    site.namespace.output(command).context("routes of the kernel")?;
    Ok(())
}

/// Routes as `ip -batch` reads them.
fn batch(routes: &[IpNet], egress: &Side) -> String {
    let mut text = String::with_capacity(routes.len() * 56);
    for net in routes {
        let gateway: IpAddr = match net {
            IpNet::V4(_) => egress.peer4.into(),
            IpNet::V6(_) => egress.peer6.into(),
        };
        let _ = writeln!(text, "route replace {net} via {gateway} dev {}", egress.device);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ruleset_has_as_many_rules_as_asked_for_of_both_families() {
        let text = KernelNft::new(100).ruleset();
        assert_eq!(text.matches(" drop").count(), 100);
        assert_eq!(text.matches("ip6 saddr").count(), 50);
        assert_eq!(text.matches('{').count(), text.matches('}').count());
    }
}
