//! Files of routes: read aside, and brought to the fast path by a feed of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::time::Instant;

use ipnet::IpNet;
use tokio::task::JoinHandle;
use ze_config::{Config, TableKey, VrfName};
use ze_proto::packed::TargetKey;
use ze_proto::v1;
use ze_rib::feed::{self, AUDIT_EVERY, Feed, backup_key, gateway_key};
use ze_rib::{Rib, dplane};

/// The owner of routes from files. Its preference makes room for the configuration's own.
const OWNER: &str = "table";
const PREFERENCE: u8 = 200;

type Wanted = BTreeMap<TableKey, Vec<IpAddr>>;

/// All files of the configuration.
pub struct Tables {
    options: dplane::Options,
    feed: Feed,
    running: bool,
    wanted: Wanted,
    reading: Option<JoinHandle<()>>,
}

impl Tables {
    /// None yet.
    pub fn new(options: dplane::Options) -> Self {
        Self { options, feed: Feed::new(), running: false, wanted: Wanted::new(), reading: None }
    }

    /// These are the files, and this is what leads to their gateways. Files are read when they are named for the first
    /// time, or with other gateways.
    pub fn configure(&mut self, config: &Config, rib: &Rib) {
        self.resolve_wanted(&config.tables, rib);
        if self.wanted == config.tables {
            return;
        }
        self.wanted.clone_from(&config.tables);
        if !self.running && !self.wanted.is_empty() {
            self.running = true;
            tokio::spawn(feed::run(self.feed_options(), self.feed.clone()));
        }
        let (feed, wanted) = (self.feed.clone(), self.wanted.clone());
        // One after the other, so that the newest has the last word.
        let before = self.reading.take();
        self.reading = Some(tokio::spawn(async move {
            if let Some(before) = before {
                let _ = before.await;
            }
            read_all(feed, wanted).await;
        }));
    }

    fn feed_options(&self) -> feed::Options {
        feed::Options {
            socket: self.options.socket.clone(),
            owner: OWNER.to_owned(),
            preference: PREFERENCE,
            audit_every: AUDIT_EVERY,
        }
    }

    fn resolve_wanted(&self, wanted: &Wanted, rib: &Rib) {
        if wanted.is_empty() && self.wanted.is_empty() {
            return;
        }
        let mut by_vrf: BTreeMap<&VrfName, BTreeSet<IpAddr>> = BTreeMap::new();
        for (key, gateways) in wanted {
            by_vrf.entry(&key.vrf).or_default().extend(gateways);
        }
        let mut nexthops = Vec::new();
        for (vrf, gateways) in by_vrf {
            let gateways: Vec<_> = gateways.into_iter().collect();
            let ways = rib.reach(vrf.as_str(), &gateways);
            nexthops.extend(
                gateways.iter().zip(ways).flat_map(|(gateway, ways)| nexthops_of(vrf, *gateway, &ways)),
            );
        }
        self.feed.set_nexthops(nexthops);
    }
}

type GatewayWay = (IpAddr, std::sync::Arc<str>, u8);

/// What stands for a gateway: a neighbour found by its address, one at the end of another route, or nothing yet. Routes
/// of a file lead to one nexthop each: of several ways to a gateway one is taken, and the next is its backup.
fn nexthops_of(vrf: &VrfName, gateway: IpAddr, ways: &[GatewayWay]) -> Vec<v1::Nexthop> {
    let unreachable = v1::nexthop::Kind::Unreachable(v1::Empty {});
    let own =
        |kind, backup| v1::Nexthop { key: gateway_key(vrf.as_str(), gateway), kind: Some(kind), backup };
    match ways {
        [] => vec![own(unreachable, None)],
        [only] => vec![own(kind(vrf, gateway, only), None)],
        [..] => {
            let (first, second) = best_two(ways);
            let key = backup_key(vrf.as_str(), gateway);
            let backup = v1::Nexthop { key, kind: Some(kind(vrf, gateway, second)), backup: None };
            vec![backup, own(kind(vrf, gateway, first), Some(key))]
        }
    }
}

/// The way of the largest share, and of the others the best that leaves by another interface, if one does.
fn best_two(ways: &[GatewayWay]) -> (&GatewayWay, &GatewayWay) {
    let first = ways.iter().rev().max_by_key(|way| way.2).unwrap_or(&ways[0]);
    let others = ways.iter().rev().filter(|way| *way != first);
    (first, others.max_by_key(|way| (way.1 != first.1, way.2)).unwrap_or(first))
}

fn kind(vrf: &VrfName, gateway: IpAddr, (neighbor, interface, _): &GatewayWay) -> v1::nexthop::Kind {
    v1::nexthop::Kind::Gateway(v1::Gateway {
        address: ze_proto::address::to_bytes(*neighbor),
        // The fast path follows what is connected by itself, faster than we can.
        interface: if *neighbor == gateway { String::new() } else { interface.to_string() },
        vrf: if vrf.as_str() == VrfName::DEFAULT { String::new() } else { vrf.to_string() },
    })
}

async fn read_all(feed: Feed, wanted: Wanted) {
    let done = tokio::task::spawn_blocking(move || {
        feed.mark();
        let mut whole = true;
        for (key, gateways) in &wanted {
            whole &= read(&feed, key, gateways);
        }
        // Of a file that could not be read to its end, what was there before stays.
        if whole {
            feed.sweep();
        }
    });
    if let Err(error) = done.await {
        tracing::error!("reading files of routes: {error}");
    }
}

fn read(feed: &Feed, key: &TableKey, gateways: &[IpAddr]) -> bool {
    let began = Instant::now();
    let of_family = |four: bool| {
        let all = gateways.iter().filter(move |gateway| gateway.is_ipv4() == four);
        all.map(|gateway| TargetKey::Nexthop(gateway_key(key.vrf.as_str(), *gateway))).collect::<Vec<_>>()
    };
    let (four, six) = (of_family(true), of_family(false));
    let mut without = 0_u64;
    let read = ze_static::table::read(Path::new(&key.file), |part| {
        let target = |(prefix, number): &(IpNet, u32)| {
            let targets = if prefix.addr().is_ipv4() { &four } else { &six };
            let target = targets.get((*number as usize).checked_rem(targets.len())?)?;
            Some((*prefix, Some(*target)))
        };
        let routes: Vec<_> = part.iter().filter_map(target).collect();
        without += (part.len() - routes.len()) as u64;
        feed.update(key.vrf.as_str(), routes);
    });
    if without > 0 {
        tracing::warn!(
            file = key.file,
            routes = without,
            "left out: no gateway of their family is configured"
        );
    }
    match read {
        Ok(routes) => {
            let ms = began.elapsed().as_millis() as u64;
            tracing::info!(file = key.file, routes, ms, "file of routes read");
            true
        }
        Err(error) => {
            tracing::error!("{error}; what was there of this file before stays");
            false
        }
    }
}

/// Can every file be read?
///
/// # Errors
/// What is wrong with the first that can not.
pub fn check(config: &Config) -> Result<(), (TableKey, ze_static::table::TableError)> {
    for key in config.tables.keys() {
        ze_static::table::read(Path::new(&key.file), |_| {}).map_err(|error| (key.clone(), error))?;
    }
    Ok(())
}
