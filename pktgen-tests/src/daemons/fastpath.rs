//! `ze-fastpath` as a process of a lab.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ze_proto::v1;

use super::{Binaries, Client, DaemonError};
use crate::lab::{Lab, Namespace, Process, wait_for};

/// The label of the punt namespace in its lab.
pub const PUNT_LABEL: &str = "punt";
/// A daemon that has not answered its API after this does not work.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How `ze-fastpath` is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FastpathOptions {
    /// The cores of its workers.
    pub cores: Vec<usize>,
    /// What its workers do when idle; the daemon's default if absent.
    pub idle: Option<String>,
    /// Further words of its command line.
    pub arguments: Vec<String>,
}

impl Default for FastpathOptions {
    /// One worker, on the last core, so that the first is left to the hosts of the lab.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { cores: vec![cores - 1], idle: None, arguments: Vec::new() }
    }
}

/// A running `ze-fastpath` with its supervisor. Killed on drop, unless the lab is kept.
#[derive(Debug)]
pub struct Fastpath {
    /// The supervisor's process.
    pub process: Process,
    run_dir: PathBuf,
}

impl Fastpath {
    /// The command that would run it in this lab.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn command(
        lab: &Lab,
        binaries: &Binaries,
        options: &FastpathOptions,
    ) -> Result<Command, DaemonError> {
        let mut command = Command::new(binaries.find("ze-fastpath")?);
        let cores: Vec<_> = options.cores.iter().map(usize::to_string).collect();
        command.args(["--cores", &cores.join(",")]).arg("--run-dir").arg(run_dir(lab));
        command.args(["--punt-namespace", &lab.namespace_name(PUNT_LABEL)]);
        if let Some(idle) = &options.idle {
            command.args(["--idle", idle]);
        }
        command.args(&options.arguments);
        Ok(command)
    }

    /// Starts it in `namespace` and waits until its API answers.
    ///
    /// # Errors
    /// When it ends at once, or does not answer; the end of its log is in the error.
    pub fn start(
        lab: &Lab,
        namespace: &Namespace,
        binaries: &Binaries,
        options: &FastpathOptions,
    ) -> Result<Self, DaemonError> {
        Self::adopt(lab, namespace.spawn("ze-fastpath", Self::command(lab, binaries, options)?)?)
    }

    /// Takes over a process that runs [`Fastpath::command`] in some way of its own, and waits until its API answers.
    ///
    /// # Errors
    /// When it ends at once, or does not answer; the end of its log is in the error.
    pub fn adopt(lab: &Lab, process: Process) -> Result<Self, DaemonError> {
        let mut fastpath = Self { process, run_dir: run_dir(lab) };
        fastpath.await_api()?;
        Ok(fastpath)
    }

    /// Waits until the API answers.
    fn await_api(&mut self) -> Result<(), DaemonError> {
        let socket = self.socket();
        let answered = || Client::connect(&socket).and_then(|mut client| client.info());
        let process = &mut self.process;
        wait_for(START_TIMEOUT, "an answer of ze-fastpath", || {
            // An early end is told by the line that never comes.
            answered().ok().map(drop).or_else(|| matches!(process.status(), Ok(Some(_))).then_some(()))
        })?;
        if process.status()?.is_some() {
            process.wait_for_line("\u{0}", Duration::ZERO)?;
        }
        Ok(())
    }

    /// Directory of its socket and lock.
    #[must_use]
    pub fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    /// Its API's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.run_dir.join("fastpath.sock")
    }

    /// A new connection to its API.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn client(&self) -> Result<Client, DaemonError> {
        Client::connect(&self.socket())
    }

    /// Waits until each of these interfaces is up and has its representor.
    ///
    /// # Errors
    /// When that does not happen; the error says what is missing.
    pub fn await_interfaces(&self, names: &[&str], timeout: Duration) -> Result<(), DaemonError> {
        let mut missing = String::new();
        let ready = wait_for(timeout, "readiness", || {
            let states = self.client().and_then(|mut client| client.interfaces()).unwrap_or_default();
            missing =
                names.iter().filter_map(|name| why_not_ready(&states, name)).collect::<Vec<_>>().join("; ");
            missing.is_empty().then_some(())
        });
        ready.map_err(|_| not_ready(missing, timeout))
    }
}

/// The daemon's directory in this lab.
fn run_dir(lab: &Lab) -> PathBuf {
    lab.directory().join("ze")
}

fn why_not_ready(states: &[v1::InterfaceState], name: &str) -> Option<String> {
    let is_it = |state: &&v1::InterfaceState| state.interface.as_ref().is_some_and(|i| i.name == name);
    let Some(state) = states.iter().find(is_it) else {
        return Some(format!("interface {name} does not exist"));
    };
    let link = state.state();
    if link != v1::LinkState::Up {
        return Some(format!("interface {name} is {} {}", link.as_str_name(), state.message));
    }
    state.namespace.is_empty().then(|| format!("interface {name} has no representor {}", state.message))
}

fn not_ready(missing: String, timeout: Duration) -> DaemonError {
    let what = "readiness of the router".to_owned();
    crate::lab::LabError::Timeout { what, timeout, detail: format!("; {missing}") }.into()
}
