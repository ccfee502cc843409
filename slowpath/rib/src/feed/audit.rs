//! Compares what the fast path has with what it acknowledged, and puts right what differs.

use std::collections::BTreeMap;

use tonic::transport::Channel;
use ze_proto::packed;
use ze_proto::v1::{self, dataplane_client::DataplaneClient, operation::Operation as Op};

use super::{Feed, monotonic_ns};
use crate::divergence;

/// Compares nexthops whole and routes by digest; of buckets that differ, route by route. No report: nothing could be
/// compared.
pub(super) async fn audit(
    owner: &str,
    client: &mut DataplaneClient<Channel>,
    feed: &Feed,
) -> Result<Option<v1::AuditReport>, tonic::Status> {
    let request =
        v1::ListOwnedRequest { owner: owner.to_owned(), objects: true, digests: true, ..Default::default() };
    let (objects, digests) = list(client, request).await?;
    let nexthops: BTreeMap<_, _> = objects
        .into_iter()
        .filter_map(|operation| match operation {
            Op::PutNexthop(nexthop) => Some((nexthop.key, nexthop)),
            _ => None,
        })
        .collect();
    let compared = feed.table().compare_digests(nexthops, &digests);
    let Some((mut report, buckets)) = compared else { return Ok(None) };
    if !buckets.is_empty() {
        let request =
            v1::ListOwnedRequest { owner: owner.to_owned(), buckets: buckets.clone(), ..Default::default() };
        let (operations, _) = list(client, request).await?;
        let found = operations.iter().flat_map(routes);
        divergence::add(&mut report, feed.table().compare(&buckets, found, monotonic_ns()));
    }
    feed.table().audited(&report);
    Ok(Some(report))
}

fn routes(operation: &Op) -> Vec<(String, ipnet::IpNet, packed::TargetKey)> {
    let Op::PutPackedRoutes(message) = operation else { return Vec::new() };
    let targets: Vec<_> = packed::targets(message).collect();
    let route =
        |(prefix, number): (ipnet::IpNet, usize)| Some((message.vrf.clone(), prefix, *targets.get(number)?));
    packed::read_put(message).flatten().filter_map(route).collect()
}

/// All of an answer.
pub(crate) async fn list(
    client: &mut DataplaneClient<Channel>,
    request: v1::ListOwnedRequest,
) -> Result<(Vec<Op>, Vec<v1::RouteDigest>), tonic::Status> {
    let mut stream = client.list_owned(request).await?.into_inner();
    let (mut objects, mut digests) = (Vec::new(), Vec::new());
    while let Some(part) = stream.message().await? {
        objects.extend(part.objects.into_iter().filter_map(|object| object.operation));
        digests.extend(part.digests);
    }
    Ok((objects, digests))
}
