//! One forwarding daemon a run directory: a second one would fight the first for the same queues.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

/// Why the run directory could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another one runs.
    #[error("ze-fastpath is running already (process {pid}); it holds {path}")]
    Running {
        /// Its process number, as far as the lock file tells.
        pid: String,
        /// The lock file.
        path: PathBuf,
    },
    /// The directory or the file can not be made.
    #[error("cannot use {path}: {source}{}", hint(source))]
    System {
        /// The directory or file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

fn hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => " (ze-fastpath runs as root)",
        _ => "",
    }
}

/// The right to be the one that runs. Ends with the process, however that ends.
#[derive(Debug)]
pub struct Lock {
    _file: Flock<File>,
}

impl Lock {
    /// Takes the lock of a run directory, which is made if need be.
    ///
    /// # Errors
    /// When another process has it, or the directory can not be used.
    pub fn take(run_dir: &Path) -> Result<Self, Error> {
        let system = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::System { path, source }
        };
        fs::create_dir_all(run_dir).map_err(system(run_dir))?;
        let path = run_dir.join("fastpath.lock");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(system(&path))?;
        let mut file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
                let mut pid = String::new();
                let _ = file.read_to_string(&mut pid);
                return Err(Error::Running { pid: pid.trim().to_owned(), path });
            }
            Err((_, errno)) => return Err(Error::System { path, source: errno.into() }),
        };
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(system(&path))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_refused_with_the_process_that_runs_and_may_start_when_that_ends() {
        let dir = std::env::temp_dir().join(format!("ze-lock-{}", std::process::id()));
        let first = Lock::take(&dir).unwrap();
        let refused = Lock::take(&dir).unwrap_err().to_string();
        assert!(refused.contains("running already"), "{refused}");
        assert!(refused.contains(&std::process::id().to_string()), "{refused}");
        drop(first);
        assert!(Lock::take(&dir).is_ok());
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_directory_that_can_not_be_made_is_named() {
        let refused = Lock::take(Path::new("/proc/ze-no-such-place")).unwrap_err().to_string();
        assert!(refused.contains("/proc/ze-no-such-place"), "{refused}");
    }
}
