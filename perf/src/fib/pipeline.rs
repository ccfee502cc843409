//! The way of a table from the slow path's feed over gRPC into `ze-fastpath`.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use ipnet::IpNet;
use serde::Serialize;
use ze_pktgen::daemons::{Binaries, Fastpath, FastpathOptions};
use ze_pktgen::lab::{Lab, VethOptions};
use ze_proto::packed::TargetKey;
use ze_proto::v1::{self, nexthop::Kind, operation::Operation as Op};
use ze_rib::feed::{self, Feed};

use super::FibArgs;

/// Nexthops that routes lead to.
const NEXTHOPS: u64 = 256;
/// Routes that change at once, as a burst of a routing protocol.
const BURST: usize = 16_384;
/// Changes that may wait before the source pauses: so that lag is that of the pipeline.
const WAITING_MAX: u64 = 65_536;
/// How long a table may take.
const TIMEOUT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(2);
const OWNER: &str = "perf";

/// What the pipeline does.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// From the first route told to the last acknowledged.
    pub load_s: f64,
    /// Changes acknowledged a second, sustained.
    pub updates_per_s: f64,
    /// From decision to forwarding, of the last batch of the updates and the longest since start.
    pub lag_us: u64,
    /// See `lag_us`.
    pub lag_max_us: u64,
    /// One nexthop that leads elsewhere, with all its routes: from told to acknowledged.
    pub repoint_ms: f64,
    /// Routes that led to it.
    pub repointed_routes: u64,
    /// Resident memory of the daemon with the table, before and after the flaps.
    pub resident_before_bytes: u64,
    /// See `resident_before_bytes`.
    pub resident_after_bytes: u64,
    /// How often the whole table went and came.
    pub flaps: u32,
    /// What lookups read, bytes.
    pub lookup_bytes: u64,
    /// What only the writer reads, bytes.
    pub writer_bytes: u64,
}

/// Measures in a lab of its own.
pub(super) fn measure(args: &FibArgs, routes: &[(IpNet, u16)]) -> Result<Figures> {
    let lab = Lab::new("perf-fib").context("the pipeline needs root (or --readers-only)")?;
    let (router, host) = (lab.namespace("router")?, lab.namespace("host")?);
    lab.veth(&host, "eth0", &router, "lan0", &VethOptions::default())?;
    let beside = std::env::current_exe()?.parent().map(ToOwned::to_owned);
    let binaries = Binaries::new(args.bin_dir.as_deref().or(beside.as_deref()));
    let fastpath = Fastpath::start(&lab, &router, &binaries, &FastpathOptions::default())?;
    fastpath.client()?.program(
        "config",
        vec![
            op(Op::PutPort(v1::Port { name: "lan0".into(), ..v1::Port::default() })),
            op(Op::PutInterface(v1::Interface {
                name: "lan0".into(),
                port: "lan0".into(),
                ..v1::Interface::default()
            })),
            op(Op::PutAddress(v1::Address {
                interface: "lan0".into(),
                address: vec![10, 99, 0, 1],
                prefix_len: 16,
            })),
        ],
    )?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let feed = Feed::new();
    let options = feed::Options {
        socket: fastpath.socket(),
        owner: OWNER.into(),
        preference: 200,
        audit_every: Duration::from_secs(3600),
    };
    feed.set_nexthops((0..NEXTHOPS).map(|key| gateway(key, key)));
    // No routes yet, and that is all of them: the snapshot may end.
    feed.sweep();
    runtime.spawn(feed::run(options, feed.clone()));
    settle(&feed)?;
    let bench = Bench { args, routes, feed, fastpath: &fastpath };
    let figures = bench.measure();
    runtime.shutdown_background();
    figures
}

struct Bench<'a> {
    args: &'a FibArgs,
    routes: &'a [(IpNet, u16)],
    feed: Feed,
    fastpath: &'a Fastpath,
}

