//! The API's server: every call becomes a job of the control thread.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use futures::future::OptionFuture;
use futures::{Stream, StreamExt, TryStreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::{BroadcastStream, ReceiverStream};
use tonic::{Request, Response, Status, Streaming};
use ze_acl::Filter;
use ze_nodes::Flow;
use ze_proto::v1::dataplane_server::Dataplane;
use ze_proto::{address, v1};

use crate::control::objects::OwnerId;
use crate::control::{Batch, Control, Handle, PACKETS_MAX, Stopping, TraceError, verify};

/// A stream of answers.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
/// Acknowledgements that may wait for a slow client.
const REPLIES_MAX: usize = 64;
/// Bounds and defaults of [`v1::WatchStatsRequest`].
const STATS_INTERVAL_MS: (u32, u32, u32) = (100, 1000, 60_000);
/// Defaults and bound of [`v1::TraceRequest`].
const TRACE_PACKETS: u32 = 10;
const TRACE_TIMEOUT_MS: u32 = 10_000;
const TRACE_TIMEOUT_MAX_MS: u32 = 3_600_000;
/// After the last packet was admitted, how long its walk may take.
const TRACE_LINGER: Duration = Duration::from_millis(300);

/// How long owners may take to audit, less than a client waits for the answer; and how often that is looked after.
const AUDIT_TIMEOUT: Duration = Duration::from_secs(5);
const AUDIT_POLL: Duration = Duration::from_millis(20);

/// The server.
#[derive(Clone)]
pub struct Api {
    control: Handle,
}

impl Api {
    /// Over the control thread.
    pub const fn new(control: Handle) -> Self {
        Self { control }
    }
}

#[tonic::async_trait]
impl Dataplane for Api {
    type ProgramStream = Answers<v1::ProgramReply>;
    type ListRoutesStream = Answers<v1::RouteEntry>;
    type ListNeighborsStream = Answers<v1::NeighborEntry>;
    type WatchStatsStream = Answers<v1::Stats>;
    type WatchEventsStream = Answers<v1::Event>;
    type TraceStream = Answers<v1::TraceEvent>;
    type ListOwnedStream = Answers<v1::Owned>;

    async fn program(
        &self,
        request: Request<Streaming<v1::ProgramRequest>>,
    ) -> Result<Response<Self::ProgramStream>, Status> {
        let (replies, stream) = mpsc::channel(REPLIES_MAX);
        let session = Session { control: self.control.clone(), owner: None, superseded: None, next: 1 };
        tokio::spawn(session.run_to_end(request.into_inner(), replies));
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn verify(&self, request: Request<v1::VerifyRequest>) -> Result<Response<v1::VerifyReply>, Status> {
        let request = request.into_inner();
        let books = self.control.ask(|control| control.books()).await?;
        // On a copy, off the control thread: a large verification delays nobody.
        let refusals =
            tokio::task::spawn_blocking(move || verify(&books, &request.owner, &request.operations));
        let refusals = refusals.await.map_err(|e| Status::internal(e.to_string()))?;
        Ok(Response::new(v1::VerifyReply { refusals }))
    }

    async fn get_info(&self, _: Request<v1::GetInfoRequest>) -> Result<Response<v1::Info>, Status> {
        Ok(Response::new(self.control.ask(|control| control.info()).await?))
    }

    async fn list_ports(
        &self,
        _: Request<v1::ListPortsRequest>,
    ) -> Result<Response<v1::ListPortsReply>, Status> {
        let ports = self.control.ask(|control| control.list_ports()).await?;
        Ok(Response::new(v1::ListPortsReply { ports }))
    }

    async fn list_interfaces(
        &self,
        _: Request<v1::ListInterfacesRequest>,
    ) -> Result<Response<v1::ListInterfacesReply>, Status> {
        let interfaces = self.control.ask(|control| control.list_interfaces()).await?;
        Ok(Response::new(v1::ListInterfacesReply { interfaces }))
    }

    async fn list_vrfs(
        &self,
        _: Request<v1::ListVrfsRequest>,
    ) -> Result<Response<v1::ListVrfsReply>, Status> {
        let vrfs = self.control.ask(|control| control.list_vrfs()).await?;
        Ok(Response::new(v1::ListVrfsReply { vrfs }))
    }

    async fn list_routes(
        &self,
        request: Request<v1::ListRoutesRequest>,
    ) -> Result<Response<Self::ListRoutesStream>, Status> {
        let v1::ListRoutesRequest { vrf, family } = request.into_inner();
        if !matches!(family, 0 | 4 | 6) {
            return Err(Status::invalid_argument(format!(
                "{family} is no address family (4, 6, or 0 for both)"
            )));
        }
        let walk = self.control.ask(move |control| control.walk(&vrf, family)).await?;
        let control = self.control.clone();
        Ok(Response::new(slices(walk.map_err(Status::not_found)?, move |mut walk| {
            let control = control.clone();
            async move {
                let slice = move |control: &mut Control| {
                    let part = control.list_routes(&mut walk);
                    (part, (!walk.is_over()).then_some(walk))
                };
                control.ask(slice).await
            }
        })))
    }

    async fn lookup_route(
        &self,
        request: Request<v1::LookupRouteRequest>,
    ) -> Result<Response<v1::LookupRouteReply>, Status> {
        let v1::LookupRouteRequest { vrf, address, flow } = request.into_inner();
        let address = address::from_bytes(&address).map_err(|e| Status::invalid_argument(e.to_string()))?;
        let flow =
            flow.map(|flow| read_flow(address, &flow)).transpose().map_err(Status::invalid_argument)?;
        let reply = self.control.ask(move |control| control.lookup_route(&vrf, address, flow)).await?;
        Ok(Response::new(reply.map_err(Status::not_found)?))
    }

    async fn get_fib(&self, _: Request<v1::GetFibRequest>) -> Result<Response<v1::FibState>, Status> {
        Ok(Response::new(self.control.ask(|control| control.fib_state()).await?))
    }

    async fn audit_fib(&self, _: Request<v1::AuditFibRequest>) -> Result<Response<v1::FibState>, Status> {
        let before = self.control.ask(|control| control.want_audits()).await?;
        let (mut checked, mut mended) = (0, 0);
        let mut walk = self.control.ask(|control| control.walk_all()).await?;
        while !walk.is_over() {
            let slice = move |control: &mut Control| (control.mend(&mut walk), walk);
            let ((prefixes, wrong), rest) = self.control.ask(slice).await?;
            (checked, mended, walk) = (checked + prefixes, mended + wrong, rest);
        }
        let deadline = tokio::time::Instant::now() + AUDIT_TIMEOUT;
        loop {
            let known = before.clone();
            let have_come = self.control.ask(move |control| control.audits_have_come(&known)).await?;
            if have_come || tokio::time::Instant::now() >= deadline {
                break;
            }
            tokio::time::sleep(AUDIT_POLL).await;
        }
        let state = self.control.ask(move |control| control.audited_state(&before)).await?;
        Ok(Response::new(v1::FibState { checked, mended, ..state }))
    }

    async fn list_owned(
        &self,
        request: Request<v1::ListOwnedRequest>,
    ) -> Result<Response<Self::ListOwnedStream>, Status> {
        let request = request.into_inner();
        let listing = self.control.ask(move |control| control.begin_owned(&request)).await?;
        let control = self.control.clone();
        Ok(Response::new(slices(listing, move |mut listing| {
            let control = control.clone();
            async move {
                let slice = move |control: &mut Control| {
                    let part = control.list_owned(&mut listing);
                    (part, (!listing.is_over()).then_some(listing))
                };
                control.ask(slice).await
            }
        })))
    }

    async fn list_neighbors(
        &self,
        request: Request<v1::ListNeighborsRequest>,
    ) -> Result<Response<Self::ListNeighborsStream>, Status> {
        let interface = request.into_inner().interface;
        let neighbors = self.control.ask(move |control| control.list_neighbors(&interface)).await?;
        Ok(Response::new(all(neighbors.map_err(Status::not_found)?)))
    }

    async fn flush_neighbors(
        &self,
        request: Request<v1::FlushNeighborsRequest>,
    ) -> Result<Response<v1::FlushNeighborsReply>, Status> {
        let v1::FlushNeighborsRequest { interface, address } = request.into_inner();
        let one = match address.as_slice() {
            [] => None,
            bytes => Some(address::from_bytes(bytes).map_err(|e| Status::invalid_argument(e.to_string()))?),
        };
        let flushed = self.control.ask(move |control| control.flush_neighbors(&interface, one)).await?;
        Ok(Response::new(v1::FlushNeighborsReply { flushed: flushed.map_err(Status::not_found)? }))
    }

    async fn get_stats(&self, _: Request<v1::GetStatsRequest>) -> Result<Response<v1::Stats>, Status> {
        Ok(Response::new(self.control.ask(|control| control.stats()).await?))
    }

    async fn watch_stats(
        &self,
        request: Request<v1::WatchStatsRequest>,
    ) -> Result<Response<Self::WatchStatsStream>, Status> {
        let (least, usual, most) = STATS_INTERVAL_MS;
        let interval = match request.into_inner().interval_ms {
            0 => usual,
            ms if (least..=most).contains(&ms) => ms,
            ms => return Err(Status::invalid_argument(format!("{ms} ms; {least} to {most} are possible"))),
        };
        let ticks = tokio_stream::wrappers::IntervalStream::new(tokio::time::interval(
            Duration::from_millis(u64::from(interval)),
        ));
        let control = self.control.clone();
        let stats = ticks.then(move |_| {
            let control = control.clone();
            async move { control.ask(|control| control.stats()).await.map_err(Status::from) }
        });
        Ok(Response::new(Box::pin(stats)))
    }

    async fn watch_events(
        &self,
        _: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        // Subscribed before the present state is read, so that nothing falls between.
        let later = BroadcastStream::new(self.control.watch());
        let ports = self.control.ask(|control| control.list_ports()).await?;
        let now = ports
            .into_iter()
            .map(|port| Ok(v1::Event { at_ns: 0, event: Some(v1::event::Event::Port(port)) }));
        let later = later.map(|event| event.map_err(|lag| Status::data_loss(lag.to_string())));
        Ok(Response::new(Box::pin(futures::stream::iter(now).chain(later))))
    }

    async fn trace(&self, request: Request<v1::TraceRequest>) -> Result<Response<Self::TraceStream>, Status> {
        let v1::TraceRequest { filter, packets, timeout_ms } = request.into_inner();
        let filter: Filter =
            filter.parse().map_err(|e: ze_acl::ParseError| Status::invalid_argument(e.to_string()))?;
        let packets = if packets == 0 { TRACE_PACKETS } else { packets };
        if packets > PACKETS_MAX {
            return Err(Status::invalid_argument(format!(
                "{packets} packets; 1 to {PACKETS_MAX} are possible"
            )));
        }
        let timeout_ms =
            if timeout_ms == 0 { TRACE_TIMEOUT_MS } else { timeout_ms.min(TRACE_TIMEOUT_MAX_MS) };
        let begun = self.control.ask(move |control| control.begin_trace(&filter, packets as u16)).await?;
        let (number, events) = begun.map_err(|e| match e {
            TraceError::Busy => Status::resource_exhausted(e.to_string()),
        })?;
        let (out, stream) = mpsc::channel(REPLIES_MAX);
        tokio::spawn(follow(self.control.clone(), number, packets, timeout_ms, events, out));
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

/// The flow of a packet to `destination`.
fn read_flow(destination: IpAddr, flow: &v1::Flow) -> Result<Flow, String> {
    let source = address::from_bytes(&flow.source).map_err(|e| format!("the flow's source: {e}"))?;
    if source.is_ipv4() != destination.is_ipv4() {
        return Err(format!("a flow from {source} to {destination} is of two families"));
    }
    let protocol =
        u8::try_from(flow.protocol).map_err(|_| format!("{} is no protocol number", flow.protocol))?;
    let port = |port: u32| u16::try_from(port).map_err(|_| format!("{port} is no port number"));
    let ports = Some((port(flow.source_port)?, port(flow.destination_port)?));
    Ok(Flow { source, destination, protocol, ports })
}

/// An answer made slice by slice. A slice is asked for only when all of the one before has been sent, so a client that
/// reads slowly holds one slice and what is in the connection's buffers, and one that has gone ends the walk.
fn slices<S, T, N>(first: S, mut next: impl FnMut(S) -> N + Send + 'static) -> Answers<T>
where
    S: Send + 'static,
    T: Send + 'static,
    N: Future<Output = Result<(Vec<T>, Option<S>), Stopping>> + Send + 'static,
{
    let parts = futures::stream::try_unfold(Some(first), move |rest| {
        let slice = rest.map(&mut next);
        async move {
            let Some(slice) = slice else { return Ok(None) };
            let (part, rest) = slice.await?;
            Ok::<_, Status>(Some((futures::stream::iter(part.into_iter().map(Ok)), rest)))
        }
    });
    Box::pin(parts.try_flatten())
}

fn all<T: Send + 'static>(items: Vec<T>) -> Answers<T> {
    Box::pin(futures::stream::iter(items.into_iter().map(Ok)))
}

/// Passes a trace's events on until all packets have left, the time is over, or the client has gone.
async fn follow(
    control: Handle,
    number: u64,
    packets: u32,
    timeout_ms: u32,
    mut events: mpsc::Receiver<v1::TraceEvent>,
    out: mpsc::Sender<Result<v1::TraceEvent, Status>>,
) {
    let mut deadline = tokio::time::Instant::now() + Duration::from_millis(u64::from(timeout_ms));
    let mut lingering = false;
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = tokio::time::sleep_until(deadline) => None,
            () = out.closed() => None,
        };
        let Some(event) = event else { break };
        if event.packet >= packets && !lingering {
            lingering = true;
            deadline = deadline.min(tokio::time::Instant::now() + TRACE_LINGER);
        }
        if out.send(Ok(event)).await.is_err() {
            break;
        }
    }
    // When the daemon is stopping, the trace ends with it.
    let _ = control.ask(move |control| control.end_trace(number)).await;
}

/// One Program stream.
struct Session {
    control: Handle,
    owner: Option<(OwnerId, u64)>,
    /// Closed when another stream of the owner has begun.
    superseded: Option<oneshot::Receiver<Infallible>>,
    next: u64,
}

impl Session {
    async fn run_to_end(
        mut self,
        requests: Streaming<v1::ProgramRequest>,
        replies: mpsc::Sender<Result<v1::ProgramReply, Status>>,
    ) {
        self.run(requests, replies).await;
        if let Some((owner, stream)) = self.owner {
            // When the daemon is stopping, so are its streams.
            let _ = self.control.ask(move |control| control.end_stream(owner, stream)).await;
        }
    }

    async fn run(
        &mut self,
        mut requests: Streaming<v1::ProgramRequest>,
        replies: mpsc::Sender<Result<v1::ProgramReply, Status>>,
    ) {
        loop {
            let superseded = OptionFuture::from(self.superseded.as_mut());
            let request = tokio::select! {
                request = requests.message() => request,
                // At once, so that a client that has nothing to send learns it too, and puts right what the other did.
                Some(_) = superseded => {
                    let _ = replies.send(Err(self::superseded())).await;
                    return;
                }
            };
            let reply = match request {
                Ok(Some(request)) => self.answer(request).await,
                // The client has ended the stream, in good order or by dying: what it put stays.
                Ok(None) | Err(_) => return,
            };
            let failed = reply.is_err();
            if replies.send(reply).await.is_err() || failed {
                return;
            }
        }
    }

    async fn answer(&mut self, request: v1::ProgramRequest) -> Result<v1::ProgramReply, Status> {
        let batch = request.batch;
        let about = Batch {
            decided_at_ns: request.decided_at_ns,
            backlog: request.backlog,
            refused: request.refused,
        };
        if batch != self.next {
            let text = format!("batch {batch} where {} was due; the stream ends here", self.next);
            return Err(Status::failed_precondition(text));
        }
        self.next += 1;
        use v1::program_request::Body;
        match (request.body, self.owner) {
            (Some(Body::Hello(hello)), None) => self.hello(batch, hello).await,
            (Some(Body::Hello(_)), Some(_)) => {
                Err(Status::failed_precondition("a second Hello on this stream"))
            }
            (_, None) => Err(Status::failed_precondition("the first message of a stream is a Hello")),
            (Some(Body::Operations(operations)), Some(owner)) => {
                self.apply(batch, owner, operations.operations, about).await
            }
            (Some(Body::EndOfSnapshot(_)), Some(owner)) => self.sweep(batch, owner, about).await,
            (Some(Body::AuditReport(report)), Some((owner, _))) => {
                self.control.ask(move |control| control.audited(owner, about, report)).await?;
                Ok(v1::ProgramReply { batch, applied: 1, ..v1::ProgramReply::default() })
            }
            (None, Some(_)) => Err(Status::invalid_argument("a message without a body")),
        }
    }

    async fn hello(&mut self, batch: u64, hello: v1::Hello) -> Result<v1::ProgramReply, Status> {
        let (begun, instance) = self.control.ask(move |c| (c.begin_stream(&hello), c.instance())).await?;
        let begun = begun.map_err(|refused| Status::invalid_argument(refused.to_string()))?;
        self.owner = Some((begun.owner, begun.stream));
        self.superseded = Some(begun.superseded);
        Ok(v1::ProgramReply { batch, applied: 1, instance, ..v1::ProgramReply::default() })
    }

    async fn apply(
        &self,
        batch: u64,
        (owner, stream): (OwnerId, u64),
        operations: Vec<v1::Operation>,
        about: Batch,
    ) -> Result<v1::ProgramReply, Status> {
        let answer = self.control.ask(move |control| {
            let current = control.stream_is_current(owner, stream);
            current.then(|| (control.apply(owner, operations, about), control.instance()))
        });
        let ((applied, refusals), instance) = answer.await?.ok_or_else(superseded)?;
        Ok(v1::ProgramReply { batch, applied, refusals, swept: 0, instance })
    }

    async fn sweep(
        &self,
        batch: u64,
        (owner, stream): (OwnerId, u64),
        about: Batch,
    ) -> Result<v1::ProgramReply, Status> {
        let mut walk = self.control.ask(|control| control.walk_all()).await?;
        let mut routes = 0;
        while !walk.is_over() {
            let answer = self.control.ask(move |control| {
                let current = control.stream_is_current(owner, stream);
                current.then(|| (control.sweep_routes(&mut walk, owner), walk))
            });
            let (swept, rest) = answer.await?.ok_or_else(superseded)?;
            (routes, walk) = (routes + swept, rest);
        }
        let answer = self.control.ask(move |control| {
            let current = control.stream_is_current(owner, stream);
            current.then(|| {
                control.told(owner, about);
                (routes + control.sweep(owner), control.instance())
            })
        });
        let (swept, instance) = answer.await?.ok_or_else(superseded)?;
        Ok(v1::ProgramReply { batch, applied: 1, refusals: Vec::new(), swept, instance })
    }
}

fn superseded() -> Status {
    Status::aborted("another stream of the same owner has begun; this one is void")
}

#[cfg(test)]
mod tests;
