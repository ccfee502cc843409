//! Changes to frames, from a seed.

use super::{FRAME_BYTES_MIN, Input};
use crate::packet::Packet;

/// The longest frame that a port of 1500 bytes takes, with two tags.
const FRAME_BYTES_MAX: usize = 1522;
/// Changes to one input.
const CHANGES_MAX: usize = 6;
/// Bytes of a frame in which its headers are.
const HEADERS_BYTES: usize = 90;

/// Steele, Lea and Flood's splitmix64 (2014): every seed is a good one.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// From 0 to one below the limit, which is not 0.
    pub const fn below(&mut self, limit: usize) -> usize {
        (self.number() % limit as u64) as usize
    }
}

pub(super) fn mutate(input: &mut Input, random: &mut Random) {
    for _ in 0..=random.below(CHANGES_MAX) {
        let at = random.below(input.len());
        match random.below(8) {
            0..=2 => bytes(&mut input[at].1, random),
            3..=5 => field(&mut input[at].1, random),
            6 => length(&mut input[at].1, random),
            _ => order(input, random),
        }
    }
}

/// Some bytes of the headers, Ethernet addresses aside: frames for other stations are none of the router's.
fn bytes(frame: &mut [u8], random: &mut Random) {
    for _ in 0..=random.below(3) {
        let end = frame.len().min(HEADERS_BYTES);
        if end > 12 {
            let (at, byte) = (12 + random.below(end - 12), random.number() as u8);
            frame[at] = match random.below(4) {
                0 => frame[at] ^ 1 << random.below(8),
                1 => [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
                _ => byte,
            };
        }
    }
}

/// A field of a header, with everything that is computed over it.
fn field(frame: &mut Vec<u8>, random: &mut Random) {
    let mut packet = Packet::dissect(frame);
    if packet.change_field(random.number(), random.number()) {
        let changed = packet.bytes();
        if (FRAME_BYTES_MIN..=FRAME_BYTES_MAX).contains(&changed.len()) {
            *frame = changed;
        }
    }
}

fn length(frame: &mut Vec<u8>, random: &mut Random) {
    let len = match random.below(3) {
        0 => random.below(FRAME_BYTES_MAX + 1),
        1 => random.below(frame.len() + 1),
        _ => (frame.len() + random.below(9)).saturating_sub(4),
    };
    frame.resize(len.clamp(FRAME_BYTES_MIN, FRAME_BYTES_MAX), random.number() as u8);
}

/// The same frames in another order, or one of them twice.
fn order(input: &mut Input, random: &mut Random) {
    let (a, b) = (random.below(input.len()), random.below(input.len()));
    if random.below(2) == 0 {
        input.swap(a, b);
    } else if input.len() < super::FRAMES_MAX {
        input.insert(a, input[b].clone());
    }
}
