//! Talks to the fast path: brings it what is desired, for ever.
//!
//! ```text
//! connect ─▶ Hello(snapshot) ─▶ everything ─▶ EndOfSnapshot ─▶ differences, as they come
//!    ▲                                                                 │
//!    └───────────── pause, 50 ms to 1 s ◀── the connection ends ◀──────┘
//! ```
//!
//! What is desired comes through a `watch` channel: only the newest counts. A round sends at most
//! [`ROUND_STEPS_MAX`] steps in batches, of which [`WINDOW_BATCHES`] may be unacknowledged; the next round is planned
//! when the last one is acknowledged. So memory is bounded however slow the fast path is.

mod session;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use ze_proto::v1;

use crate::backoff::Backoff;
use crate::feed::monotonic_ns;
use crate::reconcile::Reconciler;
use crate::state::State;

pub use verify::{VerifyError, verify};

/// Steps in a batch.
pub const BATCH_STEPS_MAX: usize = 4096;

/// Batches that may be unacknowledged.
pub const WINDOW_BATCHES: usize = 4;

/// Steps of a round.
pub const ROUND_STEPS_MAX: usize = 16 * BATCH_STEPS_MAX;

/// Pause before the second try to connect.
pub const CONNECT_PAUSE_MIN: Duration = Duration::from_millis(50);

/// The longest pause: a fast path that comes back has its tables a second later.
pub const CONNECT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long the fast path may take to acknowledge a batch before the connection counts as dead.
pub const ACKNOWLEDGE_TIME_MAX: Duration = Duration::from_secs(30);

/// How often an operator is told that the fast path is still absent.
pub const REMIND_EVERY: Duration = Duration::from_secs(30);

/// How often the two sides are compared though nobody asks.
pub const AUDIT_EVERY: Duration = Duration::from_secs(60);

/// Where the fast path is, and who we are.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its Unix socket.
    pub socket: PathBuf,
    /// The owner of our objects.
    pub owner: String,
}

/// What control hears from the fast path.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// The state of a port.
    Port(Box<v1::PortState>),
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("{0}")]
    Connect(String),
    #[error("the fast path ended the stream: {0}")]
    Status(String),
    #[error("the fast path closed the stream")]
    Closed,
    #[error("the fast path acknowledged nothing for {} s", ACKNOWLEDGE_TIME_MAX.as_secs())]
    Silent,
    #[error("the fast path acknowledged batch {got}; {expected} was next")]
    OutOfOrder { got: u64, expected: u64 },
    #[error("something of a former life was in the way; everything is sent again")]
    Leftovers,
    #[error("nobody wants anything any more")]
    Unwanted,
}

/// What the fast path shall have, and since when.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// All objects.
    pub state: Arc<State>,
    /// When that was decided, nanoseconds of the monotonic clock.
    decided_at_ns: u64,
}

impl Desired {
    /// Decided now.
    #[must_use]
    pub fn now(state: State) -> Self {
        Self { state: Arc::new(state), decided_at_ns: monotonic_ns() }
    }
}

/// Brings the fast path what is desired until the sender of it is gone.
pub async fn run(options: Options, mut desired: watch::Receiver<Desired>, news: mpsc::Sender<News>) {
    let mut reconciler = Reconciler::default();
    let mut absence = Absence::new();
    loop {
        let ended = session::run(&options, &mut desired, &mut reconciler, &news, &mut absence).await;
        match ended {
            SessionError::Unwanted => return,
            ended @ SessionError::Leftovers => tracing::info!("{ended}"),
            ended => absence.report(&options, &ended),
        }
        tokio::select! {
            () = tokio::time::sleep(absence.backoff.pause()) => {}
            () = gone(&mut desired) => return,
        }
    }
}

/// Waits until the sender is gone.
async fn gone(desired: &mut watch::Receiver<Desired>) {
    // A change is not lost: a session looks at the newest value when it begins.
    while desired.changed().await.is_ok() {}
}

/// Says once that the fast path is absent, and again from time to time.
#[derive(Debug)]
pub(crate) struct Absence {
    backoff: Backoff,
    said: Option<(Instant, String)>,
}

impl Absence {
    fn new() -> Self {
        Self { backoff: Backoff::new(CONNECT_PAUSE_MIN, CONNECT_PAUSE_MAX), said: None }
    }

    /// The fast path is there and has taken everything.
    pub(crate) fn over(&mut self) {
        self.backoff.reset();
        self.said = None;
    }

    fn report(&mut self, options: &Options, ended: &SessionError) {
        let reason = ended.to_string();
        let due = match &self.said {
            None => true,
            Some((at, said)) => *said != reason || at.elapsed() >= REMIND_EVERY,
        };
        if due {
            tracing::warn!(socket = %options.socket.display(), "no fast path: {reason}; trying again");
            self.said = Some((Instant::now(), reason));
        }
    }
}

/// The words of a transport error for an operator: the system's error is at the end of the chain.
pub(crate) fn connect_reason(options: &Options, error: &tonic::transport::Error) -> String {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(system) = error.downcast_ref::<std::io::Error>() {
            return system_reason(options, system);
        }
        source = error.source();
    }
    error.to_string()
}

fn system_reason(options: &Options, error: &std::io::Error) -> String {
    let socket = options.socket.display();
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            format!(
                "{socket}: permission denied; run as root or as a member of the group that owns the socket"
            )
        }
        std::io::ErrorKind::NotFound => format!("{socket} does not exist: is ze-fastpath running?"),
        std::io::ErrorKind::ConnectionRefused => {
            format!("nobody listens on {socket}: is ze-fastpath running?")
        }
        _ => format!("{socket}: {error}"),
    }
}
