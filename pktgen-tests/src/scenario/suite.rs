//! Scenarios of files and directories.

use std::path::{Path, PathBuf};

use super::file::{self, FileError};
use super::router::Router;
use super::{BackendKind, Scenario};

/// The project's own scenarios.
#[must_use]
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// The scenarios of a file, or of every `*.yaml` of a directory; not of its subdirectories, where routers are.
///
/// # Errors
/// When a file can not be read, or says what can not be.
pub fn read(path: &Path) -> Result<Vec<Scenario>, FileError> {
    if !path.is_dir() {
        return file::read(path);
    }
    let failed = |why| FileError::Read { file: path.to_owned(), why };
    let entries = std::fs::read_dir(path).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let is_scenario = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "yaml" || kind == "yml");
    let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).filter(is_scenario).collect();
    files.sort();
    let read = files.iter().map(|path| file::read(path)).collect::<Result<Vec<_>, _>>()?;
    Ok(read.concat())
}

/// Scenarios of the same router, so that it is started once; those that are not for the backend are left out.
#[must_use]
pub fn by_router(scenarios: &[Scenario], kind: BackendKind) -> Vec<(&Router, Vec<&Scenario>)> {
    let mut groups: Vec<(&Router, Vec<&Scenario>)> = Vec::new();
    for scenario in scenarios.iter().filter(|scenario| scenario.is_for(kind)) {
        match groups.iter_mut().find(|(router, _)| **router == *scenario.router) {
            Some((_, members)) => members.push(scenario),
            None => groups.push((&scenario.router, vec![scenario])),
        }
    }
    groups
}
