//! What is wrong with a configuration, and where.

use std::fmt;
use std::sync::Arc;

use crate::limits::ERRORS_MAX;

/// A place in the text. Lines and columns count from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

impl Position {
    /// The first character of a text.
    pub const START: Self = Self { line: 1, column: 1 };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// Where in it; nothing when the file could not be read.
    pub position: Option<Position>,
    /// The statement as an operator would type it: "interfaces lan0 mtu". May be empty.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if let Some(position) = self.position {
            write!(f, "{position}:")?;
        }
        if !self.path.is_empty() {
            write!(f, " {}:", self.path)?;
        }
        write!(f, " {}", self.reason)
    }
}

impl std::error::Error for ConfigError {}

/// What is wrong, in the order of the text; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The first errors, at most [`ERRORS_MAX`].
    pub errors: Vec<ConfigError>,
    /// How many more there are.
    pub more: usize,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Collects errors while a text is read.
#[derive(Debug)]
pub(crate) struct Report {
    file: Arc<str>,
    errors: Vec<ConfigError>,
}

impl Report {
    pub(crate) fn new(file: &str) -> Self {
        Self { file: file.into(), errors: Vec::new() }
    }

    pub(crate) fn add(&mut self, position: Position, path: impl Into<String>, reason: impl Into<String>) {
        self.push(Some(position), path.into(), reason.into());
    }

    fn push(&mut self, position: Option<Position>, path: String, reason: String) {
        let error = ConfigError { file: Arc::clone(&self.file), position, path, reason };
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    /// Says that there is no text to be read.
    pub(crate) fn unreadable(mut self, reason: impl Into<String>) -> ConfigErrors {
        self.push(None, String::new(), reason.into());
        self.into_errors()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    pub(crate) fn into_errors(mut self) -> ConfigErrors {
        self.errors.sort_by_key(|e| e.position);
        let more = self.errors.len().saturating_sub(ERRORS_MAX);
        self.errors.truncate(ERRORS_MAX);
        ConfigErrors { errors: self.errors, more }
    }
}
