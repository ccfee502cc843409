//! Captures, sent again with their timing.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;
use std::time::Duration;

use pcap_file::DataLink;
use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::{Block, PcapNgReader};
use ze_graph::FRAME_BYTES_MAX;

use super::TrafficError;
use super::clock::now_ns;
use super::generator::Generator;
use crate::lab::Interrupt;

/// The largest file that is read into memory.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// How a pcapng file begins: the type of its section header.
const PCAPNG_MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// An Ethernet header.
const FRAME_BYTES_MIN: usize = 14;
/// Packets that are due are sent in bursts of this many at most.
const BURST: usize = 32;
/// How often, in steps, somebody's wish to stop is looked for.
const RARE_STEPS: u64 = 1024;

/// Ethernet frames and when they were seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capture {
    /// Time since the first one, and the frame.
    pub frames: Vec<(Duration, Vec<u8>)>,
    /// Frames left out: shorter than an Ethernet header, longer than can be sent, or captured in part.
    pub left_out: u64,
}

/// How fast to replay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReplayRate {
    /// With the capture's timing, so many times as fast.
    Times(f64),
    /// Packets a second, evenly.
    PacketsPerSecond(f64),
    /// As fast as the device takes them.
    Max,
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Frames.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// From the first to the last.
    pub elapsed: Duration,
    /// The latest that a frame was behind its time.
    pub late_max: Duration,
}

impl Capture {
    /// Reads a pcap or pcapng file of Ethernet frames.
    ///
    /// # Errors
    /// When it can not be read, is neither, or holds something else than Ethernet.
    pub fn read(path: &Path) -> Result<Self, TrafficError> {
        let wrong = |why: String| TrafficError::Spec(format!("{}: {why}", path.display()));
        let file = || File::open(path).map(BufReader::new).map_err(|why| wrong(why.to_string()));
        let len_bytes = fs::metadata(path).map_err(|why| wrong(why.to_string()))?.len();
        if len_bytes > FILE_BYTES_MAX {
            return Err(wrong(format!("is larger than {FILE_BYTES_MAX} bytes")));
        }
        let mut magic = [0; 4];
        file()?.read_exact(&mut magic).map_err(|why| wrong(no_capture(why)))?;
        let stamped = if magic == PCAPNG_MAGIC { read_pcapng(file()?) } else { read_pcap(file()?) };
        let capture = Self::of(stamped.map_err(wrong)?);
        if capture.frames.is_empty() {
            return Err(wrong("holds no Ethernet frame that can be sent".to_owned()));
        }
        Ok(capture)
    }

    /// Frames with absolute times, in any order.
    fn of(mut stamped: Vec<Stamped>) -> Self {
        stamped.sort_by_key(|one| one.at);
        let first = stamped.first().map_or(Duration::ZERO, |one| one.at);
        let mut capture = Self::default();
        for one in stamped {
            if one.is_whole && (FRAME_BYTES_MIN..=FRAME_BYTES_MAX).contains(&one.frame.len()) {
                capture.frames.push((one.at.saturating_sub(first), one.frame));
            } else {
                capture.left_out += 1;
            }
        }
        // What was left out may have been the first.
        let first = capture.frames.first().map_or(Duration::ZERO, |(at, _)| *at);
        capture.frames.iter_mut().for_each(|(at, _)| *at -= first);
        capture
    }

    /// From the first frame to the last.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.frames.last().map_or(Duration::ZERO, |(at, _)| *at)
    }

    /// When frame number `number` of all turns is due.
    fn due(&self, number: usize, rate: ReplayRate) -> Duration {
        match rate {
            ReplayRate::Max => Duration::ZERO,
            ReplayRate::PacketsPerSecond(pps) => Duration::from_secs_f64(number as f64 / pps),
            ReplayRate::Times(times) => {
                let (turn, at) = (number / self.frames.len(), number % self.frames.len());
                // A turn begins one mean gap after the last frame of the one before.
                let gap = self.duration() / self.frames.len().max(1) as u32;
                let at = (self.duration() + gap) * turn as u32 + self.frames[at].0;
                Duration::from_secs_f64(at.as_secs_f64() / times)
            }
        }
    }
}

