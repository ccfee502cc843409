//! Running a tool to its end, with its own words in the error.

use std::process::{Command, Stdio};

use super::LabError;
use super::error::Context;

/// Runs `command` and returns what it wrote to standard output.
pub(super) fn output(command: &mut Command) -> Result<String, LabError> {
    let result = command.stdin(Stdio::null()).output().context(|| format!("run `{}`", shown(command)))?;
    if result.status.success() {
        return Ok(String::from_utf8_lossy(&result.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&result.stderr).trim().to_owned();
    Err(LabError::Command { command: shown(command), status: result.status, stderr })
}

/// The command line as a person would type it; a whole script given as an argument is cut to its first line.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let shorten = |word: &std::ffi::OsStr| {
        let word = word.to_string_lossy();
        word.lines().next().unwrap_or_default().to_owned()
    };
    words.map(shorten).collect::<Vec<_>>().join(" ")
}
