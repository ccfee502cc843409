//! Measured transfers: through Ze, and beside it through the kernel's router, by turns.

use std::net::IpAddr;
use std::ops::ControlFlow;

use super::network::{LAN_HOST, LAN_ROUTER, Network, WAN_HOST};
use super::steps::{Outcome, StepError, Tour};
use super::workers;
use super::{Rates, Transfer};
use crate::lab::{Namespace, TransferOptions, TransferReport, tcp_transfer};

/// From a host to an address of another, by both routers.
pub(super) struct Path {
    from: Namespace,
    to: Namespace,
    ze: IpAddr,
    kernel: IpAddr,
}

impl Path {
    pub(super) fn lan_to_wan(network: &Network) -> Self {
        let (ze, kernel) = (WAN_HOST.ip4, network.kernel.right.host_ip4);
        Self { from: network.lan.clone(), to: network.wan.clone(), ze, kernel }
    }

    pub(super) fn lan_to_wan_ip6(network: &Network) -> Self {
        let (ze, kernel) = (WAN_HOST.ip6, network.kernel.right.host_ip6);
        Self { ze, kernel, ..Self::lan_to_wan(network) }
    }

    pub(super) fn wan_to_lan(network: &Network) -> Self {
        let (ze, kernel) = (LAN_HOST.ip4, network.kernel.left.host_ip4);
        Self { from: network.wan.clone(), to: network.lan.clone(), ze, kernel }
    }
}

/// Sends the same bytes by the kernel's router and by Ze, `rounds` times by turns, and compares the medians.
pub(super) fn compare(
    tour: &mut Tour<'_>,
    title: &str,
    path: fn(&Network) -> Path,
    bytes: u64,
    rounds: usize,
) -> Outcome {
    let (mut kernel, mut ze) = (Vec::new(), Vec::new());
    let path = path(&tour.network);
    for _ in 0..rounds {
        kernel.push(transfer(tour, &path.from, &path.to, path.kernel, bytes)?);
        let before = tour.client()?.stats()?;
        ze.push(transfer(tour, &path.from, &path.to, path.ze, bytes)?);
        let after = tour.client()?.stats()?;
        tour.report.workers.add(&workers::difference(&before, &after));
    }
    let transfer = Transfer::new(title, bytes, Some(&kernel), &ze);
    let outcome = transfer.to_string();
    tour.report.transfers.push(transfer);
    Ok(outcome)
}

/// To a server in the host stack behind Ze's interface, and from it.
pub(super) fn to_router(tour: &mut Tour<'_>, bytes: u64) -> Outcome {
    let (lan, punt) = (tour.network.lan.clone(), tour.network.punt.clone());
    let mut rates = Vec::new();
    for (title, from, to, destination) in [
        ("lan to the router, IPv4", &lan, &punt, LAN_ROUTER.ip4),
        ("the router to lan, IPv4", &punt, &lan, LAN_HOST.ip4),
        ("lan to the router, IPv6", &lan, &punt, LAN_ROUTER.ip6),
    ] {
        let report = transfer(tour, from, to, destination, bytes)?;
        rates.push(format!("{:.2}", report.bits_per_second / 1e9));
        tour.report.transfers.push(Transfer::new(title, bytes, None, &[report]));
    }
    Ok(format!("{} Gbit/s", rates.join(", ")))
}

fn transfer(
    tour: &mut Tour<'_>,
    from: &Namespace,
    to: &Namespace,
    destination: IpAddr,
    bytes: u64,
) -> Result<TransferReport, StepError> {
    let options = TransferOptions { bytes, ..TransferOptions::default() };
    let screen = &mut tour.screen;
    Ok(tcp_transfer(from, to, destination, &options, |progress| {
        screen.progress(&progress);
        ControlFlow::Continue(())
    })?)
}

impl Rates {
    /// Of one or more transfers of the same kind.
    pub(super) fn of(reports: &[TransferReport]) -> Self {
        let mut all: Vec<f64> = reports.iter().map(|report| report.bits_per_second).collect();
        all.sort_by(f64::total_cmp);
        let middle = all.len() / 2;
        let median = match all.len() {
            0 => 0.0,
            len if len % 2 == 1 => all[middle],
            _ => f64::midpoint(all[middle - 1], all[middle]),
        };
        Self {
            median_bits_per_second: median,
            min_bits_per_second: all.first().copied().unwrap_or(0.0),
            max_bits_per_second: all.last().copied().unwrap_or(0.0),
            retransmitted_segments: reports.iter().map(|report| report.retransmitted_segments).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn report(bits_per_second: f64) -> TransferReport {
        TransferReport { bytes: 1, elapsed: Duration::ZERO, bits_per_second, retransmitted_segments: 2 }
    }

    #[test]
    fn the_median_is_that_of_odd_and_even_numbers_of_runs() {
        let median = |rates: &[f64]| {
            Rates::of(&rates.iter().copied().map(report).collect::<Vec<_>>()).median_bits_per_second
        };
        assert_eq!(
            [median(&[]), median(&[3.0]), median(&[5.0, 1.0]), median(&[9.0, 1.0, 2.0])],
            [0.0, 3.0, 3.0, 2.0]
        );
        let rates = Rates::of(&[report(4.0), report(1.0)]);
        assert_eq!((rates.min_bits_per_second, rates.max_bits_per_second), (1.0, 4.0));
        assert_eq!(rates.retransmitted_segments, 4);
    }
}
