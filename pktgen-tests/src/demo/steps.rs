//! The steps of the tour, in order.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::network::{FAR, LAN_MTU_BYTES, LAN_ROUTER, Network, WAN_HOST, WAN_MTU_BYTES};
use super::report::Report;
use super::screen::Screen;
use super::throughput::{self, Path};
use super::{Failure, Options, StepResult, Summary};
use crate::daemons::{Client, DaemonError};
use crate::lab::{
    LabError, PathMtuReport, PingOptions, PingReport, TracerouteOptions, path_mtu, ping, traceroute,
};

/// How long an orderly end of a daemon may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// The bulk of a transfer to or from a socket on the router: a tenth of the others', at least this.
const PUNT_BYTES_MIN: u64 = 100_000_000;

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum StepError {
    #[error(transparent)]
    Lab(#[from] LabError),
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    #[error("{0}")]
    Wrong(String),
}

pub(super) type Outcome = Result<String, StepError>;

/// A walk through the network.
pub(super) struct Tour<'a> {
    pub(super) network: Network,
    pub(super) options: &'a Options,
    pub(super) screen: &'a mut dyn Screen,
    pub(super) report: Report,
}

type Step = fn(&mut Tour<'_>) -> Outcome;

const STEPS: [(&str, Step); 12] = [
    ("ping through the router, IPv4", |tour| tour.ping(WAN_HOST.ip4)),
    ("ping through the router, IPv6", |tour| tour.ping(WAN_HOST.ip6)),
    ("ping a network behind a static route", |tour| tour.ping(FAR.ip4).and(tour.ping(FAR.ip6))),
    ("traceroute shows the router", |tour| tour.trace()),
    ("path-MTU discovery over the narrow link", |tour| tour.path_mtu()),
    ("a rejected route answers at once", |tour| tour.rejected()),
    ("ping the router itself", |tour| tour.ping(LAN_ROUTER.ip4).and(tour.ping(LAN_ROUTER.ip6))),
    ("TCP lan to wan, IPv4", |tour| tour.transfer("lan to wan, IPv4", Path::lan_to_wan)),
    ("TCP wan to lan, IPv4", |tour| tour.transfer("wan to lan, IPv4", Path::wan_to_lan)),
    ("TCP lan to wan, IPv6", |tour| tour.transfer_ip6()),
    ("TCP to a server on the router and back", |tour| tour.transfer_to_router()),
    ("every packet is accounted for", |tour| tour.settle()),
];

/// A table is loaded after this one, so that the transfers that follow are forwarded by it.
const LAST_BEFORE_TABLE: &str = "ping the router itself";

impl<'a> Tour<'a> {
    pub(super) fn new(network: Network, options: &'a Options, screen: &'a mut dyn Screen) -> Self {
        Self { network, options, screen, report: Report::default() }
    }

    /// All steps; ends at the first that fails.
    pub(super) fn walk(&mut self) -> Result<(), Failure> {
        for (title, step) in STEPS {
            self.step(title, step)?;
            if title == LAST_BEFORE_TABLE
                && let Some(file) = self.options.routes.clone()
            {
                self.step("load a full table while packets flow", |tour| super::table::load(tour, &file))?;
            }
        }
        Ok(())
    }

    fn step(&mut self, title: &str, step: impl FnOnce(&mut Self) -> Outcome) -> Result<(), Failure> {
        self.screen.begin(title);
        let began = Instant::now();
        match step(self) {
            Ok(outcome) => {
                self.screen.done(&outcome);
                let elapsed_s = began.elapsed().as_secs_f64();
                self.report.steps.push(StepResult { title: title.to_owned(), outcome, elapsed_s });
                Ok(())
            }
            Err(error) => {
                self.screen.failed();
                Err(Failure::before(title, &error))
            }
        }
    }

    /// Ends in good order, or leaves everything running.
    pub(super) fn finish(mut self, began: Instant) -> Result<Summary, Failure> {
        let step = if self.options.keep { "keep the network" } else { "stop the daemons" };
        let mut summary =
            self.report.summary(&self.network).map_err(|error| Failure::before(step, &error))?;
        if self.options.keep {
            let kept = super::report::kept(self.network).map_err(|error| Failure::before(step, &error))?;
            summary.kept = Some(kept);
        } else if let Err(error) = stop(self.network) {
            self.screen.begin(step);
            self.screen.failed();
            return Err(Failure::before(step, &error));
        }
        summary.elapsed_s = began.elapsed().as_secs_f64();
        Ok(summary)
    }

    /// Adds to a failure what the daemons said.
    pub(super) fn fail(self, mut failure: Failure) -> Failure {
        failure.quote("ze-fastpath", &self.network.fastpath.process.log());
        failure.quote("ze-slowpath", &self.network.slowpath.process.log());
        failure
    }

    pub(super) fn client(&self) -> Result<Client, DaemonError> {
        self.network.fastpath.client()
    }

    fn ping(&mut self, destination: IpAddr) -> Outcome {
        let report = ping(&self.network.lan, destination, &PingOptions::default())?;
        check(report.is_clean(), || format!("ping {destination}: {report:?}"))?;
        Ok(round_trip(&report))
    }

    fn trace(&mut self) -> Outcome {
        for (destination, router) in FAR.both().into_iter().zip(LAN_ROUTER.both()) {
            let hops = traceroute(&self.network.lan, destination, &TracerouteOptions::default())?;
            let found: Vec<_> = hops.iter().map(|hop| hop.address).collect();
            check(found == [Some(router), Some(destination)], || {
                format!("the way to {destination} should be {router}, then the destination: {found:?}")
            })?;
        }
        Ok(format!("1 {}  2 {}", LAN_ROUTER.ip4, FAR.ip4))
    }

    fn path_mtu(&mut self) -> Outcome {
        for (destination, router) in WAN_HOST.both().into_iter().zip(LAN_ROUTER.both()) {
            let report = path_mtu(&self.network.lan, destination, LAN_MTU_BYTES)?;
            check(is_right(&report, router), || format!("path MTU to {destination}: {report:?}"))?;
        }
        Ok(format!("{LAN_MTU_BYTES} is too big, {WAN_MTU_BYTES} arrives; both families"))
    }

    fn rejected(&mut self) -> Outcome {
        let options = PingOptions { count: 2, ..PingOptions::default() };
        let report = ping(&self.network.lan, IpAddr::from([198, 51, 100, 1]), &options)?;
        let from = report.errors.first().and_then(|error| error.from);
        check(report.error_count == 2 && from == Some(LAN_ROUTER.ip4), || format!("{report:?}"))?;
        Ok(format!("unreachable, says {}", LAN_ROUTER.ip4))
    }

    fn transfer(&mut self, title: &str, path: fn(&Network) -> Path) -> Outcome {
        let (bytes, rounds) = (self.options.transfer_bytes(), self.options.rounds());
        throughput::compare(self, title, path, bytes, rounds)
    }

    /// IPv6 is shorter: what it shows is that it works as well.
    fn transfer_ip6(&mut self) -> Outcome {
        let bytes = self.options.transfer_bytes() / 2;
        throughput::compare(self, "lan to wan, IPv6", Path::lan_to_wan_ip6, bytes, 1)
    }

    fn transfer_to_router(&mut self) -> Outcome {
        let bytes = (self.options.transfer_bytes() / 5).max(PUNT_BYTES_MIN);
        throughput::to_router(self, bytes)
    }

    fn settle(&mut self) -> Outcome {
        let law = super::workers::await_balance(&mut self.client()?)?;
        let leaked = self.network.router.kernel_forwarded_packets()?;
        check(leaked == 0, || format!("the router's kernel forwarded {leaked} packets past Ze"))?;
        Ok(format!("{} in, {} out, none by the kernel", law.rx + law.inject + law.generated, law.tx))
    }
}

fn is_right(report: &PathMtuReport, router: IpAddr) -> bool {
    let told = report.too_big.first().and_then(|told| told.from);
    report.mtu_bytes == WAN_MTU_BYTES && report.confirmed && told == Some(router)
}

pub(super) fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), StepError> {
    if holds { Ok(()) } else { Err(StepError::Wrong(otherwise())) }
}

fn round_trip(report: &PingReport) -> String {
    let average = report.round_trip.map(|times| times.average.as_secs_f64() * 1e6).unwrap_or_default();
    format!("{} of {}, {average:.0} µs", report.received, report.sent)
}

/// Both daemons end by themselves when asked.
fn stop(network: Network) -> Result<(), StepError> {
    let Network { slowpath, fastpath, .. } = network;
    for (name, process) in [("ze-slowpath", slowpath.process), ("ze-fastpath", fastpath.process)] {
        let status = process.stop(STOP_TIMEOUT)?;
        check(status.success(), || format!("{name} did not end in good order: {status}"))?;
    }
    Ok(())
}
