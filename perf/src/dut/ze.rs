//! Ze itself: `ze-fastpath`, programmed over its API. The control daemon takes no part in forwarding, and is not run.

use std::net::IpAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ipnet::IpNet;
use ze_pktgen::daemons::{Binaries, Client, Fastpath, FastpathOptions};
use ze_proto::address::to_bytes;
use ze_proto::v1::{self, nexthop::Kind, operation::Operation as Op};

use super::{Dut, Side, Site};
use crate::lab::prioritize;

const OWNER: &str = "ze-perf";
/// Routes in one message: far below the 4 MiB that gRPC takes.
const ROUTES_PER_BATCH: usize = 20_000;
/// How long a whole table may take.
const PROGRAM_TIMEOUT: Duration = Duration::from_secs(120);
/// AF_XDP sockets and representors are there by then.
const READY_TIMEOUT: Duration = Duration::from_secs(15);
const STOP_GRACE: Duration = Duration::from_secs(5);
/// Keys of the nexthops, ours alone.
const NEXTHOP4: u64 = 1;
const NEXTHOP6: u64 = 2;

/// The forwarding daemon with one worker.
#[derive(Debug)]
pub struct Ze {
    /// What its worker does when idle.
    idle: String,
    fastpath: Option<Fastpath>,
    notes: Vec<String>,
}

impl Ze {
    /// With an idle mode (`--idle` of `ze-fastpath`). Where the worker shares its core with its soft interrupts,
    /// `interrupt` is right: a worker that spins keeps from them the time in which they would receive.
    #[must_use]
    pub fn new(idle: &str) -> Self {
        Self { idle: idle.to_owned(), fastpath: None, notes: Vec::new() }
    }

    fn program(client: &mut Client, site: &Site<'_>) -> Result<()> {
        let mut batches = vec![objects(site)];
        batches.extend(site.routes.chunks(ROUTES_PER_BATCH).map(|nets| vec![routes(nets)]));
        let refusals = client.program_batches(OWNER, batches, PROGRAM_TIMEOUT)?;
        let first = refusals.first().map(|refusal| format!("{}: {}", refusal.path, refusal.message));
        ensure!(refusals.is_empty(), "{} refusals, first {}", refusals.len(), first.unwrap_or_default());
        Ok(())
    }

    fn look(&mut self, client: &mut Client, site: &Site<'_>) -> Result<()> {
        let info = client.info()?;
        self.notes =
            vec![format!("ze-fastpath {}, idle mode {}, {}", info.version, info.idle_mode, info.umem_pages)];
        for side in [site.ingress, site.egress] {
            let port =
                client.port(&side.device)?.with_context(|| format!("there is no port {}", side.device))?;
            let modes = port.bind_modes.join(", ");
            self.notes.push(format!(
                "{}: {} of {} queues {modes}, XDP {}",
                port.name,
                port.bind_modes.len(),
                port.queues,
                port.attach_mode
            ));
        }
        Ok(())
    }
}

impl Dut for Ze {
    fn name(&self) -> &str {
        "ze"
    }

    fn missing(&self) -> Option<String> {
        Binaries::new(None).find("ze-fastpath").err().map(|why| why.to_string())
    }

    fn polls(&self) -> bool {
        self.idle == "busy"
    }

    fn start(&mut self, site: &Site<'_>) -> Result<()> {
        let options =
            FastpathOptions { cores: vec![site.core], idle: Some(self.idle.clone()), arguments: Vec::new() };
        let plain = Fastpath::command(site.lab, site.binaries, &options)?;
        // Its control thread too stays on the DUT's core.
        let mut command = Command::new("taskset");
        command.args(["-c", &site.core.to_string()]).arg(plain.get_program()).args(plain.get_args());
        let process = site.namespace.spawn("ze-fastpath", command)?;
        let fastpath = self.fastpath.insert(Fastpath::adopt(site.lab, process)?);
        let mut client = fastpath.client()?;
        Self::program(&mut client, site).with_context(|| log_of(fastpath))?;
        let names = [site.ingress.device.as_str(), &site.egress.device];
        fastpath.await_interfaces(&names, READY_TIMEOUT).with_context(|| log_of(fastpath))?;
        if site.realtime {
            prioritize(fastpath.process.pid(), "ze-worker")?;
        }
        self.look(&mut client, site)
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn stop(&mut self) -> Result<()> {
        let Some(mut fastpath) = self.fastpath.take() else { return Ok(()) };
        let ended = fastpath.process.status()?;
        ensure!(ended.is_none(), "ze-fastpath has ended by itself: {ended:?}; {}", log_of(&fastpath));
        fastpath.process.stop(STOP_GRACE)?;
        Ok(())
    }
}

fn log_of(fastpath: &Fastpath) -> String {
    format!("the log of ze-fastpath:\n{}", fastpath.process.log())
}

/// Everything but the routes.
fn objects(site: &Site<'_>) -> Vec<v1::Operation> {
    let mut all = Vec::new();
    for side in [site.ingress, site.egress] {
        let name = side.device.clone();
        all.push(Op::PutPort(v1::Port { name: name.clone(), ..v1::Port::default() }));
        all.push(Op::PutInterface(v1::Interface {
            name: name.clone(),
            port: name,
            ..v1::Interface::default()
        }));
        all.push(address(side, side.ip4.into(), 24));
        all.push(address(side, side.ip6.into(), 64));
        all.push(neighbor(side, side.peer4.into()));
        all.push(neighbor(side, side.peer6.into()));
    }
    all.push(gateway(NEXTHOP4, site.egress, site.egress.peer4.into()));
    all.push(gateway(NEXTHOP6, site.egress, site.egress.peer6.into()));
    all.into_iter().map(|operation| v1::Operation { operation: Some(operation) }).collect()
}

fn address(side: &Side, address: IpAddr, prefix_len: u32) -> Op {
    Op::PutAddress(v1::Address { interface: side.device.clone(), address: to_bytes(address), prefix_len })
}

fn neighbor(side: &Side, address: IpAddr) -> Op {
    let (interface, mac) = (side.device.clone(), side.peer_mac.to_vec());
    Op::PutNeighbor(v1::Neighbor { interface, address: to_bytes(address), mac })
}

fn gateway(key: u64, side: &Side, address: IpAddr) -> Op {
    let gateway =
        v1::Gateway { address: to_bytes(address), interface: side.device.clone(), vrf: String::new() };
    Op::PutNexthop(v1::Nexthop { key, kind: Some(Kind::Gateway(gateway)), backup: None })
}

fn routes(nets: &[IpNet]) -> v1::Operation {
    let route = |net: &IpNet| {
        let key = if net.addr().is_ipv4() { NEXTHOP4 } else { NEXTHOP6 };
        v1::Route {
            prefix: to_bytes(net.addr()),
            prefix_len: net.prefix_len().into(),
            target: Some(v1::route::Target::Nexthop(key)),
        }
    };
    let routes = v1::Routes { vrf: String::new(), routes: nets.iter().map(route).collect() };
    v1::Operation { operation: Some(Op::PutRoutes(routes)) }
}