impl Bench<'_> {
    fn measure(&self) -> Result<Figures> {
        let load_s = self.announce()?.as_secs_f64();
        let loaded = self.fastpath.client()?.fib()?;
        let vrf = loaded.vrfs.first().cloned().unwrap_or_default();
        let updates_per_s = self.update()?;
        let after = self.fastpath.client()?.fib()?;
        let owner = after.owners.iter().find(|owner| owner.name == OWNER).cloned().unwrap_or_default();
        if owner.refused > 0 {
            bail!("the fast path refused {} changes", owner.refused);
        }
        let (repoint_ms, repointed_routes) = self.repoint()?;
        self.flap()?;
        let resident_before_bytes = self.resident()?;
        for _ in 0..self.args.flaps {
            self.flap()?;
        }
        let resident_after_bytes = self.resident()?;
        Ok(Figures {
            load_s,
            updates_per_s,
            lag_us: owner.lag_us,
            lag_max_us: owner.lag_max_us,
            repoint_ms,
            repointed_routes,
            resident_before_bytes,
            resident_after_bytes,
            flaps: self.args.flaps,
            lookup_bytes: vrf.lookup_bytes,
            writer_bytes: vrf.writer_bytes,
        })
    }

    fn announce(&self) -> Result<Duration> {
        let began = Instant::now();
        for part in self.routes.chunks(BURST) {
            self.feed.update("default", part.iter().map(|(net, hop)| (*net, target(u64::from(*hop)))));
        }
        settle(&self.feed)?;
        let there = self.fastpath.client()?.fib()?;
        let there = there.owners.iter().find(|owner| owner.name == OWNER).map_or(0, |owner| owner.routes);
        if there != self.routes.len() as u64 {
            bail!("the fast path has {there} of {} routes", self.routes.len());
        }
        Ok(began.elapsed())
    }

    /// Changes routes burst by burst, each to another nexthop than before, and never too many ahead.
    fn update(&self) -> Result<f64> {
        let before = self.feed.progress().acknowledged;
        let began = Instant::now();
        let mut round = 1;
        'measured: loop {
            for part in self.routes.chunks(BURST) {
                while self.feed.progress().waiting > WAITING_MAX {
                    std::thread::sleep(Duration::from_micros(200));
                }
                if began.elapsed() >= Duration::from_secs(self.args.seconds) {
                    break 'measured;
                }
                let changed = part.iter().map(|(net, hop)| (*net, target(u64::from(*hop) + round)));
                self.feed.update("default", changed);
            }
            round += 1;
        }
        settle(&self.feed)?;
        let acknowledged = self.feed.progress().acknowledged - before;
        Ok(acknowledged as f64 / began.elapsed().as_secs_f64())
    }

    /// The nexthop of all routes leads to another gateway: the least of three.
    fn repoint(&self) -> Result<(f64, u64)> {
        self.feed.update("default", self.routes.iter().map(|(net, _)| (*net, target(0))));
        settle(&self.feed)?;
        let mut least = f64::MAX;
        for elsewhere in 1..=3 {
            let before = self.feed.progress().acknowledged;
            let began = Instant::now();
            self.feed
                .set_nexthops((0..NEXTHOPS).map(|key| gateway(key, key + u64::from(key == 0) * elsewhere)));
            let mut client = self.fastpath.client()?;
            let wanted = gateway_address(elsewhere);
            while !self.leads_to(&mut client, wanted)? {
                if began.elapsed() > TIMEOUT {
                    bail!("the nexthop was not re-pointed");
                }
            }
            least = least.min(began.elapsed().as_secs_f64() * 1e3);
            if self.feed.progress().acknowledged != before {
                bail!("re-pointing a nexthop has touched routes");
            }
        }
        Ok((least, self.routes.len() as u64))
    }

    fn leads_to(&self, client: &mut ze_pktgen::daemons::Client, gateway: IpAddr) -> Result<bool> {
        let Some((net, _)) = self.routes.first() else { return Ok(true) };
        let entry = client.lookup(net.addr())?;
        let bytes = ze_proto::address::to_bytes(gateway);
        Ok(entry.is_some_and(|entry| entry.nexthops.iter().any(|nexthop| nexthop.gateway == bytes)))
    }

    fn flap(&self) -> Result<()> {
        self.feed.update("default", self.routes.iter().map(|(net, _)| (*net, None)));
        settle(&self.feed)?;
        self.announce().map(drop)
    }

    fn resident(&self) -> Result<u64> {
        // The daemon is a supervisor and its child: the child has the tables.
        let pid = self.fastpath.client()?.info()?.pid;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("the daemon's memory")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().context("VmRSS")?;
        Ok(kib << 10)
    }
}

fn settle(feed: &Feed) -> Result<()> {
    let began = Instant::now();
    loop {
        let progress = feed.progress();
        if progress.waiting == 0 && progress.refused == 0 {
            return Ok(());
        }
        if began.elapsed() > TIMEOUT {
            bail!("{} changes are not acknowledged after {TIMEOUT:?}", progress.waiting);
        }
        std::thread::sleep(POLL);
    }
}

fn op(operation: Op) -> v1::Operation {
    v1::Operation { operation: Some(operation) }
}

fn target(hop: u64) -> Option<TargetKey> {
    Some(TargetKey::Nexthop(hop % NEXTHOPS))
}

fn gateway_address(number: u64) -> IpAddr {
    IpAddr::from([10, 99, (number / 200) as u8 + 1, (number % 200) as u8 + 1])
}

fn gateway(key: u64, number: u64) -> v1::Nexthop {
    let address = ze_proto::address::to_bytes(gateway_address(number));
    let kind = Kind::Gateway(v1::Gateway { address, interface: "lan0".into(), vrf: String::new() });
    v1::Nexthop { key, kind: Some(kind), backup: None }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mb = |bytes: u64| bytes as f64 / 1e6;
        writeln!(f, "pipeline  loaded through gRPC in {:.2} s", self.load_s)?;
        writeln!(
            f,
            "          {:.0} k updates/s sustained; lag {:.1} ms, longest {:.1} ms",
            self.updates_per_s / 1e3,
            self.lag_us as f64 / 1e3,
            self.lag_max_us as f64 / 1e3
        )?;
        writeln!(
            f,
            "          a nexthop of {} routes re-pointed in {:.2} ms, no route touched",
            self.repointed_routes, self.repoint_ms
        )?;
        let (before, after) = (mb(self.resident_before_bytes), mb(self.resident_after_bytes));
        writeln!(
            f,
            "          memory {before:.1} MB, after {} flaps of the whole table {after:.1} MB ({:+.1} %)",
            self.flaps,
            (after / before - 1.0) * 100.0
        )?;
        writeln!(
            f,
            "          tables: lookups read {:.1} MB, the writer {:.1} MB",
            mb(self.lookup_bytes),
            mb(self.writer_bytes)
        )
    }
}
