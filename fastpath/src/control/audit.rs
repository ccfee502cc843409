//! What the tables hold and who has put it, for those who compare it with what they want.

use std::collections::BTreeMap;
use std::ops::Bound;

use ze_fib::Target;
use ze_fib::writer::RouteSource;
use ze_packet::VrfId;
use ze_proto::v1::{self, operation::Operation as Op};
use ze_proto::{address, digest};

use super::objects::{GroupObject, NexthopKind, NexthopObject, Objects, Owned, OwnerId, TargetKey};
use super::{Batch, Control, DEFAULT_VRF, Walk};

/// Operations in one message of an answer.
const OBJECTS_A_MESSAGE: usize = 1024;
/// Groups in one message, of up to 128 members each.
const GROUPS_A_MESSAGE: usize = 128;
/// Digests in one message, of 2 KiB each.
const DIGESTS_A_MESSAGE: usize = 64;

/// An answer under way to who wants to know what an owner has put, a slice a job. What is kept between slices is where
/// it goes on, so each object is right as of its slice.
#[derive(Debug)]
pub struct OwnedListing {
    owner: OwnerId,
    /// What is still to be listed, the next last.
    stages: Vec<Stage>,
}

#[derive(Debug)]
enum Stage {
    /// What an operator gives names to.
    Named,
    /// After this key.
    Nexthops(Option<u64>),
    /// After this key.
    Groups(Option<u64>),
    Digests,
    /// Of the buckets that are wanted.
    Routes(Box<(Walk, [bool; digest::BUCKETS])>),
}

impl OwnedListing {
    /// Has everything been listed?
    pub fn is_over(&self) -> bool {
        self.stages.is_empty()
    }
}

impl Control {
    /// Who programs the tables, and what they hold.
    pub fn fib_state(&self) -> v1::FibState {
        let limits = *self.fib.tables().limits();
        let owners = (0..self.objects.owners.len()).map(|at| self.owner_state(OwnerId(at as u16)));
        v1::FibState {
            owners: owners.collect(),
            vrfs: self.list_vrfs(),
            nexthops: self.fib.nexthop_count() as u64,
            nexthops_max: limits.nexthops as u64,
            groups: self.fib.group_count() as u64,
            groups_max: limits.groups as u64,
            table_bytes_max: limits.table_bytes as u64,
            mended: 0,
            checked: 0,
        }
    }

    fn owner_state(&self, id: OwnerId) -> v1::OwnerState {
        let owner = self.objects.owners.get(usize::from(id.0));
        v1::OwnerState {
            name: self.objects.owner_name(id).into(),
            connected: self.connected.contains(&id),
            preference: owner.map_or(0, |owner| owner.preference.into()),
            generation: owner.map_or(0, |owner| owner.generation),
            nexthops: self.objects.nexthops.range((id, 0)..=(id, u64::MAX)).count() as u64,
            groups: self.objects.groups.range((id, 0)..=(id, u64::MAX)).count() as u64,
            ..self.programming.state(id)
        }
    }

    /// An owner has said how far it is.
    pub fn told(&mut self, owner: OwnerId, batch: Batch) {
        self.programming.told(owner, batch);
    }

    /// Asks owners to audit. Returns, for each that has a stream, how many audits it has reported so far.
    pub fn want_audits(&self) -> Vec<(OwnerId, u64)> {
        let wanted = v1::event::Event::AuditWanted(v1::AuditWanted {});
        // Nobody listens: then nobody is connected either.
        let _ = self.events.send(v1::Event { at_ns: super::stats::monotonic_ns(), event: Some(wanted) });
        self.connected.iter().map(|owner| (*owner, self.programming.audits(*owner))).collect()
    }

    /// Have all of these reported another audit since, or gone?
    pub fn audits_have_come(&self, before: &[(OwnerId, u64)]) -> bool {
        before.iter().all(|asked| self.audit_is_new(asked) || !self.connected.contains(&asked.0))
    }

    fn audit_is_new(&self, (owner, before): &(OwnerId, u64)) -> bool {
        self.programming.audits(*owner) > *before
    }

