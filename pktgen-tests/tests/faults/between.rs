//! Somebody between `ze-slowpath` and `ze-fastpath`, who puts in words of his own: what he programs is programmed by the
//! same owner on the same stream, and `ze-slowpath` does not know of it.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status, Streaming};
use ze_proto::endpoint;
use ze_proto::v1::dataplane_client::DataplaneClient;
use ze_proto::v1::dataplane_server::{Dataplane, DataplaneServer};
use ze_proto::v1::{self, program_request::Body};

/// Operations, and who wants to know what was refused.
type Words = (Vec<v1::Operation>, oneshot::Sender<Vec<v1::Refusal>>);

/// Listens on a socket of its own as long as it lives.
pub(crate) struct Between {
    runtime: Runtime,
    streams: Streams,
}

type Streams = Arc<Mutex<HashMap<String, mpsc::Sender<Words>>>>;

impl Between {
    pub(crate) fn start(upstream: &Path, socket: &Path) -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let streams = Streams::default();
        let upstream = runtime.block_on(endpoint::connect(upstream))?;
        let listener = runtime.block_on(async { tokio::net::UnixListener::bind(socket) })?;
        let service = DataplaneServer::new(Service { upstream, streams: Arc::clone(&streams) })
            .max_decoding_message_size(endpoint::MESSAGE_BYTES_MAX);
        let server = Server::builder().add_service(service);
        runtime.spawn(server.serve_with_incoming(UnixListenerStream::new(listener)));
        Ok(Self { runtime, streams })
    }

    /// Programs as `owner`, on its stream. Returns what was refused.
    pub(crate) fn say(&self, owner: &str, operations: Vec<v1::Operation>) -> Result<Vec<v1::Refusal>> {
        let stream = lock(&self.streams).get(owner).cloned().context("the owner has no stream")?;
        let (done, refused) = oneshot::channel();
        self.runtime.block_on(async {
            stream.send((operations, done)).await.ok().context("the stream has ended")?;
            Ok(refused.await?)
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Service {
    upstream: DataplaneClient<Channel>,
    streams: Streams,
}

/// One Program stream: batches of both are numbered as they come, and each gets its own replies.
struct Session {
    requests: mpsc::Sender<v1::ProgramRequest>,
    sent: u64,
    /// Whose batch each outstanding one is.
    outstanding: VecDeque<Whose>,
}

enum Whose {
    Theirs(u64),
    Ours(oneshot::Sender<Vec<v1::Refusal>>),
}

impl Session {
    async fn pass(&mut self, mut request: v1::ProgramRequest, whose: Whose) -> Option<()> {
        self.sent += 1;
        request.batch = self.sent;
        self.outstanding.push_back(whose);
        self.requests.send(request).await.ok()
    }

    async fn run(
        mut self,
        mut theirs: Streaming<v1::ProgramRequest>,
        mut ours: mpsc::Receiver<Words>,
        mut replies: Streaming<v1::ProgramReply>,
        out: mpsc::Sender<Result<v1::ProgramReply, Status>>,
    ) -> Option<()> {
        loop {
            tokio::select! {
                request = theirs.message() => {
                    let request = request.ok()??;
                    let batch = request.batch;
                    self.pass(request, Whose::Theirs(batch)).await?;
                }
                Some((operations, done)) = ours.recv() => {
                    let body = Some(Body::Operations(v1::Operations { operations }));
                    let request = v1::ProgramRequest { body, ..v1::ProgramRequest::default() };
                    self.pass(request, Whose::Ours(done)).await?;
                }
                reply = replies.message() => match reply {
                    Ok(reply) => match self.outstanding.pop_front()? {
                        Whose::Theirs(batch) => out.send(Ok(v1::ProgramReply { batch, ..reply? })).await.ok()?,
                        Whose::Ours(done) => done.send(reply?.refusals).ok()?,
                    },
                    Err(status) => {
                        out.send(Err(status)).await.ok()?;
                        return None;
                    }
                }
            }
        }
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn passed<T: Send + 'static>(answer: Response<Streaming<T>>) -> Response<Answers<T>> {
    Response::new(Box::pin(answer.into_inner()))
}

/// Calls that are passed on as they are.
macro_rules! pass_on {
    ($($call:ident: $request:ident -> $reply:ident;)*) => {
        #[tonic::async_trait]
        impl Dataplane for Service {
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
                let mut theirs = request.into_inner();
                let first = theirs.message().await?.ok_or_else(|| Status::aborted("nothing was said"))?;
                let Some(Body::Hello(hello)) = &first.body else {
                    return Err(Status::failed_precondition("no Hello"));
                };
                let owner = hello.owner.clone();
                let (requests, outgoing) = mpsc::channel(16);
                let (words, ours) = mpsc::channel(1);
                let (out, replies_out) = mpsc::channel(16);
                let mut stream = Session { requests, sent: 0, outstanding: VecDeque::new() };
                let batch = first.batch;
                stream.pass(first, Whose::Theirs(batch)).await.ok_or_else(|| Status::aborted("closed"))?;
                let replies = self.upstream.clone().program(ReceiverStream::new(outgoing)).await?.into_inner();
                lock(&self.streams).insert(owner, words);
                tokio::spawn(stream.run(theirs, ours, replies, out));
                Ok(Response::new(Box::pin(ReceiverStream::new(replies_out))))
            }
            async fn list_routes(
                &self,
                request: Request<v1::ListRoutesRequest>,
            ) -> Result<Response<Self::ListRoutesStream>, Status> {
                self.upstream.clone().list_routes(request.into_inner()).await.map(passed)
            }
            async fn list_owned(
                &self,
                request: Request<v1::ListOwnedRequest>,
            ) -> Result<Response<Self::ListOwnedStream>, Status> {
                self.upstream.clone().list_owned(request.into_inner()).await.map(passed)
            }
            async fn list_neighbors(
                &self,
                request: Request<v1::ListNeighborsRequest>,
            ) -> Result<Response<Self::ListNeighborsStream>, Status> {
                self.upstream.clone().list_neighbors(request.into_inner()).await.map(passed)
            }
            async fn watch_stats(
                &self,
                request: Request<v1::WatchStatsRequest>,
            ) -> Result<Response<Self::WatchStatsStream>, Status> {
                self.upstream.clone().watch_stats(request.into_inner()).await.map(passed)
            }
            async fn watch_events(
                &self,
                request: Request<v1::WatchEventsRequest>,
            ) -> Result<Response<Self::WatchEventsStream>, Status> {
                self.upstream.clone().watch_events(request.into_inner()).await.map(passed)
            }
            async fn trace(
                &self,
                request: Request<v1::TraceRequest>,
            ) -> Result<Response<Self::TraceStream>, Status> {
                self.upstream.clone().trace(request.into_inner()).await.map(passed)
            }
            $(
                async fn $call(
                    &self,
                    request: Request<v1::$request>,
                ) -> Result<Response<v1::$reply>, Status> {
                    self.upstream.clone().$call(request.into_inner()).await
                }
            )*
        }
    };
}

pass_on! {
    verify: VerifyRequest -> VerifyReply;
    get_info: GetInfoRequest -> Info;
    list_ports: ListPortsRequest -> ListPortsReply;
    list_interfaces: ListInterfacesRequest -> ListInterfacesReply;
    list_vrfs: ListVrfsRequest -> ListVrfsReply;
    lookup_route: LookupRouteRequest -> LookupRouteReply;
    get_fib: GetFibRequest -> FibState;
    audit_fib: AuditFibRequest -> FibState;
    flush_neighbors: FlushNeighborsRequest -> FlushNeighborsReply;
    get_stats: GetStatsRequest -> Stats;
}
