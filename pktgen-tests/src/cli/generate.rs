//! `ze-pktgen generate`: packets of many flows through AF_XDP, and, with `--sink`, what became of them.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use serde_json::json;
use ze_packet::{MacAddr, ethernet};
use ze_xsk::Device;

use super::report;
use crate::lab::Interrupt;
use crate::traffic::{
    Addresses, FLOWS_MAX, Generator, Layer, PacketSpec, Packets, Ports, Rate, Receiver, Sink, Sizes, Stop,
    Transmission, Transport, trial,
};

/// Packets of `generate` have this number unless told otherwise, and `receive` looks for it.
pub(super) const RUN_DEFAULT: u16 = 1;

pub(super) const HELP: &str = "\
Addresses: one, a range A-B, a list A,B,C, or random hosts of prefixes, random:P,P. Ports: one, A-B, A,B,C, random \
(1024 to 65535). Flow number n takes the n-th of each, in turns; random ones come from --seed. Layers, from outside in: \
vlan:100, svlan:200, mpls:16, 'gre:FROM>TO' or 'gre:FROM>TO#KEY', 'vxlan:FROM>TO#VNI'.

Each packet carries a signature of 12 bytes: run, stream (the queue), sequence number, time. With --sink the same \
program receives, and tells loss, order, duplicates and latency; else see `ze-pktgen receive`. The exit code is 1 if \
packets were lost, came twice, or with a wrong checksum.

Devices are those of the network namespace that the program runs in: `ip netns exec NAME ze-pktgen …`. All queues of a \
device are taken, and its XDP hook.

Fields of --json: sent, seconds, pps, late_s (the generator was behind its rate), and with --sink received, lost, \
loss_ratio, reordered, duplicates, corrupt, foreign, missed_by_sink, returned, latency_us (min, mean, p50, p90, p99, \
p99_9, max).";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The device to send by
    device: String,
    /// Ethernet destination
    #[arg(long, value_name = "MAC", value_parser = mac)]
    to_mac: MacAddr,
    /// Ethernet source [default: the device's]
    #[arg(long, value_name = "MAC", value_parser = mac)]
    from_mac: Option<MacAddr>,
    /// Sources
    #[arg(long, value_name = "ADDRESSES")]
    source: Addresses,
    /// Destinations, of the same family
    #[arg(long, value_name = "ADDRESSES")]
    destination: Addresses,
    /// Source ports; identifiers of ICMP
    #[arg(long, value_name = "PORTS", default_value = "random")]
    source_port: Ports,
    /// Destination ports; sequence numbers of ICMP
    #[arg(long, value_name = "PORTS", default_value = "random")]
    destination_port: Ports,
    #[command(flatten)]
    shape: Shape,
    /// Flows that come in turn
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(FLOWS_MAX)))]
    flows: u32,
    /// Bytes of a frame with its FCS: 64 to 1526, sizes that come in turn (64,64,1518), or `imix`
    #[arg(long, value_name = "BYTES|imix", default_value = "64")]
    size: Sizes,
    /// What random values start from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Packets a second, also as 250k or 1.2M; or `max`
    #[arg(long, value_name = "PPS|max", default_value = "1000", value_parser = rate)]
    rate: Rate,
    /// Stop after so many packets
    #[arg(long, value_name = "N", conflicts_with = "seconds", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Stop after so long; at a rate, after as many packets as belong to that time, late or not [default: 1]
    #[arg(long, value_name = "S", value_parser = seconds)]
    seconds: Option<Duration>,
    /// Receive by this device, in the same program
    #[arg(long, value_name = "DEVICE")]
    sink: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What both ends must agree on.
#[derive(Debug, clap::Args)]
pub(super) struct Shape {
    /// A layer between Ethernet and the packet; again for more, from outside in
    #[arg(long = "layer", value_name = "LAYER")]
    pub(super) layers: Vec<Layer>,
    /// What packets carry
    #[arg(long, value_enum, default_value = "udp")]
    pub(super) protocol: Protocol,
    /// Number in all packets of this run, to tell it from others
    #[arg(long, value_name = "N", default_value_t = RUN_DEFAULT)]
    pub(super) run: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Protocol {
    /// UDP
    Udp,
    /// TCP segments of no connection
    Tcp,
    /// Echo requests of ICMP or ICMPv6
    Icmp,
}

impl From<Protocol> for Transport {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Udp => Self::Udp,
            Protocol::Tcp => Self::Tcp,
            Protocol::Icmp => Self::Icmp,
        }
    }
}