    /// As [`fib_state`](Self::fib_state), with what owners who were asked have answered since.
    pub fn audited_state(&self, asked: &[(OwnerId, u64)]) -> v1::FibState {
        let mut state = self.fib_state();
        for asked in asked.iter().filter(|asked| self.audit_is_new(asked)) {
            if let Some(owner) = state.owners.get_mut(usize::from(asked.0.0)) {
                owner.audit_is_new = true;
            }
        }
        state
    }

    /// An owner has compared.
    pub fn audited(&mut self, owner: OwnerId, batch: Batch, report: v1::AuditReport) {
        self.told(owner, batch);
        self.programming.audited(owner, report);
    }

    /// Begins to list what an owner has put. Nothing for an owner that nobody knows.
    pub fn begin_owned(&self, request: &v1::ListOwnedRequest) -> OwnedListing {
        let at = self.objects.owners.iter().position(|owner| owner.name == request.owner);
        let mut wanted = [request.all_routes; digest::BUCKETS];
        for bucket in &request.buckets {
            if let Some(wanted) = wanted.get_mut(*bucket as usize) {
                *wanted = true;
            }
        }
        let mut stages = Vec::new();
        if wanted.contains(&true) {
            stages.push(Stage::Routes(Box::new((self.walk_all(), wanted))));
        }
        if request.digests {
            stages.push(Stage::Digests);
        }
        if request.objects {
            stages.extend([Stage::Groups(None), Stage::Nexthops(None), Stage::Named]);
        }
        let owner = at.map(|at| OwnerId(at as u16));
        OwnedListing {
            owner: owner.unwrap_or(OwnerId(0)),
            stages: if at.is_some() { stages } else { Vec::new() },
        }
    }

    /// The next messages of the answer.
    pub fn list_owned(&mut self, listing: &mut OwnedListing) -> Vec<v1::Owned> {
        let owner = listing.owner;
        let (objects, next) = match listing.stages.pop() {
            None => return Vec::new(),
            Some(Stage::Digests) => return self.owned_digests(owner),
            Some(Stage::Named) => (self.owned_objects(owner), None),
            Some(Stage::Nexthops(after)) => {
                let part = part_of(&self.objects.nexthops, owner, after, OBJECTS_A_MESSAGE);
                let last = part.last().map(|(key, _)| *key);
                let objects =
                    part.into_iter().map(|(key, object)| Op::PutNexthop(nexthop(key, object))).collect();
                (objects, last.map(|key| Stage::Nexthops(Some(key))))
            }
            Some(Stage::Groups(after)) => {
                let part = part_of(&self.objects.groups, owner, after, GROUPS_A_MESSAGE);
                let last = part.last().map(|(key, _)| *key);
                let objects =
                    part.into_iter().map(|(key, object)| Op::PutNexthopGroup(group(key, object))).collect();
                (objects, last.map(|key| Stage::Groups(Some(key))))
            }
            Some(Stage::Routes(mut routes)) => {
                let (walk, wanted) = &mut *routes;
                let packed = self.list_owned_routes(walk, owner, wanted);
                let next = (!walk.is_over()).then_some(Stage::Routes(routes));
                (packed.map(Op::PutPackedRoutes).into_iter().collect(), next)
            }
        };
        listing.stages.extend(next);
        let objects: Vec<_> = objects.into_iter().map(operation).collect();
        let messages = objects.chunks(OBJECTS_A_MESSAGE);
        messages.map(|part| v1::Owned { objects: part.to_vec(), digests: Vec::new() }).collect()
    }

    fn owned_digests(&self, owner: OwnerId) -> Vec<v1::Owned> {
        let digest = |(vrf, digest): (VrfId, &digest::Digest)| v1::RouteDigest {
            vrf: self.vrf_name(vrf).into(),
            routes: digest.routes,
            buckets: digest.buckets.to_vec(),
        };
        let digests: Vec<_> = self.programming.digests(owner).map(digest).collect();
        let messages = digests.chunks(DIGESTS_A_MESSAGE);
        messages.map(|part| v1::Owned { objects: Vec::new(), digests: part.to_vec() }).collect()
    }

