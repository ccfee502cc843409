//! Scenarios as text, for what is made by programs: imports and what fuzzing found.

use std::fmt::Write as _;
use std::path::Path;

use super::Place;
use crate::packet::Packet;

/// One step to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A frame goes in.
    Send(Place, Vec<u8>),
    /// A frame comes out.
    Expect(Place, Vec<u8>),
}

/// A file with one scenario.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    /// Where it comes from.
    pub about: &'a str,
    /// The router's file, as seen from where the scenario will be.
    pub router: &'a Path,
    /// Its name.
    pub name: &'a str,
    /// Nothing is looked at but the law.
    pub law_only: bool,
    /// Its steps.
    pub lines: &'a [Line],
}

impl Draft<'_> {
    /// The file's text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let (about, router, name) =
            (scalar(self.about), scalar(&self.router.display().to_string()), scalar(self.name));
        let _ = writeln!(text, "about: {about}\nrouter: {router}\n\nscenarios:\n- name: {name}");
        if self.law_only {
            text += "  law_only: true\n";
        }
        text += "  steps:\n";
        for line in self.lines {
            let (verb, place, frame) = match line {
                Line::Send(place, frame) => ("send", place, frame),
                Line::Expect(place, frame) => ("expect", place, frame),
            };
            let _ = writeln!(text, "  - {verb} {place}: {}", scalar(&Packet::dissect(frame).to_string()));
        }
        text
    }
}

/// YAML 1.2 §7.3.3: what is not safe as it is, is quoted.
fn scalar(text: &str) -> String {
    let starts_plain = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/' || c == '.');
    let is_plain = starts_plain && !text.contains(": ") && !text.contains(" #") && !text.ends_with(':');
    if is_plain && !text.chars().any(char::is_control) { text.to_owned() } else { format!("{text:?}") }
}
