//! The API as it is, message by message, for tests of what it refuses and of what it does meanwhile.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use ipnet::IpNet;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};
use ze_proto::packed::{self, TargetKey};
use ze_proto::v1::dataplane_client::DataplaneClient;
use ze_proto::v1::{self, nexthop::Kind, operation::Operation as Op, program_request::Body};
use ze_proto::{address, endpoint};

/// No answer takes longer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection.
pub(crate) struct Api {
    runtime: Runtime,
    pub(crate) dataplane: DataplaneClient<Channel>,
}

/// A Program stream.
pub(crate) struct Stream {
    requests: mpsc::Sender<v1::ProgramRequest>,
    replies: Streaming<v1::ProgramReply>,
}

pub(crate) fn hello(owner: &str) -> v1::Hello {
    v1::Hello { owner: owner.to_owned(), ..v1::Hello::default() }
}

pub(crate) fn op(operation: Op) -> v1::Operation {
    v1::Operation { operation: Some(operation) }
}

pub(crate) fn nexthop(key: u64, kind: Kind) -> v1::Operation {
    op(Op::PutNexthop(v1::Nexthop { key, kind: Some(kind), backup: None }))
}

pub(crate) fn blackhole(key: u64) -> v1::Operation {
    nexthop(key, Kind::Blackhole(v1::Empty {}))
}

pub(crate) fn net(text: &str) -> IpNet {
    text.parse().expect("a prefix of the test")
}

/// Routes of the default VRF, each to a nexthop.
pub(crate) fn put(routes: &[(&str, u64)]) -> v1::Operation {
    let route = |(prefix, key): &(&str, u64)| (net(prefix), TargetKey::Nexthop(*key));
    op(Op::PutPackedRoutes(packed::put("", routes.iter().map(route))))
}

pub(crate) fn delete(routes: &[&str]) -> v1::Operation {
    op(Op::DeletePackedRoutes(packed::delete("", routes.iter().map(|prefix| net(prefix)))))
}

impl Api {
    pub(crate) fn connect(socket: &Path) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let dataplane = runtime.block_on(endpoint::connect(socket))?;
        Ok(Self { runtime, dataplane })
    }

    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        self.runtime
            .block_on(async { tokio::time::timeout(PATIENCE, work).await })
            .context("no answer in time")
    }

    /// Opens a stream; the status if the Hello is refused.
    pub(crate) fn open(&self, hello: v1::Hello) -> Result<Result<Stream, Status>> {
        let mut dataplane = self.dataplane.clone();
        self.wait(async {
            let (requests, outgoing) = mpsc::channel(4);
            let first = v1::ProgramRequest { batch: 1, body: Some(Body::Hello(hello)), ..Default::default() };
            requests.try_send(first).expect("an empty channel");
            let mut replies = dataplane.program(ReceiverStream::new(outgoing)).await?.into_inner();
            replies.message().await?;
            Ok(Stream { requests, replies })
        })
    }

    /// Sends a batch; its reply, or the status that ends the stream.
    pub(crate) fn send(
        &self,
        stream: &mut Stream,
        batch: u64,
        operations: Vec<v1::Operation>,
    ) -> Result<Result<v1::ProgramReply, Status>> {
        let body = Some(Body::Operations(v1::Operations { operations }));
        self.wait(async {
            // A stream that has ended says why in its replies.
            let _ = stream.requests.send(v1::ProgramRequest { batch, body, ..Default::default() }).await;
            let reply = stream.replies.message().await?;
            reply.ok_or_else(|| Status::cancelled("the stream has ended"))
        })
    }

    /// What ends a stream on which nothing is sent.
    pub(crate) fn end_of(&self, stream: &mut Stream) -> Result<Option<Status>> {
        self.wait(async { stream.replies.message().await.err() })
    }

    pub(crate) fn routes(&self, vrf: &str) -> Result<Vec<v1::RouteEntry>> {
        let mut dataplane = self.dataplane.clone();
        let request = v1::ListRoutesRequest { vrf: vrf.to_owned(), family: 0 };
        let listed: Result<Vec<_>, Status> =
            self.wait(async { dataplane.list_routes(request).await?.into_inner().collect().await })?;
        Ok(listed?)
    }

    /// All that an owner has put.
    pub(crate) fn owned(&self, owner: &str) -> Result<Vec<Op>> {
        let mut dataplane = self.dataplane.clone();
        let request = v1::ListOwnedRequest {
            owner: owner.to_owned(),
            objects: true,
            all_routes: true,
            ..v1::ListOwnedRequest::default()
        };
        let listed: Result<Vec<v1::Owned>, Status> =
            self.wait(async { dataplane.list_owned(request).await?.into_inner().collect().await })?;
        let objects = listed?.into_iter().flat_map(|part| part.objects);
        Ok(objects.filter_map(|object| object.operation).collect())
    }

    /// The kind of nexthop that a destination takes; none without a route.
    pub(crate) fn way(&self, destination: &str) -> Result<Option<String>> {
        let mut dataplane = self.dataplane.clone();
        let address = address::to_bytes(destination.parse()?);
        let request = v1::LookupRouteRequest { address, ..v1::LookupRouteRequest::default() };
        let reply = self.wait(async { dataplane.lookup_route(request).await })??.into_inner();
        Ok(reply.route.and_then(|route| Some(route.nexthops.first()?.kind.clone())))
    }

    /// A counter of the control thread.
    pub(crate) fn counter(&self, name: &str) -> Result<u64> {
        let mut dataplane = self.dataplane.clone();
        let stats = self.wait(async { dataplane.get_stats(v1::GetStatsRequest {}).await })??.into_inner();
        let found = stats.control.iter().find(|counter| counter.name == name);
        Ok(found.with_context(|| format!("no counter {name}"))?.value)
    }
}