/// Says whether everything that was sent arrived, if that was looked at.
pub(super) fn run(args: &Args, interrupt: &Interrupt) -> Result<bool> {
    let packets = packets(args)?;
    if args.sink.as_ref() == Some(&args.device) {
        bail!("--sink {} is the device that sends; packets arrive by another", args.device);
    }
    for device in std::iter::once(&args.device).chain(&args.sink) {
        check_device(device)?;
        note_mtu(device, &packets, args)?;
    }
    let mut generator = Generator::open(&args.device)?;
    note!("{}; {} flows", generator.report(), packets.flows());
    let stop = match (args.count, args.seconds) {
        (Some(count), _) => Stop::Packets(count),
        (None, seconds) => Stop::Time(seconds.unwrap_or(Duration::from_secs(1))),
    };
    if let Some(sink) = &args.sink {
        let sink = Sink::open(sink)?;
        note!("{}", sink.report());
        let mut receiver = Receiver::Full(Box::new(sink));
        let outcome =
            trial(&mut generator, &mut receiver, &packets, (args.rate, stop), args.shape.run, interrupt);
        generator.close();
        receiver.close();
        return Ok(report::outcome(&outcome?, args.json));
    }
    let mut sending = Transmission::start(&packets, args.shape.run, args.rate, stop, &generator);
    while sending.step(&mut generator) && !interrupt.is_set() {}
    while generator.under_way() > 0 && !interrupt.is_set() {
        generator.push();
    }
    let (sent, elapsed) = (sending.sent, Duration::from_nanos(sending.elapsed_ns()).as_secs_f64());
    let (pps, late_s) = (sent as f64 / elapsed.max(1e-6), sending.slipped_ns() as f64 / 1e9);
    generator.close();
    if args.json {
        say!("{}", json!({ "sent": sent, "seconds": elapsed, "pps": pps, "late_s": late_s }));
    } else {
        say!("sent {sent} packets in {elapsed:.3} s, {pps:.0} a second; {late_s:.3} s late");
    }
    Ok(true)
}

/// Refuses a device that is not there, or down: the kernel takes no packet for it, and it would never end.
pub(super) fn check_device(name: &str) -> Result<()> {
    Device::by_name(name)?;
    let mut all = getifaddrs().context("asking which devices are up")?;
    if all.any(|one| one.interface_name == name && !one.flags.contains(InterfaceFlags::IFF_UP)) {
        bail!("device {name} is down: ip link set {name} up");
    }
    Ok(())
}

/// AF_XDP does not mind the MTU. Who receives may: Linux lets one tag go beyond it (`is_skb_forwardable`).
fn note_mtu(device: &str, packets: &Packets, args: &Args) -> Result<()> {
    let mtu = Device::by_name(device)?.mtu()? as usize;
    let is_tagged = matches!(args.shape.layers.first(), Some(Layer::Vlan { .. }));
    let l2_bytes = ethernet::HEADER_BYTES + if is_tagged { ethernet::TAG_BYTES } else { 0 };
    let len_bytes = packets.longest_bytes() - l2_bytes;
    if len_bytes > mtu {
        note!("packets of {len_bytes} bytes are larger than the MTU of {device}, {mtu}: they may not arrive");
    }
    Ok(())
}

fn packets(args: &Args) -> Result<Packets> {
    let from_mac = match args.from_mac {
        Some(mac) => mac,
        None => Device::by_name(&args.device)?.mac()?,
    };
    let spec = PacketSpec {
        to_mac: args.to_mac,
        from_mac,
        layers: args.shape.layers.clone(),
        transport: args.shape.protocol.into(),
        sources: args.source.clone(),
        destinations: args.destination.clone(),
        source_ports: args.source_port.clone(),
        destination_ports: args.destination_port.clone(),
        flows: args.flows,
        sizes: args.size.clone(),
        seed: args.seed,
    };
    Packets::new(&spec).map_err(|why| anyhow!(why))
}

fn mac(text: &str) -> Result<MacAddr, String> {
    let parts: Vec<_> = text.split(':').map(|part| u8::from_str_radix(part, 16)).collect();
    let bytes: Option<Vec<u8>> = parts.into_iter().map(Result::ok).collect();
    let bytes = bytes.and_then(|bytes| <[u8; 6]>::try_from(bytes).ok());
    bytes.map(MacAddr).ok_or_else(|| format!("'{text}' is no Ethernet address like 02:00:00:00:00:01"))
}

/// `max`, or a number with k or M.
pub(super) fn rate(text: &str) -> Result<Rate, String> {
    if text == "max" {
        return Ok(Rate::Max);
    }
    packets_per_second(text).map(Rate::PacketsPerSecond)
}

pub(super) fn packets_per_second(text: &str) -> Result<f64, String> {
    let wrong = || format!("'{text}' is no rate: packets a second, as 1000, 250k, 1.2M; 0.1 to 1000M");
    let (number, unit) = match text.char_indices().next_back() {
        Some((at, 'k')) => (&text[..at], 1e3),
        Some((at, 'M')) => (&text[..at], 1e6),
        _ => (text, 1.0),
    };
    let pps = number.parse::<f64>().map_err(|_| wrong())? * unit;
    if (0.1..=1e9).contains(&pps) { Ok(pps) } else { Err(wrong()) }
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.001..=86_400.0).contains(seconds));
    let seconds = seconds.ok_or_else(|| format!("'{text}' is no time in seconds, 0.001 to 86400"))?;
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_addresses_are_read_and_wrong_ones_refused() {
        assert_eq!(rate("max"), Ok(Rate::Max));
        for (text, pps) in [("1000", 1000.0), ("250k", 250_000.0), ("1.2M", 1_200_000.0), ("0.5", 0.5)] {
            assert_eq!(packets_per_second(text), Ok(pps));
        }
        for wrong in ["", "k", "-1", "fast", "NaN", "0", "2G"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
        assert_eq!(mac("02:00:00:00:00:ff"), Ok(MacAddr([2, 0, 0, 0, 0, 255])));
        assert!(mac("02:00:00:00:00").is_err() && mac("02:00:00:00:00:00:00").is_err() && mac("x").is_err());
        assert!(seconds("0").is_err() && seconds("1e9").is_err() && seconds("0.5").is_ok());
    }
}
