//! One daemon: who holds the lock is the one.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use rustix::fs::{FlockOperation, flock};

/// Name of the lock in the run directory.
pub const LOCK_NAME: &str = "slowpath.lock";

/// Held as long as it lives. The kernel gives it back when the process ends, in whatever way.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Takes the lock in a directory, which is made if need be.
///
/// # Errors
/// When another daemon has it, or the file can not be made.
pub fn take(run_dir: &Path) -> anyhow::Result<Lock> {
    let path = run_dir.join(LOCK_NAME);
    let hint = "run as root, or name a directory of your own with --run-dir";
    std::fs::create_dir_all(run_dir)
        .with_context(|| format!("can not make {}; {hint}", run_dir.display()))?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(&path).with_context(|| format!("can not open {}; {hint}", path.display()))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => bail!("ze-slowpath runs already{}", holder(&mut file, &path)),
        Err(error) => return Err(error).with_context(|| format!("can not lock {}", path.display())),
    }
    // For people, and for the message above; the lock itself is what counts.
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .with_context(|| path.display().to_string())?;
    Ok(Lock { _file: file })
}

fn holder(file: &mut File, path: &Path) -> String {
    let mut text = String::new();
    let _ = file.rewind().and_then(|()| file.take(32).read_to_string(&mut text));
    match text.trim() {
        "" => format!(" (it holds {})", path.display()),
        pid => format!(": process {pid} holds {}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_refused_with_the_process_of_the_first_until_that_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let run_dir = dir.path().join("run");
        let first = take(&run_dir).unwrap();
        let error = take(&run_dir).unwrap_err().to_string();
        assert!(error.contains(&format!("process {} holds", std::process::id())), "{error}");
        drop(first);
        take(&run_dir).unwrap();
    }

    #[test]
    fn a_directory_that_can_not_be_made_is_named() {
        let error = format!("{:#}", take(Path::new("/proc/ze")).unwrap_err());
        assert!(error.contains("can not make /proc/ze") && error.contains("--run-dir"), "{error}");
    }
}
