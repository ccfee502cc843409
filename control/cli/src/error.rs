//! What went wrong, and what the operator can do about it.

use std::io;

use serde_json::json;
use tonic::{Code, Status};

/// A failure of a command.
#[derive(Debug)]
pub enum Error {
    /// Something to tell the operator.
    Told {
        /// A sentence without a full stop.
        message: String,
        /// What to do about it; may be empty.
        hint: String,
    },
    /// The reader of our output went away: `ze show routes | head`. Nothing to tell.
    BrokenPipe,
    /// The command line is wrong in a way that only we can see.
    Usage(String),
}

impl Error {
    /// A failure with advice.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Told { message: message.into(), hint: hint.into() }
    }

    /// The exit code that goes with it.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Told { .. } => 1,
            Self::BrokenPipe => 0,
            Self::Usage(_) => 2,
        }
    }

    /// For people; none when there is nothing to say.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Told { message, hint } if hint.is_empty() => Some(format!("error: {message}.\n")),
            Self::Told { message, hint } => Some(format!("error: {message}.\n{hint}\n")),
            Self::Usage(message) => Some(format!("error: {message}\n")),
            Self::BrokenPipe => None,
        }
    }

    /// For programs; none when there is nothing to say.
    pub fn json(&self) -> Option<String> {
        let (message, hint) = match self {
            Self::Told { message, hint } => (message.as_str(), hint.as_str()),
            Self::Usage(message) => (message.as_str(), ""),
            Self::BrokenPipe => return None,
        };
        let hint = Some(hint).filter(|h| !h.is_empty());
        Some(format!("{}\n", json!({ "error": message, "hint": hint })))
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::new(format!("the output can not be written: {error}"), ""),
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        io::Error::from(error).into()
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let message = match status.message() {
            "" => format!("ze-fastpath answered: {}", status.code().description()),
            text => crate::text::clean(text.trim_end_matches('.')).into_owned(),
        };
        let hint = match status.code() {
            Code::Unavailable | Code::Cancelled | Code::Unknown => {
                "ze-fastpath went away while it answered. `systemctl status ze-fastpath` and its log say why."
            }
            Code::Unimplemented => {
                "This ze-fastpath is older than this command. `ze show version` shows both."
            }
            Code::DeadlineExceeded => {
                "ze-fastpath is there but does not answer in time. Is the machine overloaded?"
            }
            _ => "",
        };
        Self::new(message, hint)
    }
}
