//! Changes to frames, from a seed.

use super::{FRAME_BYTES_MIN, Input};
use crate::packet::Packet;
use crate::traffic::Random;

/// The longest frame that a port of 1500 bytes takes, with two tags.
const FRAME_BYTES_MAX: usize = 1522;
/// Changes to one input.
const CHANGES_MAX: usize = 6;
/// Bytes of a frame in which its headers are.
const HEADERS_BYTES: usize = 90;

/// From 0 to one below the limit.
pub(super) fn below(random: &mut Random, limit: usize) -> usize {
    random.below(limit as u64) as usize
}

pub(super) fn mutate(input: &mut Input, random: &mut Random) {
    for _ in 0..=below(random, CHANGES_MAX) {
        let at = below(random, input.len());
        match below(random, 8) {
            0..=2 => bytes(&mut input[at].1, random),
            3..=5 => field(&mut input[at].1, random),
            6 => length(&mut input[at].1, random),
            _ => order(input, random),
        }
    }
}

/// Some bytes of the headers, Ethernet addresses aside: frames for other stations are none of the router's.
fn bytes(frame: &mut [u8], random: &mut Random) {
    for _ in 0..=below(random, 3) {
        let end = frame.len().min(HEADERS_BYTES);
        if end > 12 {
            let (at, byte) = (12 + below(random, end - 12), random.next() as u8);
            frame[at] = match below(random, 4) {
                0 => frame[at] ^ 1 << below(random, 8),
                1 => [0, 1, 0x7f, 0x80, 0xff][below(random, 5)],
                _ => byte,
            };
        }
    }
}

/// A field of a header, with everything that is computed over it.
fn field(frame: &mut Vec<u8>, random: &mut Random) {
    let mut packet = Packet::dissect(frame);
    if packet.change_field(random.next(), random.next()) {
        let changed = packet.bytes();
        if (FRAME_BYTES_MIN..=FRAME_BYTES_MAX).contains(&changed.len()) {
            *frame = changed;
        }
    }
}

fn length(frame: &mut Vec<u8>, random: &mut Random) {
    let len = match below(random, 3) {
        0 => below(random, FRAME_BYTES_MAX + 1),
        1 => below(random, frame.len() + 1),
        _ => (frame.len() + below(random, 9)).saturating_sub(4),
    };
    frame.resize(len.clamp(FRAME_BYTES_MIN, FRAME_BYTES_MAX), random.next() as u8);
}

/// The same frames in another order, or one of them twice.
fn order(input: &mut Input, random: &mut Random) {
    let (a, b) = (below(random, input.len()), below(random, input.len()));
    if below(random, 2) == 0 {
        input.swap(a, b);
    } else if input.len() < super::FRAMES_MAX {
        input.insert(a, input[b].clone());
    }
}
