//! The two sides beside each other: what the fast path says that it has, and what it has acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;
use ze_proto::digest::{self, Digest};
use ze_proto::packed::TargetKey;
use ze_proto::v1;

use super::{Number, Table};
use crate::divergence;
use crate::state::Key;

impl Table {
    /// Digests of what the fast path is known to have, by VRF.
    pub fn digests(&self) -> BTreeMap<Arc<str>, Digest> {
        let mut out: BTreeMap<Arc<str>, Digest> = BTreeMap::new();
        for slot in self.slots.iter().filter(|slot| slot.known != 0) {
            let vrf = Arc::clone(&self.vrfs[usize::from(slot.vrf)]);
            out.entry(vrf).or_default().add(&slot.prefix, self.targets[slot.known as usize - 1]);
        }
        out
    }

    /// The nexthops that the fast path has, and digests of its routes. Returns the buckets that differ as well. What the
    /// source has told and nobody has sent is no matter; nothing while something is under way, as nobody knows then what
    /// is to be there.
    pub fn compare_digests(
        &mut self,
        nexthops: BTreeMap<u64, v1::Nexthop>,
        theirs: &[v1::RouteDigest],
    ) -> Option<(v1::AuditReport, Vec<u32>)> {
        if self.in_flight > 0 {
            return None;
        }
        let mut report = self.compare_nexthops(nexthops);
        report.checked += theirs.iter().map(|digest| digest.routes).sum::<u64>();
        Some((report, differing(&self.digests(), theirs)))
    }

    /// What the fast path has in some buckets. What differs from what is known is queued to be put right.
    pub fn compare(
        &mut self,
        buckets: &[u32],
        found: impl IntoIterator<Item = (String, IpNet, TargetKey)>,
        now_ns: u64,
    ) -> v1::AuditReport {
        let mut report = v1::AuditReport::default();
        // In order, so that what is told is told in order.
        let mut there: BTreeMap<(u16, IpNet), TargetKey> = BTreeMap::new();
        for (vrf, prefix, target) in found {
            there.insert((self.vrf(&vrf), prefix), target);
        }
        for at in self.known_in(buckets) {
            let slot = self.slots[at as usize];
            let found = there.remove(&(slot.vrf, slot.prefix));
            let number = found.map_or(0, |target| self.number(target));
            if number == slot.known {
                continue;
            }
            let known = self.targets[slot.known as usize - 1];
            self.tell(&mut report, (slot.vrf, slot.prefix), found, Some(known));
            self.learn(at, number, now_ns);
        }
        if self.is_open {
            // What is there of another life goes with the end of the snapshot.
            return report;
        }
        for ((vrf, prefix), target) in there {
            self.tell(&mut report, (vrf, prefix), Some(target), None);
            let at = match self.index.get(&(vrf, prefix)) {
                Some(at) => *at,
                None => self.add_slot(vrf, prefix),
            };
            let found = self.number(target);
            self.learn(at, found, now_ns);
        }
        report
    }

    /// Slots of some buckets that the fast path is known to have.
    fn known_in(&self, buckets: &[u32]) -> Vec<u32> {
        let concerned = |at: &u32| {
            let slot = &self.slots[*at as usize];
            slot.known != 0 && buckets.contains(&(digest::bucket(&slot.prefix) as u32))
        };
        (0..self.slots.len() as u32).filter(concerned).collect()
    }

    fn tell(
        &self,
        report: &mut v1::AuditReport,
        (vrf, prefix): (u16, IpNet),
        there: Option<TargetKey>,
        wanted: Option<TargetKey>,
    ) {
        let path = Key::Route(Arc::clone(&self.vrfs[usize::from(vrf)]), prefix);
        let words = |target: Option<TargetKey>| target.map(divergence::target_words);
        divergence::found(report, path, words(there), words(wanted));
    }

    fn learn(&mut self, at: u32, found: Number, now_ns: u64) {
        let old = std::mem::replace(&mut self.slots[at as usize].known, found);
        self.slots[at as usize].sent = found;
        self.add_use(found);
        self.drop_use(old);
        self.enqueue(at, now_ns);
    }

    /// The nexthops that the fast path has. What differs from what is known is put right.
    pub fn compare_nexthops(&mut self, found: BTreeMap<u64, v1::Nexthop>) -> v1::AuditReport {
        let known = std::mem::replace(&mut self.known_nexthops, found);
        let mut report = v1::AuditReport { checked: known.len() as u64, ..Default::default() };
        let mut surplus: BTreeMap<_, _> = self.known_nexthops.iter().collect();
        for (key, known) in &known {
            let there = surplus.remove(key);
            if there != Some(known) {
                let words = |nexthop: &v1::Nexthop| divergence::message_words(nexthop);
                divergence::found(&mut report, Key::Nexthop(*key), there.map(words), Some(words(known)));
            }
        }
        if self.is_open {
            // What is there of another life goes with the end of the snapshot.
            self.known_nexthops.retain(|key, _| known.contains_key(key));
            return report;
        }
        for (key, there) in surplus {
            let there = Some(divergence::message_words(there));
            divergence::found(&mut report, Key::Nexthop(*key), there, None::<&str>);
        }
        report
    }

    /// An audit has ended.
    pub fn audited(&mut self, report: &v1::AuditReport) {
        self.progress.audits += 1;
        self.progress.healed += divergence::count(report);
    }
}

/// The buckets in which two sides differ.
fn differing(own: &BTreeMap<Arc<str>, Digest>, theirs: &[v1::RouteDigest]) -> Vec<u32> {
    let nothing = Digest::default();
    let mut buckets = BTreeSet::new();
    for digest in theirs {
        let own = own.get(digest.vrf.as_str()).unwrap_or(&nothing);
        buckets.extend(own.differing(&digest.buckets));
    }
    for (vrf, digest) in own {
        if !theirs.iter().any(|there| there.vrf == **vrf) {
            buckets.extend(digest.differing(&nothing.buckets[..]));
        }
    }
    buckets.into_iter().collect()
}
