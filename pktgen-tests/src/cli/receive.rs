//! `ze-pktgen receive`: the other end of `ze-pktgen generate`, in another namespace or on another machine.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use ze_packet::MacAddr;

use super::generate::{Shape, check_device, seconds};
use super::report;
use crate::lab::Interrupt;
use crate::traffic::{Arrivals, PacketSpec, Packets, Ports, Sink, Sizes, now_ns};

pub(super) const HELP: &str = "\
Counts what `ze-pktgen generate` sent with the same --layer, --protocol and --run. What was sent is told from the \
highest sequence number of each stream: packets lost after the last one that arrived are not seen. Latency means \
something only if both programs run on the same machine. Ends after --seconds, or --idle seconds after the last \
packet, or by Ctrl-C. The exit code is 1 if packets were lost, came twice, or with a wrong checksum.

Fields of --json: received, lost, loss_ratio, reordered, duplicates, corrupt, foreign, missed_by_sink, latency_us.";

/// Streams that are told apart.
const STREAMS: usize = 64;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The device to receive by
    device: String,
    /// Packets are IPv6
    #[arg(long)]
    ip6: bool,
    #[command(flatten)]
    shape: Shape,
    /// The longest it waits and counts
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    seconds: Duration,
    /// Silence after the last packet that ends it
    #[arg(long, value_name = "S", default_value = "1", value_parser = seconds)]
    idle: Duration,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Says whether everything arrived.
pub(super) fn run(args: &Args, interrupt: &Interrupt) -> Result<bool> {
    let packets = packets(args)?;
    check_device(&args.device)?;
    let mut sink = Sink::open(&args.device)?;
    note!("{}", sink.report());
    let mut arrivals = Arrivals::new(args.shape.run, STREAMS);
    let (began, mut last) = (Instant::now(), None);
    while !interrupt.is_set() {
        let now = Instant::now();
        let now_ns = now_ns() as u32;
        let taken = sink.poll(|frame| arrivals.note(&packets, frame, now_ns));
        if taken > 0 && arrivals.received > 0 {
            last = Some(now);
        }
        let is_idle = last.is_some_and(|last: Instant| now - last > args.idle);
        if is_idle || now - began > args.seconds {
            break;
        }
    }
    let missed = sink.missed();
    sink.close();
    Ok(report::arrivals(&arrivals, missed, args.json))
}

/// Only the places of the headers matter here.
fn packets(args: &Args) -> Result<Packets> {
    let anywhere = if args.ip6 { "::" } else { "0.0.0.0" };
    let spec = PacketSpec {
        to_mac: MacAddr([0; 6]),
        from_mac: MacAddr([0; 6]),
        layers: args.shape.layers.clone(),
        transport: args.shape.protocol.into(),
        sources: anywhere.parse().map_err(|why: String| anyhow!(why))?,
        destinations: anywhere.parse().map_err(|why: String| anyhow!(why))?,
        source_ports: Ports::one(0),
        destination_ports: Ports::one(0),
        flows: 1,
        sizes: Sizes::imix(0),
        seed: 0,
    };
    let sizes = Sizes::imix(spec.least_bytes());
    Packets::new(&PacketSpec { sizes, ..spec }).map_err(|why| anyhow!(why))
}
