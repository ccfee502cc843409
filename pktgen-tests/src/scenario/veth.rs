//! The backend with a real `ze-fastpath`: AF_XDP on veths, programmed over its API.

use std::collections::HashMap;
use std::net::UdpSocket;
use std::time::Duration;

use super::network::{self, PORTS};
use super::{At, Backend, BackendError};
use crate::daemons::{Binaries, Client, Fastpath, FastpathOptions, PUNT_LABEL, Totals};
use crate::lab::{Lab, Namespace, Qdisc, RawPort, VethOptions, wait_for};

/// Somebody listens here in the host stack, so that it does not answer "port unreachable".
pub const LISTENING_PORT: u16 = 7777;
/// How long the router may take to be ready.
const READY_TIMEOUT: Duration = Duration::from_secs(15);

/// A router in a lab of its own. Fields are dropped in this order.
#[derive(Debug)]
pub struct Veth {
    places: HashMap<At, RawPort>,
    client: Client,
    /// The daemon.
    pub fastpath: Fastpath,
    /// Where the daemon runs.
    pub router: Namespace,
    _listener: UdpSocket,
    /// The lab.
    pub lab: Lab,
}

impl Veth {
    /// Builds the lab, starts the daemon and programs it.
    ///
    /// # Errors
    /// When something of it fails, or the daemon refuses an object.
    pub fn start(name: &str, queues: u32) -> Result<Self, BackendError> {
        let lab = Lab::new(name)?;
        let (router, hosts) = (lab.namespace("router")?, lab.quiet_namespace("hosts")?);
        for (port, mac) in PORTS {
            let qdisc = Qdisc::PfifoFast;
            let options =
                VethOptions { queues, peer_mac: Some(mac), peer_qdisc: qdisc, ..VethOptions::default() };
            lab.veth(&hosts, port, &router, port, &options)?;
        }
        let fastpath = Fastpath::start(&lab, &router, &Binaries::new(None), &FastpathOptions::default())?;
        let mut client = fastpath.client()?;
        let refusals = client.program("scenarios", network::operations())?;
        if !refusals.is_empty() {
            return Err(format!("refused: {refusals:?}").into());
        }
        fastpath.await_interfaces(&["lan0", "wan0", "lan0.100", "lan0.300", "wan0.300"], READY_TIMEOUT)?;
        let punt = lab.adopt(PUNT_LABEL)?;
        let listener = silence(&punt)?;
        let places = network::PLACES.iter().map(|at| open(*at, &hosts, &punt).map(|port| (*at, port)));
        let places = places.collect::<Result<_, BackendError>>()?;
        let mut veth = Self { places, client, fastpath, router, _listener: listener, lab };
        veth.await_host_routes()?;
        Ok(veth)
    }

    /// A connection to the daemon's API.
    pub const fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Static neighbours are programmed; their nexthops follow at once, but ports open in their own time.
    fn await_host_routes(&mut self) -> Result<(), BackendError> {
        let client = &mut self.client;
        wait_for(READY_TIMEOUT, "the static neighbours", || {
            let neighbors = client.neighbors().ok()?;
            let permanent = neighbors.iter().filter(|neighbor| neighbor.state == "permanent").count();
            (permanent == network::NEIGHBORS.len()).then_some(())
        })?;
        Ok(())
    }

    fn place(&mut self, at: At) -> Result<&mut RawPort, BackendError> {
        self.places.get_mut(&at).ok_or_else(|| format!("{at:?} is not listened to").into())
    }
}

fn open(at: At, hosts: &Namespace, punt: &Namespace) -> Result<RawPort, BackendError> {
    Ok(match at {
        At::Wire(port) => RawPort::open(hosts, port)?,
        At::Host(interface) => RawPort::open(punt, interface)?,
    })
}

/// The host stack does not answer by itself: scenarios say what it sends.
fn silence(punt: &Namespace) -> Result<UdpSocket, BackendError> {
    punt.sysctl("net.ipv4.icmp_echo_ignore_all", "1")?;
    punt.sysctl("net.ipv6.icmp.echo_ignore_all", "1")?;
    Ok(punt.run(|| UdpSocket::bind(("::", LISTENING_PORT)))??)
}

impl Backend for Veth {
    fn reset(&mut self) -> Result<(), BackendError> {
        self.client.flush_neighbors()?;
        self.places.values_mut().try_for_each(RawPort::clear)?;
        Ok(())
    }

    fn send(&mut self, at: At, frame: &[u8]) -> Result<(), BackendError> {
        Ok(self.place(at)?.send(frame)?)
    }

    fn receive(&mut self, at: At, timeout: Duration) -> Result<Option<Vec<u8>>, BackendError> {
        Ok(self.place(at)?.receive(timeout, |_| true)?.map(|frame| frame.bytes))
    }

    fn totals(&mut self) -> Result<Totals, BackendError> {
        Ok(self.client.totals()?)
    }
}
