//! A fast path that is not there: a gRPC server on a Unix socket with a small router's data. At time `s` every
//! counter is `s` times what it is in a second, so that samples are consistent, and rates are known.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test program uses a part of it")]

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};
use ze_proto::v1::dataplane_server::{Dataplane, DataplaneServer};
use ze_proto::v1::*;

mod data;
mod steps;

pub use data::stats;

/// How time passes for the fake.
#[derive(Clone, Debug)]
pub enum Clock {
    /// Each sample is a second after the one before: the same output each time.
    Steps(Arc<AtomicU64>),
    /// As it does.
    Real(Instant),
}

/// The fake.
#[derive(Clone, Debug)]
pub struct Fake {
    /// Time.
    pub clock: Clock,
    /// Streams of statistics end after so many samples.
    pub samples_max: usize,
    /// The trace ends with an error after so many steps.
    pub trace_fails_after: Option<usize>,
    /// Nothing is configured.
    pub empty: bool,
    /// Traces that were asked for.
    pub traces: Arc<Mutex<Vec<TraceRequest>>>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            clock: Clock::Steps(Arc::new(AtomicU64::new(100))),
            samples_max: usize::MAX,
            trace_fails_after: None,
            empty: false,
            traces: Arc::default(),
        }
    }
}

impl Fake {
    /// Serves on `socket` until the process ends or the future is dropped.
    pub async fn serve(self, socket: &Path) -> io::Result<()> {
        let listener = UnixListener::bind(socket)?;
        let service = DataplaneServer::new(self);
        let connections = UnixListenerStream::new(listener);
        tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(connections)
            .await
            .map_err(io::Error::other)
    }

    fn now(&self) -> Stats {
        let s = match &self.clock {
            Clock::Steps(step) => step.fetch_add(1, Ordering::Relaxed) as f64,
            Clock::Real(start) => 100.0 + start.elapsed().as_secs_f64(),
        };
        if self.empty { Stats { at_ns: (s * 1e9) as u64, instance: 7, ..Stats::default() } } else { stats(s) }
    }
}

type Answer<T> = Result<Response<T>, Status>;
type Many<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn many<T: Send + 'static>(items: Vec<T>) -> Answer<Many<T>> {
    Ok(Response::new(Box::pin(tokio_stream::iter(items.into_iter().map(Ok)))))
}

#[tonic::async_trait]
impl Dataplane for Fake {
    type ProgramStream = Many<ProgramReply>;
    type ListRoutesStream = Many<RouteEntry>;
    type ListNeighborsStream = Many<NeighborEntry>;
    type WatchStatsStream = Many<Stats>;
    type WatchEventsStream = Many<Event>;
    type TraceStream = Many<TraceEvent>;
    type ListOwnedStream = Many<Owned>;

    async fn program(&self, _: Request<Streaming<ProgramRequest>>) -> Answer<Self::ProgramStream> {
        Err(Status::permission_denied("a fake programs nothing"))
    }

    async fn verify(&self, _: Request<VerifyRequest>) -> Answer<VerifyReply> {
        Err(Status::permission_denied("a fake verifies nothing"))
    }

    async fn get_info(&self, _: Request<GetInfoRequest>) -> Answer<Info> {
        Ok(Response::new(data::info()))
    }

    async fn list_ports(&self, _: Request<ListPortsRequest>) -> Answer<ListPortsReply> {
        Ok(Response::new(ListPortsReply { ports: self.now().ports }))
    }

    async fn list_interfaces(&self, _: Request<ListInterfacesRequest>) -> Answer<ListInterfacesReply> {
        Ok(Response::new(ListInterfacesReply { interfaces: self.now().interfaces }))
    }

    async fn list_vrfs(&self, _: Request<ListVrfsRequest>) -> Answer<ListVrfsReply> {
        Ok(Response::new(ListVrfsReply { vrfs: data::vrfs() }))
    }

