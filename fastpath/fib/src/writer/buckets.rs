//! Hash buckets of a group's members, in proportion to their weights; anew, or with as few moves as can be.

use std::collections::HashMap;

use ze_packet::NexthopId;

use crate::Group;

/// Buckets of a group at least: more buckets, finer shares once members have gone.
const BUCKETS_MIN: usize = 64;
/// Of a resilient one, which keeps its number of buckets for life.
const RESILIENT_BUCKETS_MIN: usize = 1024;
/// The most that are made for a group: where exact shares would need more, they are rounded.
const BUCKETS_MADE_MAX: usize = 8192;
const _: () = assert!(BUCKETS_MADE_MAX <= Group::HASH_BUCKETS_MAX, "a group takes what is made for it");

/// Members and their weights.
pub(super) type Members = [(NexthopId, u8)];

/// Buckets for a group that had none. The number is a multiple of the sum of weights where that is not too large, so
/// that every share is exact.
pub(super) fn fresh(members: &Members, resilient: bool) -> Vec<NexthopId> {
    let total = total(members);
    if total == 0 {
        return Vec::new();
    }
    let least = if resilient { RESILIENT_BUCKETS_MIN } else { BUCKETS_MIN };
    let count = (least.div_ceil(total) * total).min(BUCKETS_MADE_MAX);
    let mut left: Vec<i64> = quotas(members, count);
    let mut credit = vec![0_i64; members.len()];
    let mut out = Vec::with_capacity(count);
    // Smooth weighted round robin: spreads each member evenly over the buckets.
    for _ in 0..count {
        let mut best = None;
        for (at, (_, weight)) in members.iter().enumerate().filter(|(at, _)| left[*at] > 0) {
            credit[at] += i64::from((*weight).max(1));
            if best.is_none_or(|best: usize| credit[at] > credit[best]) {
                best = Some(at);
            }
        }
        let Some(best) = best else { break };
        credit[best] -= total as i64;
        left[best] -= 1;
        out.push(members[best].0);
    }
    out
}

/// Buckets for new members of a resilient group: a bucket whose member stays within its share keeps it.
pub(super) fn kept(old: &[NexthopId], before: &Members, members: &Members) -> Vec<NexthopId> {
    let quotas = quotas(members, old.len());
    let mut deficit: HashMap<NexthopId, i64> = members.iter().map(|(id, _)| *id).zip(quotas).collect();
    let mut buckets = old.to_vec();
    for id in old {
        deficit.entry(*id).and_modify(|lack| *lack -= 1);
    }
    let mut free: Vec<usize> = (0..old.len()).filter(|at| !deficit.contains_key(&old[*at])).collect();
    // Where members only went, the others' shares grow: rounding is no reason to move a flow of theirs.
    if !members.iter().all(|member| before.contains(member)) {
        for (at, id) in old.iter().enumerate() {
            if let Some(lack) = deficit.get_mut(id)
                && *lack < 0
            {
                *lack += 1;
                free.push(at);
            }
        }
    }
    let mut takers: Vec<(i64, NexthopId)> = members.iter().map(|(id, _)| (deficit[id], *id)).collect();
    for at in free {
        // By turns to whoever lacks most, so that the flows of one that went are spread over all.
        let Some(most) = takers.iter_mut().max_by_key(|(lack, id)| (*lack, std::cmp::Reverse(id.0))) else {
            break;
        };
        most.0 -= 1;
        buckets[at] = most.1;
    }
    buckets
}

fn total(members: &Members) -> usize {
    members.iter().map(|(_, weight)| usize::from((*weight).max(1))).sum()
}

/// Shares of `count` buckets by largest remainder; every member has one at least.
fn quotas(members: &Members, count: usize) -> Vec<i64> {
    let total = total(members).max(1);
    let share = |weight: u8| usize::from(weight.max(1)) * count;
    let mut quotas: Vec<usize> = members.iter().map(|(_, weight)| (share(*weight) / total).max(1)).collect();
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(share(members[*at].1) % total));
    let given: usize = quotas.iter().sum();
    for at in order.iter().cycle().take(count.saturating_sub(given)) {
        quotas[*at] += 1;
    }
    for _ in count..given {
        // The least weights were raised to one bucket: the largest pay for it.
        if let Some(largest) = quotas.iter_mut().max() {
            *largest -= 1;
        }
    }
    quotas.into_iter().map(|quota| quota as i64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equal(count: u32) -> Vec<(NexthopId, u8)> {
        (1..=count).map(|id| (NexthopId(id), 1)).collect()
    }

    fn share(buckets: &[NexthopId], id: u32) -> f64 {
        buckets.iter().filter(|n| n.0 == id).count() as f64 / buckets.len() as f64
    }

    fn moved(old: &[NexthopId], new: &[NexthopId]) -> usize {
        old.iter().zip(new).filter(|(old, new)| old != new).count()
    }

    #[test]
    fn buckets_are_shared_exactly_by_weight() {
        for count in [1, 2, 3, 6, 7, 8, 100, 128] {
            let buckets = fresh(&equal(count), false);
            for id in 1..=count {
                assert!((share(&buckets, id) - 1.0 / f64::from(count)).abs() < 1e-12, "{id} of {count}");
            }
        }
        let weighted = [(NexthopId(1), 3), (NexthopId(2), 1)];
        assert!((share(&fresh(&weighted, false), 1) - 0.75).abs() < 1e-12);
        assert!(fresh(&[], false).is_empty());
    }

    #[test]
    fn the_heaviest_group_is_rounded_and_everybody_has_a_bucket() {
        let mut members: Vec<_> = (1..=127).map(|id| (NexthopId(id), 255)).collect();
        members.push((NexthopId(128), 1));
        let buckets = fresh(&members, true);
        assert!(buckets.len() <= BUCKETS_MADE_MAX);
        assert!(share(&buckets, 128) > 0.0 && share(&buckets, 1) > 0.0075);
    }

    #[test]
    fn one_of_n_members_takes_no_more_than_its_own_flows_along() {
        for count in [2_u32, 3, 5, 8, 13, 64, 128] {
            let before = equal(count);
            let old = fresh(&before, true);
            let after: Vec<_> = before.iter().copied().filter(|(id, _)| id.0 != 2).collect();
            let new = kept(&old, &before, &after);
            assert!(moved(&old, &new) * count as usize <= old.len(), "1 of {count}: {}", moved(&old, &new));
            assert_eq!(share(&new, 2), 0.0);
            let (least, most) = after
                .iter()
                .map(|(id, _)| share(&new, id.0))
                .fold((1.0_f64, 0.0_f64), |(least, most), share| (least.min(share), most.max(share)));
            assert!(most - least <= 2.0 / old.len() as f64 + 1e-12, "1 of {count}: {least} to {most}");
        }
    }

    #[test]
    fn a_member_that_comes_takes_its_share_and_no_more() {
        let (before, after) = (equal(7), equal(8));
        let old = fresh(&before, true);
        let new = kept(&old, &before, &after);
        assert!((share(&new, 8) - 0.125).abs() <= 1.0 / new.len() as f64);
        assert_eq!(moved(&old, &new), new.iter().filter(|id| id.0 == 8).count());
        // And with other weights, from those that have too much to those that have too little.
        let heavier: Vec<_> = after.iter().map(|(id, _)| (*id, if id.0 == 1 { 9 } else { 1 })).collect();
        let newer = kept(&new, &after, &heavier);
        assert!((share(&newer, 1) - 9.0 / 16.0).abs() <= 2.0 / new.len() as f64);
        assert!(newer.iter().zip(&new).all(|(newer, new)| newer == new || newer.0 == 1));
    }
}
