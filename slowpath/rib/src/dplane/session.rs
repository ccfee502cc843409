//! One connection, from Hello to its end.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use ze_proto::v1::{self, dataplane_client::DataplaneClient, program_request::Body};

use super::{
    ACKNOWLEDGE_TIME_MAX, AUDIT_EVERY, Absence, BATCH_STEPS_MAX, Desired, News, Options, ROUND_STEPS_MAX,
    SessionError, WINDOW_BATCHES, connect_reason,
};
use crate::divergence;
use crate::feed::monotonic_ns;
use crate::plan::Step;
use crate::reconcile::{Outcome, Reconciler};
use crate::wire;

/// Refusals of a batch that are told one by one; an operation that is refused as a whole has a thousand.
const REFUSALS_TOLD_MAX: usize = 10;

/// Runs one connection; says why it ended.
pub(super) async fn run(
    options: &Options,
    desired: &mut watch::Receiver<Desired>,
    reconciler: &mut Reconciler,
    news: &mpsc::Sender<News>,
    absence: &mut Absence,
) -> SessionError {
    // What was acknowledged on another connection may be gone.
    reconciler.forget();
    let opened = tokio::select! {
        opened = Stream::open(options) => opened,
        () = super::gone(desired) => return SessionError::Unwanted,
    };
    let (mut stream, client) = match opened {
        Ok(opened) => opened,
        Err(error) => return error,
    };
    // Ends with this function.
    let mut watchers = JoinSet::new();
    let (wanted, audits) = watch::channel(());
    watchers.spawn(watch_ports(client.clone(), news.clone(), wanted));
    let mut due = tokio::time::interval(AUDIT_EVERY);
    due.reset();
    let looked_at_ns = desired.borrow().decided_at_ns;
    let mut session = Session {
        stream: &mut stream,
        reconciler,
        looked_at_ns,
        // Everything is sent again; before there was somebody to send it to, nothing lagged.
        decided_at_ns: monotonic_ns(),
        desired,
        client,
        owner: &options.owner,
        audits,
        due,
    };
    match session.live(absence).await {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

/// The two directions of Program.
struct Stream {
    requests: mpsc::Sender<v1::ProgramRequest>,
    replies: tonic::Streaming<v1::ProgramReply>,
    sent: u64,
    acknowledged: u64,
    instance: u64,
    /// How much is refused, as the last message said.
    told_refused: u64,
}

impl Stream {
    async fn open(options: &Options) -> Result<(Self, DataplaneClient<Channel>), SessionError> {
        let connected = limited(ze_proto::endpoint::connect(&options.socket)).await?;
        let mut client = connected.map_err(|e| SessionError::Connect(connect_reason(options, &e)))?;
        let (requests, outgoing) = mpsc::channel(WINDOW_BATCHES);
        let hello = v1::Hello { owner: options.owner.clone(), snapshot: true, ..v1::Hello::default() };
        let first =
            v1::ProgramRequest { batch: 1, body: Some(Body::Hello(hello)), ..v1::ProgramRequest::default() };
        requests.try_send(first).map_err(|_| SessionError::Closed)?;
        let started = limited(client.program(ReceiverStream::new(outgoing))).await?;
        let replies = started.map_err(|status| ended(&status))?.into_inner();
        let mut stream = Self { requests, replies, sent: 1, acknowledged: 0, instance: 0, told_refused: 0 };
        stream.instance = stream.reply().await?.instance;
        Ok((stream, client))
    }

    async fn send(&mut self, body: Body, about: About) -> Result<(), SessionError> {
        let About { decided_at_ns, refused } = about;
        let batch = self.sent + 1;
        let request = v1::ProgramRequest { batch, body: Some(body), decided_at_ns, backlog: 0, refused };
        limited(self.requests.send(request)).await?.map_err(|_| SessionError::Closed)?;
        (self.sent, self.told_refused) = (batch, refused);
        Ok(())
    }

    async fn reply(&mut self) -> Result<v1::ProgramReply, SessionError> {
        let message = limited(self.replies.message()).await?;
        let reply = message.map_err(|status| ended(&status))?.ok_or(SessionError::Closed)?;
        let expected = self.acknowledged + 1;
        if reply.batch != expected {
            return Err(SessionError::OutOfOrder { got: reply.batch, expected });
        }
        self.acknowledged = expected;
        Ok(reply)
    }
}

fn ended(status: &tonic::Status) -> SessionError {
    SessionError::Status(format!("{} ({:?})", status.message(), status.code()))
}

async fn limited<F: Future>(work: F) -> Result<F::Output, SessionError> {
    tokio::time::timeout(ACKNOWLEDGE_TIME_MAX, work).await.map_err(|_| SessionError::Silent)
}

/// What a message says besides: see [`v1::ProgramRequest`].
#[derive(Clone, Copy, Debug, Default)]
struct About {
    decided_at_ns: u64,
    refused: u64,
}

struct Session<'s> {
    client: DataplaneClient<Channel>,
    owner: &'s str,
    /// Somebody wants an audit.
    audits: watch::Receiver<()>,
    due: tokio::time::Interval,
    stream: &'s mut Stream,
    reconciler: &'s mut Reconciler,
    desired: &'s mut watch::Receiver<Desired>,
    /// Of the newest that was looked at.
    looked_at_ns: u64,
    /// When the oldest of what is being brought was decided; 0: nothing new is.
    decided_at_ns: u64,
}

/// How a round went.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    /// There was nothing to do.
    Idle,
    /// Something was sent and acknowledged.
    Busy,
}

