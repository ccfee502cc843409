//! One connection of a feed, from Hello to its end.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use ze_proto::v1::{self, dataplane_client::DataplaneClient, program_request::Body};

use super::refusals::Refusals;
use super::table::Batch;
use super::{BATCH_ROUTES_MAX, Feed, Options, WINDOW_BATCHES, audit, monotonic_ns};
use crate::divergence;
use crate::dplane::ACKNOWLEDGE_TIME_MAX;

/// Batches and replies until something else has its turn: a source that never pauses must not keep us from an audit.
const TURN_STEPS_MAX: usize = 512;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("{0}")]
    Connect(String),
    #[error("the fast path ended the stream: {0}")]
    Status(#[from] tonic::Status),
    #[error("the fast path closed the stream")]
    Closed,
    #[error("the fast path acknowledged nothing for {} s", ACKNOWLEDGE_TIME_MAX.as_secs())]
    Silent,
    #[error("the fast path acknowledged batch {got}; {expected} was next")]
    OutOfOrder { got: u64, expected: u64 },
}

pub(super) async fn run(options: &Options, feed: &Feed) -> Ended {
    match live(options, feed).await {
        Ok(never) => match never {},
        Err(ended) => ended,
    }
}

async fn live(options: &Options, feed: &Feed) -> Result<Infallible, Ended> {
    let connected = limited(ze_proto::endpoint::connect(&options.socket)).await?;
    let mut client = connected.map_err(|e| Ended::Connect(e.to_string()))?;
    let (requests, outgoing) = mpsc::channel(WINDOW_BATCHES + 2);
    let hello = v1::Hello {
        owner: options.owner.clone(),
        snapshot: true,
        preference: options.preference.into(),
        ..v1::Hello::default()
    };
    let first = v1::ProgramRequest { batch: 1, body: Some(Body::Hello(hello)), ..Default::default() };
    requests.send(first).await.map_err(|_| Ended::Closed)?;
    let replies = limited(client.program(ReceiverStream::new(outgoing))).await??.into_inner();
    let mut session = Session {
        feed,
        requests,
        replies,
        sent: 1,
        acknowledged: 0,
        told_refused: 0,
        outstanding: VecDeque::new(),
        refusals: Refusals::default(),
    };
    session.reply().await?;
    feed.table().forget(monotonic_ns());
    session.serve(options, client).await
}

struct Session<'f> {
    feed: &'f Feed,
    requests: mpsc::Sender<v1::ProgramRequest>,
    replies: tonic::Streaming<v1::ProgramReply>,
    sent: u64,
    acknowledged: u64,
    /// How much is refused, as the last message said.
    told_refused: u64,
    outstanding: VecDeque<Batch>,
    refusals: Refusals,
}

