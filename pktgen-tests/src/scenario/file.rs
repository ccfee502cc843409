//! Scenario files: YAML, checked against what is possible before anything is played.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde_saphyr::{Location, Spanned};
use ze_graph::{DropReason, PuntReason};

use super::router::Router;
use super::{Action, Amount, BackendKind, Place, Scenario, Step};
use crate::packet::Packet;

/// Abbreviations within abbreviations.
const LET_DEPTH_MAX: usize = 8;
/// Repetitions of a step.
const TIMES_MAX: u32 = 10_000;
/// The longest wait of a step.
const WAIT_MAX: Duration = Duration::from_secs(3600);

/// A file that is no scenario, or no router.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It can not be read.
    #[error("{file}: {why}")]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        why: std::io::Error,
    },
    /// It says what can not be.
    #[error("{file}:{line}:{column}: {path}{what}")]
    Wrong {
        /// The file.
        file: PathBuf,
        /// From 1; 0 if it is not known.
        line: u64,
        /// From 1.
        column: u64,
        /// The place in the structure, with ": " at its end.
        path: String,
        /// What is wrong.
        what: String,
    },
}

/// The text of a file.
pub(super) struct Source {
    file: PathBuf,
    text: String,
}

impl Source {
    pub(super) fn read(file: &Path) -> Result<Self, FileError> {
        let text =
            std::fs::read_to_string(file).map_err(|why| FileError::Read { file: file.to_owned(), why })?;
        Ok(Self { file: file.to_owned(), text })
    }

    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, FileError> {
        let mut path = String::new();
        let parsed = serde_saphyr::with_deserializer_from_str(&self.text, |de| {
            serde_path_to_error::deserialize::<_, T>(de).map_err(|error| {
                // A value with a location is a structure of its own to serde; not to a reader.
                path = error.path().to_string().replace(".value", "");
                error.into_inner()
            })
        });
        parsed.map_err(|error: serde_saphyr::Error| {
            let location = error.location().unwrap_or(Location::UNKNOWN);
            let text = error.without_snippet().to_string();
            // The place stands in front already.
            let what = text.split(" at line ").next().unwrap_or(&text).to_owned();
            self.error(location, if path == "." { String::new() } else { path.clone() }, what)
        })
    }

    pub(super) fn error(&self, at: Location, path: String, what: String) -> FileError {
        let path = if path.is_empty() { path } else { format!("{path}: ") };
        FileError::Wrong { file: self.file.clone(), line: at.line(), column: at.column(), path, what }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    #[expect(dead_code, reason = "for readers of the file")]
    about: String,
    router: Spanned<PathBuf>,
    #[serde(default, rename = "let")]
    abbreviations: BTreeMap<String, String>,
    scenarios: Vec<RawScenario>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScenario {
    name: Spanned<String>,
    #[serde(default)]
    #[expect(dead_code, reason = "for readers of the file")]
    about: String,
    #[serde(default)]
    only: Option<Spanned<RawOnly>>,
    #[serde(default, rename = "let")]
    abbreviations: BTreeMap<String, String>,
    steps: Vec<Spanned<BTreeMap<String, Spanned<String>>>>,
    #[serde(default)]
    drops: BTreeMap<String, Spanned<Amount>>,
    #[serde(default)]
    punts: BTreeMap<String, Spanned<Amount>>,
    #[serde(default)]
    counters: BTreeMap<String, Spanned<Amount>>,
    #[serde(default)]
    law_only: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOnly {
    on: String,
    because: String,
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AmountVisitor;
        impl Visitor<'_> for AmountVisitor {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or a range as in 3..5")
            }

            fn visit_u64<E: de::Error>(self, count: u64) -> Result<Amount, E> {
                Ok(Amount { least: count, most: count })
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
                let (least, most) = text.split_once("..").unwrap_or((text, text));
                match (least.trim().parse(), most.trim().parse()) {
                    (Ok(least), Ok(most)) if least <= most => Ok(Amount { least, most }),
                    _ => Err(E::custom(format!("'{text}' is neither a number nor a range as in 3..5"))),
                }
            }
        }
        deserializer.deserialize_any(AmountVisitor)
    }
}

