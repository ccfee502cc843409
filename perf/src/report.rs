//! `ze-perf report FILE…`: results as Markdown, and as one page of HTML that needs nothing else to be read.

mod compare;
mod html;
pub(crate) mod lab;
mod markdown;
mod page;
mod pipeline;
mod svg;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::args::ReportArgs;
use crate::results;

/// Prints Markdown, and writes the page if one is wanted.
///
/// # Errors
/// When results can not be read, or the page can not be written.
pub fn run(args: &ReportArgs) -> Result<ExitCode> {
    let all = results::read(&args.files)?;
    let newest = results::newest(&all);
    io::stdout().write_all(markdown::render(&newest).as_bytes())?;
    if let Some(path) = &args.html {
        let page = page::render(&args.title, &newest, &all);
        fs::write(path, page).with_context(|| format!("page {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