    /// All but nexthops, groups and routes: few of each.
    fn owned_objects(&self, owner: OwnerId) -> Vec<Op> {
        let books = &self.objects;
        let mut out = Vec::new();
        let of_owner = |o: OwnerId| o == owner;
        out.extend(
            books
                .vrfs
                .iter()
                .filter(|(_, o)| of_owner(o.owner))
                .map(|(name, _)| Op::PutVrf(v1::Vrf { name: name.clone() })),
        );
        out.extend(books.ports.values().filter(|o| of_owner(o.owner)).map(|o| Op::PutPort(o.value.clone())));
        out.extend(books.interfaces.iter().filter(|(_, o)| of_owner(o.owner)).map(|(name, o)| {
            Op::PutInterface(v1::Interface {
                name: name.clone(),
                port: o.value.port.clone(),
                vlan: o.value.vlan.into(),
                vrf: o.value.vrf.clone(),
                mtu: o.value.mtu.map_or(0, u32::from),
                mac: o.value.mac.map_or_else(Vec::new, |mac| mac.0.to_vec()),
                admin_down: o.value.admin_down,
                description: o.value.description.clone(),
            })
        }));
        out.extend(books.addresses.iter().filter(|(_, o)| of_owner(o.owner)).map(|((interface, a), len)| {
            Op::PutAddress(v1::Address {
                interface: interface.clone(),
                address: address::to_bytes(*a),
                prefix_len: len.value.into(),
            })
        }));
        out.extend(books.neighbors.iter().filter(|(_, o)| of_owner(o.owner)).map(|((interface, a), o)| {
            Op::PutNeighbor(v1::Neighbor {
                interface: interface.clone(),
                address: address::to_bytes(*a),
                mac: o.value.0.to_vec(),
            })
        }));
        out
    }

    /// The owner's key of a target; 0 for the daemon's own.
    pub(super) fn key_of(&self, target: Target) -> u64 {
        match self.ids.target_keys.get(&target) {
            Some((_, TargetKey::Nexthop(key) | TargetKey::Group(key))) => *key,
            None => 0,
        }
    }

    /// The name of a route's source.
    pub(super) fn source_name(&self, source: RouteSource) -> &str {
        match source {
            RouteSource::Local => "local",
            RouteSource::Connected => "connected",
            RouteSource::Neighbor => "neighbor",
            RouteSource::Owner(_) => Objects::owner_of(source).map_or("?", |id| self.objects.owner_name(id)),
        }
    }
}

fn operation(operation: Op) -> v1::Operation {
    v1::Operation { operation: Some(operation) }
}

/// An owner's objects after a key.
fn part_of<T>(
    objects: &BTreeMap<(OwnerId, u64), Owned<T>>,
    owner: OwnerId,
    after: Option<u64>,
    limit: usize,
) -> Vec<(u64, &T)> {
    let from = after.map_or(Bound::Included((owner, 0)), |key| Bound::Excluded((owner, key)));
    let of_owner = objects.range((from, Bound::Included((owner, u64::MAX))));
    of_owner.take(limit).map(|((_, key), object)| (*key, &object.value)).collect()
}

fn group(key: u64, object: &GroupObject) -> v1::NexthopGroup {
    let member =
        |(nexthop, weight): &(u64, u8)| v1::GroupMember { nexthop: *nexthop, weight: (*weight).into() };
    v1::NexthopGroup {
        key,
        members: object.members.iter().map(member).collect(),
        resilient: object.options.resilient,
        symmetric: object.options.symmetric,
    }
}

fn nexthop(key: u64, object: &NexthopObject) -> v1::Nexthop {
    use v1::nexthop::Kind;
    let kind = match &object.kind {
        NexthopKind::Gateway { address: gateway, interface, vrf } => Kind::Gateway(v1::Gateway {
            address: address::to_bytes(*gateway),
            interface: interface.clone().unwrap_or_default(),
            // "" as it is put by those who do not care.
            vrf: if vrf == DEFAULT_VRF { String::new() } else { vrf.clone() },
        }),
        NexthopKind::Interface(name) => Kind::Interface(name.clone()),
        NexthopKind::Vrf(name) => Kind::LookupVrf(name.clone()),
        NexthopKind::Blackhole => Kind::Blackhole(v1::Empty {}),
        NexthopKind::Unreachable => Kind::Unreachable(v1::Empty {}),
        NexthopKind::Prohibit => Kind::Prohibit(v1::Empty {}),
    };
    v1::Nexthop { key, kind: Some(kind), backup: object.backup }
}
