//! Where the output goes, and in what form.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;
use serde_json::Value;

use crate::args::{Color, Format, Global};
use crate::error::Error;

/// What a command has to say, in both forms.
#[derive(Clone, Debug)]
pub struct Page {
    /// For programs.
    pub json: Value,
    /// For people; ends with a line feed.
    pub text: String,
}

impl Page {
    /// A page from what serializes and what people read.
    ///
    /// # Errors
    /// When it can not be serialized.
    pub fn new(json: &impl Serialize, text: impl Into<String>) -> Result<Self, Error> {
        Ok(Self { json: serde_json::to_value(json)?, text: text.into() })
    }
}

/// ANSI emphasis, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paint {
    /// Is it on?
    pub on: bool,
}

/// What a piece of text is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// As it is.
    #[default]
    Plain,
    /// Headings.
    Heading,
    /// Less important.
    Dim,
    /// All is well.
    Good,
    /// Have a look.
    Warning,
    /// Something is wrong.
    Bad,
}

impl Paint {
    /// Puts the escape sequences around `text`.
    pub fn paint(self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Plain => return text.to_owned(),
            Style::Heading => "1",
            Style::Dim => "2",
            Style::Good => "32",
            Style::Warning => "33",
            Style::Bad => "1;31",
        };
        if !self.on || text.is_empty() {
            return text.to_owned();
        }
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Standard output in the form that was asked for.
pub struct Output {
    /// The form.
    pub format: Format,
    /// Emphasis.
    pub paint: Paint,
    /// Is it a terminal?
    pub terminal: bool,
    sink: io::BufWriter<io::Stdout>,
}

impl Output {
    /// As the options say.
    pub fn new(global: &Global) -> Self {
        let terminal = io::stdout().is_terminal();
        Self {
            format: global.output,
            paint: Paint { on: colors(global.color, terminal) },
            terminal,
            sink: io::BufWriter::new(io::stdout()),
        }
    }

    /// Writes one page, complete.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn page(&mut self, page: &Page) -> Result<(), Error> {
        match self.format {
            Format::Json => {
                serde_json::to_writer_pretty(&mut self.sink, &page.json)?;
                self.sink.write_all(b"\n")?;
            }
            Format::Table => self.sink.write_all(page.text.as_bytes())?,
        }
        Ok(self.sink.flush()?)
    }

    /// Writes one of several pages: JSON as one line; a table over the one before.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn next_page(&mut self, page: &Page, title: &str) -> Result<(), Error> {
        match self.format {
            Format::Json => self.line(&page.json)?,
            Format::Table if self.terminal => {
                // Home, the page, and what was longer before goes: no flicker.
                let text = page.text.replace('\n', "\x1b[K\n");
                write!(
                    self.sink,
                    "\x1b[H{}\x1b[K\n\x1b[K\n{text}\x1b[J",
                    self.paint.paint(Style::Dim, title)
                )?;
            }
            Format::Table => writeln!(self.sink, "{}", page.text)?,
        }
        Ok(self.sink.flush()?)
    }

    /// Writes one JSON document as one line.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn line(&mut self, value: &impl Serialize) -> Result<(), Error> {
        serde_json::to_writer(&mut self.sink, value)?;
        self.sink.write_all(b"\n")?;
        Ok(self.sink.flush()?)
    }

    /// Writes text as it is; it may stay in the buffer.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn text(&mut self, text: &str) -> Result<(), Error> {
        Ok(self.sink.write_all(text.as_bytes())?)
    }

    /// Writes out the buffer.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn flush(&mut self) -> Result<(), Error> {
        Ok(self.sink.flush()?)
    }
}

/// Are there colours? NO_COLOR (no-color.org) is obeyed when it is not empty, an explicit choice wins.
pub fn colors(choice: Color, terminal: bool) -> bool {
    match choice {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
    }
}
