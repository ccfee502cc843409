//! What was expected against what came.

use std::fmt;

use super::build::read;
use super::dissect::hex;
use super::spec::{Kind, Usual};
use super::{Layer, Packet, Value};

/// Frames are padded to this (IEEE 802.3 §4.2.3.3, without FCS).
const PADDED_BYTES: usize = 60;
/// Bytes of a payload that are shown around the first one that differs.
const SHOWN_BYTES: usize = 12;

/// A field in both packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Layer and field.
    pub what: String,
    /// As it was expected; "-" if there is no such field.
    pub wanted: String,
    /// As it came.
    pub came: String,
    /// They are not the same.
    pub differs: bool,
}

/// Two packets that are not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Every field that differs, or that says something.
    pub rows: Vec<Row>,
}

impl Packet {
    /// Compares a frame that came with this one; none if it is right. Zeros up to Ethernet's least length are.
    #[must_use]
    pub fn compare(&self, frame: &[u8]) -> Option<Difference> {
        let closed = self.closed_by(frame);
        let (wanted, padded) = (closed.bytes(), frame.len() == PADDED_BYTES);
        let (head, padding) = frame.split_at_checked(wanted.len()).unwrap_or((frame, &[]));
        if head == wanted && (padding.is_empty() || (padded && padding.iter().all(|byte| *byte == 0))) {
            return None;
        }
        Some(Difference { rows: rows(self, &wanted, frame) })
    }

    /// The same packet with what is open taken from a frame, as far as it is allowed.
    fn closed_by(&self, frame: &[u8]) -> Self {
        let mut at = 0;
        let mut closed = self.clone();
        for layer in &mut closed.layers {
            layer.close(frame.get(at..).unwrap_or_default());
            at += layer.spec.bytes + layer.tail.len();
        }
        closed
    }
}

impl Layer {
    fn close(&mut self, bytes: &[u8]) {
        for (name, value) in &mut self.fields {
            let Some(field) = self.spec.fields.iter().find(|field| field.name == *name) else { continue };
            let came = read(bytes, field);
            match *value {
                Value::Any => *value = Value::Fixed(came),
                Value::Range(first, last) if (first..=last).contains(&came) => *value = Value::Fixed(came),
                Value::Range(..) | Value::Fixed(_) | Value::Wrong => {}
            }
        }
        if self.spec.name == "any" {
            let mut tail = bytes.to_vec();
            // Fewer than so many are too few.
            tail.resize(self.number.unwrap_or(bytes.len()), 0);
            let spec = super::spec::layer("hex").unwrap_or(self.spec);
            *self = Self { spec, tail, ..self.clone() };
        }
    }

    /// How a value is told apart from others: open ones as they are written.
    fn open_text(&self, name: &str) -> Option<String> {
        let is_open = matches!(self.fields.get(name), Some(Value::Any | Value::Range(..)));
        is_open.then(|| self.text(name))
    }
}

fn rows(pattern: &Packet, wanted: &[u8], came: &[u8]) -> Vec<Row> {
    let (left, right) = (Packet::dissect_fully(wanted), Packet::dissect_fully(came));
    let mut rows = Vec::new();
    let (mut l, mut r) = (0, 0);
    while let (Some(a), Some(b)) = (left.layers.get(l), right.layers.get(r)) {
        if are_alike(a, b) {
            let open = pattern.layers.get(l).filter(|layer| layer.spec == a.spec);
            both(a, b, open, &mut rows);
            (l, r) = (l + 1, r + 1);
        } else if right.layers[r..].iter().any(|later| are_alike(a, later)) {
            rows.push(alone(b, false));
            r += 1;
        } else {
            rows.push(alone(a, true));
            l += 1;
        }
    }
    rows.extend(left.layers[l..].iter().map(|layer| alone(layer, true)));
    rows.extend(right.layers[r..].iter().map(|layer| alone(layer, false)));
    let (wanted_len, came_len) = (wanted.len(), came.len());
    if wanted_len != came_len {
        rows.push(row("frame bytes", wanted_len.to_string(), came_len.to_string()));
    }
    rows
}

/// The same header, or payload both.
fn are_alike(a: &Layer, b: &Layer) -> bool {
    let is_payload = |layer: &Layer| matches!(layer.spec.name, "payload" | "hex" | "text");
    a.spec == b.spec || (is_payload(a) && is_payload(b))
}

fn alone(layer: &Layer, is_wanted: bool) -> Row {
    let (there, missing) = (layer.to_string(), "-".to_owned());
    let (wanted, came) = if is_wanted { (there, missing) } else { (missing, there) };
    Row { what: layer.spec.name.to_owned(), wanted, came, differs: true }
}

fn row(what: impl Into<String>, wanted: String, came: String) -> Row {
    let differs = wanted != came;
    Row { what: what.into(), wanted, came, differs }
}

/// The fields of a layer that both have; those with the usual value on both sides say nothing.
fn both(wanted: &Layer, came: &Layer, open: Option<&Layer>, rows: &mut Vec<Row>) {
    let name = wanted.spec.name;
    for field in wanted.spec.fields {
        let usual = match field.usual {
            Usual::Is(value) if field.kind != Kind::Mac => Some(Value::Fixed(value)),
            Usual::Is(_) | Usual::Derived => None,
        };
        let (a, b) = (wanted.fields.get(field.name), came.fields.get(field.name));
        if a == b && a == usual.as_ref() {
            continue;
        }
        let mut row = row(format!("{name} {}", field.name), wanted.text(field.name), came.text(field.name));
        if let Some(text) = open.filter(|_| !row.differs).and_then(|layer| layer.open_text(field.name)) {
            row.wanted = text;
        }
        rows.push(row);
    }
    if wanted.tail != came.tail {
        let at = wanted.tail.iter().zip(&came.tail).take_while(|(a, b)| a == b).count();
        let what = format!("{name} byte {at} of {}", wanted.tail.len());
        rows.push(row(what, piece(&wanted.tail, at), piece(&came.tail, at)));
    } else if !wanted.tail.is_empty() {
        rows.push(row(name, format!("{} bytes", wanted.tail.len()), format!("{} bytes", came.tail.len())));
    }
}

fn piece(bytes: &[u8], at: usize) -> String {
    let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) else { return "ends".to_owned() };
    let shown = &rest[..rest.len().min(SHOWN_BYTES)];
    format!("{}{}", hex(shown), if rest.len() > SHOWN_BYTES { "…" } else { "" })
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |of: fn(&Row) -> &str, least: usize| {
            self.rows.iter().map(|row| of(row).chars().count()).max().unwrap_or(0).clamp(least, 60)
        };
        let (what, wanted) = (width(|row| &row.what, 5), width(|row| &row.wanted, 8));
        writeln!(f, "      {:what$}  {:wanted$}  came", "field", "expected")?;
        for row in &self.rows {
            let mark = if row.differs { ">>" } else { "  " };
            writeln!(f, "   {mark} {:what$}  {:wanted$}  {}", row.what, row.wanted, row.came)?;
        }
        Ok(())
    }
}
