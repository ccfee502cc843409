//! Files of routes: read aside, and brought to the fast path by a feed of their own.
//!
//! A route of a file leads to the nexthop that stands for its gateway. Where a gateway has been reached by several ways
//! once, several nexthops stand for it, and each prefix has its own among them: see [`ways`].

mod ways;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use ipnet::IpNet;
use tokio::task::JoinHandle;
use ze_config::{Config, TableKey, VrfName};
use ze_proto::packed::TargetKey;
use ze_rib::feed::{self, AUDIT_EVERY, Feed};
use ze_rib::{Rib, dplane};

use ways::Way;

/// The owner of routes from files. Its preference makes room for the configuration's own.
const OWNER: &str = "table";
const PREFERENCE: u8 = 200;

type Wanted = BTreeMap<TableKey, Vec<IpAddr>>;

/// What tells a file from the same file with other contents: inode, time of the last change (s, ns), length.
type Stamp = (u64, i64, i64, u64);

/// Gateways for which several nexthops stand.
type Several = BTreeSet<(VrfName, IpAddr)>;

/// All files of the configuration.
pub struct Tables {
    options: dplane::Options,
    feed: Feed,
    running: bool,
    wanted: Wanted,
    /// Of the files when they were read last; of one that was not there, none.
    stamps: BTreeMap<TableKey, Option<Stamp>>,
    several: Several,
    reading: Option<JoinHandle<()>>,
    /// When the files were read last, one of them could not be.
    is_incomplete: Arc<AtomicBool>,
    read_again: bool,
}

impl Tables {
    /// None yet.
    pub fn new(options: dplane::Options) -> Self {
        Self {
            options,
            feed: Feed::new(),
            running: false,
            wanted: Wanted::new(),
            stamps: BTreeMap::new(),
            several: Several::new(),
            reading: None,
            is_incomplete: Arc::default(),
            read_again: false,
        }
    }

    /// The operator has asked for all that is configured: files are read again if one of them could not be, or has other
    /// contents by now.
    pub fn reload(&mut self) {
        let is_other = |(key, known): (&TableKey, &Option<Stamp>)| stamp(key) != *known;
        self.read_again = self.is_incomplete.load(Ordering::Relaxed) || self.stamps.iter().any(is_other);
    }

    /// These are the files, and this is what leads to their gateways. Files are read when they are named for the first
    /// time, or with other gateways, or when one of these has several ways for the first time; and after
    /// [`reload`](Self::reload), if that found a reason.
    pub fn configure(&mut self, config: &Config, rib: &Rib) {
        let known = self.several.len();
        self.resolve_wanted(config, rib);
        let is_as_before = self.running && self.wanted == config.tables && self.several.len() == known;
        if is_as_before && !std::mem::take(&mut self.read_again) {
            return;
        }
        self.wanted.clone_from(&config.tables);
        // Before they are read: what changes meanwhile is read again by the next reload.
        self.stamps = self.wanted.keys().map(|key| (key.clone(), stamp(key))).collect();
        // Without files as well: what the fast path has of files that another life has named is to go.
        if !std::mem::replace(&mut self.running, true) {
            tokio::spawn(feed::run(self.feed_options(), self.feed.clone()));
        }
        let (feed, wanted, several) = (self.feed.clone(), self.wanted.clone(), self.several.clone());
        let is_incomplete = Arc::clone(&self.is_incomplete);
        // One after the other, so that the newest has the last word.
        let before = self.reading.take();
        self.reading = Some(tokio::spawn(async move {
            if let Some(before) = before {
                let _ = before.await;
            }
            let whole = read_all(feed, wanted, several).await;
            is_incomplete.store(!whole, Ordering::Relaxed);
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

    fn resolve_wanted(&mut self, config: &Config, rib: &Rib) {
        let wanted = &config.tables;
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
            for (gateway, ways) in gateways.into_iter().zip(ways) {
                let of = (vrf.clone(), gateway);
                let ways: Vec<_> = ways.into_iter().map(|way| Way::new(config, vrf, gateway, way)).collect();
                if ways.len() > 1 && !self.several.contains(&of) {
                    let (vrf, ways) = (vrf.as_str(), ways.len());
                    tracing::info!(vrf, %gateway, ways, "routes of files are spread over the ways to their gateway");
                    self.several.insert(of.clone());
                }
                nexthops.extend(ways::nexthops(vrf, gateway, &ways, self.several.contains(&of)));
            }
        }
        self.feed.set_nexthops(nexthops);
    }
}

/// Tells the feed what is in all files. Returns whether each could be read to its end.
async fn read_all(feed: Feed, wanted: Wanted, several: Several) -> bool {
    let done = tokio::task::spawn_blocking(move || {
        feed.mark();
        let mut whole = true;
        for (key, gateways) in &wanted {
            whole &= read(&feed, key, gateways, &several);
        }
        // Of a file that could not be read to its end, what was there before stays.
        if whole {
            feed.sweep();
        }
        whole
    });
    done.await.unwrap_or_else(|error| {
        tracing::error!("reading files of routes: {error}");
        false
    })
}

fn read(feed: &Feed, key: &TableKey, gateways: &[IpAddr], several: &Several) -> bool {
    let began = Instant::now();
    let of_family = |four: bool| {
        let all = gateways.iter().filter(move |gateway| gateway.is_ipv4() == four);
        let keys = |gateway: &IpAddr| {
            let several = several.contains(&(key.vrf.clone(), *gateway));
            ways::keys(&key.vrf, *gateway, several).into_iter().map(TargetKey::Nexthop).collect::<Vec<_>>()
        };
        all.map(keys).collect::<Vec<_>>()
    };
    let (four, six) = (of_family(true), of_family(false));
    let mut without = 0_u64;
    let read = ze_static::table::read(Path::new(&key.file), |part| {
        let target = |(prefix, number): &(IpNet, u32)| {
            let targets = if prefix.addr().is_ipv4() { &four } else { &six };
            let keys = targets.get((*number as usize).checked_rem(targets.len())?)?;
            Some((*prefix, Some(*keys.get(ways::place(prefix, keys.len()))?)))
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

fn stamp(key: &TableKey) -> Option<Stamp> {
    let file = std::fs::metadata(&key.file).ok()?;
    Some((file.ino(), file.ctime(), file.ctime_nsec(), file.len()))
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
