//! A process in a namespace: started, watched through its log, and surely ended.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use super::error::Context;
use super::{LabError, Namespace, Shared, wait_until};

/// Bytes of the end of a log that an error quotes.
const LOG_TAIL_BYTES: usize = 4096;
/// How often the log is looked at while a line is awaited.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A running process of the lab. Killed on drop, unless the lab is kept.
#[derive(Debug)]
pub struct Process {
    shared: Arc<Shared>,
    name: String,
    child: Child,
    log: PathBuf,
}

pub(super) fn spawn(
    shared: Arc<Shared>,
    namespace: &Namespace,
    name: &str,
    mut command: Command,
) -> Result<Process, LabError> {
    let log = shared.directory.join(format!("{name}-{}.log", shared.serial()));
    let file = File::create(&log).context(|| format!("create {}", log.display()))?;
    let second = file.try_clone().context(|| format!("open {} twice", log.display()))?;
    // A process group of its own: Ctrl-C reaches the owner of the lab only, which then decides the order of the end.
    command.process_group(0).stdin(Stdio::null()).stdout(file).stderr(second);
    // A child belongs to the namespace of the thread that starts it.
    let child =
        namespace.run(|| command.spawn())?.context(|| format!("start process {name}: {command:?}"))?;
    Ok(Process { shared, name: name.to_owned(), child, log })
}

impl Process {
    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file that takes its output.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// All it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn status(&mut self) -> Result<Option<ExitStatus>, LabError> {
        self.child.try_wait().context(|| format!("wait for process {}", self.name))
    }

    /// Waits until a whole line of the output contains `text`, and returns that line.
    ///
    /// # Errors
    /// [`LabError::ProcessEnded`] when it ends before, [`LabError::Timeout`] with the end of the log, or
    /// [`LabError::Interrupted`].
    pub fn wait_for_line(&mut self, text: &str, timeout: Duration) -> Result<String, LabError> {
        let deadline = Instant::now() + timeout;
        loop {
            self.shared.interrupt.check()?;
            // In this order: what it wrote before it ended is seen.
            let (ended, expired) = (self.status()?, Instant::now() >= deadline);
            let log = self.log();
            let complete = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            if let Some(line) = complete.into_iter().find(|line| line.contains(text)) {
                return Ok(line.trim_end().to_owned());
            }
            if let Some(status) = ended {
                return Err(LabError::ProcessEnded { name: self.name.clone(), status, log: tail(&log) });
            }
            if expired {
                let what = format!("{text:?} from process {}", self.name);
                let detail = format!("; the end of its log:\n{}", tail(&log));
                return Err(LabError::Timeout { what, timeout, detail });
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// [`LabError::Timeout`].
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus, LabError> {
        let what = format!("the end of process {}", self.name);
        wait_until(timeout, &what, || !matches!(self.child.try_wait(), Ok(None)))?;
        self.child.wait().context(|| what)
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn signal(&mut self, signal: Signal) -> Result<(), LabError> {
        if let Some(status) = self.status()? {
            return Err(LabError::ProcessEnded { name: self.name.clone(), status, log: tail(&self.log()) });
        }
        signal::kill(to_pid(&self.child), signal).context(|| format!("send {signal} to {}", self.name))
    }

    /// Asks it to end (SIGTERM), and kills it when it has not after `grace`.
    ///
    /// # Errors
    /// When the system refuses; having ended before is no error.
    pub fn stop(mut self, grace: Duration) -> Result<ExitStatus, LabError> {
        if let Some(status) = self.status()? {
            return Ok(status);
        }
        self.signal(Signal::SIGTERM)?;
        match self.wait(grace) {
            Err(LabError::Timeout { .. }) => self.kill(),
            result => result,
        }
    }

    /// Kills it (SIGKILL) and waits for its end.
    ///
    /// # Errors
    /// When the system refuses; having ended before is no error.
    pub fn kill(&mut self) -> Result<ExitStatus, LabError> {
        self.child.kill().context(|| format!("kill process {}", self.name))?;
        self.child.wait().context(|| format!("wait for process {}", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.shared.kept.load(Ordering::Relaxed) {
            return;
        }
        // Having ended before is fine; anything else is the reaper's business.
        let _ = self.kill();
    }
}

fn to_pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

/// The last bytes of a log, from the start of a line.
fn tail(log: &str) -> String {
    let bytes = log.as_bytes();
    let Some(start) = bytes.len().checked_sub(LOG_TAIL_BYTES).filter(|start| *start > 0) else {
        return log.to_owned();
    };
    let cut = String::from_utf8_lossy(&bytes[start..]);
    cut.split_once('\n').map_or_else(|| cut.to_string(), |(_, whole_lines)| whole_lines.to_owned())
}

#[cfg(test)]
mod tests;
