//! `ze trace`: follows packets through every node.

mod render;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use serde::Serialize;
use tonic::Streaming;
use ze_acl::Filter;
use ze_proto::endpoint::Address;
use ze_proto::v1::{TraceEvent, TraceRequest};
use ze_tui::units;

use crate::args::{Format, TraceArgs};
use crate::client::{self, answer};
use crate::error::Error;
use crate::output::Output;
use crate::{dissect, text};

pub use render::Walks;

/// A packet's walk takes microseconds: when nothing came of it for so long, it is complete.
const QUIET: Duration = Duration::from_millis(200);

/// One step of one packet, as JSON has it.
#[derive(Debug, Serialize)]
struct Step<'a> {
    packet: u32,
    worker: u32,
    node: &'a str,
    exit: Option<String>,
    at_ns: u64,
    len_bytes: u32,
    rx_interface: Option<String>,
    tx_interface: Option<String>,
    nexthop: Option<String>,
    reason: Option<String>,
    sentence: Option<String>,
    headers: Vec<String>,
    packet_hex: String,
    lost_records: u64,
}

/// Runs `ze trace`.
///
/// # Errors
/// When the filter is wrong, or the daemon refuses or goes.
pub async fn run(daemon: &Address, args: &TraceArgs, out: &mut Output) -> Result<(), Error> {
    let words = args.filter.join(" ");
    // The daemon says the same, but only when there is one.
    words.parse::<Filter>().map_err(|error| Error::Usage(format!("filter: {error}")))?;
    let mut client = client::connect(daemon).await?;
    let timeout_ms = u32::try_from(args.timeout.as_millis()).unwrap_or(u32::MAX);
    let request = TraceRequest { filter: words, packets: args.count, timeout_ms };
    let events = answer(client.trace(request)).await?;
    match out.format {
        Format::Json => lines(events, out).await,
        Format::Table => {
            announce(&args.filter, args);
            walks(events, args, out).await
        }
    }
}

/// On standard error, so that what is piped on is the trace alone.
fn announce(filter: &[String], args: &TraceArgs) {
    let what = if filter.is_empty() { "whatever comes".to_owned() } else { filter.join(" ") };
    let packets = units::plural(args.count.into(), "packet");
    eprintln!("Waiting up to {} for {packets}: {what}. Ctrl-C ends.", units::duration(args.timeout));
}

async fn lines(mut events: Streaming<TraceEvent>, out: &mut Output) -> Result<(), Error> {
    while let Some(event) = events.message().await? {
        out.line(&step(&event))?;
    }
    Ok(())
}

async fn walks(mut events: Streaming<TraceEvent>, args: &TraceArgs, out: &mut Output) -> Result<(), Error> {
    let mut walks = Walks::new(args.verbose, out.paint);
    let mut ticks = tokio::time::interval(QUIET);
    let mut packets = 0;
    let end = loop {
        tokio::select! {
            event = events.message() => match event {
                Ok(Some(event)) => {
                    packets = packets.max(event.packet);
                    walks.add(event, Instant::now());
                }
                Ok(None) => break Ok(()),
                Err(status) => break Err(status),
            },
            _ = ticks.tick() => {
                out.text(&walks.flush_before(Instant::now().checked_sub(QUIET)))?;
                out.flush()?;
            }
            // What was seen so far is worth more than a quick end.
            _ = tokio::signal::ctrl_c() => break Ok(()),
        }
    };
    out.text(&walks.flush())?;
    out.flush()?;
    end?;
    if packets == 0 {
        out.text("No packet matched.\n")?;
    }
    if walks.lost() > 0 {
        let lost = units::plural(walks.lost(), "record");
        out.text(&format!("{lost} of the trace lost: the packets came faster than they were read.\n"))?;
    }
    out.flush()
}

fn step(event: &TraceEvent) -> Step<'_> {
    Step {
        packet: event.packet,
        worker: event.worker,
        node: &event.node,
        exit: text::some(&event.exit),
        at_ns: event.at_ns,
        len_bytes: event.len,
        rx_interface: text::some(&event.rx_interface),
        tx_interface: text::some(&event.tx_interface),
        nexthop: text::some(&event.nexthop),
        reason: text::some(&event.reason),
        sentence: text::some(&event.sentence),
        headers: dissect::layers(&event.packet_bytes),
        packet_hex: text::hex(&event.packet_bytes),
        lost_records: event.lost,
    }
}
