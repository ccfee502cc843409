//! A full table, loaded while traffic flows: from the configuration through `ze-slowpath` into `ze-fastpath`.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use super::network::{CONFIG, WAN_HOST};
use super::steps::{Outcome, StepError, Tour, check};
use super::{TableLoad, workers};
use crate::lab::{LabError, UdpOptions, UdpStream};

/// How long a table may take: ten times what it should.
const LOAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How often the daemon is asked how far it is.
const POLL: Duration = Duration::from_millis(10);
/// Traffic during the load: what a shared machine carries without loss of its own.
const RATE_PPS: u32 = 5000;
/// Traffic before and after, so that the load is in the middle.
const MARGIN: Duration = Duration::from_millis(300);
/// The owner of routes from files.
const OWNER: &str = "table";

/// Loads the table, and checks that nothing was lost meanwhile.
pub(super) fn load(tour: &mut Tour<'_>, file: &Path) -> Outcome {
    let file = file.canonicalize().map_err(|error| wrong(file, &error))?;
    let config = config(&file);
    tour.network.slowpath.check(&config)?;
    let wanted = count_routes(&file).map_err(|error| wrong(&file, &error))?;
    let options = UdpOptions { rate_pps: RATE_PPS, ..UdpOptions::default() };
    let stream = UdpStream::start(&tour.network.lan, &tour.network.wan, WAN_HOST.ip4, &options)?;
    std::thread::sleep(MARGIN);
    let (before, lines) = (tour.client()?.stats()?, wanted);
    let began = Instant::now();
    tour.network.slowpath.reload(&config)?;
    let programmed = await_routes(tour, lines, began);
    let elapsed = began.elapsed();
    let after = tour.client()?.stats()?;
    std::thread::sleep(MARGIN);
    let report = stream.stop();
    let state = programmed?;
    let packets = report.counts.sent;
    check(report.lost == 0, || format!("{} of {packets} packets were lost during the load", report.lost))?;
    tour.report.workers.add(&workers::difference(&before, &after));
    let table = state.vrfs.iter().find(|vrf| vrf.name == "default");
    let bytes = table.map_or(0, |vrf| vrf.lookup_bytes);
    let load = TableLoad { routes: wanted, elapsed_s: elapsed.as_secs_f64(), packets, lookup_bytes: bytes };
    let outcome = load.to_string();
    tour.report.table = Some(load);
    Ok(outcome)
}

fn config(file: &Path) -> String {
    let gateways = WAN_HOST.both().map(|gateway| format!("via {gateway}; ")).concat();
    CONFIG.replace("static {\n", &format!("static {{\n    table \"{}\" {{ {gateways}}}\n", file.display()))
}

fn await_routes(
    tour: &mut Tour<'_>,
    wanted: u64,
    began: Instant,
) -> Result<ze_proto::v1::FibState, StepError> {
    let mut client = tour.client()?;
    loop {
        let state = client.fib()?;
        let owner = state.owners.iter().find(|owner| owner.name == OWNER);
        let routes = owner.map_or(0, |owner| owner.routes);
        if routes == wanted && owner.is_some_and(|owner| owner.backlog == 0) {
            return Ok(state);
        }
        check(began.elapsed() < LOAD_TIMEOUT, || {
            format!("{routes} of {wanted} routes after {LOAD_TIMEOUT:?}")
        })?;
        std::thread::sleep(POLL);
    }
}

/// Different prefixes of a file whose lines are right: each becomes a route.
fn count_routes(file: &Path) -> std::io::Result<u64> {
    const ZSTD_MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();
    let mut head = Vec::new();
    File::open(file)?.take(4).read_to_end(&mut head)?;
    let plain = File::open(file)?;
    let input: Box<dyn Read> =
        if head == ZSTD_MAGIC { Box::new(zstd::stream::read::Decoder::new(plain)?) } else { Box::new(plain) };
    let mut prefixes: HashSet<IpNet> = HashSet::new();
    for line in BufReader::with_capacity(1 << 16, input).lines() {
        prefixes.extend(line?.split_whitespace().next().and_then(|prefix| prefix.parse::<IpNet>().ok()));
    }
    Ok(prefixes.len() as u64)
}

fn wrong(file: &Path, error: &std::io::Error) -> StepError {
    LabError::Io {
        what: format!("read {}", file.display()),
        source: std::io::Error::new(error.kind(), error.to_string()),
    }
    .into()
}
