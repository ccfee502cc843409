//! The network of the tour: two hosts, Ze between them, and the kernel's router beside it.

use std::net::IpAddr;
use std::time::Duration;

use super::screen::Screen;
use super::{Failure, Options};
use crate::daemons::{Binaries, DaemonError, Fastpath, FastpathOptions, PUNT_LABEL, Slowpath};
use crate::lab::{
    Interrupt, KernelRouter, KernelRouterOptions, Lab, LabError, Namespace, Qdisc, Requirements, VethOptions,
};

/// The link to the wide world is narrower, so that there is a path MTU to be discovered.
pub(super) const WAN_MTU_BYTES: u32 = 1400;
/// MTU of the hosts' own network.
pub(super) const LAN_MTU_BYTES: u32 = 1500;
/// How long the router may take to be ready: AF_XDP sockets, representors, routes.
const READY_TIMEOUT: Duration = Duration::from_secs(15);

/// An address of each family.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    pub(super) ip4: IpAddr,
    pub(super) ip6: IpAddr,
}

impl Pair {
    const fn new(ip4: [u8; 4], ip6: [u16; 8]) -> Self {
        Self {
            ip4: IpAddr::V4(std::net::Ipv4Addr::new(ip4[0], ip4[1], ip4[2], ip4[3])),
            ip6: IpAddr::V6(std::net::Ipv6Addr::new(
                ip6[0], ip6[1], ip6[2], ip6[3], ip6[4], ip6[5], ip6[6], ip6[7],
            )),
        }
    }

    pub(super) const fn both(self) -> [IpAddr; 2] {
        [self.ip4, self.ip6]
    }
}

pub(super) const LAN_HOST: Pair = Pair::new([10, 0, 1, 2], [0x2001, 0xdb8, 1, 0, 0, 0, 0, 2]);
pub(super) const LAN_ROUTER: Pair = Pair::new([10, 0, 1, 1], [0x2001, 0xdb8, 1, 0, 0, 0, 0, 1]);
pub(super) const WAN_HOST: Pair = Pair::new([10, 0, 2, 2], [0x2001, 0xdb8, 2, 0, 0, 0, 0, 2]);
pub(super) const WAN_ROUTER: Pair = Pair::new([10, 0, 2, 1], [0x2001, 0xdb8, 2, 0, 0, 0, 0, 1]);
/// Behind the wide-area host: reached by a static route.
pub(super) const FAR: Pair = Pair::new([203, 0, 113, 1], [0x2001, 0xdb8, 0xf, 0, 0, 0, 0, 1]);

/// What the control daemon is told.
pub(super) const CONFIG: &str = "\
# The router of ze demo.
interfaces {
    lan0 {
        description \"The office\";
        address 10.0.1.1/24;
        address 2001:db8:1::1/64;
    }
    wan0 {
        description \"The world\";
        address 10.0.2.1/24;
        address 2001:db8:2::1/64;
    }
}
static {
    route 203.0.113.0/24 { via 10.0.2.2; }
    route 2001:db8:f::/48 { via 2001:db8:2::2; }
    route 198.51.100.0/24 { reject; }
}
";

/// Everything there is. Fields are dropped in this order.
pub(super) struct Network {
    pub(super) slowpath: Slowpath,
    pub(super) fastpath: Fastpath,
    pub(super) lan: Namespace,
    pub(super) wan: Namespace,
    pub(super) router: Namespace,
    /// The host stack behind Ze's interfaces.
    pub(super) punt: Namespace,
    pub(super) kernel: KernelRouter,
    pub(super) lab: Lab,
}

impl Network {
    /// Builds the hosts and starts the daemons.
    pub(super) fn build(
        options: &Options,
        interrupt: &Interrupt,
        screen: &mut dyn Screen,
    ) -> Result<Self, Failure> {
        let (hosts, start) =
            ("build the network: lan, wan, two routers", "start ze-fastpath and ze-slowpath");
        screen.begin(hosts);
        let missing = Requirements::check_with_xdp();
        if !missing.is_empty() {
            screen.failed();
            let list: Vec<_> = missing.iter().map(ToString::to_string).collect();
            return Err(Failure::before(hosts, &format!("this machine lacks {}", list.join(", "))));
        }
        let failed = |screen: &mut dyn Screen, step, error: &dyn std::fmt::Display| {
            screen.failed();
            Err(Failure::before(step, error))
        };
        let hosts_built = match Hosts::build(interrupt) {
            Ok(built) => built,
            Err(error) => return failed(screen, hosts, &error),
        };
        screen.done("dual stack, offloads off everywhere");
        screen.begin(start);
        match hosts_built.start(options) {
            Ok(network) => {
                screen.done(&network.readiness());
                Ok(network)
            }
            Err((error, logs)) => {
                screen.failed();
                let mut failure = Failure::before(start, &error);
                logs.iter().for_each(|(daemon, log)| failure.quote(daemon, log));
                Err(failure)
            }
        }
    }

