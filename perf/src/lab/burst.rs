//! Back-to-back: the longest burst that is forwarded without loss (RFC 2544 §26.4, RFC 9004).

use anyhow::Result;
use ze_pktgen::traffic::Rate;

use super::bench::Bench;
use super::report::BackToBack;
use super::trial::Offer;
use crate::stats::rounded;

/// The search ends when the bounds are this share apart.
const WIDTH: f64 = 0.02;

/// Looks for the longest burst, `searches` times, up to `most` packets. `throughput_pps` is what is forwarded without
/// loss, if it is known.
///
/// # Errors
/// As [`Bench::burst`].
pub(super) fn longest(
    bench: &mut Bench,
    offer: &Offer,
    most: u64,
    searches: usize,
    throughput_pps: Option<f64>,
) -> Result<BackToBack> {
    let offer = Offer { rate: Rate::Max, ..offer.clone() };
    let (mut sum, mut rates, mut at_least) = (0.0, Vec::new(), false);
    for _ in 0..searches {
        let longest = bisect(most, |packets| {
            let trial = bench.burst(&offer, packets)?;
            rates.push(trial.offered_pps);
            Ok(trial.lost == 0)
        })?;
        at_least |= longest == most;
        sum += longest as f64;
    }
    let packets = sum / searches as f64;
    let burst_pps = crate::stats::median(rates).unwrap_or(f64::NAN);
    let burst_ms = packets / burst_pps * 1e3;
    // What is forwarded while the burst comes needs no buffer: RFC 9004 §6.5.
    let corrected =
        throughput_pps.filter(|_| !at_least).map(|pps| burst_ms * (1.0 - pps / burst_pps).max(0.0));
    Ok(BackToBack {
        packets: rounded(packets),
        searches,
        burst_pps: rounded(burst_pps),
        burst_ms: rounded(burst_ms),
        corrected_buffer_ms: corrected.map(rounded),
        at_least,
    })
}

/// The largest number that passes, to within [`WIDTH`]; `most` if that does.
fn bisect(most: u64, mut passes: impl FnMut(u64) -> Result<bool>) -> Result<u64> {
    if passes(most)? {
        return Ok(most);
    }
    let (mut good, mut bad) = (0, most);
    while bad - good > 1 && (bad - good) as f64 > WIDTH * bad as f64 {
        let middle = good + (bad - good) / 2;
        if passes(middle)? {
            good = middle;
        } else {
            bad = middle;
        }
    }
    Ok(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_burst_is_found_to_the_width_and_both_ends_are_themselves() {
        for limit in [0, 1, 2, 300, 77_777, 999_999] {
            let found = bisect(1_000_000, |packets| Ok(packets <= limit)).unwrap();
            assert!(
                found <= limit && limit as f64 <= found as f64 / (1.0 - WIDTH) + 1.0,
                "{found} of {limit}"
            );
        }
        assert_eq!(bisect(500, |_| Ok(true)).unwrap(), 500);
    }
}
