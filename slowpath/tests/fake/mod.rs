//! A fast path for tests: the Program, Verify and WatchEvents of the API over real sockets, on plain tables.

pub(crate) mod tables;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{broadcast, mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};
use ze_proto::v1::dataplane_server::{Dataplane, DataplaneServer};
use ze_proto::v1::{self, program_request::Body};

use tables::{Name, Tables, elements, path};

/// What the fake has seen, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Hello { owner: String, snapshot: bool },
    Put(String),
    Delete(String),
    End { owner: String, swept: u64 },
    Audit { owner: String, found: u64 },
    Verify,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) instance: u64,
    pub(crate) tables: Tables,
    pub(crate) seen: Vec<Seen>,
    /// Refused at Verify only.
    pub(crate) verify_refuses: Vec<Name>,
    /// Operations that have been received and not yet looked at, because the fake stalls.
    pub(crate) waiting: usize,
    /// What batches of operations said of themselves, by owner: when they were decided.
    pub(crate) decided: Vec<(String, u64)>,
    /// What owners said last: how much is refused at this time.
    pub(crate) refused: HashMap<String, u64>,
    /// The stream of each owner that counts: what comes late on another one is void.
    streams: HashMap<String, u64>,
    streams_begun: u64,
}

impl State {
    /// Paths of all objects.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.tables.objects.keys().map(path).collect()
    }
}

/// A fast path that listens on a socket. It dies, with all its connections, when it is dropped.
pub(crate) struct Fake {
    socket: PathBuf,
    shared: Arc<Shared>,
    runtime: Option<tokio::runtime::Runtime>,
}

struct Shared {
    state: Mutex<State>,
    stalled: watch::Sender<bool>,
    events: broadcast::Sender<v1::event::Event>,
}

impl Fake {
    pub(crate) fn start(socket: &Path, instance: u64) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let state = Mutex::new(State { instance, ..State::default() });
        let shared =
            Arc::new(Shared { state, stalled: watch::channel(false).0, events: broadcast::channel(64).0 });
        let _ = std::fs::remove_file(socket);
        let listener = {
            let _inside = runtime.enter();
            tokio::net::UnixListener::bind(socket).unwrap()
        };
        let service = DataplaneServer::new(Service(Arc::clone(&shared)))
            .max_decoding_message_size(ze_proto::endpoint::MESSAGE_BYTES_MAX);
        let server = tonic::transport::Server::builder().add_service(service);
        runtime.spawn(server.serve_with_incoming(UnixListenerStream::new(listener)));
        Self { socket: socket.to_owned(), shared, runtime: Some(runtime) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }

    /// Stops looking at what comes, or goes on.
    pub(crate) fn stall(&self, stalled: bool) {
        self.shared.stalled.send_replace(stalled);
    }

    pub(crate) fn port_event(&self, name: &str, state: v1::LinkState) {
        let port = v1::PortState { name: name.into(), state: state.into(), ..Default::default() };
        self.shared.events.send(v1::event::Event::Port(port)).expect("somebody watches");
    }

    /// Somebody wants an audit.
    pub(crate) fn want_audit(&self) {
        let wanted = v1::event::Event::AuditWanted(v1::AuditWanted {});
        self.shared.events.send(wanted).expect("somebody watches");
    }

    /// Whether everybody watches who does: the configuration's owner and the feed of files.
    pub(crate) fn is_watched(&self) -> bool {
        self.shared.events.receiver_count() > 1
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        let _ = std::fs::remove_file(&self.socket);
    }
}

struct Service(Arc<Shared>);

type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn no<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not in this fake"))
}

async fn program(
    shared: Arc<Shared>,
    mut requests: Streaming<v1::ProgramRequest>,
    replies: mpsc::Sender<Result<v1::ProgramReply, Status>>,
) {
    let mut stalled = shared.stalled.subscribe();
    let mut whose = (String::new(), 0);
    let mut next = 1;
    while let Ok(Some(request)) = requests.message().await {
        let count = match &request.body {
            Some(Body::Operations(operations)) => {
                operations.operations.iter().map(|o| elements(o).len()).sum()
            }
            _ => 0,
        };
        shared.state.lock().unwrap().waiting += count;
        if stalled.wait_for(|stalled| !*stalled).await.is_err() {
            return;
        }
        let reply = {
            let mut state = shared.state.lock().unwrap();
            state.waiting -= count;
            take(&mut state, &mut whose, next, request)
        };
        next += 1;
        let failed = reply.is_err();
        if replies.send(reply).await.is_err() || failed {
            return;
        }
    }
}

