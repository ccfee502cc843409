//! How programming goes, by owner: digests of what there is, counts, and how far behind it is.

use std::collections::HashMap;
use std::time::Instant;

use ipnet::IpNet;
use ze_packet::VrfId;
use ze_proto::digest::Digest;
use ze_proto::packed::TargetKey;
use ze_proto::v1;

use super::objects::OwnerId;
use super::stats::monotonic_ns;

/// Divergences kept of an owner's last audit; the API's promise is the first so many.
const DIVERGENCES_MAX: usize = 100;

/// What a batch says of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Batch {
    /// When the oldest change in it was decided, nanoseconds of the monotonic clock; 0 if unknown.
    pub decided_at_ns: u64,
    /// Changes that are decided and not sent yet.
    pub backlog: u64,
    /// Changes that were refused and are tried again.
    pub refused: u64,
}

#[derive(Default)]
struct OfOwner {
    digests: HashMap<VrfId, Digest>,
    batches: u64,
    applied: u64,
    refused: u64,
    lag_us: u64,
    lag_max_us: u64,
    backlog: u64,
    refused_now: u64,
    audit: Option<(v1::AuditReport, Instant)>,
    audits: u64,
}

/// All owners.
#[derive(Default)]
pub(super) struct Programming {
    owners: HashMap<OwnerId, OfOwner>,
}

impl Programming {
    /// A route has come, has gone, or leads elsewhere.
    pub(super) fn replaced(
        &mut self,
        owner: OwnerId,
        vrf: VrfId,
        prefix: &IpNet,
        old: Option<TargetKey>,
        new: Option<TargetKey>,
    ) {
        let of_owner = self.owners.entry(owner).or_default();
        of_owner.applied += 1;
        let digest = of_owner.digests.entry(vrf).or_default();
        if let Some(old) = old {
            digest.remove(prefix, old);
        }
        if let Some(new) = new {
            digest.add(prefix, new);
        }
        if digest.routes == 0 {
            of_owner.digests.remove(&vrf);
        }
    }

    /// What an owner says of itself with each message.
    pub(super) fn told(&mut self, owner: OwnerId, batch: Batch) {
        let of_owner = self.owners.entry(owner).or_default();
        (of_owner.backlog, of_owner.refused_now) = (batch.backlog, batch.refused);
    }

    /// A batch has been applied.
    pub(super) fn applied(&mut self, owner: OwnerId, batch: Batch, applied: u64, refused: u64) {
        self.told(owner, batch);
        let of_owner = self.owners.entry(owner).or_default();
        of_owner.batches += 1;
        of_owner.applied += applied;
        of_owner.refused += refused;
        if batch.decided_at_ns != 0 {
            of_owner.lag_us = monotonic_ns().saturating_sub(batch.decided_at_ns) / 1000;
            of_owner.lag_max_us = of_owner.lag_max_us.max(of_owner.lag_us);
        }
    }

    pub(super) fn audited(&mut self, owner: OwnerId, mut report: v1::AuditReport) {
        report.divergences.truncate(DIVERGENCES_MAX);
        let of_owner = self.owners.entry(owner).or_default();
        of_owner.audit = Some((report, Instant::now()));
        of_owner.audits += 1;
    }

    /// How many audits an owner has reported.
    pub(super) fn audits(&self, owner: OwnerId) -> u64 {
        self.owners.get(&owner).map_or(0, |of_owner| of_owner.audits)
    }

    pub(super) fn routes(&self, owner: OwnerId) -> u64 {
        self.owners.get(&owner).map_or(0, |of_owner| of_owner.digests.values().map(|d| d.routes).sum())
    }

    pub(super) fn digests(&self, owner: OwnerId) -> impl Iterator<Item = (VrfId, &Digest)> {
        self.owners.get(&owner).into_iter().flat_map(|o| &o.digests).map(|(vrf, digest)| (*vrf, digest))
    }

    /// As the API reports it; what others know is left out.
    pub(super) fn state(&self, owner: OwnerId) -> v1::OwnerState {
        let Some(of_owner) = self.owners.get(&owner) else { return v1::OwnerState::default() };
        v1::OwnerState {
            routes: self.routes(owner),
            batches: of_owner.batches,
            applied: of_owner.applied,
            refused: of_owner.refused,
            lag_us: of_owner.lag_us,
            lag_max_us: of_owner.lag_max_us,
            backlog: of_owner.backlog,
            refused_now: of_owner.refused_now,
            audit: of_owner.audit.as_ref().map(|(report, _)| report.clone()),
            audit_age_ms: of_owner.audit.as_ref().map_or(0, |(_, at)| at.elapsed().as_millis() as u64),
            ..v1::OwnerState::default()
        }
    }
}
