//! The backend with a real `ze-fastpath`: AF_XDP on veths, programmed over its API.

use std::collections::HashMap;
use std::thread::JoinHandle;
use std::time::Duration;

use super::devices::{self, Cable};
use super::router::Router;
use super::{Backend, BackendError, Place, TraceStep};
use crate::daemons::{Binaries, Client, Fastpath, FastpathOptions, PUNT_LABEL, Totals};
use ze_proto::v1::TraceEvent;

use crate::frame::Mac;
use crate::lab::{Lab, Namespace, Qdisc, RawPort, VethOptions, wait_for};

/// Packets of a trace: as many as the daemon follows at most.
const TRACE_PACKETS: u32 = 1000;
/// How long packets are followed: a scenario that fails waits for a frame this long, and the trace a little longer.
const TRACE_TIME: Duration = Duration::from_secs(3);
/// From the call to the armed trace.
const ARMING_TIME: Duration = Duration::from_millis(100);
/// How long the router may take to be ready.
const READY_TIMEOUT: Duration = Duration::from_secs(15);

/// A router in a lab of its own. Fields are dropped in this order.
#[derive(Debug)]
pub struct Veth {
    places: HashMap<Place, RawPort>,
    client: Client,
    trace: Option<JoinHandle<Result<Vec<TraceStep>, String>>>,
    /// The daemon.
    pub fastpath: Fastpath,
    /// Where the daemon runs.
    pub router: Namespace,
    /// The lab.
    pub lab: Lab,
}

impl Veth {
    /// Builds the lab, starts the daemon and programs it.
    ///
    /// # Errors
    /// When something of it fails, or the daemon refuses an object.
    pub fn start(name: &str, queues: u32, of: &Router) -> Result<Self, BackendError> {
        let lab = Lab::new(name)?;
        let (router, hosts) = (lab.namespace("router")?, lab.quiet_namespace("hosts")?);
        for (port, mac) in &of.ports {
            let qdisc = Qdisc::PfifoFast;
            let options =
                VethOptions { queues, peer_mac: Some(*mac), peer_qdisc: qdisc, ..VethOptions::default() };
            lab.veth(&hosts, port, &router, port, &options)?;
        }
        Self::assemble(lab, router, &hosts, of)
    }

    /// The same on devices of this machine, which are the lab's until it is taken apart.
    ///
    /// # Errors
    /// When a port has no cable, or as above.
    pub fn start_on(name: &str, cables: &[Cable], of: &Router) -> Result<Self, BackendError> {
        let of_port = |port: &String| {
            let cable = cables.iter().find(|cable| cable.port == *port);
            cable.ok_or_else(|| format!("no devices are named for port {port}: --port {port}=DEVICE,TESTER"))
        };
        let named = of.ports.iter().map(|(port, mac)| Ok((of_port(port)?, *mac)));
        let named: Vec<(&Cable, Mac)> = named.collect::<Result<_, String>>()?;
        let lab = Lab::new(name)?;
        let (router, hosts) = (lab.namespace("router")?, lab.quiet_namespace("hosts")?);
        for (cable, mac) in &named {
            devices::borrow(&lab, &router, &cable.router, &cable.port, Some(*mac))?;
            devices::borrow(&lab, &hosts, &cable.tester, &cable.port, None)?;
        }
        for (cable, _) in named {
            router.await_link(&cable.port)?;
            hosts.await_link(&cable.port)?;
        }
        Self::assemble(lab, router, &hosts, of)
    }

    fn assemble(lab: Lab, router: Namespace, hosts: &Namespace, of: &Router) -> Result<Self, BackendError> {
        let fastpath = Fastpath::start(&lab, &router, &Binaries::new(None), &FastpathOptions::default())?;
        let mut client = fastpath.client()?;
        let refusals = client.program("scenarios", of.operations())?;
        if !refusals.is_empty() {
            return Err(format!("refused: {refusals:?}").into());
        }
        let up = of.interfaces.iter().filter(|(_, interface)| !interface.down);
        let up: Vec<_> = up.map(|(name, _)| name.as_str()).collect();
        fastpath.await_interfaces(&up, READY_TIMEOUT)?;
        let stacks = host_stacks(&lab, of)?;
        stacks.values().try_for_each(silence)?;
        let open = |at: Place| Ok((at.clone(), open(&at, of, hosts, &stacks)?));
        let places = of.places().into_iter().map(open).collect::<Result<_, BackendError>>()?;
        let mut veth = Self { places, client, trace: None, fastpath, router, lab };
        veth.await_host_routes(of.neighbors.len())?;
        Ok(veth)
    }

