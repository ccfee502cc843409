//! What must leave, byte by byte, and what did.

use anyhow::{Result, bail};
use ze_packet::ethernet::{self, ethertype};
use ze_packet::{MacAddr, checksum};

use super::drain::{KEPT_BYTES, Sample};
use super::routes::{Family, Model};
use super::traffic::{ROUTER_OUT, TTL, Traffic};

/// What is between rx and tx.
pub(crate) enum Between<'a> {
    /// Nothing: packets leave as they came.
    Nothing,
    /// A router with these routes; the Ethernet addresses of its nexthops.
    Router(&'a Model, &'a [MacAddr]),
}

/// Compares every sample with what must have left.
///
/// # Errors
/// When there is no sample, or one differs: where, and how.
pub(crate) fn check(between: &Between<'_>, traffic: &Traffic, samples: &[Sample]) -> Result<()> {
    if samples.is_empty() {
        bail!("no packet left, so none could be verified");
    }
    samples.iter().try_for_each(|sample| check_one(between, traffic, sample))
}

fn check_one(between: &Between<'_>, traffic: &Traffic, sample: &Sample) -> Result<()> {
    let Some(n) = traffic.number_in(sample.bytes()) else {
        bail!("a packet left of {} bytes that never came: {:02x?}", sample.packet_len(), sample.bytes());
    };
    let expected = expected(between, traffic, n)?;
    let to = traffic.family().address(traffic.destination(n));
    if sample.packet_len() != expected.len() {
        bail!("the packet to {to} left with {} bytes, not {}", sample.packet_len(), expected.len());
    }
    let kept = &expected[..expected.len().min(KEPT_BYTES)];
    if let Some(at) = kept.iter().zip(sample.bytes()).position(|(a, b)| a != b) {
        let (want, got) = (expected[at], sample.bytes()[at]);
        bail!(
            "the packet to {to} left with a wrong {}: byte {at} is {got:#04x}, not {want:#04x}",
            field(traffic.family(), at)
        );
    }
    Ok(())
}

/// Packet `n` as it must leave: worked out from the packet as a whole, not by changing what changes.
fn expected(between: &Between<'_>, traffic: &Traffic, n: usize) -> Result<Vec<u8>> {
    let mut packet = traffic.input(n);
    let Between::Router(model, hops) = between else { return Ok(packet) };
    let destination = traffic.destination(n);
    let hop = model.lookup(destination).and_then(|hop| hops.get(usize::from(hop)));
    let Some(hop) = hop else {
        bail!("no route leads to {}", traffic.family().address(destination));
    };
    let kind = match traffic.family() {
        Family::V4 => ethertype::IPV4,
        Family::V6 => ethertype::IPV6,
    };
    let mut header = [0; ethernet::HEADER_BYTES];
    ethernet::emit(&mut header, *hop, ROUTER_OUT, kind);
    packet[..ethernet::HEADER_BYTES].copy_from_slice(&header);
    match traffic.family() {
        Family::V4 => {
            packet[22] = TTL - 1;
            packet[24..26].fill(0);
            let sum = checksum::of(&packet[14..34]);
            packet[24..26].copy_from_slice(&sum.to_be_bytes());
        }
        Family::V6 => packet[21] = TTL - 1,
    }
    Ok(packet)
}

fn field(family: Family, at: usize) -> &'static str {
    match (family, at) {
        (_, 0..6) => "destination MAC",
        (_, 6..12) => "source MAC",
        (_, 12..14) => "EtherType",
        (Family::V4, 22) => "TTL",
        (Family::V4, 24..26) => "header checksum",
        (Family::V4, 26..30) | (Family::V6, 22..38) => "source address",
        (Family::V4, 30..34) | (Family::V6, 38..54) => "destination address",
        (Family::V6, 21) => "hop limit",
        (Family::V4, 14..34) | (Family::V6, 14..54) => "header",
        _ => "payload",
    }
}

#[cfg(test)]
mod tests {
    use super::super::routes::{Routes, Source};
    use super::super::traffic::Pattern;
    use super::*;

    fn traffic(family: Family) -> (Traffic, Model) {
        let routes = Routes::load(&Source::Synthetic(1), family).unwrap();
        let traffic = Traffic::new(&routes, Pattern::Covered, 3, &"64".parse().unwrap()).unwrap();
        (traffic, Model::new(&routes))
    }

    #[test]
    fn every_wrong_byte_is_found_and_named() {
        let hops = [MacAddr([2, 0, 0, 1, 0, 0])];
        for family in [Family::V4, Family::V6] {
            let (traffic, model) = traffic(family);
            let between = Between::Router(&model, &hops);
            let right = expected(&between, &traffic, 1).unwrap();
            check(&between, &traffic, &[Sample::of(&right)]).unwrap();
            let mut named = std::collections::HashSet::new();
            for at in 0..right.len() {
                let mut wrong = right.clone();
                wrong[at] ^= 0x10;
                let error = check(&between, &traffic, &[Sample::of(&wrong)]).unwrap_err().to_string();
                assert!(
                    error.contains(&format!("wrong {}", field(family, at))) || error.contains("never came"),
                    "{error}"
                );
                named.insert(field(family, at));
            }
            assert_eq!(named.len(), if family == Family::V4 { 9 } else { 8 });
            let short = check(&between, &traffic, &[Sample::of(&right[..right.len() - 1])]).unwrap_err();
            assert!(short.to_string().contains("59 bytes, not 60"), "{short}");
        }
    }

    #[test]
    fn the_baseline_must_change_nothing() {
        let (traffic, _) = traffic(Family::V4);
        let mut packet = traffic.input(2);
        check(&Between::Nothing, &traffic, &[Sample::of(&packet)]).unwrap();
        packet[22] -= 1;
        assert!(check(&Between::Nothing, &traffic, &[Sample::of(&packet)]).is_err());
    }

    #[test]
    fn nothing_verified_is_a_failure() {
        let (traffic, _) = traffic(Family::V4);
        assert!(check(&Between::Nothing, &traffic, &[]).is_err());
    }
}
