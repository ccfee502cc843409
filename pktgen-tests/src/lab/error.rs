//! What can go wrong in a lab, with enough said to act on it.

use std::io;
use std::net::IpAddr;
use std::process::ExitStatus;
use std::time::Duration;

/// Why a lab operation failed.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A command of the set-up ended with an error.
    #[error("`{command}` failed ({status}): {stderr}")]
    Command {
        /// The command line, as it was run.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said, trimmed.
        stderr: String,
    },
    /// A system call failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, to what.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A name which cannot be used for a lab, a namespace or a device.
    #[error("{kind} name {name:?} is not usable: {reason}")]
    Name {
        /// Lab, namespace, device or process.
        kind: &'static str,
        /// The name as given.
        name: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// Something awaited did not happen.
    #[error("{what} did not happen within {timeout:?}{detail}")]
    Timeout {
        /// What was awaited.
        what: String,
        /// How long.
        timeout: Duration,
        /// More to know, starting with a separator; may be empty.
        detail: String,
    },
    /// A process ended while it was needed.
    #[error("process {name} ended early ({status}); the end of its log:\n{log}")]
    ProcessEnded {
        /// The name given at spawn.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its output.
        log: String,
    },
    /// A transfer made no progress for the time allowed.
    #[error("the transfer to {destination} made no progress for {timeout:?} after {received_bytes} bytes")]
    Stalled {
        /// The receiver.
        destination: IpAddr,
        /// Bytes that arrived before it stopped.
        received_bytes: u64,
        /// The time allowed without progress.
        timeout: Duration,
    },
    /// Bytes arrived which were not sent.
    #[error("the transfer to {destination} delivered wrong content in the block at byte {offset}")]
    Corrupt {
        /// The receiver.
        destination: IpAddr,
        /// Where the first wrong block starts.
        offset: u64,
    },
    /// [`Interrupt`](super::Interrupt) was set, or a progress callback asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// Puts what was being done beside an error of the system.
pub(crate) trait Context<T> {
    /// Names the operation; evaluated only on failure.
    fn context(self, what: impl FnOnce() -> String) -> Result<T, LabError>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T, LabError> {
        self.map_err(|source| LabError::Io { what: what(), source: source.into() })
    }
}
