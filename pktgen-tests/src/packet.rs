//! Packets as text: `eth 02:00:00:00:01:02>02:00:00:00:01:01 / ip4 10.0.1.2>10.0.2.2 ttl=1 / udp 4000>5000 / payload 64`.
//!
//! One table of layers and fields ([`spec`]) serves both directions: text becomes bytes ([`Packet::parse`],
//! [`Packet::bytes`]) and bytes become text ([`Packet::dissect`], `Display`). It shares no code with the forwarding
//! plane, so that a scenario does not agree with a mistake. docs/scenarios.md describes the notation.
//!
//! A field may be `?` (anything), a range `a..b`, or `wrong` (the checksum, spoilt). [`Packet::compare`] takes what is
//! open from the packet that came, so that lengths and checksums over it must still be right.

mod build;
mod compare;
mod dissect;
mod parse;
pub mod spec;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use compare::{Difference, Row};
pub use parse::NotationError;
pub(crate) use parse::mac;
use spec::LayerSpec;

/// What a field shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// This.
    Fixed(u128),
    /// Anything.
    Any,
    /// From the first to the last.
    Range(u128, u128),
    /// A checksum that is not right.
    Wrong,
}

/// One header, or the bytes behind all headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    pub(crate) spec: &'static LayerSpec,
    /// Fields that were named; all others follow from their defaults and from the layers around.
    pub(crate) fields: BTreeMap<&'static str, Value>,
    /// Options of a header, or the bytes of a payload.
    pub(crate) tail: Vec<u8>,
    /// The number of `cut`, `quote`, `pad` and `any`.
    pub(crate) number: Option<usize>,
}

/// A frame to be sent, or to be expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    pub(crate) layers: Vec<Layer>,
}

impl Packet {
    /// Says whether every byte is stated.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let is_open = |value: &Value| matches!(value, Value::Any | Value::Range(..));
        self.layers.iter().all(|layer| layer.spec.name != "any" && !layer.fields.values().any(is_open))
    }

    /// Gives one field, chosen by `choice`, another value, made of `value`. Says whether there was one.
    pub fn change_field(&mut self, choice: u64, value: u64) -> bool {
        let has_fields = |layer: &&mut Layer| !layer.spec.fields.is_empty() && layer.spec.bytes > 0;
        let mut layers: Vec<_> = self.layers.iter_mut().filter(has_fields).collect();
        let count = layers.len();
        let Some(layer) = layers.get_mut(choice as usize % count.max(1)) else { return false };
        let field = &layer.spec.fields[(choice >> 32) as usize % layer.spec.fields.len()];
        // A quarter of the values are the least or the greatest.
        let mask = if field.bits >= 128 { u128::MAX } else { (1 << field.bits) - 1 };
        let wide = u128::from(value) << 64 | u128::from(value.rotate_left(17));
        let value = match value >> 61 {
            0 => 0,
            1 => mask,
            _ => wide & mask,
        };
        layer.fields.insert(field.name, Value::Fixed(value));
        true
    }
}
