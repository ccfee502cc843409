//! `ze-slowpath` as a process of a lab.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use super::{Binaries, DaemonError, Fastpath};
use crate::lab::{Lab, LabError, Namespace, Process};

/// A running `ze-slowpath` with its configuration. Killed on drop, unless the lab is kept.
#[derive(Debug)]
pub struct Slowpath {
    /// Its process.
    pub process: Process,
    config: PathBuf,
    program: PathBuf,
}

impl Slowpath {
    /// Writes the configuration and starts the daemon in `namespace`.
    ///
    /// # Errors
    /// When the file can not be written or the program not be started.
    pub fn start(
        lab: &Lab,
        namespace: &Namespace,
        binaries: &Binaries,
        fastpath: &Fastpath,
        text: &str,
    ) -> Result<Self, DaemonError> {
        Self::start_by(lab, namespace, binaries, (fastpath, &fastpath.socket()), text)
    }

    /// The same, with another socket in place of the forwarding daemon's own.
    ///
    /// # Errors
    /// As for [`Slowpath::start`].
    pub fn start_by(
        lab: &Lab,
        namespace: &Namespace,
        binaries: &Binaries,
        (fastpath, socket): (&Fastpath, &Path),
        text: &str,
    ) -> Result<Self, DaemonError> {
        let config = lab.directory().join("ze.conf");
        write(&config, text)?;
        let program = binaries.find("ze-slowpath")?;
        let mut command = Command::new(&program);
        command.arg("--config").arg(&config).arg("--fastpath").arg(socket);
        command.arg("--run-dir").arg(fastpath.run_dir());
        Ok(Self { process: namespace.spawn("ze-slowpath", command)?, config, program })
    }

    /// The configuration's file.
    #[must_use]
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Has another configuration checked, with the files that it names.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, text: &str) -> Result<(), DaemonError> {
        let aside = self.config.with_extension("checked");
        write(&aside, text)?;
        let output = Command::new(&self.program).arg("--check").arg("--config").arg(&aside).output();
        let output =
            output.map_err(|source| LabError::Io { what: "run ze-slowpath --check".to_owned(), source })?;
        if output.status.success() {
            return Ok(());
        }
        Err(DaemonError::Refused(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }

    /// Writes another configuration and tells the daemon to read it.
    ///
    /// # Errors
    /// When the file can not be written, or the daemon has ended.
    pub fn reload(&mut self, text: &str) -> Result<(), DaemonError> {
        write(&self.config, text)?;
        Ok(self.process.signal(Signal::SIGHUP)?)
    }
}

fn write(path: &Path, text: &str) -> Result<(), DaemonError> {
    let failed = |source| LabError::Io { what: format!("write {}", path.display()), source };
    Ok(fs::write(path, text).map_err(failed)?)
}
