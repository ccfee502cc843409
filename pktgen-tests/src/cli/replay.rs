//! `ze-pktgen replay`: a capture, sent again.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::json;

use super::generate::{check_device, packets_per_second};
use crate::lab::Interrupt;
use crate::traffic::{Capture, Generator, ReplayRate, replay};

pub(super) const HELP: &str = "\
Frames are sent as they were captured, with their timing, by the first queue, so that their order stays. Frames that \
were captured in part, or are longer than 1792 bytes, are left out.

Fields of --json: frames, left_out, sent, bytes, seconds, pps, late_max_us (the latest that a frame was behind its time).";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A pcap or pcapng file of Ethernet frames
    file: PathBuf,
    /// The device to send by
    device: String,
    /// So many times as fast as captured
    #[arg(long, value_name = "N", default_value = "1", value_parser = times, conflicts_with = "rate")]
    times: f64,
    /// Evenly, packets a second, also as 250k; or `max`
    #[arg(long, value_name = "PPS|max", value_parser = rate)]
    rate: Option<ReplayRate>,
    /// Again and again, so many times in all
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    turns: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Sends it.
pub(super) fn run(args: &Args, interrupt: &Interrupt) -> Result<bool> {
    let capture = Capture::read(&args.file)?;
    check_device(&args.device)?;
    let mut generator = Generator::open(&args.device)?;
    note!(
        "{}; {} frames of {:.3} s, {} left out",
        generator.report(),
        capture.frames.len(),
        capture.duration().as_secs_f64(),
        capture.left_out
    );
    let rate = args.rate.unwrap_or(ReplayRate::Times(args.times));
    let done = replay(&mut generator, &capture, rate, args.turns as usize, interrupt);
    generator.close();
    let done = done?;
    let (seconds, late_us) = (done.elapsed.as_secs_f64(), done.late_max.as_secs_f64() * 1e6);
    let pps = done.sent as f64 / seconds.max(1e-6);
    if args.json {
        let (frames, left_out) = (capture.frames.len(), capture.left_out);
        let (sent, bytes) = (done.sent, done.sent_bytes);
        say!(
            "{}",
            json!({ "frames": frames, "left_out": left_out, "sent": sent, "bytes": bytes, "seconds": seconds,
                "pps": pps, "late_max_us": late_us })
        );
    } else {
        say!(
            "sent {} frames, {} bytes, in {seconds:.3} s; at most {late_us:.1} µs late",
            done.sent,
            done.sent_bytes
        );
    }
    Ok(true)
}

fn times(text: &str) -> Result<f64, String> {
    let times = text.parse::<f64>().ok().filter(|times| (1e-3..=1e6).contains(times));
    times.ok_or_else(|| format!("'{text}' is not in 0.001 to 1000000"))
}

fn rate(text: &str) -> Result<ReplayRate, String> {
    if text == "max" {
        return Ok(ReplayRate::Max);
    }
    packets_per_second(text).map(ReplayRate::PacketsPerSecond)
}
