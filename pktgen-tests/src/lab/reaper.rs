//! The life of a lab on the machine: its directory, its lock, and the script that takes it apart.
//!
//! There is one way to take a lab apart, the script `ze-lab-reaper`. It lies in the lab's directory and runs as the
//! lab's reaper from the start, waiting for its owner; so what cleans up after a `kill -9` is the same program,
//! already running, that cleans up on an orderly end.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};

use super::error::Context;
use super::{LabError, LabSummary, command};

/// One directory per lab. Not below `/run/ze`, which belongs to the daemons and goes when their service stops.
const LABS: &str = "/run/ze-lab";
/// Extra commands for the script, see [`Lab::on_cleanup`](super::Lab::on_cleanup).
pub(super) const CLEANUP_FILE: &str = "cleanup";
/// Exists when the lab outlives its owner on purpose.
pub(super) const KEPT_FILE: &str = "kept";
const OWNER_FILE: &str = "owner";
const SCRIPT_FILE: &str = "ze-lab-reaper";
const SCRIPT: &str = include_str!("ze-lab-reaper");
/// How long an orderly end may take; the script itself is bounded below this.
const FINISH_TIMEOUT: Duration = Duration::from_secs(20);

/// The proof that a lab has a living owner: an flock the kernel lets go of when the owner dies.
pub(super) type OwnerLock = Flock<File>;

/// What the owner tells the reaper.
pub(super) enum Order {
    /// Take the lab apart.
    Remove,
    /// Leave it as it is.
    Keep,
}

/// The running script, waiting for its owner to say so, or to die.
#[derive(Debug)]
pub(super) struct Reaper {
    prefix: String,
    child: Child,
}

impl Reaper {
    /// Starts the reaper of the lab whose directory exists already.
    pub(super) fn start(prefix: &str) -> Result<Self, LabError> {
        // A session of its own: signals to the owner's process group or terminal do not reach it.
        let child = Command::new("setsid")
            .arg("/bin/sh")
            .arg(script(prefix))
            .args([prefix, "wait"])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context(|| "start the lab's reaper with setsid".to_owned())?;
        Ok(Self { prefix: prefix.to_owned(), child })
    }

    /// Gives the order and waits until it is carried out; what cannot be cleaned is said in the log.
    pub(super) fn finish(mut self, order: &Order) {
        let word = match order {
            Order::Remove => "remove\n",
            Order::Keep => "keep\n",
        };
        let told = self.child.stdin.take().map(|mut pipe| pipe.write_all(word.as_bytes()));
        let ended = self.wait();
        if matches!(order, Order::Keep) || (matches!(told, Some(Ok(()))) && ended) {
            return;
        }
        // Somebody killed the reaper: do its work from here.
        if let Err(error) = remove(&self.prefix) {
            tracing::error!(lab = self.prefix, %error, "the lab could not be removed");
        }
    }

    /// True when the script came to its end by itself.
    fn wait(&mut self) -> bool {
        let deadline = Instant::now() + FINISH_TIMEOUT;
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.success(),
                Ok(None) => thread::sleep(Duration::from_millis(2)),
                Err(_) => return false,
            }
        }
        false
    }
}

/// Makes the directory of a new lab and takes its lock; `None` when the name is in use.
pub(super) fn claim(prefix: &str) -> Result<Option<OwnerLock>, LabError> {
    claim_in(Path::new(LABS), prefix).context(|| format!("make the directory of lab {prefix} in {LABS}"))
}

/// The directory appears under its final name only when its lock is held, so a sweep never sees it without.
fn claim_in(labs: &Path, prefix: &str) -> io::Result<Option<OwnerLock>> {
    let new = labs.join(format!(".new-{prefix}-{:?}", thread::current().id()));
    make_directory(&new)?;
    fs::write(new.join(SCRIPT_FILE), SCRIPT)?;
    let owner = File::create(new.join(OWNER_FILE))?;
    let lock = Flock::lock(owner, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno)?;
    match fs::rename(&new, labs.join(prefix)) {
        Ok(()) => Ok(Some(lock)),
        Err(error) => {
            fs::remove_dir_all(&new)?;
            // The target exists and is not empty.
            let taken =
                matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists);
            if taken { Ok(None) } else { Err(error) }
        }
    }
}

/// With its parents, which the reaper of the last lab may take away while we are about it.
fn make_directory(path: &Path) -> io::Result<()> {
    const TRIES: u32 = 100;
    let make = || fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    (1..TRIES).map(|_| make()).find(|made| !is_gone(made)).unwrap_or_else(make)
}

fn is_gone(made: &io::Result<()>) -> bool {
    made.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Where a lab keeps its files.
pub(super) fn directory(prefix: &str) -> PathBuf {
    Path::new(LABS).join(prefix)
}

fn script(prefix: &str) -> PathBuf {
    directory(prefix).join(SCRIPT_FILE)
}

/// The command that removes a lab, for people.
pub(super) fn remove_command(prefix: &str) -> String {
    format!("sh {} {prefix} remove", script(prefix).display())
}

/// Takes a lab apart now.
pub(super) fn remove(prefix: &str) -> Result<(), LabError> {
    let valid = prefix.starts_with("ze-") && !prefix.contains('/');
    if !valid {
        return Err(LabError::Name {
            kind: "lab",
            name: prefix.to_owned(),
            reason: "not the prefix of a lab",
        });
    }
    // Not the copy in the lab's directory: that may be gone while namespaces remain. `$0` tells the script where it is.
    let mut remove = Command::new("/bin/sh");
    remove.args(["-c", SCRIPT]).arg(script(prefix)).args([prefix, "remove"]);
    command::output(&mut remove).map(drop)
}

/// The labs on this machine.
pub(super) fn list() -> Result<Vec<LabSummary>, LabError> {
    let entries = match fs::read_dir(LABS) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.context(|| format!("read {LABS}"))?,
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter(|name| name.starts_with("ze-")).filter_map(summary).collect())
}

/// `None` when the lab went while we looked.
fn summary(prefix: String) -> Option<LabSummary> {
    let directory = directory(&prefix);
    let kept = directory.join(KEPT_FILE).exists();
    let owned = match File::open(directory.join(OWNER_FILE)) {
        Ok(owner) => Flock::lock(owner, FlockArg::LockExclusiveNonblock).is_err(),
        // Being removed by its reaper: the script and this file go in any order.
        Err(_) if !directory.exists() => return None,
        Err(_) => false,
    };
    Some(LabSummary { prefix, owned, kept })
}

#[cfg(test)]
mod tests;