fn take(
    state: &mut State,
    (owner, stream): &mut (String, u64),
    next: u64,
    request: v1::ProgramRequest,
) -> Result<v1::ProgramReply, Status> {
    if request.batch != next || (next == 1) != matches!(request.body, Some(Body::Hello(_))) {
        return Err(Status::invalid_argument(format!("batch {} where {next} was due", request.batch)));
    }
    if next > 1 && state.streams.get(owner) != Some(stream) {
        return Err(Status::aborted("another stream of the same owner has begun; this one is void"));
    }
    let mut reply = v1::ProgramReply { batch: next, instance: state.instance, ..Default::default() };
    state.refused.insert(owner.clone(), request.refused);
    match request.body {
        Some(Body::Hello(hello)) => {
            owner.clone_from(&hello.owner);
            state.streams_begun += 1;
            *stream = state.streams_begun;
            state.streams.insert(hello.owner.clone(), *stream);
            if hello.snapshot {
                state.tables.mark_stale(&hello.owner);
            }
            state.seen.push(Seen::Hello { owner: hello.owner, snapshot: hello.snapshot });
        }
        Some(Body::Operations(operations)) => {
            if !operations.operations.is_empty() {
                state.decided.push((owner.clone(), request.decided_at_ns));
            }
            for (index, operation) in operations.operations.iter().enumerate() {
                for (name, object) in elements(operation) {
                    let path = path(&name);
                    state.seen.push(if object.is_some() { Seen::Put(path) } else { Seen::Delete(path) });
                }
                let refusals = state.tables.apply(owner, index as u32, operation);
                reply.applied += u64::from(refusals.is_empty());
                reply.refusals.extend(refusals);
            }
        }
        Some(Body::EndOfSnapshot(_)) => {
            reply.swept = state.tables.sweep(owner);
            state.seen.push(Seen::End { owner: owner.clone(), swept: reply.swept });
        }
        Some(Body::AuditReport(report)) => {
            let found = report.missing + report.surplus + report.different;
            state.seen.push(Seen::Audit { owner: owner.clone(), found });
        }
        None => return Err(Status::invalid_argument("an empty batch")),
    }
    Ok(reply)
}

#[tonic::async_trait]
impl Dataplane for Service {
    type ProgramStream = Replies<v1::ProgramReply>;
    type ListRoutesStream = Replies<v1::RouteEntry>;
    type ListNeighborsStream = Replies<v1::NeighborEntry>;
    type WatchStatsStream = Replies<v1::Stats>;
    type WatchEventsStream = Replies<v1::Event>;
    type TraceStream = Replies<v1::TraceEvent>;
    type ListOwnedStream = Replies<v1::Owned>;

    async fn program(
        &self,
        request: Request<Streaming<v1::ProgramRequest>>,
    ) -> Result<Response<Self::ProgramStream>, Status> {
        let (sender, replies) = mpsc::channel(1);
        tokio::spawn(program(Arc::clone(&self.0), request.into_inner(), sender));
        Ok(Response::new(Box::pin(ReceiverStream::new(replies))))
    }

    async fn verify(&self, request: Request<v1::VerifyRequest>) -> Result<Response<v1::VerifyReply>, Status> {
        let request = request.into_inner();
        let mut state = self.0.state.lock().unwrap();
        state.seen.push(Seen::Verify);
        let mut tables = Tables { refused: state.verify_refuses.clone(), ..Tables::default() };
        let verdicts = request.operations.iter().enumerate();
        let refusals =
            verdicts.flat_map(|(i, operation)| tables.apply(&request.owner, i as u32, operation)).collect();
        Ok(Response::new(v1::VerifyReply { refusals }))
    }

    async fn watch_events(
        &self,
        _: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let events = tokio_stream::wrappers::BroadcastStream::new(self.0.events.subscribe());
        let events = events.filter_map(Result::ok);
        let event = |event| Ok(v1::Event { at_ns: 0, event: Some(event) });
        Ok(Response::new(Box::pin(events.map(event))))
    }

    async fn get_info(&self, _: Request<v1::GetInfoRequest>) -> Result<Response<v1::Info>, Status> {
        no()
    }
    async fn list_ports(
        &self,
        _: Request<v1::ListPortsRequest>,
    ) -> Result<Response<v1::ListPortsReply>, Status> {
        no()
    }
    async fn list_interfaces(
        &self,
        _: Request<v1::ListInterfacesRequest>,
    ) -> Result<Response<v1::ListInterfacesReply>, Status> {
        no()
    }
    async fn list_vrfs(
        &self,
        _: Request<v1::ListVrfsRequest>,
    ) -> Result<Response<v1::ListVrfsReply>, Status> {
        no()
    }
    async fn list_routes(
        &self,
        _: Request<v1::ListRoutesRequest>,
    ) -> Result<Response<Self::ListRoutesStream>, Status> {
        no()
    }
    async fn lookup_route(
        &self,
        _: Request<v1::LookupRouteRequest>,
    ) -> Result<Response<v1::LookupRouteReply>, Status> {
        no()
    }
    async fn get_fib(&self, _: Request<v1::GetFibRequest>) -> Result<Response<v1::FibState>, Status> {
        no()
    }
    async fn audit_fib(&self, _: Request<v1::AuditFibRequest>) -> Result<Response<v1::FibState>, Status> {
        no()
    }
    async fn list_owned(
        &self,
        request: Request<v1::ListOwnedRequest>,
    ) -> Result<Response<Self::ListOwnedStream>, Status> {
        let owner = request.into_inner().owner;
        let objects = self.0.state.lock().unwrap().tables.operations(&owner);
        let owned = v1::Owned { objects, digests: Vec::new() };
        Ok(Response::new(Box::pin(tokio_stream::iter([Ok(owned)]))))
    }
    async fn list_neighbors(
        &self,
        _: Request<v1::ListNeighborsRequest>,
    ) -> Result<Response<Self::ListNeighborsStream>, Status> {
        no()
    }
    async fn flush_neighbors(
        &self,
        _: Request<v1::FlushNeighborsRequest>,
    ) -> Result<Response<v1::FlushNeighborsReply>, Status> {
        no()
    }
    async fn get_stats(&self, _: Request<v1::GetStatsRequest>) -> Result<Response<v1::Stats>, Status> {
        no()
    }
    async fn watch_stats(
        &self,
        _: Request<v1::WatchStatsRequest>,
    ) -> Result<Response<Self::WatchStatsStream>, Status> {
        no()
    }
    async fn trace(&self, _: Request<v1::TraceRequest>) -> Result<Response<Self::TraceStream>, Status> {
        no()
    }
}
