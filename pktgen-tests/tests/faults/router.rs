//! A router between two hosts, for tests that break something.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ze_pktgen::daemons::{Binaries, Fastpath, FastpathOptions, Slowpath};
use ze_pktgen::lab::{
    Lab, Namespace, PingOptions, Qdisc, UdpOptions, UdpStream, VethOptions, ping, wait_for, wait_until,
};
use ze_proto::v1::{LinkState, PortState};

/// No fault may keep the router away for longer than this, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) const LAN_HOST: &str = "10.0.1.2";
pub(crate) const WAN_HOST: &str = "10.0.2.2";

pub(crate) const CONFIG: &str = "\
interfaces {
    lan0 {
        address 10.0.1.1/24;
        address 2001:db8:1::1/64;
    }
    wan0 {
        address 10.0.2.1/24;
        address 2001:db8:2::1/64;
    }
}
";

/// How the network differs from the usual one.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) queues: u32,
    pub(crate) lan_mtu_bytes: u32,
    pub(crate) fastpath: FastpathOptions,
}

/// The network and its daemons. Fields are dropped in this order.
pub(crate) struct Router {
    pub(crate) slowpath: Slowpath,
    pub(crate) fastpath: Fastpath,
    pub(crate) lan: Namespace,
    pub(crate) wan: Namespace,
    pub(crate) router: Namespace,
    pub(crate) lab: Lab,
}

/// The hosts and their cables, before the daemons run.
pub(crate) struct Hosts {
    pub(crate) lan: Namespace,
    pub(crate) wan: Namespace,
    pub(crate) router: Namespace,
    pub(crate) lab: Lab,
    plan: Plan,
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address of the test")
}

pub(crate) fn cable(mtu_bytes: u32, queues: u32) -> VethOptions {
    let qdisc = Qdisc::PfifoFast;
    VethOptions { mtu_bytes, queues: queues.max(1), qdisc, peer_qdisc: qdisc, ..VethOptions::default() }
}

impl Hosts {
    pub(crate) fn build(name: &str, plan: Plan) -> Result<Self> {
        let lab = Lab::new(name)?;
        let (lan, wan, router) = (lab.namespace("lan")?, lab.namespace("wan")?, lab.namespace("router")?);
        let lan_mtu = if plan.lan_mtu_bytes == 0 { 1500 } else { plan.lan_mtu_bytes };
        lab.veth(&lan, "eth0", &router, "lan0", &cable(lan_mtu, plan.queues))?;
        lab.veth(&wan, "eth0", &router, "wan0", &cable(1500, plan.queues))?;
        let hosts = Self { lan, wan, router, lab, plan };
        hosts.address_lan()?;
        address(&hosts.wan, WAN_HOST, "2001:db8:2::2", "10.0.2.1", "2001:db8:2::1")?;
        Ok(hosts)
    }

    pub(crate) fn address_lan(&self) -> Result<()> {
        address(&self.lan, LAN_HOST, "2001:db8:1::2", "10.0.1.1", "2001:db8:1::1")
    }

    /// Starts the daemons; does not wait for the ports.
    pub(crate) fn start(self) -> Result<Router> {
        let binaries = Binaries::new(None);
        let fastpath = Fastpath::start(&self.lab, &self.router, &binaries, &self.plan.fastpath)?;
        let slowpath = Slowpath::start(&self.lab, &self.router, &binaries, &fastpath, CONFIG)?;
        let Self { lan, wan, router, lab, .. } = self;
        Ok(Router { slowpath, fastpath, lan, wan, router, lab })
    }
}

pub(crate) fn address(host: &Namespace, ip4: &str, ip6: &str, gateway4: &str, gateway6: &str) -> Result<()> {
    host.address("eth0", &format!("{ip4}/24"))?;
    host.address("eth0", &format!("{ip6}/64"))?;
    host.route("default", ip(gateway4))?;
    host.route("default", ip(gateway6))?;
    Ok(())
}

impl Router {
    /// The usual router, ready.
    pub(crate) fn start(name: &str) -> Result<Self> {
        Self::start_with(name, Plan::default())
    }

    pub(crate) fn start_with(name: &str, plan: Plan) -> Result<Self> {
        let router = Hosts::build(name, plan)?.start()?;
        router.ready()?;
        Ok(router)
    }

    /// Waits until both interfaces are up with their representors, and packets pass in both families.
    pub(crate) fn ready(&self) -> Result<()> {
        self.fastpath.await_interfaces(&["lan0", "wan0"], PATIENCE).with_context(|| self.logs())?;
        self.passes()
    }

    /// Pings through the router until that works, then once more in earnest.
    pub(crate) fn passes(&self) -> Result<()> {
        for target in [WAN_HOST, "2001:db8:2::2"] {
            let one = PingOptions { count: 1, timeout: Duration::from_millis(500), ..PingOptions::default() };
            let answers = || ping(&self.lan, ip(target), &one).is_ok_and(|report| report.received == 1);
            wait_until(PATIENCE, &format!("{target} to answer"), answers).with_context(|| self.logs())?;
            let report = ping(&self.lan, ip(target), &PingOptions::default())?;
            ensure!(report.is_clean(), "{target}: {report:?}\n{}", self.logs());
        }
        Ok(())
    }

    /// Waits until the router answers pings to its own addresses.
    pub(crate) fn answers_for_itself(&self) -> Result<()> {
        for target in ["10.0.1.1", "2001:db8:1::1", "10.0.2.1"] {
            let one = PingOptions { count: 1, timeout: Duration::from_millis(500), ..PingOptions::default() };
            let answers = || ping(&self.lan, ip(target), &one).is_ok_and(|report| report.received == 1);
            wait_until(PATIENCE, &format!("{target} to answer"), answers).with_context(|| self.logs())?;
        }
        Ok(())
    }

    /// A stream of UDP packets from the LAN to the WAN.
    pub(crate) fn stream(&self) -> Result<UdpStream> {
        let options = UdpOptions { rate_pps: 1000, ..UdpOptions::default() };
        let stream = UdpStream::start(&self.lan, &self.wan, ip(WAN_HOST), &options)?;
        wait_until(PATIENCE, "the stream to arrive", || stream.counts().received > 100)?;
        Ok(stream)
    }

    /// Waits until a port is in a state; returns it.
    pub(crate) fn await_port(&self, name: &str, state: LinkState) -> Result<PortState> {
        let there = || {
            let port = self.fastpath.client().ok()?.port(name).ok()??;
            (port.state() == state).then_some(port)
        };
        wait_for(PATIENCE, &format!("port {name} to be {state:?}"), there).with_context(|| self.logs())
    }

    /// Waits until a packet to `destination` has a route, or has none.
    pub(crate) fn await_route(&self, destination: &str, wanted: bool) -> Result<()> {
        let there = || {
            let route = self.fastpath.client().and_then(|mut client| client.lookup(ip(destination)));
            route.is_ok_and(|route| route.is_some() == wanted)
        };
        Ok(wait_until(PATIENCE, &format!("a route to {destination}: {wanted}"), there)?)
    }

    /// The conservation law, once nothing is under way.
    pub(crate) fn nothing_is_lost(&self) -> Result<()> {
        let mut client = self.fastpath.client()?;
        let holds = || client.totals().is_ok_and(|totals| totals.law.imbalance() == 0);
        Ok(wait_until(PATIENCE, "the conservation law to hold", holds)?)
    }

    pub(crate) fn logs(&self) -> String {
        format!(
            "ze-fastpath:\n{}\nze-slowpath:\n{}",
            self.fastpath.process.log(),
            self.slowpath.process.log()
        )
    }
}
