//! What the tables hold and who has put it, for those who compare it with what they want.

use ze_fib::Target;
use ze_fib::writer::RouteSource;
use ze_packet::VrfId;
use ze_proto::v1::{self, operation::Operation as Op};
use ze_proto::{address, digest, packed};

use super::objects::{NexthopKind, NexthopObject, Objects, OwnerId, TargetKey};
use super::{Control, DEFAULT_VRF};

/// Operations in one message of an answer.
const OBJECTS_A_MESSAGE: usize = 1024;
/// Packed routes in one message.
const ROUTES_A_MESSAGE: usize = 16_384;

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
            nexthops: self.objects.nexthops.keys().filter(|(owner, _)| *owner == id).count() as u64,
            groups: self.objects.groups.keys().filter(|(owner, _)| *owner == id).count() as u64,
            ..self.programming.state(id)
        }
    }

    /// Puts right what lookups would find otherwise than the books say, in one VRF. Returns routes looked at, and how
    /// many were wrong.
    pub fn mend(&mut self, vrf: VrfId) -> (u64, u64) {
        let (four, six) = self.fib.route_counts(vrf);
        let mended = self.fib.mend_routes(vrf) as u64;
        if mended > 0 {
            tracing::error!(
                vrf = self.vrf_name(vrf),
                mended,
                "lookups differed from the books and were put right"
            );
        }
        (four + six, mended)
    }

    /// The VRFs there are.
    pub fn vrfs(&self) -> Vec<VrfId> {
        self.fib.vrf_ids()
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
        let came = |(owner, count): &(OwnerId, u64)| {
            self.programming.audits(*owner) > *count || !self.connected.contains(owner)
        };
        before.iter().all(came)
    }

    /// An owner has compared.
    pub fn audited(&mut self, owner: OwnerId, report: v1::AuditReport) {
        self.programming.audited(owner, report);
    }

    /// What an owner has put. Nothing for an owner that nobody knows.
    pub fn list_owned(&self, request: &v1::ListOwnedRequest) -> Vec<v1::Owned> {
        let at = self.objects.owners.iter().position(|owner| owner.name == request.owner);
        let Some(owner) = at.map(|at| OwnerId(at as u16)) else { return Vec::new() };
        let mut out = Vec::new();
        if request.objects {
            let objects: Vec<_> = self.owned_objects(owner).into_iter().map(operation).collect();
            let parts = objects.chunks(OBJECTS_A_MESSAGE);
            out.extend(parts.map(|part| v1::Owned { objects: part.to_vec(), digests: Vec::new() }));
        }
        if request.digests {
            let digest = |(vrf, digest): (VrfId, &digest::Digest)| v1::RouteDigest {
                vrf: self.vrf_name(vrf).into(),
                routes: digest.routes,
                buckets: digest.buckets.to_vec(),
            };
            let digests = self.programming.digests(owner).map(digest).collect();
            out.push(v1::Owned { objects: Vec::new(), digests });
        }
        if request.all_routes || !request.buckets.is_empty() {
            self.owned_routes(owner, request, &mut out);
        }
        out
    }

    fn owned_routes(&self, owner: OwnerId, request: &v1::ListOwnedRequest, out: &mut Vec<v1::Owned>) {
        let mut wanted = [request.all_routes; digest::BUCKETS];
        for bucket in &request.buckets {
            if let Some(wanted) = wanted.get_mut(*bucket as usize) {
                *wanted = true;
            }
        }
        let source = self.objects.source(owner);
        for vrf in self.fib.vrf_ids() {
            let of_owner = |(prefix, of, target, _): (_, RouteSource, Target, bool)| {
                let (_, key) = self.ids.target_keys.get(&target).filter(|_| of == source)?;
                wanted[digest::bucket(&prefix)].then_some((prefix, *key))
            };
            let routes: Vec<_> = self.fib.routes(vrf).filter_map(of_owner).collect();
            for part in routes.chunks(ROUTES_A_MESSAGE) {
                let packed = packed::put(self.vrf_name(vrf), part.iter().copied());
                out.push(v1::Owned {
                    objects: vec![operation(Op::PutPackedRoutes(packed))],
                    digests: Vec::new(),
                });
            }
        }
    }

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
        let nexthops = books.nexthops.iter().filter(|((o, _), _)| of_owner(*o));
        out.extend(nexthops.map(|((_, key), o)| Op::PutNexthop(nexthop(*key, &o.value))));
        out.extend(books.groups.iter().filter(|((o, _), _)| of_owner(*o)).map(|((_, key), o)| {
            let member = |(nexthop, weight): &(u64, u8)| v1::GroupMember {
                nexthop: *nexthop,
                weight: (*weight).into(),
            };
            Op::PutNexthopGroup(v1::NexthopGroup {
                key: *key,
                members: o.value.members.iter().map(member).collect(),
                resilient: o.value.options.resilient,
                symmetric: o.value.options.symmetric,
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
