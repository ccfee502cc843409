//! Bytes to layers, and layers to text.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::build::read;
use super::parse::pattern;
use super::spec::{self, ETHERTYPES, Field, Kind, LayerSpec, PROTOCOLS, Positional, Usual};
use super::{Layer, Packet, Value};

/// Packets within packets that are looked at.
const LAYERS_MAX: usize = 24;
/// EtherTypes below this are lengths (IEEE 802.3 §3.2.6).
const FIRST_ETHERTYPE: u128 = 0x600;
/// A payload shorter than this is shown as bytes even if it is the pattern: a byte of 0 is more likely to be a 0.
const PATTERN_BYTES_MIN: usize = 4;

impl Packet {
    /// The layers of a frame, with only those fields named that do not follow by themselves. Its bytes are the frame's.
    #[must_use]
    pub fn dissect(frame: &[u8]) -> Self {
        let mut packet = Self::dissect_fully(frame);
        if packet.bytes() != frame {
            return Self { layers: vec![raw(frame)] };
        }
        for at in 0..packet.layers.len() {
            let names: Vec<_> = packet.layers[at].fields.keys().copied().collect();
            for name in names {
                let Some(value) = packet.layers[at].fields.remove(name) else { continue };
                if packet.bytes() != frame {
                    packet.layers[at].fields.insert(name, value);
                }
            }
        }
        packet
    }

    /// The layers of a frame, with every field named.
    pub(super) fn dissect_fully(frame: &[u8]) -> Self {
        let mut layers = Vec::new();
        let (mut rest, mut next, mut trailer) = (frame, Some("eth"), None);
        while let Some(name) = next.filter(|_| layers.len() < LAYERS_MAX && !rest.is_empty()) {
            let Some((layer, len)) = spec::layer(name).and_then(|spec| take(spec, rest)) else { break };
            next = following(&layer, &layers).filter(|_| fragment_offset(&layer) == 0);
            // What stands behind the packet in its frame is padding, which its length does not count.
            let behind = length(&layer).filter(|inside| (len..rest.len()).contains(inside));
            if let Some((inside, padding)) = behind.map(|inside| rest.split_at(inside))
                && is_padding(padding, &layers)
            {
                (rest, trailer) = (inside, padding.first().copied());
            }
            rest = &rest[len..];
            let quotes = is_icmp_error(&layer);
            layers.push(layer);
            if let Some(first) = rest.first().filter(|first| quotes && matches!(**first >> 4, 4 | 6)) {
                layers.push(empty("quote"));
                next = Some(if first >> 4 == 4 { "ip4" } else { "ip6" });
            }
        }
        if !rest.is_empty() {
            layers.push(raw(rest));
        }
        if layers.is_empty() {
            layers.push(raw(frame));
        }
        layers.extend(trailer.map(|filler| padding(frame.len(), filler)));
        Self { layers }
    }
}

/// Only the outermost packet is padded, and with one byte over and over.
fn is_padding(bytes: &[u8], before: &[Layer]) -> bool {
    let is_outer = before.iter().all(|layer| !matches!(layer.spec.name, "quote" | "ip4" | "ip6"));
    is_outer && bytes.windows(2).all(|pair| pair[0] == pair[1])
}

fn empty(name: &str) -> Layer {
    let spec = spec::layer(name).unwrap_or(&spec::LAYERS[0]);
    Layer { spec, fields: BTreeMap::new(), tail: Vec::new(), number: None }
}

fn raw(bytes: &[u8]) -> Layer {
    let is_pattern = bytes.len() >= PATTERN_BYTES_MIN && bytes == pattern(bytes.len());
    Layer { tail: bytes.to_vec(), ..empty(if is_pattern { "payload" } else { "hex" }) }
}

fn padding(len: usize, filler: u8) -> Layer {
    Layer { number: Some(len), tail: vec![filler], ..empty("pad") }
}

/// A header at the start of bytes, and its length; none if it is not whole.
fn take(spec: &'static LayerSpec, bytes: &[u8]) -> Option<(Layer, usize)> {
    let fixed = bytes.get(..spec.bytes)?;
    let fields: BTreeMap<_, _> =
        spec.fields.iter().map(|field| (field.name, Value::Fixed(read(fixed, field)))).collect();
    let number = |name| match fields.get(name) {
        Some(Value::Fixed(value)) => *value as usize,
        _ => 0,
    };
    let len = match spec.name {
        "ip4" if number("version") != 4 || number("ihl") < 5 => return None,
        "ip6" if number("version") != 6 => return None,
        "ip4" => number("ihl") * 4,
        "tcp" if number("off") < 5 => return None,
        "tcp" => number("off") * 4,
        "ah" => number("len") * 4 + 8,
        "hopopts" | "dstopts" | "routing" => number("len") * 8 + 8,
        _ => spec.bytes,
    };
    let tail = bytes.get(spec.bytes..len)?.to_vec();
    Some((Layer { spec, fields, tail, number: None }, len))
}

