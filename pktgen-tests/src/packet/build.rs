//! Layers to bytes.

use super::spec::{
    ETHERTYPE_EXPERIMENT, ETHERTYPES, Field, LayerSpec, PROTOCOL_EXPERIMENT, PROTOCOLS, Usual,
};
use super::{Layer, Packet, Value};
use crate::frame::checksum;

/// What the layers above know of the nearest IP header below them: addresses, as they are in a pseudo-header.
#[derive(Clone, Default)]
struct Below {
    addresses: Vec<u8>,
}

impl Packet {
    /// The bytes. What is open is 0, or the first of its range.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = emit(&self.layers, &Below::default());
        match self.layers.last().map(|layer| (layer.spec.name, layer.number)) {
            Some(("cut", Some(len))) => bytes.truncate(len),
            Some(("pad", Some(len))) => {
                let filler = self.layers.last().and_then(|layer| layer.tail.first().copied()).unwrap_or(0);
                bytes.resize(len.max(bytes.len()), filler);
            }
            _ => {}
        }
        bytes
    }
}

fn emit(layers: &[Layer], below: &Below) -> Vec<u8> {
    let Some((layer, above)) = layers.split_first() else { return Vec::new() };
    match layer.spec.name {
        "payload" | "hex" | "text" => [layer.tail.clone(), emit(above, below)].concat(),
        "any" => [vec![0; layer.number.unwrap_or(0)], emit(above, below)].concat(),
        "cut" | "pad" => Vec::new(),
        "quote" => {
            let mut quoted = emit(above, &Below::default());
            quoted.truncate(layer.number.unwrap_or(usize::MAX));
            quoted
        }
        _ => layer.emit(above, below),
    }
}

impl Layer {
    fn emit(&self, above: &[Layer], below: &Below) -> Vec<u8> {
        let mut header = vec![0; self.spec.bytes];
        header.extend(&self.tail);
        for field in self.spec.fields {
            match (self.fields.get(field.name), field.usual) {
                (Some(Value::Fixed(value) | Value::Range(value, _)), _) => put(&mut header, field, *value),
                (Some(Value::Any | Value::Wrong), _) | (None, Usual::Derived) => {}
                (None, Usual::Is(value)) => put(&mut header, field, value),
            }
        }
        let inner = if matches!(self.spec.name, "ip4" | "ip6") {
            Below { addresses: addresses(self.spec, &header) }
        } else {
            below.clone()
        };
        let rest = emit(above, &inner);
        self.derive(&mut header, above, &rest);
        self.sum(&mut header, &rest, below);
        [header, rest].concat()
    }

    /// Lengths and kinds that were not named.
    fn derive(&self, header: &mut [u8], above: &[Layer], rest: &[u8]) {
        let header_bytes = header.len();
        for field in self.spec.fields {
            if field.usual != Usual::Derived || field.name == "sum" || self.fields.contains_key(field.name) {
                continue;
            }
            let value = match (self.spec.name, field.name) {
                (_, "type") => ethertype(above, rest),
                (_, "proto" | "next") => protocol(above),
                (_, "bottom") => u128::from(above.first().is_none_or(|next| next.spec.name != "mpls")),
                (_, "ihl" | "off") => header_bytes as u128 / 4,
                ("ip6", "len") => rest.len() as u128,
                ("ah", "len") => (header_bytes as u128 / 4).saturating_sub(2),
                ("hopopts" | "dstopts" | "routing", "len") => (header_bytes as u128 / 8).saturating_sub(1),
                _ => (header_bytes + rest.len()) as u128,
            };
            put(header, field, value);
        }
    }

    /// The checksum, if there is one and it was not named.
    fn sum(&self, header: &mut [u8], rest: &[u8], below: &Below) {
        let Some(field) = self.spec.field("sum") else { return };
        let spoil = match self.fields.get("sum") {
            None => 0,
            Some(Value::Wrong) => 1,
            Some(_) => return,
        };
        let sum = match self.spec.name {
            "ip4" => checksum(header),
            "icmp" => checksum(&[header, rest].concat()),
            name => {
                let number =
                    PROTOCOLS.iter().find(|(layer, _)| *layer == name).map_or(0, |(_, number)| *number);
                let len = ((header.len() + rest.len()) as u32).to_be_bytes();
                let pseudo = [&below.addresses[..], &len, &[0, 0, 0, number], header, rest].concat();
                match checksum(&pseudo) {
                    // RFC 768: 0 means "none", so 0 is sent as all ones.
                    0 if name == "udp" => 0xffff,
                    sum => sum,
                }
            }
        };
        put(header, field, u128::from(sum ^ spoil));
    }
}

fn addresses(spec: &LayerSpec, header: &[u8]) -> Vec<u8> {
    if spec.name == "ip4" { header[12..20].to_vec() } else { header[8..40].to_vec() }
}

fn ethertype(above: &[Layer], rest: &[u8]) -> u128 {
    let next = above.first().map_or("", |layer| layer.spec.name);
    if next == "llc" {
        return rest.len() as u128;
    }
    let known = ETHERTYPES.iter().find(|(layer, _)| *layer == next);
    known.map_or(ETHERTYPE_EXPERIMENT, |(_, number)| *number).into()
}

fn protocol(above: &[Layer]) -> u128 {
    let next = above.first().map_or("", |layer| layer.spec.name);
    let known = PROTOCOLS.iter().find(|(layer, _)| *layer == next);
    known.map_or(PROTOCOL_EXPERIMENT, |(_, number)| *number).into()
}

/// Writes a field's bits.
fn put(header: &mut [u8], field: &Field, value: u128) {
    for bit in 0..field.bits {
        let (place, mask) = ((field.bit + bit) / 8, 0x80u8 >> ((field.bit + bit) % 8));
        let Some(byte) = header.get_mut(place) else { return };
        let is_set = value >> (field.bits - 1 - bit) & 1 == 1;
        *byte = if is_set { *byte | mask } else { *byte & !mask };
    }
}

/// Reads a field's bits; those beyond the end are 0.
pub(super) fn read(header: &[u8], field: &Field) -> u128 {
    (0..field.bits).fold(0, |value, bit| {
        let (place, shift) = ((field.bit + bit) / 8, 7 - (field.bit + bit) % 8);
        value << 1 | u128::from(header.get(place).copied().unwrap_or(0) >> shift & 1)
    })
}