/// Reads the scenarios of a file.
///
/// # Errors
/// When the file or its router can not be read, or say what can not be; with file, line and path.
pub fn read(file: &Path) -> Result<Vec<Scenario>, FileError> {
    let source = Source::read(file)?;
    let raw: RawFile = source.parse()?;
    let beside = file.parent().unwrap_or(Path::new("")).join(&raw.router.value);
    let router = match Router::read(&beside) {
        Err(FileError::Read { why, .. }) => {
            let what = format!("{}: {why}", beside.display());
            return Err(source.error(raw.router.referenced, "router".to_owned(), what));
        }
        router => Arc::new(router?),
    };
    let mut scenarios: Vec<Scenario> = Vec::new();
    for (at, scenario) in raw.scenarios.into_iter().enumerate() {
        let reader = Reader {
            source: &source,
            path: format!("scenarios[{at}]"),
            router: &router,
            file_let: &raw.abbreviations,
        };
        let twice = scenarios.iter().any(|other| other.name == scenario.name.value);
        if twice {
            let what = format!("'{}' is the name of two scenarios", scenario.name.value);
            return Err(source.error(scenario.name.referenced, reader.path, what));
        }
        scenarios.push(reader.scenario(scenario)?);
    }
    Ok(scenarios)
}

struct Reader<'a> {
    source: &'a Source,
    path: String,
    router: &'a Arc<Router>,
    file_let: &'a BTreeMap<String, String>,
}