    async fn list_routes(&self, request: Request<ListRoutesRequest>) -> Answer<Self::ListRoutesStream> {
        let ListRoutesRequest { vrf, family } = request.into_inner();
        if !vrf.is_empty() && !data::vrfs().iter().any(|v| v.name == vrf) {
            return Err(Status::not_found(format!("there is no VRF '{vrf}'")));
        }
        let routes = if self.empty { vec![] } else { data::routes() };
        let wanted = |r: &RouteEntry| {
            (vrf.is_empty() || r.vrf == vrf) && (family == 0 || (family == 4) == (r.prefix.len() == 4))
        };
        many(routes.into_iter().filter(wanted).collect())
    }

    async fn lookup_route(&self, request: Request<LookupRouteRequest>) -> Answer<LookupRouteReply> {
        let request = request.into_inner();
        match request.address[0] {
            224 => {
                let instead =
                    "Multicast is not routed: packets to 224.5.5.5 go to the router's own host.".into();
                return Ok(Response::new(LookupRouteReply { instead, ..LookupRouteReply::default() }));
            }
            // Into a VRF that has no route there.
            192 => {
                let route = data::routes().pop();
                let chosen = route.as_ref().map_or(0, |route| route.nexthops[0].index);
                return Ok(Response::new(LookupRouteReply {
                    route,
                    chosen,
                    dropped: "no_route".into(),
                    ..LookupRouteReply::default()
                }));
            }
            _ => {}
        }
        let known = request.address.starts_with(&[10]);
        let route = known.then(|| data::routes().remove(if request.flow.is_some() { 0 } else { 1 }));
        let (chosen, flow_hash) = if request.flow.is_some() { (2, 0xc0ff_ee00) } else { (0, 0) };
        Ok(Response::new(LookupRouteReply { route, chosen, flow_hash, ..LookupRouteReply::default() }))
    }

    async fn get_fib(&self, _: Request<GetFibRequest>) -> Answer<FibState> {
        Ok(Response::new(data::fib(false)))
    }

    async fn audit_fib(&self, _: Request<AuditFibRequest>) -> Answer<FibState> {
        Ok(Response::new(data::fib(true)))
    }

    async fn list_owned(&self, _: Request<ListOwnedRequest>) -> Answer<Self::ListOwnedStream> {
        many(vec![])
    }

    async fn list_neighbors(
        &self,
        request: Request<ListNeighborsRequest>,
    ) -> Answer<Self::ListNeighborsStream> {
        let interface = request.into_inner().interface;
        let all = if self.empty { vec![] } else { data::neighbors() };
        many(all.into_iter().filter(|n| interface.is_empty() || n.interface == interface).collect())
    }

    async fn flush_neighbors(&self, request: Request<FlushNeighborsRequest>) -> Answer<FlushNeighborsReply> {
        let flushed = if request.into_inner().address.is_empty() { 3 } else { 1 };
        Ok(Response::new(FlushNeighborsReply { flushed }))
    }

    async fn get_stats(&self, _: Request<GetStatsRequest>) -> Answer<Stats> {
        Ok(Response::new(self.now()))
    }

    async fn watch_stats(&self, request: Request<WatchStatsRequest>) -> Answer<Self::WatchStatsStream> {
        let fake = self.clone();
        let every = tokio::time::interval(Duration::from_millis(request.into_inner().interval_ms.into()));
        let samples = tokio_stream::wrappers::IntervalStream::new(every).map(move |_| Ok(fake.now()));
        Ok(Response::new(Box::pin(samples.take(self.samples_max))))
    }

    async fn watch_events(&self, _: Request<WatchEventsRequest>) -> Answer<Self::WatchEventsStream> {
        many(vec![])
    }

    async fn trace(&self, request: Request<TraceRequest>) -> Answer<Self::TraceStream> {
        let request = request.into_inner();
        let steps = if request.filter.contains("arp") { vec![] } else { steps::steps(request.packets) };
        self.traces.lock().map_err(|_| Status::internal("a test failed"))?.push(request);
        let Some(after) = self.trace_fails_after else { return many(steps) };
        let cut = steps.into_iter().take(after).map(Ok);
        let end = std::iter::once(Err(Status::unavailable("")));
        Ok(Response::new(Box::pin(tokio_stream::iter(cut.chain(end)))))
    }
}