struct Stamped {
    at: Duration,
    frame: Vec<u8>,
    is_whole: bool,
}

fn read_pcap(file: impl Read) -> Result<Vec<Stamped>, String> {
    let mut reader = PcapReader::new(file).map_err(no_capture)?;
    ethernet(reader.header().datalink)?;
    let mut all = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let packet = packet.map_err(|why| broken(why, all.len()))?;
        let is_whole = packet.orig_len() as usize == packet.data().len();
        all.push(Stamped { at: packet.timestamp(), frame: packet.data().to_vec(), is_whole });
    }
    Ok(all)
}

fn read_pcapng(file: impl Read) -> Result<Vec<Stamped>, String> {
    let mut reader = PcapNgReader::new(file).map_err(no_capture)?;
    let (mut all, mut packets) = (Vec::new(), 0);
    while let Some(next) = reader.next_block() {
        let (block, _) = next.map_err(|why| broken(why, packets))?;
        match block {
            Block::InterfaceDescription(interface) => ethernet(interface.linktype)?,
            Block::EnhancedPacket(packet) => {
                packets += 1;
                let is_whole = packet.original_len as usize == packet.data.len();
                all.push(Stamped { at: packet.timestamp, frame: packet.data.into_owned(), is_whole });
            }
            // A simple packet has no time: it can not be replayed with timing.
            Block::SimplePacket(_) => packets += 1,
            // Other blocks hold no packets.
            _ => {}
        }
    }
    Ok(all)
}

/// Why a file does not even begin as a capture.
fn no_capture(why: impl Error + 'static) -> String {
    if ends_early(&why) {
        return "is no capture: it ends within the header of one".to_owned();
    }
    format!("is no capture: {}", with_causes(&why))
}

/// Why a capture can not be read on after so many packets.
fn broken(why: impl Error + 'static, packets: usize) -> String {
    if ends_early(&why) {
        return format!("is cut short or damaged: it ends in the middle of a record, after packet {packets}");
    }
    format!("after packet {packets}: {}", with_causes(&why))
}

fn causes<'a>(why: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(why), |&why| why.source())
}

fn ends_early(why: &(dyn Error + 'static)) -> bool {
    let mut errors = causes(why).filter_map(|why| why.downcast_ref::<std::io::Error>());
    errors.any(|why| why.kind() == ErrorKind::UnexpectedEof)
}

fn with_causes(why: &(dyn Error + 'static)) -> String {
    causes(why).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn ethernet(link: DataLink) -> Result<(), String> {
    if link == DataLink::ETHERNET { Ok(()) } else { Err(format!("holds {link:?}, not Ethernet")) }
}

/// Sends a capture `turns` times, on the first queue, so that its order stays.
///
/// # Errors
/// When somebody asked to stop.
pub fn replay(
    generator: &mut Generator,
    capture: &Capture,
    rate: ReplayRate,
    turns: usize,
    interrupt: &Interrupt,
) -> Result<Replayed, TrafficError> {
    let total = capture.frames.len() * turns;
    let start_ns = now_ns();
    let (mut done, mut next) = (Replayed::default(), 0);
    let mut step = 0_u64;
    while next < total || generator.under_way() > 0 {
        let now = Duration::from_nanos(now_ns() - start_ns);
        let last = (next + BURST).min(total);
        while next < last {
            let due = capture.due(next, rate);
            let frame = &capture.frames[next % capture.frames.len()].1;
            if due > now || !generator.prepare(0, |out| put(out, frame)) {
                break;
            }
            if rate != ReplayRate::Max {
                done.late_max = done.late_max.max(now - due);
            }
            done.sent += 1;
            done.sent_bytes += frame.len() as u64;
            next += 1;
            done.elapsed = now;
        }
        generator.push();
        step += 1;
        if step.is_multiple_of(RARE_STEPS) {
            interrupt.check()?;
            generator.discard_received();
        }
    }
    Ok(done)
}

fn put(out: &mut [u8], frame: &[u8]) -> usize {
    out[..frame.len()].copy_from_slice(frame);
    frame.len()
}

#[cfg(test)]
mod tests;
