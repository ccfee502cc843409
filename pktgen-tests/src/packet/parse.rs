//! Text to layers.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::spec::{self, Field, Kind, Positional};
use super::{Layer, Packet, Value};

/// Bytes of a frame at most.
const FRAME_BYTES_MAX: usize = 65_535;
/// An extension header without data has one option, PadN of 6 bytes (RFC 8200 §4.2): 8 bytes in all.
const PAD_OPTION: [u8; 6] = [1, 4, 0, 0, 0, 0];

/// A text that is no packet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct NotationError {
    /// What is wrong, with the layer and the word.
    pub what: String,
}

fn wrong<T>(what: impl Into<String>) -> Result<T, NotationError> {
    Err(NotationError { what: what.into() })
}

impl Packet {
    /// Reads the notation.
    ///
    /// # Errors
    /// When a layer, field or value is unknown or does not fit.
    pub fn parse(text: &str) -> Result<Self, NotationError> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let layers = words.split(|word| *word == "/").map(layer).collect::<Result<Vec<_>, _>>()?;
        let is_last = |name| matches!(name, "cut" | "pad");
        let early = layers.iter().rev().skip(1).find(|layer| is_last(layer.spec.name));
        if let Some(layer) = early {
            return wrong(format!("'{}' must be the last layer", layer.spec.name));
        }
        Ok(Self { layers })
    }
}

fn layer(words: &[&str]) -> Result<Layer, NotationError> {
    let Some((name, arguments)) = words.split_first() else {
        return wrong("a layer is empty: there is nothing between two '/'");
    };
    let Some(spec) = spec::layer(name) else {
        let known: Vec<_> = spec::LAYERS.iter().map(|spec| spec.name).collect();
        return wrong(format!("there is no layer '{name}'; there are: {}", known.join(" ")));
    };
    let mut layer = Layer { spec, fields: BTreeMap::new(), tail: Vec::new(), number: None };
    if spec.positional == Positional::Text {
        layer.tail = arguments.join(" ").into_bytes();
        return Ok(layer);
    }
    let is_extension = spec.tail == Some("data");
    let mut has_tail = false;
    for word in arguments {
        has_tail |= layer
            .argument(word)
            .map_err(|error| NotationError { what: format!("layer '{name}': {}", error.what) })?;
    }
    if is_extension && !has_tail {
        layer.tail = PAD_OPTION.to_vec();
    }
    layer.is_complete()?;
    Ok(layer)
}

impl Layer {
    /// Takes one word; says whether it was the tail.
    fn argument(&mut self, word: &str) -> Result<bool, NotationError> {
        if let Some((name, value)) = word.split_once('=') {
            return self.named(name, value);
        }
        if let Some(field) = self.spec.field(word) {
            if field.kind != Kind::Flag {
                return wrong(format!("'{word}' needs a value: {word}=…"));
            }
            self.put(field, Value::Fixed(1))?;
            return Ok(false);
        }
        self.unnamed(word)?;
        Ok(false)
    }

    fn named(&mut self, name: &str, text: &str) -> Result<bool, NotationError> {
        if Some(name) == self.spec.tail {
            self.tail = bytes(text)?;
            return Ok(true);
        }
        let Some(field) = self.spec.field(name) else {
            let known: Vec<_> =
                self.spec.fields.iter().map(|field| field.name).chain(self.spec.tail).collect();
            return wrong(format!("there is no field '{name}'; there are: {}", known.join(" ")));
        };
        // The filler of `pad` is no field of a header: it has no bits of its own.
        if self.spec.name == "pad" {
            let [byte] = bytes(text.strip_prefix("0x").unwrap_or(text))?[..] else {
                return wrong("'with' is one byte");
            };
            self.tail = vec![byte];
            return Ok(false);
        }
        let value = value(field, text)?;
        self.put(field, value)?;
        Ok(false)
    }

    fn put(&mut self, field: &'static Field, value: Value) -> Result<(), NotationError> {
        if self.fields.insert(field.name, value).is_some() {
            return wrong(format!("'{}' stands there twice", field.name));
        }
        Ok(())
    }

