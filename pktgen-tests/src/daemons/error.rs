//! What can go wrong with a daemon in a lab.

use std::path::PathBuf;

use crate::lab::LabError;

/// Why a daemon could not be started, asked or told.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The program is not where programs of Ze are looked for.
    #[error(
        "there is no program {name} in {}; build it (cargo build -p ze-fastpath -p ze-slowpath) or name its \
         directory in ZE_BIN_DIR",
        shown(looked_in)
    )]
    NoBinary {
        /// The program.
        name: &'static str,
        /// Where it was looked for.
        looked_in: Vec<PathBuf>,
    },
    /// The API could not be reached.
    #[error("the API at {} does not answer: {source}", socket.display())]
    Connect {
        /// Its socket.
        socket: PathBuf,
        /// Why.
        source: tonic::transport::Error,
    },
    /// A configuration is wrong; what ze-slowpath says of it.
    #[error("{0}")]
    Refused(String),
    /// The API refused a call.
    #[error("{call}: {status}")]
    Call {
        /// The call.
        call: &'static str,
        /// What it answered.
        status: Box<tonic::Status>,
    },
    /// The API took too long.
    #[error("{call}: no answer within {seconds} s")]
    Slow {
        /// The call.
        call: &'static str,
        /// How long was waited.
        seconds: u64,
    },
    /// The API's client can not run.
    #[error("the API's client: {0}")]
    Runtime(#[source] std::io::Error),
    /// The lab failed.
    #[error(transparent)]
    Lab(#[from] LabError),
}

fn shown(directories: &[PathBuf]) -> String {
    directories.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" or ")
}