impl Session<'_> {
    async fn serve(
        &mut self,
        options: &Options,
        mut client: DataplaneClient<Channel>,
    ) -> Result<Infallible, Ended> {
        let (wanted, mut audits) = watch::channel(());
        // Ends with this function.
        let mut watchers = JoinSet::new();
        watchers.spawn(watch_audits(client.clone(), wanted));
        let mut due = tokio::time::interval(options.audit_every);
        due.reset();
        let mut is_open = true;
        loop {
            // Asked before: what is told after this may not be brought yet.
            let is_told = self.feed.table().is_told();
            let is_all = self.bring().await?;
            if is_open && is_told && is_all {
                self.end_snapshot(options).await?;
                is_open = false;
            }
            if is_all {
                self.tell_refused().await?;
            }
            let retry_at = self.feed.table().retry_at();
            let retry = async {
                match retry_at {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = std::future::ready(()), if !is_all => {}
                () = self.feed.changed.notified() => {}
                () = retry => {}
                _ = due.tick() => self.audit(options, &mut client).await?,
                Ok(()) = audits.changed() => self.audit(options, &mut client).await?,
                // Nothing is outstanding: what comes now is the end.
                message = self.replies.message() => {
                    message?.ok_or(Ended::Closed)?;
                    return Err(Ended::OutOfOrder { got: self.acknowledged, expected: self.sent + 1 });
                }
            }
        }
    }

    /// All that is wanted has been told and brought: what else is there goes.
    async fn end_snapshot(&mut self, options: &Options) -> Result<(), Ended> {
        self.send(Body::EndOfSnapshot(v1::EndOfSnapshot {}), 0).await?;
        let swept = self.reply().await?.swept;
        self.feed.table().swept();
        let (owner, progress) = (&options.owner, self.feed.progress());
        let (wanted, refused) = (progress.wanted, progress.refused);
        if wanted + swept > 0 {
            tracing::info!(owner, wanted, refused, swept, "routes synchronized");
        }
        Ok(())
    }

    /// Sends what differs, for a turn, and takes all replies. Returns whether nothing differs any more.
    async fn bring(&mut self) -> Result<bool, Ended> {
        let done = self.bring_turn().await;
        self.refusals.tell();
        done
    }

    async fn bring_turn(&mut self) -> Result<bool, Ended> {
        for _ in 0..TURN_STEPS_MAX {
            let taken = self.feed.table().take(BATCH_ROUTES_MAX, now());
            let Some(batch) = taken else {
                if self.outstanding.is_empty() {
                    return Ok(true);
                }
                self.take_reply().await?;
                continue;
            };
            if self.outstanding.len() >= WINDOW_BATCHES {
                self.take_reply().await?;
            }
            let alone = batch.alone;
            self.bring_one(batch).await?;
            if alone {
                self.take_replies().await?;
            }
        }
        self.take_replies().await?;
        Ok(false)
    }

    async fn take_replies(&mut self) -> Result<(), Ended> {
        while !self.outstanding.is_empty() {
            self.take_reply().await?;
        }
        Ok(())
    }

    async fn bring_one(&mut self, mut batch: Batch) -> Result<(), Ended> {
        let operations = std::mem::take(&mut batch.operations);
        self.send(Body::Operations(v1::Operations { operations }), batch.decided_at_ns).await?;
        self.outstanding.push_back(batch);
        Ok(())
    }

    async fn send(&mut self, body: Body, decided_at_ns: u64) -> Result<(), Ended> {
        let (backlog, refused) = {
            let table = self.feed.table();
            (table.backlog(), table.progress().refused)
        };
        let batch = self.sent + 1;
        let request = v1::ProgramRequest { batch, body: Some(body), decided_at_ns, backlog, refused };
        limited(self.requests.send(request)).await?.map_err(|_| Ended::Closed)?;
        (self.sent, self.told_refused) = (batch, refused);
        Ok(())
    }

    /// A message says how much was refused when it was sent; what replies have said since, nobody knows yet.
    async fn tell_refused(&mut self) -> Result<(), Ended> {
        if self.feed.progress().refused != self.told_refused {
            self.send(Body::Operations(v1::Operations::default()), 0).await?;
            self.reply().await?;
        }
        Ok(())
    }

    async fn reply(&mut self) -> Result<v1::ProgramReply, Ended> {
        let reply = limited(self.replies.message()).await??.ok_or(Ended::Closed)?;
        let expected = self.acknowledged + 1;
        if reply.batch != expected {
            return Err(Ended::OutOfOrder { got: reply.batch, expected });
        }
        self.acknowledged = expected;
        Ok(reply)
    }

    async fn take_reply(&mut self) -> Result<(), Ended> {
        let reply = self.reply().await?;
        let batch = self.outstanding.pop_front().unwrap_or_default();
        let refused = self.feed.table().acknowledge(batch, &reply.refusals, now());
        self.refusals.add(refused);
        Ok(())
    }

    async fn audit(&mut self, options: &Options, client: &mut DataplaneClient<Channel>) -> Result<(), Ended> {
        // Nothing is outstanding. What the source tells meanwhile waits in the table.
        let report = limited(audit::audit(&options.owner, client, self.feed)).await??;
        let Some(report) = report else { return Ok(()) };
        self.bring().await?;
        divergence::log(&options.owner, &report);
        self.send(Body::AuditReport(report), 0).await?;
        self.reply().await?;
        Ok(())
    }
}

/// Passes on that somebody wants an audit, as long as the connection lives.
async fn watch_audits(mut client: DataplaneClient<Channel>, wanted: watch::Sender<()>) {
    const WATCH_PAUSE: Duration = Duration::from_secs(1);
    loop {
        if let Ok(events) = client.watch_events(v1::WatchEventsRequest {}).await {
            let mut events = events.into_inner();
            while let Ok(Some(event)) = events.message().await {
                if matches!(event.event, Some(v1::event::Event::AuditWanted(_))) {
                    wanted.send_replace(());
                }
            }
        }
        tokio::time::sleep(WATCH_PAUSE).await;
    }
}

fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}

async fn limited<F: Future>(work: F) -> Result<F::Output, Ended> {
    tokio::time::timeout(ACKNOWLEDGE_TIME_MAX, work).await.map_err(|_| Ended::Silent)
}
