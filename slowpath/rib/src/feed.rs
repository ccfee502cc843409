//! Routes by the million: a table that a source fills, and a stream of its own that brings it to the fast path.
//!
//! ```text
//! source ── update ─▶ Table: wanted │ known ── what differs, in batches ─▶ Program ─▶ fast path
//!                        ▲  queue of slots │◀── acknowledged, refused ── replies ──┘
//!                        └── audit: digests of both sides, buckets that differ, what is healed ◀─ ListOwned
//! ```
//!
//! [`State`](crate::State) is for what a configuration names: each change of it looks at all of it. Here a change costs
//! what it changes. A prefix that changes again before it was sent is sent once, with the newest target, so the queue
//! is never longer than the table; a source need not be slowed down. [`table`] is pure, [`run`] talks.

pub(crate) mod audit;
mod refusals;
mod session;
pub mod table;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::Notify;
use ze_proto::packed::TargetKey;
use ze_proto::v1;

pub use table::{Progress, Table};

/// Routes in a batch.
pub const BATCH_ROUTES_MAX: usize = 4096;

/// Batches that may be unacknowledged.
pub const WINDOW_BATCHES: usize = 8;

/// How often the two sides are compared though nobody asks.
pub const AUDIT_EVERY: Duration = Duration::from_secs(60);

/// Where the fast path is, and who we are.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its Unix socket.
    pub socket: PathBuf,
    /// The owner of the routes: another one than that of the configuration's.
    pub owner: String,
    /// Preference of the owner; the configuration's is 100.
    pub preference: u8,
    /// Time between audits.
    pub audit_every: Duration,
}

/// A handle of the table, for the source and for the stream.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    table: Arc<Mutex<Table>>,
    changed: Arc<Notify>,
}

impl Feed {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// These are the nexthops that routes may lead to, all of them.
    pub fn set_nexthops(&self, nexthops: impl IntoIterator<Item = v1::Nexthop>) {
        self.table().set_nexthops(nexthops);
        self.changed.notify_one();
    }

    /// Routes that shall be, and (without a target) that shall not be.
    pub fn update(&self, vrf: &str, routes: impl IntoIterator<Item = (IpNet, Option<TargetKey>)>) {
        self.table().update(vrf, routes, monotonic_ns());
        self.changed.notify_one();
    }

    /// What has not been updated since [`Feed::mark`] goes: the source has told everything. Until it has done so once,
    /// the fast path keeps what it has of another life.
    pub fn sweep(&self) {
        self.table().sweep(monotonic_ns());
        self.changed.notify_one();
    }

    /// A source begins to tell everything anew; until the sweep, what it has told stays.
    pub fn mark(&self) {
        self.table().mark();
    }

    /// How far the fast path is.
    pub fn progress(&self) -> Progress {
        self.table().progress()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // A panic while it was held has left a table that an audit puts right.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Brings the fast path what is in the table, for ever.
pub async fn run(options: Options, feed: Feed) {
    let mut pause =
        crate::backoff::Backoff::new(crate::dplane::CONNECT_PAUSE_MIN, crate::dplane::CONNECT_PAUSE_MAX);
    loop {
        let began = tokio::time::Instant::now();
        let ended = session::run(&options, &feed).await;
        tracing::debug!(owner = options.owner, "the route feed's connection has ended: {ended}");
        if began.elapsed() > crate::dplane::CONNECT_PAUSE_MAX {
            pause.reset();
        }
        tokio::time::sleep(pause.pause()).await;
    }
}

/// The key of the nexthop that stands for a gateway: the same in each life.
pub fn gateway_key(vrf: &str, gateway: std::net::IpAddr) -> u64 {
    key_of(&format!("gateway {vrf} {gateway}"))
}

/// The key of a nexthop that stands for something else: the same in each life.
pub fn key_of(identity: &str) -> u64 {
    crate::keys::fnv1a64(identity.as_bytes())
}

/// The clock that both daemons share.
pub(crate) fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