    /// A connection to the daemon's API.
    pub const fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Static neighbours are programmed; their nexthops follow at once, but ports open in their own time.
    fn await_host_routes(&mut self, static_neighbors: usize) -> Result<(), BackendError> {
        let client = &mut self.client;
        wait_for(READY_TIMEOUT, "the static neighbours", || {
            let neighbors = client.neighbors().ok()?;
            let permanent = neighbors.iter().filter(|neighbor| neighbor.state == "permanent").count();
            (permanent == static_neighbors).then_some(())
        })?;
        Ok(())
    }

    fn place(&mut self, at: &Place) -> Result<&mut RawPort, BackendError> {
        self.places.get_mut(at).ok_or_else(|| format!("{at} is not listened to").into())
    }
}

/// The host stacks by VRF; the default one's is "".
fn host_stacks<'a>(lab: &Lab, of: &'a Router) -> Result<HashMap<&'a str, Namespace>, BackendError> {
    let mut stacks = HashMap::from([("", lab.adopt(PUNT_LABEL)?)]);
    for vrf in &of.vrfs {
        stacks.insert(vrf, lab.adopt(&format!("{PUNT_LABEL}-{vrf}"))?);
    }
    Ok(stacks)
}

fn open(
    at: &Place,
    of: &Router,
    hosts: &Namespace,
    stacks: &HashMap<&str, Namespace>,
) -> Result<RawPort, BackendError> {
    match at {
        Place::Wire(port) => Ok(RawPort::open(hosts, port)?),
        Place::Host(interface) => {
            let vrf = of.interfaces.get(interface).map_or("", |of| &of.vrf);
            let stack = stacks.get(vrf).ok_or_else(|| format!("there is no host stack of VRF '{vrf}'"))?;
            Ok(RawPort::open(stack, interface)?)
        }
    }
}

/// The host stack does not answer by itself: scenarios say what it sends. What is sent by a packet socket asks for no
/// route; everything else does, and comes "from lo".
fn silence(stack: &Namespace) -> Result<(), BackendError> {
    for family in ["-4", "-6"] {
        stack.ip(&[family, "rule", "add", "pref", "0", "iif", "lo", "blackhole"])?;
    }
    Ok(())
}

impl Backend for Veth {
    fn reset(&mut self) -> Result<(), BackendError> {
        self.client.flush_neighbors()?;
        self.places.values_mut().try_for_each(RawPort::clear)?;
        Ok(())
    }

    fn places(&self) -> Vec<Place> {
        self.places.keys().cloned().collect()
    }

    fn send(&mut self, at: &Place, frame: &[u8]) -> Result<(), BackendError> {
        Ok(self.place(at)?.send(frame)?)
    }

    fn receive(&mut self, at: &Place, timeout: Duration) -> Result<Option<Vec<u8>>, BackendError> {
        Ok(self.place(at)?.receive(timeout, |_| true)?.map(|frame| frame.bytes))
    }

    fn wait(&mut self, time: Duration) -> Result<(), BackendError> {
        std::thread::sleep(time);
        Ok(())
    }

    fn totals(&mut self) -> Result<Totals, BackendError> {
        Ok(self.client.totals()?)
    }

    fn takes_time(&self) -> bool {
        true
    }

    fn start_trace(&mut self) -> Result<(), BackendError> {
        let mut client = self.fastpath.client()?;
        let follow = move || {
            let events = client.trace("", TRACE_PACKETS, TRACE_TIME).map_err(|error| error.to_string())?;
            Ok(events.into_iter().map(step).collect())
        };
        self.trace = Some(std::thread::spawn(follow));
        // The call is on its way to the daemon, which arms the trace within microseconds.
        std::thread::sleep(ARMING_TIME);
        Ok(())
    }

    fn take_trace(&mut self) -> Result<Vec<TraceStep>, BackendError> {
        let Some(trace) = self.trace.take() else { return Ok(Vec::new()) };
        Ok(trace.join().map_err(|_| "the trace's thread panicked")??)
    }
}

fn step(event: TraceEvent) -> TraceStep {
    let TraceEvent { packet, node, exit, reason, packet_bytes: bytes, .. } = event;
    TraceStep { packet, node, exit, reason, bytes }
}