    fn unnamed(&mut self, word: &str) -> Result<(), NotationError> {
        match self.spec.positional {
            Positional::Pair(from, to) => {
                let Some((left, right)) = word.split_once('>') else {
                    return wrong(format!("'{word}' is neither a field nor a pair {from}>{to}"));
                };
                for (name, text) in [(from, left), (to, right)] {
                    self.named(name, text)?;
                }
                Ok(())
            }
            Positional::Pattern => {
                self.tail = pattern(count(word)?);
                Ok(())
            }
            Positional::Bytes => {
                self.tail.extend(bytes(word)?);
                Ok(())
            }
            Positional::Number => {
                self.number = Some(count(word)?);
                Ok(())
            }
            Positional::None | Positional::Text => wrong(format!("'{word}' is no field")),
        }
    }

    fn is_complete(&self) -> Result<(), NotationError> {
        let name = self.spec.name;
        match name {
            "cut" | "pad" if self.number.is_none() => wrong(format!("'{name}' needs a number of bytes")),
            "ip4" | "tcp" if !self.tail.len().is_multiple_of(4) || self.tail.len() > 40 => {
                wrong(format!("layer '{name}': options are 0 to 40 bytes, in words of 4"))
            }
            "hopopts" | "dstopts" | "routing" if !(self.tail.len() + 2).is_multiple_of(8) => {
                wrong(format!("layer '{name}': data is 6, 14, 22 … bytes long"))
            }
            "ah" if !(self.tail.len() + 2).is_multiple_of(4) => {
                wrong("layer 'ah': data is 6, 10, 14 … bytes long")
            }
            _ => Ok(()),
        }
    }
}

/// What the words of a field mean.
fn value(field: &Field, text: &str) -> Result<Value, NotationError> {
    if text == "?" {
        return Ok(Value::Any);
    }
    if text == "wrong" {
        return if field.name == "sum" { Ok(Value::Wrong) } else { wrong("only a checksum can be 'wrong'") };
    }
    let fitting = |text: &str| {
        let number = number(field, text)?;
        let fits = field.bits >= 128 || number >> field.bits == 0;
        if fits {
            Ok(number)
        } else {
            wrong(format!("{} has {} bits: {text} does not fit", field.name, field.bits))
        }
    };
    // "::" of IPv6 addresses has no "..": both can be told apart.
    if let Some((first, last)) = text.split_once("..") {
        let (first, last) = (fitting(first)?, fitting(last)?);
        return if first <= last { Ok(Value::Range(first, last)) } else { wrong(format!("{text} is empty")) };
    }
    fitting(text).map(Value::Fixed)
}

fn number(field: &Field, text: &str) -> Result<u128, NotationError> {
    let no = |what: &str| NotationError { what: format!("{}: '{text}' is no {what}", field.name) };
    match field.kind {
        Kind::Number | Kind::Hex | Kind::Flag => {
            let parsed = match text.strip_prefix("0x") {
                Some(digits) => u128::from_str_radix(digits, 16),
                None => text.parse(),
            };
            parsed.map_err(|_| no("number"))
        }
        Kind::Mac => mac(text).ok_or_else(|| no("Ethernet address")),
        Kind::Ip4 => text.parse::<Ipv4Addr>().map(|a| u32::from(a).into()).map_err(|_| no("IPv4 address")),
        Kind::Ip6 => text.parse::<Ipv6Addr>().map(u128::from).map_err(|_| no("IPv6 address")),
    }
}

/// `02:00:00:00:01:01` as a number.
pub(crate) fn mac(text: &str) -> Option<u128> {
    let parts: Vec<_> = text.split(':').collect();
    let byte = |part: &&str| (part.len() == 2).then(|| u8::from_str_radix(part, 16).ok()).flatten();
    let bytes: Vec<u8> = parts.iter().map(byte).collect::<Option<_>>()?;
    (bytes.len() == 6).then(|| bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte)))
}

fn count(text: &str) -> Result<usize, NotationError> {
    match text.parse::<usize>() {
        Ok(count) if count <= FRAME_BYTES_MAX => Ok(count),
        Ok(_) => wrong(format!("{text} bytes do not fit in a frame")),
        Err(_) => wrong(format!("'{text}' is no number of bytes")),
    }
}

/// Hexadecimal digits, `.` and `:` between them if wished.
fn bytes(text: &str) -> Result<Vec<u8>, NotationError> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'.' | b':')).collect();
    let byte = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|p| u8::from_str_radix(p, 16).ok());
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return wrong(format!("'{text}' is not bytes in hexadecimal"));
    }
    Ok(digits.chunks(2).filter_map(byte).collect())
}

/// Bytes that differ from place to place.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 256) as u8).collect()
}
