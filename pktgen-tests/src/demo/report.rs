//! Gathers what the tour sees, and makes the summary of it.

use std::fs;

use super::network::{LAN_MTU_BYTES, Network, WAN_HOST, WAN_MTU_BYTES};
use super::steps::StepError;
use super::workers::{self, Works};
use super::{Environment, Kept, StepResult, Summary, TableLoad, Transfer};
use crate::daemons::Totals;

/// What was seen so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    pub(super) steps: Vec<StepResult>,
    pub(super) transfers: Vec<Transfer>,
    pub(super) workers: Works,
    pub(super) table: Option<TableLoad>,
}

impl Report {
    /// The summary, with what the daemons say now.
    pub(super) fn summary(&mut self, network: &Network) -> Result<Summary, StepError> {
        let mut client = network.fastpath.client()?;
        let law = workers::await_balance(&mut client)?;
        let Totals { drops, punts, .. } = client.totals()?;
        let (info, ports) = (client.info()?, client.ports()?);
        let port = |port: &ze_proto::v1::PortState| {
            format!("{} {}/{}", port.name, port.attach_mode, port.bind_modes.join("+"))
        };
        let environment = Environment {
            version: info.version,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            idle_mode: info.idle_mode,
            umem_pages: info.umem_pages,
            ports: ports.iter().filter(|port| !port.representor).map(port).collect(),
            cables: format!(
                "veth, MTU {LAN_MTU_BYTES} and {WAN_MTU_BYTES}, queue pfifo_fast, no checksum, segmentation or GRO \
                 offload; the same for both routers"
            ),
        };
        Ok(Summary {
            elapsed_s: 0.0,
            environment,
            steps: std::mem::take(&mut self.steps),
            transfers: std::mem::take(&mut self.transfers),
            table: self.table.take(),
            workers: self.workers.figures(),
            law,
            drops,
            punts,
            kept: None,
        })
    }
}

/// Leaves the network running and says how to use it.
pub(super) fn kept(network: Network) -> Result<Kept, StepError> {
    let socket = network.fastpath.socket().display().to_string();
    let (lan, punt) = (network.lan.name().to_owned(), network.punt.name().to_owned());
    let config = network.slowpath.config().display().to_string();
    let slowpath_pid = network.slowpath.process.pid();
    let Network { lab, slowpath, fastpath, .. } = network;
    let kept = lab.keep()?;
    // Only now: until the lab is kept, dropping these would end the daemons.
    drop((slowpath, fastpath));
    Ok(Kept {
        commands: vec![
            format!("ze top --socket {socket}"),
            format!("ze show interfaces --socket {socket}"),
            format!("ip netns exec {lan} ping {}", WAN_HOST.ip4),
            format!("ip netns exec {lan} traceroute 203.0.113.1"),
            format!("ip netns exec {punt} tcpdump -ni lan0     # what the router's own host stack sees"),
            format!("$EDITOR {config} && kill -HUP {slowpath_pid}"),
        ],
        prefix: kept.prefix,
        socket,
        remove_command: kept.remove_command,
    })
}
