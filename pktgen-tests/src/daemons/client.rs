//! A blocking client of the forwarding daemon's API, for tests and tours.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio_stream::StreamExt;
use tonic::transport::Channel;
use ze_proto::v1::{self, dataplane_client::DataplaneClient};
use ze_proto::{address, endpoint};

use super::{DaemonError, Totals};

/// No call of a daemon that works takes longer.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to `ze-fastpath`.
#[derive(Debug)]
pub struct Client {
    runtime: Runtime,
    dataplane: DataplaneClient<Channel>,
}

impl Client {
    /// Connects to the Unix socket, now.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(socket: &Path) -> Result<Self, DaemonError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(DaemonError::Runtime)?;
        let connect = async { tokio::time::timeout(CALL_TIMEOUT, endpoint::connect(socket)).await };
        let dataplane = match runtime.block_on(connect) {
            Ok(Ok(dataplane)) => dataplane,
            Ok(Err(source)) => return Err(DaemonError::Connect { socket: socket.to_owned(), source }),
            Err(_) => return Err(slow("connect")),
        };
        Ok(Self { runtime, dataplane })
    }

    fn call<T>(
        &mut self,
        call: &'static str,
        work: impl AsyncFnOnce(&mut DataplaneClient<Channel>) -> Result<T, tonic::Status>,
    ) -> Result<T, DaemonError> {
        self.call_within(CALL_TIMEOUT, call, work)
    }

    fn call_within<T>(
        &mut self,
        timeout: Duration,
        call: &'static str,
        work: impl AsyncFnOnce(&mut DataplaneClient<Channel>) -> Result<T, tonic::Status>,
    ) -> Result<T, DaemonError> {
        let dataplane = &mut self.dataplane;
        let answer = self.runtime.block_on(async { tokio::time::timeout(timeout, work(dataplane)).await });
        let answer = answer.map_err(|_| DaemonError::Slow { call, seconds: timeout.as_secs() })?;
        answer.map_err(|status| DaemonError::Call { call, status: Box::new(status) })
    }

    /// What the daemon is.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn info(&mut self) -> Result<v1::Info, DaemonError> {
        self.call("GetInfo", async |d| Ok(d.get_info(v1::GetInfoRequest {}).await?.into_inner()))
    }

    /// Statistics of everything.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn stats(&mut self) -> Result<v1::Stats, DaemonError> {
        self.call("GetStats", async |d| Ok(d.get_stats(v1::GetStatsRequest {}).await?.into_inner()))
    }

    /// Statistics of everything, added up over the workers.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn totals(&mut self) -> Result<Totals, DaemonError> {
        Ok(Totals::of(&self.stats()?))
    }

    /// Who programs the tables, and what they hold.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn fib(&mut self) -> Result<v1::FibState, DaemonError> {
        self.call("GetFib", async |d| Ok(d.get_fib(v1::GetFibRequest {}).await?.into_inner()))
    }

    /// The ports.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn ports(&mut self) -> Result<Vec<v1::PortState>, DaemonError> {
        self.call("ListPorts", async |d| Ok(d.list_ports(v1::ListPortsRequest {}).await?.into_inner().ports))
    }

    /// One port, by its name.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn port(&mut self, name: &str) -> Result<Option<v1::PortState>, DaemonError> {
        Ok(self.ports()?.into_iter().find(|port| port.name == name && !port.representor))
    }

    /// The interfaces.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn interfaces(&mut self) -> Result<Vec<v1::InterfaceState>, DaemonError> {
        self.call("ListInterfaces", async |d| {
            Ok(d.list_interfaces(v1::ListInterfacesRequest {}).await?.into_inner().interfaces)
        })
    }

    /// The route that a destination takes in the default VRF.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn lookup(&mut self, destination: IpAddr) -> Result<Option<v1::RouteEntry>, DaemonError> {
        let request =
            v1::LookupRouteRequest { address: address::to_bytes(destination), ..Default::default() };
        self.call("LookupRoute", async |d| Ok(d.lookup_route(request).await?.into_inner().route))
    }

    /// The neighbours of all interfaces.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn neighbors(&mut self) -> Result<Vec<v1::NeighborEntry>, DaemonError> {
        self.call("ListNeighbors", async |d| {
            let request = v1::ListNeighborsRequest { interface: String::new() };
            d.list_neighbors(request).await?.into_inner().collect().await
        })
    }

    /// Forgets all learned neighbours.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn flush_neighbors(&mut self) -> Result<u64, DaemonError> {
        let request = v1::FlushNeighborsRequest { interface: String::new(), address: Vec::new() };
        self.call("FlushNeighbors", async |d| Ok(d.flush_neighbors(request).await?.into_inner().flushed))
    }

    /// Follows the packets of a filter through the graph; returns when they have left or the time is over.
    ///
    /// # Errors
    /// When it refuses the filter, or does not answer.
    pub fn trace(
        &mut self,
        filter: &str,
        packets: u32,
        timeout: Duration,
    ) -> Result<Vec<v1::TraceEvent>, DaemonError> {
        let timeout_ms = timeout.as_millis() as u32;
        let request = v1::TraceRequest { filter: filter.to_owned(), packets, timeout_ms };
        self.call("Trace", async |d| d.trace(request).await?.into_inner().collect().await)
    }

    /// Puts objects as a whole snapshot of `owner`: what it had before and is not among them goes. Returns what was
    /// refused.
    ///
    /// # Errors
    /// When it does not answer, or ends the stream.
    pub fn program(
        &mut self,
        owner: &str,
        operations: Vec<v1::Operation>,
    ) -> Result<Vec<v1::Refusal>, DaemonError> {
        self.program_batches(owner, vec![operations], CALL_TIMEOUT)
    }

    /// As [`Client::program`], in batches, each small enough for a message, and with a time limit of the caller's: for
    /// whole tables.
    ///
    /// # Errors
    /// When it does not answer in time, or ends the stream.
    pub fn program_batches(
        &mut self,
        owner: &str,
        batches: Vec<Vec<v1::Operation>>,
        timeout: Duration,
    ) -> Result<Vec<v1::Refusal>, DaemonError> {
        use v1::program_request::Body;
        let first = Body::Hello(v1::Hello { owner: owner.to_owned(), snapshot: true, ..Default::default() });
        let batches = batches.into_iter().map(|operations| Body::Operations(v1::Operations { operations }));
        let last = Body::EndOfSnapshot(v1::EndOfSnapshot {});
        let bodies = std::iter::once(first).chain(batches).chain(std::iter::once(last));
        let requests: Vec<_> = (1..).zip(bodies).map(|(batch, body)| request(batch, body)).collect();
        let count = requests.len();
        let replies: Vec<v1::ProgramReply> = self.call_within(timeout, "Program", async |d| {
            let replies = d.program(tokio_stream::iter(requests)).await?.into_inner();
            replies.take(count).collect().await
        })?;
        Ok(replies.into_iter().flat_map(|reply| reply.refusals).collect())
    }
}

fn request(batch: u64, body: v1::program_request::Body) -> v1::ProgramRequest {
    v1::ProgramRequest { batch, body: Some(body), ..v1::ProgramRequest::default() }
}

fn slow(call: &'static str) -> DaemonError {
    DaemonError::Slow { call, seconds: CALL_TIMEOUT.as_secs() }
}