impl Layer {
    fn fixed(&self, name: &str) -> Option<u128> {
        match self.fields.get(name) {
            Some(Value::Fixed(value)) => Some(*value),
            _ => None,
        }
    }
}

/// How long the packet says it is, from this header on.
fn length(layer: &Layer) -> Option<usize> {
    let stated = || layer.fixed("len").map(|len| len as usize);
    match layer.spec.name {
        "arp" => Some(layer.spec.bytes),
        "ip4" => stated(),
        "ip6" => stated().map(|payload| payload + layer.spec.bytes),
        _ => None,
    }
}

fn fragment_offset(layer: &Layer) -> u128 {
    layer.fixed("frag").unwrap_or(0)
}

fn following(layer: &Layer, before: &[Layer]) -> Option<&'static str> {
    let by = |number: u128, table: &[(&'static str, u16)]| {
        table.iter().find(|(_, known)| u128::from(*known) == number).map(|(name, _)| *name)
    };
    match layer.spec.name {
        "eth" | "vlan" | "qinq" => {
            let kind = layer.fixed("type")?;
            if kind < FIRST_ETHERTYPE { Some("llc") } else { by(kind, ETHERTYPES) }
        }
        "mpls" if layer.fixed("bottom") == Some(0) => Some("mpls"),
        "ip4" | "ip6" | "hopopts" | "dstopts" | "routing" | "ah" | "frag6" => {
            let number = layer.fixed("proto").or_else(|| layer.fixed("next"))?;
            PROTOCOLS.iter().find(|(_, known)| u128::from(*known) == number).map(|(name, _)| *name)
        }
        "icmp6" if matches!(layer.fixed("type"), Some(135 | 136)) => Some("nd"),
        "nd" if before.last().is_some_and(|layer| layer.spec.name == "icmp6") => Some("lla"),
        _ => None,
    }
}

fn is_icmp_error(layer: &Layer) -> bool {
    match (layer.spec.name, layer.fixed("type")) {
        ("icmp", Some(3 | 4 | 5 | 11 | 12)) => true,
        ("icmp6", Some(kind)) => kind < 128,
        _ => false,
    }
}

// ---- text --------------------------------------------------------------------------------------------------------

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, layer) in self.layers.iter().enumerate() {
            write!(f, "{}{layer}", if at > 0 { " / " } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.spec.name)?;
        let pair = match self.spec.positional {
            Positional::Pair(from, to) => {
                write!(f, " {}>{}", self.text(from), self.text(to))?;
                [from, to]
            }
            _ => [""; 2],
        };
        for field in self.spec.fields.iter().filter(|field| !pair.contains(&field.name)) {
            match self.fields.get(field.name) {
                None => {}
                Some(Value::Fixed(1)) if field.kind == Kind::Flag => write!(f, " {}", field.name)?,
                Some(_) => write!(f, " {}={}", field.name, self.text(field.name))?,
            }
        }
        match self.spec.name {
            "payload" => write!(f, " {}", self.tail.len()),
            "hex" => write!(f, " {}", hex(&self.tail)),
            "text" => write!(f, " {}", String::from_utf8_lossy(&self.tail)),
            _ => self.rest(f),
        }
    }
}

impl Layer {
    fn rest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(number) = self.number {
            write!(f, " {number}")?;
        }
        match (self.spec.name, self.spec.tail) {
            ("pad", _) if self.tail.first().is_some_and(|byte| *byte != 0) => {
                write!(f, " with={}", hex(&self.tail))
            }
            (_, Some(name)) if !self.tail.is_empty() => write!(f, " {name}={}", hex(&self.tail)),
            _ => Ok(()),
        }
    }

    /// The value of a field, as it is written.
    pub(super) fn text(&self, name: &str) -> String {
        let Some(field) = self.spec.field(name) else { return String::new() };
        match (self.fields.get(field.name), field.usual) {
            (Some(Value::Fixed(value)), _) => show(field, *value),
            (Some(Value::Any), _) | (None, Usual::Derived) => "?".to_owned(),
            (Some(Value::Range(first, last)), _) => {
                format!("{}..{}", show(field, *first), show(field, *last))
            }
            (Some(Value::Wrong), _) => "wrong".to_owned(),
            (None, Usual::Is(value)) => show(field, value),
        }
    }
}

fn show(field: &Field, value: u128) -> String {
    match field.kind {
        Kind::Number | Kind::Flag => value.to_string(),
        Kind::Hex => format!("{value:#x}"),
        Kind::Mac => {
            let bytes: Vec<_> =
                (0..6).rev().map(|byte| format!("{:02x}", value >> (byte * 8) & 0xff)).collect();
            bytes.join(":")
        }
        Kind::Ip4 => Ipv4Addr::from(value as u32).to_string(),
        Kind::Ip6 => Ipv6Addr::from(value).to_string(),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
