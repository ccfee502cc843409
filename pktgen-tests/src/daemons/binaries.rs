//! Where the programs are.

use std::env;
use std::path::{Path, PathBuf};

use super::DaemonError;

/// Names the directory of the programs, before all other places.
pub const BIN_DIR_ENV: &str = "ZE_BIN_DIR";

/// The directories in which programs of Ze are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    directories: Vec<PathBuf>,
}

impl Binaries {
    /// `directory` if given, else that of [`BIN_DIR_ENV`], else the directory of the running program and the one
    /// above it (test programs lie one below).
    #[must_use]
    pub fn new(directory: Option<&Path>) -> Self {
        let named = directory.map(Path::to_owned).or_else(|| env::var_os(BIN_DIR_ENV).map(PathBuf::from));
        let directories = named.map_or_else(beside_this_program, |directory| vec![directory]);
        Self { directories }
    }

    /// The path of a program.
    ///
    /// # Errors
    /// [`DaemonError::NoBinary`]. Nothing is built: what a test runs is what was built before.
    pub fn find(&self, name: &'static str) -> Result<PathBuf, DaemonError> {
        let mut candidates = self.directories.iter().map(|directory| directory.join(name));
        candidates
            .find(|path| path.is_file())
            .ok_or_else(|| DaemonError::NoBinary { name, looked_in: self.directories.clone() })
    }
}

fn beside_this_program() -> Vec<PathBuf> {
    let program = env::current_exe().unwrap_or_default();
    program.ancestors().skip(1).take(2).map(Path::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_the_places_and_the_remedy() {
        let error = Binaries::new(Some(Path::new("/nowhere"))).find("ze-fastpath").unwrap_err().to_string();
        for part in ["ze-fastpath", "/nowhere", "ZE_BIN_DIR", "cargo build"] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_program_is_found_in_the_directory_named_first() {
        assert_eq!(Binaries::new(Some(Path::new("/bin"))).find("sh").unwrap(), PathBuf::from("/bin/sh"));
    }
}