impl Reader<'_> {
    fn error(&self, at: Location, path: &str, what: impl Into<String>) -> FileError {
        self.source.error(at, format!("{}{path}", self.path), what.into())
    }

    fn scenario(&self, raw: RawScenario) -> Result<Scenario, FileError> {
        let mut abbreviations = self.router.abbreviations.clone();
        abbreviations.extend(self.file_let.clone());
        abbreviations.extend(raw.abbreviations);
        let mut steps = Vec::new();
        for (at, step) in raw.steps.iter().enumerate() {
            let path = format!(".steps[{at}]");
            self.steps(step, &abbreviations, &mut steps).map_err(|(at, what)| self.error(at, &path, what))?;
        }
        let only = raw.only.map(|only| self.only(&only)).transpose()?;
        let drops: Vec<_> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
        let punts: Vec<_> = PuntReason::ALL.iter().map(|reason| reason.name()).collect();
        let mut counters: Vec<String> = self.router.interface_counters().into_iter().collect();
        counters.extend(punts.iter().map(|class| format!("policed.{class}")));
        Ok(Scenario {
            line: raw.name.referenced.line(),
            name: raw.name.value,
            file: self.source.file.clone(),
            router: Arc::clone(self.router),
            only,
            law_only: raw.law_only,
            steps,
            drops: self.amounts("drops", raw.drops, &drops)?,
            punts: self.amounts("punts", raw.punts, &punts)?,
            counters: self.amounts("counters", raw.counters, &counters)?,
        })
    }

    fn only(&self, only: &Spanned<RawOnly>) -> Result<(BackendKind, String), FileError> {
        let kind = match only.value.on.as_str() {
            "mem" => BackendKind::Mem,
            "veth" => BackendKind::Veth,
            other => {
                return Err(self.error(
                    only.referenced,
                    ".only",
                    format!("'{other}' is neither mem nor veth"),
                ));
            }
        };
        Ok((kind, only.value.because.clone()))
    }

    fn amounts<S: AsRef<str>>(
        &self,
        what: &str,
        raw: BTreeMap<String, Spanned<Amount>>,
        known: &[S],
    ) -> Result<BTreeMap<String, Amount>, FileError> {
        if let Some((name, amount)) =
            raw.iter().find(|(name, _)| !known.iter().any(|known| known.as_ref() == *name))
        {
            let known: Vec<_> = known.iter().map(AsRef::as_ref).collect();
            let reason = format!("nothing is counted as '{name}'; there are: {}", known.join(" "));
            return Err(self.error(amount.referenced, &format!(".{what}"), reason));
        }
        Ok(raw.into_iter().map(|(name, amount)| (name, amount.value)).collect())
    }

    fn steps(
        &self,
        raw: &Spanned<BTreeMap<String, Spanned<String>>>,
        abbreviations: &BTreeMap<String, String>,
        steps: &mut Vec<Step>,
    ) -> Result<(), (Location, String)> {
        let (key, text) = match raw.value.iter().collect::<Vec<_>>()[..] {
            [only] => only,
            _ => {
                return Err((
                    raw.referenced,
                    "a step is one thing: 'send PORT', 'expect PORT' or 'wait'".to_owned(),
                ));
            }
        };
        let at = text.referenced;
        let line = at.line();
        let words: Vec<&str> = key.split_whitespace().collect();
        if words == ["wait"] {
            let time = duration(&text.value).map_err(|what| (at, what))?;
            steps.push(Step { line, action: Action::Wait(time) });
            return Ok(());
        }
        let (verb, times, place) = self.address(&words).map_err(|what| (raw.referenced, what))?;
        for number in 0..times {
            let text = expand(&text.value, abbreviations, number, 0).map_err(|what| (at, what))?;
            let packet = Packet::parse(&text).map_err(|error| (at, error.to_string()))?;
            let action = match verb {
                Verb::Expect => Action::Expect(place.clone(), packet),
                Verb::Send if packet.is_closed() => Action::Send(place.clone(), packet.bytes()),
                Verb::Send => return Err((at, "a frame that is sent has no open fields".to_owned())),
            };
            steps.push(Step { line, action });
        }
        Ok(())
    }

    /// `send lan0`, `expect 3x host lan0.100`.
    fn address(&self, words: &[&str]) -> Result<(Verb, u32, Place), String> {
        let usage =
            || format!("'{}' is no step: send [NUMBERx] [host] PLACE, expect …, or wait", words.join(" "));
        let (verb, rest) = match words {
            ["send", rest @ ..] => (Verb::Send, rest),
            ["expect", rest @ ..] => (Verb::Expect, rest),
            _ => return Err(usage()),
        };
        let count = |word: &str| word.strip_suffix('x').and_then(|count| count.parse::<u32>().ok());
        let (times, rest) = match rest {
            [first, rest @ ..] if count(first).is_some() => (count(first).unwrap_or(1), rest),
            rest => (1, rest),
        };
        if times == 0 || times > TIMES_MAX {
            return Err(format!("a step is repeated 1 to {TIMES_MAX} times"));
        }
        let place = match rest {
            ["host", interface] => Place::Host((*interface).to_owned()),
            [port] => Place::Wire((*port).to_owned()),
            _ => return Err(usage()),
        };
        let places = self.router.places();
        if !places.contains(&place) {
            let places: Vec<_> = places.iter().map(ToString::to_string).collect();
            return Err(format!("there is no place '{place}'; there are: {}", places.join(", ")));
        }
        Ok((verb, times, place))
    }
}

#[derive(Clone, Copy)]
enum Verb {
    Send,
    Expect,
}

/// Puts abbreviations (`$name`) and the number of a repetition (`{n}`) into a text.
fn expand(
    text: &str,
    abbreviations: &BTreeMap<String, String>,
    number: u32,
    depth: usize,
) -> Result<String, String> {
    if depth > LET_DEPTH_MAX {
        return Err(format!("abbreviations are nested deeper than {LET_DEPTH_MAX}"));
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
        let (name, behind) = after.split_at(end);
        let Some(meaning) = abbreviations.get(name) else {
            let known: Vec<_> = abbreviations.keys().map(String::as_str).collect();
            return Err(format!("there is no abbreviation '${name}'; there are: {}", known.join(" ")));
        };
        out += before;
        out += &expand(meaning, abbreviations, number, depth + 1)?;
        rest = behind;
    }
    out += rest;
    Ok(out.replace("{n}", &number.to_string()))
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is no time as in 1500ms, 2s");
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let time = match unit.trim() {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        _ => return Err(wrong()),
    };
    if time > WAIT_MAX { Err(format!("{text} is longer than {} s", WAIT_MAX.as_secs())) } else { Ok(time) }
}

#[cfg(test)]
mod tests;