    fn readiness(&self) -> String {
        let ports = self.fastpath.client().and_then(|mut client| client.ports()).unwrap_or_default();
        let shown = ports.iter().filter(|port| !port.representor);
        let shown =
            shown.map(|port| format!("{} {}/{}", port.name, port.attach_mode, port.bind_modes.join("+")));
        shown.collect::<Vec<_>>().join(", ")
    }
}

/// The network before the daemons run.
struct Hosts {
    lan: Namespace,
    wan: Namespace,
    router: Namespace,
    kernel: KernelRouter,
    lab: Lab,
}

type Logs = Vec<(&'static str, String)>;

impl Hosts {
    fn build(interrupt: &Interrupt) -> Result<Self, LabError> {
        let lab = Lab::with_interrupt("demo", interrupt)?;
        let (lan, wan, router) = (lab.namespace("lan")?, lab.namespace("wan")?, lab.namespace("router")?);
        lab.veth(&lan, "eth0", &router, "lan0", &cable(LAN_MTU_BYTES))?;
        lab.veth(&wan, "eth0", &router, "wan0", &cable(WAN_MTU_BYTES))?;
        // Deliberately on: if the kernel saw one packet in Ze's place, its counter would tell.
        router.enable_forwarding()?;
        host(&lan, LAN_HOST, LAN_ROUTER)?;
        host(&wan, WAN_HOST, WAN_ROUTER)?;
        for address in FAR.both() {
            wan.address("lo", &address.to_string())?;
        }
        let kernel = KernelRouterOptions {
            left: cable(LAN_MTU_BYTES),
            right: cable(WAN_MTU_BYTES),
            ..KernelRouterOptions::default()
        };
        let kernel = KernelRouter::between(&lab, "kernel", &lan, &wan, &kernel)?;
        Ok(Self { lan, wan, router, kernel, lab })
    }

    fn start(self, options: &Options) -> Result<Network, (DaemonError, Logs)> {
        let binaries = Binaries::new(options.bin_dir.as_deref());
        let fastpath_options = FastpathOptions { idle: options.idle.clone(), ..FastpathOptions::default() };
        let (lab, router) = (&self.lab, &self.router);
        let fastpath = Fastpath::start(lab, router, &binaries, &fastpath_options);
        let fastpath = fastpath.map_err(|error| (error, Logs::new()))?;
        let with_logs = |error| (error, vec![("ze-fastpath", fastpath.process.log())]);
        let slowpath = Slowpath::start(lab, router, &binaries, &fastpath, CONFIG).map_err(with_logs)?;
        let ready = fastpath.await_interfaces(&["lan0", "wan0"], READY_TIMEOUT);
        let punt = ready.and_then(|()| Ok(lab.adopt(PUNT_LABEL)?)).map_err(|error| {
            (error, vec![("ze-fastpath", fastpath.process.log()), ("ze-slowpath", slowpath.process.log())])
        })?;
        let Self { lan, wan, router, kernel, lab } = self;
        Ok(Network { slowpath, fastpath, lan, wan, router, punt, kernel, lab })
    }
}

/// The cable of every path: no offloads, and a queue where packets wait instead of being lost.
fn cable(mtu_bytes: u32) -> VethOptions {
    let qdisc = Qdisc::PfifoFast;
    VethOptions { mtu_bytes, qdisc, peer_qdisc: qdisc, ..VethOptions::default() }
}

fn host(namespace: &Namespace, own: Pair, router: Pair) -> Result<(), LabError> {
    namespace.address("eth0", &format!("{}/24", own.ip4))?;
    namespace.address("eth0", &format!("{}/64", own.ip6))?;
    namespace.route("default", router.ip4)?;
    namespace.route("default", router.ip6)
}
