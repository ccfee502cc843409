//! Plain kernel forwarding between two hosts, to compare with in the same run.

use std::net::IpAddr;

use super::{Lab, LabError, Namespace, VethOptions};

/// What the comparison path looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelRouterOptions {
    /// Cable of the first host.
    pub left: VethOptions,
    /// Cable of the second host.
    pub right: VethOptions,
    /// Name of the new device in both hosts.
    pub host_device: String,
    /// The third byte of the first host's subnet, 198.18.N.0/24 and 2001:2:0:N::/64; the second host has the next.
    /// The prefixes are for benchmarks (RFC 2544 §C.2.2, RFC 5180 §8), and of no use to anybody else.
    pub subnet: u8,
}

impl Default for KernelRouterOptions {
    fn default() -> Self {
        Self {
            left: VethOptions::default(),
            right: VethOptions::default(),
            host_device: "kernel0".to_owned(),
            subnet: 1,
        }
    }
}

/// A namespace whose kernel forwards between two hosts, which reach each other at addresses of this path.
#[derive(Clone, Debug)]
pub struct KernelRouter {
    /// The router itself.
    pub namespace: Namespace,
    /// Towards the first host.
    pub left: RouterSide,
    /// Towards the second host.
    pub right: RouterSide,
}

/// One link of a [`KernelRouter`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterSide {
    /// The device in the host.
    pub host_device: String,
    /// The device in the router.
    pub router_device: String,
    /// The host's addresses.
    pub host_ip4: IpAddr,
    /// The host's addresses.
    pub host_ip6: IpAddr,
    /// The router's addresses.
    pub router_ip4: IpAddr,
    /// The router's addresses.
    pub router_ip6: IpAddr,
}

impl KernelRouter {
    /// Makes the namespace `label`, joins it to both hosts, and routes between the two new subnets, dual stack.
    ///
    /// # Errors
    /// When something of the set-up fails.
    pub fn between(
        lab: &Lab,
        label: &str,
        left: &Namespace,
        right: &Namespace,
        options: &KernelRouterOptions,
    ) -> Result<Self, LabError> {
        let namespace = lab.namespace(label)?;
        namespace.enable_forwarding()?;
        let router = Self {
            left: RouterSide::new(&options.host_device, "left", options.subnet),
            right: RouterSide::new(&options.host_device, "right", options.subnet.wrapping_add(1)),
            namespace,
        };
        router.attach(lab, left, &router.left, &options.left)?;
        router.attach(lab, right, &router.right, &options.right)?;
        router.left.add_routes(left, &router.right)?;
        router.right.add_routes(right, &router.left)?;
        Ok(router)
    }

    fn attach(
        &self,
        lab: &Lab,
        host: &Namespace,
        side: &RouterSide,
        options: &VethOptions,
    ) -> Result<(), LabError> {
        lab.veth(host, &side.host_device, &self.namespace, &side.router_device, options)?;
        host.address(&side.host_device, &with_length(side.host_ip4))?;
        host.address(&side.host_device, &with_length(side.host_ip6))?;
        self.namespace.address(&side.router_device, &with_length(side.router_ip4))?;
        self.namespace.address(&side.router_device, &with_length(side.router_ip6))
    }
}

impl RouterSide {
    fn new(host_device: &str, router_device: &str, subnet: u8) -> Self {
        let ip4 = |host| IpAddr::from([198, 18, subnet, host]);
        let ip6 = |host| IpAddr::from([0x2001, 2, 0, u16::from(subnet), 0, 0, 0, host]);
        Self {
            host_device: host_device.to_owned(),
            router_device: router_device.to_owned(),
            host_ip4: ip4(2),
            host_ip6: ip6(2),
            router_ip4: ip4(1),
            router_ip6: ip6(1),
        }
    }

    fn add_routes(&self, host: &Namespace, far: &Self) -> Result<(), LabError> {
        // Only this one address: the default route of the host is somebody else's.
        host.route(&far.host_ip4.to_string(), self.router_ip4)?;
        host.route(&far.host_ip6.to_string(), self.router_ip6)
    }
}

fn with_length(address: IpAddr) -> String {
    format!("{address}/{}", if address.is_ipv4() { 24 } else { 64 })
}
