//! What a reader notices of updates: the time of each batch, idle and while the writer is at work.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use ipnet::IpNet;
use serde::Serialize;
use ze_fib::writer::{Fib, NexthopSpec, RouteSource};
use ze_fib::{Limits, Target};
use ze_graph::clock;
use ze_packet::NexthopId;
use ze_sync::Domain;

use super::FibArgs;
use crate::stats::quantile;

/// Addresses of a batch.
const BATCH: usize = 64;
/// Addresses that are looked up, by turns.
const ADDRESSES: usize = 1 << 20;
const NEXTHOPS: usize = 256;
const OWNER: RouteSource = RouteSource::Owner(1);

/// Times of batches.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Times {
    /// Lookups a second, millions.
    pub mlps: f64,
    /// The median batch, nanoseconds.
    pub median_ns: f64,
    /// 99 of 100 batches take at most so long.
    pub p99_ns: f64,
}

/// What readers notice.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Nothing changes.
    pub idle: Times,
    /// The writer changes routes as fast as it can.
    pub updating: Times,
    /// How fast that was.
    pub updates_per_s: f64,
    /// p99 of the second over that of the first.
    pub p99_ratio: f64,
}

/// Measures: the reader on the last core, the writer on the first.
pub(super) fn measure(args: &FibArgs, routes: &[(IpNet, u16)]) -> Result<Figures> {
    let domain = Domain::new();
    let mut fib = Fib::new(&domain, Limits::default());
    let nexthops = (0..NEXTHOPS)
        .map(|_| fib.create_nexthop(NexthopSpec::Blackhole))
        .collect::<Result<Vec<NexthopId>, _>>()?;
    let target = |number: usize| Target::Nexthop(nexthops[number % NEXTHOPS]);
    for (net, hop) in routes {
        fib.put_route(Fib::DEFAULT_VRF, *net, OWNER, target((*hop).into()))?;
    }
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let duration = Duration::from_secs(args.seconds);
    let addresses = addresses(routes);
    let reader = |fib: &Fib, stop: Arc<AtomicBool>| -> Result<std::thread::JoinHandle<Times>> {
        let (tables, addresses) = (fib.tables(), addresses.clone());
        let (mut reader, core) = (domain.register().context("a reader")?, cores.last().copied());
        Ok(std::thread::spawn(move || {
            core.map(core_affinity::set_for_current);
            read(&tables, &mut reader, &addresses, &stop)
        }))
    };
    let stop = Arc::new(AtomicBool::new(false));
    let thread = reader(&fib, Arc::clone(&stop))?;
    std::thread::sleep(duration);
    stop.store(true, Ordering::Relaxed);
    let idle = thread.join().map_err(|_| anyhow::anyhow!("the reader panicked"))?;
    let stop = Arc::new(AtomicBool::new(false));
    let thread = reader(&fib, Arc::clone(&stop))?;
    cores.first().copied().map(core_affinity::set_for_current);
    let (began, changes) = (Instant::now(), AtomicU64::new(0));
    'written: for round in 1.. {
        for (at, (net, hop)) in routes.iter().enumerate() {
            fib.put_route(Fib::DEFAULT_VRF, *net, OWNER, target(usize::from(*hop) + round))?;
            changes.fetch_add(1, Ordering::Relaxed);
            if at % 1024 == 0 {
                fib.reclaim();
                if began.elapsed() >= duration {
                    break 'written;
                }
            }
        }
    }
    let updates_per_s = changes.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    let updating = thread.join().map_err(|_| anyhow::anyhow!("the reader panicked"))?;
    Ok(Figures { idle, updating, updates_per_s, p99_ratio: updating.p99_ns / idle.p99_ns })
}

/// Addresses that routes cover, in no order that a cache could guess; IPv4 only, as the larger table.
fn addresses(routes: &[(IpNet, u16)]) -> Arc<Vec<u32>> {
    let four: Vec<u32> = routes
        .iter()
        .filter_map(|(net, _)| match net.addr() {
            IpAddr::V4(address) => Some(u32::from(address)),
            IpAddr::V6(_) => None,
        })
        .collect();
    let count = four.len().max(1) as u64;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let one = |random: u64| {
        four.get((random % count) as usize).map_or(random as u32, |a| a | (random >> 56) as u32)
    };
    Arc::new((0..ADDRESSES).map(|_| one(next())).collect())
}

fn read(
    tables: &ze_fib::Tables,
    reader: &mut ze_sync::Reader,
    addresses: &[u32],
    stop: &AtomicBool,
) -> Times {
    let hertz = clock::hertz() as f64;
    let mut cycles: Vec<f64> = Vec::with_capacity(1 << 22);
    let (mut values, mut found) = ([0; BATCH], 0_u64);
    let began = Instant::now();
    let mut lookups = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        for batch in addresses.chunks_exact(BATCH) {
            let before = clock::cycles();
            {
                let guard = reader.enter();
                let view = tables.view(&guard);
                let Some(vrf) = view.vrf(Fib::DEFAULT_VRF) else { continue };
                view.lpm4(vrf).lookup_batch(batch, &mut values);
                for value in values {
                    let Some(Target::Nexthop(id)) = Target::unpack(value) else { continue };
                    found += u64::from(view.nexthop(id).is_some());
                }
            }
            reader.quiescent();
            if cycles.len() < cycles.capacity() {
                cycles.push(clock::cycles().wrapping_sub(before) as f64);
            }
            lookups += BATCH as u64;
        }
    }
    let elapsed = began.elapsed().as_secs_f64();
    std::hint::black_box(found);
    cycles.sort_by(f64::total_cmp);
    let ns = |q| quantile(&cycles, q).unwrap_or(0.0) / hertz * 1e9;
    Times { mlps: lookups as f64 / elapsed / 1e6, median_ns: ns(0.5), p99_ns: ns(0.99) }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, name: &str, times: &Times| {
            writeln!(
                f,
                "{name} {:6.1} M lookups/s; a batch of {BATCH} takes {:.0} ns, 99 % at most {:.0} ns",
                times.mlps, times.median_ns, times.p99_ns
            )
        };
        line(f, "readers   idle    ", &self.idle)?;
        line(f, "          updating", &self.updating)?;
        writeln!(
            f,
            "          {:.0} k updates/s meanwhile; p99 × {:.2}",
            self.updates_per_s / 1e3,
            self.p99_ratio
        )
    }
}
