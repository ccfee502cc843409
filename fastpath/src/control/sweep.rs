//! The end of a snapshot: what the owner had put before and not again goes, in the order in which it can.

use tracing::warn;

use super::Control;
use super::objects::{Owned, OwnerId};
use super::parse::Refused;

/// How far backups are followed to find who goes first. Workers look at [`BACKUPS_MAX`](ze_fib::writer::BACKUPS_MAX);
/// of a chain longer than this, some go with a later snapshot.
const CHAIN_MAX: usize = 16;

impl Control {
    /// Removes what else `owner` did not put again in its present generation, once
    /// [`sweep_routes`](Control::sweep_routes) has removed the routes. Returns how many objects went.
    pub fn sweep(&mut self, owner: OwnerId) -> u64 {
        let now = self.objects.generation(owner);
        let swept = self.sweep_neighbors(owner, now)
            + self.sweep_nexthops(owner, now)
            + self.sweep_interfaces(owner, now)
            + self.sweep_ports(owner, now);
        // Who has no port says nothing about ports: what an earlier life left of them waits for who has. Else an owner of
        // routes that is first after a restart would take the XDP programs off, and let the kernel forward.
        if self.objects.ports.values().any(|port| port.owner == owner) {
            self.representors_complete();
            self.drop_kept();
        }
        self.settle();
        swept
    }

    fn sweep_neighbors(&mut self, owner: OwnerId, now: u64) -> u64 {
        let stale = self.objects.neighbors.iter().filter(|(_, o)| is_stale(o, owner, now));
        let stale: Vec<_> = stale.map(|(key, _)| key.clone()).collect();
        count(stale, |(interface, address)| self.remove_neighbor(owner, &interface, address))
    }

    fn sweep_nexthops(&mut self, owner: OwnerId, now: u64) -> u64 {
        let groups = self.objects.groups.iter().filter(|(_, o)| is_stale(o, owner, now));
        let groups: Vec<_> = groups.map(|((_, key), _)| *key).collect();
        let nexthops = self.objects.nexthops.iter().filter(|(_, o)| is_stale(o, owner, now));
        let nexthops: Vec<_> = nexthops.map(|((_, key), _)| *key).collect();
        count(groups, |key| self.delete_group(owner, key)) + self.sweep_backed(owner, nexthops)
    }

    /// A backup can go only after what it backs: those with the most behind them first.
    fn sweep_backed(&mut self, owner: OwnerId, mut nexthops: Vec<u64>) -> u64 {
        let next = |key: &u64| self.objects.nexthops.get(&(owner, *key))?.value.backup;
        nexthops.sort_by_cached_key(|key| {
            let behind = std::iter::successors(Some(*key), next).take(CHAIN_MAX).count();
            std::cmp::Reverse(behind)
        });
        count(nexthops, |key| self.delete_nexthop(owner, key))
    }

    fn sweep_interfaces(&mut self, owner: OwnerId, now: u64) -> u64 {
        let addresses = self.objects.addresses.iter().filter(|(_, o)| is_stale(o, owner, now));
        let addresses: Vec<_> = addresses.map(|(key, _)| key.clone()).collect();
        let interfaces = self.objects.interfaces.iter().filter(|(_, o)| is_stale(o, owner, now));
        let interfaces: Vec<_> = interfaces.map(|(name, _)| name.clone()).collect();
        count(addresses, |(interface, address)| self.remove_address(owner, &interface, address))
            + count(interfaces, |name| self.delete_interface(owner, &name))
    }

    fn sweep_ports(&mut self, owner: OwnerId, now: u64) -> u64 {
        let vrfs = self.objects.vrfs.iter().filter(|(_, o)| is_stale(o, owner, now));
        let vrfs: Vec<_> = vrfs.map(|(name, _)| name.clone()).collect();
        let ports = self.objects.ports.iter().filter(|(_, o)| is_stale(o, owner, now));
        let ports: Vec<_> = ports.map(|(name, _)| name.clone()).collect();
        count(vrfs, |name| self.delete_vrf(owner, &name))
            + count(ports, |name| self.delete_port(owner, &name))
    }
}

fn is_stale<T>(object: &Owned<T>, owner: OwnerId, now: u64) -> bool {
    object.owner == owner && object.generation < now
}

/// Removes each; one that another owner's object still needs stays, and is spoken of.
fn count<K>(keys: Vec<K>, mut remove: impl FnMut(K) -> Result<(), Refused>) -> u64 {
    let mut removed = 0;
    for key in keys {
        match remove(key) {
            Ok(()) => removed += 1,
            Err(refused) => warn!(%refused, "a stale object stays"),
        }
    }
    removed
}
