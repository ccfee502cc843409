//! Samples from the daemon, for as long as somebody wants them: connects again by itself.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use ze_proto::endpoint::Address;
use ze_proto::v1::{GetInfoRequest, Info, Stats, WatchStatsRequest};

/// Between two attempts to connect.
const RETRY: Duration = Duration::from_millis(500);
/// What a daemon may take to answer, on top of the interval.
const PATIENCE: Duration = Duration::from_secs(3);

/// News from the daemon.
#[derive(Clone, Debug)]
pub enum Update {
    /// It is there, and says what it is.
    Info(Box<Info>),
    /// A sample.
    Stats(Box<Stats>),
    /// It is not there, and why.
    Away(String),
}

/// Sends updates until nobody listens. A change of `interval` takes effect at once.
pub async fn feed(daemon: Address, mut interval: watch::Receiver<Duration>, updates: mpsc::Sender<Update>) {
    loop {
        let wanted = *interval.borrow_and_update();
        let reason = tokio::select! {
            ended = stream(&daemon, wanted, &updates) => ended,
            changed = interval.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        if updates.send(Update::Away(reason)).await.is_err() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            () = updates.closed() => return,
        }
    }
}

/// One connection; returns why it ended.
async fn stream(daemon: &Address, interval: Duration, updates: &mpsc::Sender<Update>) -> String {
    match connected(daemon, interval, updates).await {
        Ok(()) => "it closed the stream".to_owned(),
        Err(reason) => reason,
    }
}

async fn connected(
    daemon: &Address,
    interval: Duration,
    updates: &mpsc::Sender<Update>,
) -> Result<(), String> {
    let mut client = patiently(PATIENCE, daemon.connect()).await?.map_err(|error| root_cause(&error))?;
    let info =
        patiently(PATIENCE, client.get_info(GetInfoRequest {})).await?.map_err(|s| s.message().to_owned())?;
    if updates.send(Update::Info(Box::new(info.into_inner()))).await.is_err() {
        return Ok(());
    }
    let request = WatchStatsRequest { interval_ms: u32::try_from(interval.as_millis()).unwrap_or(u32::MAX) };
    let mut samples = patiently(PATIENCE, client.watch_stats(request))
        .await?
        .map_err(|s| s.message().to_owned())?
        .into_inner();
    loop {
        let sample = patiently(PATIENCE + interval, samples.message()).await?;
        match sample.map_err(|s| s.message().to_owned())? {
            None => return Ok(()),
            Some(stats) => {
                if updates.send(Update::Stats(Box::new(stats))).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
}

async fn patiently<T>(patience: Duration, work: impl Future<Output = T>) -> Result<T, String> {
    tokio::time::timeout(patience, work).await.map_err(|_| "it does not answer".to_owned())
}

/// The innermost error: "No such file or directory" instead of "transport error".
pub fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