impl Session<'_> {
    async fn live(&mut self, absence: &mut Absence) -> Result<std::convert::Infallible, SessionError> {
        let instance = self.stream.instance;
        tracing::info!(instance, "fast path connected; sending everything");
        while self.round().await? == Round::Busy {}
        self.stream.send(Body::EndOfSnapshot(v1::EndOfSnapshot {}), self.about(0)).await?;
        let swept = self.stream.reply().await?.swept;
        self.reconciler.swept();
        while self.round().await? == Round::Busy {}
        self.check_leftovers()?;
        absence.over();
        let refused = self.reconciler.refused().count();
        let objects = self.reconciler.acknowledged().len();
        tracing::info!(instance, objects, swept, refused, "fast path synchronized");
        loop {
            if self.round().await? == Round::Idle {
                self.check_leftovers()?;
                self.tell_refused().await?;
                self.wait().await?;
            }
        }
    }

    /// A message says how much was refused when it was sent; what replies have said since, nobody knows yet.
    async fn tell_refused(&mut self) -> Result<(), SessionError> {
        let about = self.about(0);
        if about.refused != self.stream.told_refused {
            self.stream.send(Body::Operations(v1::Operations::default()), about).await?;
            self.stream.reply().await?;
        }
        Ok(())
    }

    /// Ends the session if a snapshot is due.
    fn check_leftovers(&mut self) -> Result<(), SessionError> {
        let now = tokio::time::Instant::now().into_std();
        if self.reconciler.needs_snapshot(now) { Err(SessionError::Leftovers) } else { Ok(()) }
    }

    /// Waits until there may be something to do.
    async fn wait(&mut self) -> Result<(), SessionError> {
        let retry_at = self.reconciler.retry_at();
        let retry = async {
            match retry_at {
                Some(time) => tokio::time::sleep_until(time.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = self.desired.changed() => changed.map_err(|_| SessionError::Unwanted),
            () = retry => Ok(()),
            _ = self.due.tick() => self.audit().await,
            Ok(()) = self.audits.changed() => self.audit().await,
            // Nothing is outstanding: what comes now is the end.
            message = self.stream.replies.message() => Err(match message {
                Err(status) => ended(&status),
                Ok(None) => SessionError::Closed,
                Ok(Some(reply)) => SessionError::OutOfOrder { got: reply.batch, expected: self.stream.sent + 1 },
            }),
        }
    }

    /// Compares both sides, puts right what differs, and tells what was found.
    async fn audit(&mut self) -> Result<(), SessionError> {
        let request = v1::ListOwnedRequest {
            owner: self.owner.to_owned(),
            objects: true,
            all_routes: true,
            ..v1::ListOwnedRequest::default()
        };
        let listed = limited(crate::feed::audit::list(&mut self.client, request)).await?;
        let (operations, _) = listed.map_err(|status| ended(&status))?;
        let report = self.reconciler.audit(operations.iter().flat_map(crate::wire_read::objects).collect());
        while self.round().await? == Round::Busy {}
        divergence::log(self.owner, &report);
        self.stream.send(Body::AuditReport(report), self.about(0)).await?;
        self.stream.reply().await?;
        Ok(())
    }

    /// Sends what differs, up to the limit, and takes the replies.
    async fn round(&mut self) -> Result<Round, SessionError> {
        let desired = self.desired.borrow_and_update().clone();
        if std::mem::replace(&mut self.looked_at_ns, desired.decided_at_ns) != desired.decided_at_ns
            && self.decided_at_ns == 0
        {
            self.decided_at_ns = desired.decided_at_ns;
        }
        let now = tokio::time::Instant::now().into_std();
        let steps = self.reconciler.plan(&desired.state, ROUND_STEPS_MAX, now);
        drop(desired);
        if steps.is_empty() {
            self.decided_at_ns = 0;
            return Ok(Round::Idle);
        }
        let about = self.about(self.decided_at_ns);
        tracing::debug!(steps = steps.len(), "programming");
        let mut outstanding: VecDeque<Vec<Vec<Step>>> = VecDeque::new();
        for batch in batches(steps) {
            if outstanding.len() >= WINDOW_BATCHES {
                self.take_reply(&mut outstanding).await?;
            }
            let (operations, layout) = wire::operations(batch);
            self.stream.send(Body::Operations(v1::Operations { operations }), about).await?;
            outstanding.push_back(layout);
        }
        while !outstanding.is_empty() {
            self.take_reply(&mut outstanding).await?;
        }
        Ok(Round::Busy)
    }

    fn about(&self, decided_at_ns: u64) -> About {
        About { decided_at_ns, refused: self.reconciler.refused().count() as u64 }
    }

    async fn take_reply(&mut self, outstanding: &mut VecDeque<Vec<Vec<Step>>>) -> Result<(), SessionError> {
        let reply = self.stream.reply().await?;
        let layout = outstanding.pop_front().unwrap_or_default();
        let now = tokio::time::Instant::now().into_std();
        report(&self.reconciler.acknowledge(layout, &reply.refusals, now));
        Ok(())
    }
}

fn report(outcome: &Outcome) {
    for refused in outcome.refused.iter().take(REFUSALS_TOLD_MAX) {
        let reason = refused.reason.as_str_name();
        tracing::warn!(path = refused.path, reason, "refused by the fast path: {}", refused.message);
    }
    if outcome.refused.len() > REFUSALS_TOLD_MAX {
        tracing::warn!(more = outcome.refused.len() - REFUSALS_TOLD_MAX, "and more objects are refused");
    }
    for key in &outcome.accepted {
        tracing::info!(path = %key, "accepted by the fast path after all");
    }
}

fn batches(steps: Vec<Step>) -> impl Iterator<Item = Vec<Step>> {
    let mut steps = steps.into_iter();
    std::iter::from_fn(move || {
        let batch: Vec<_> = steps.by_ref().take(BATCH_STEPS_MAX).collect();
        (!batch.is_empty()).then_some(batch)
    })
}

/// Pause before port events are asked for again on a connection that lives.
const WATCH_PAUSE: Duration = Duration::from_secs(1);

/// Tells what becomes of ports as long as the connection lives.
async fn watch_ports(
    mut client: DataplaneClient<Channel>,
    news: mpsc::Sender<News>,
    audits: watch::Sender<()>,
) {
    loop {
        match client.watch_events(v1::WatchEventsRequest {}).await {
            Ok(events) => {
                let mut events = events.into_inner();
                while let Ok(Some(event)) = events.message().await {
                    let port = match event.event {
                        Some(v1::event::Event::Port(port)) => port,
                        Some(v1::event::Event::AuditWanted(_)) => {
                            audits.send_replace(());
                            continue;
                        }
                        None => continue,
                    };
                    if news.send(News::Port(Box::new(port))).await.is_err() {
                        return;
                    }
                }
            }
            Err(status) => tracing::debug!(%status, "no port events"),
        }
        tokio::time::sleep(WATCH_PAUSE).await;
    }
}
