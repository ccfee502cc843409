//! `ze show`: one module a subject. Each asks the daemon and makes a page; the making is pure.

mod counters;
mod drops;
mod fib;
mod interfaces;
mod neighbors;
mod ports;
mod punts;
mod routes;
mod version;
mod vrfs;
mod workers;

use std::time::Duration;

use ze_proto::endpoint::Address;
use ze_proto::v1::{
    AuditFibRequest, Flow, GetFibRequest, GetInfoRequest, GetStatsRequest, ListInterfacesRequest,
    ListNeighborsRequest, ListPortsRequest, ListVrfsRequest, LookupRouteRequest, Stats,
};
use ze_tui::rates::Rates;

use crate::args::{FibWhat, RouteArgs, Show, ShowArgs};
use crate::client::{self, Client, answer};
use crate::error::Error;
use crate::output::{Output, Page, Paint};

/// Between two samples when rates are asked for once.
const GLANCE: Duration = Duration::from_millis(200);

/// Runs `ze show`.
///
/// # Errors
/// When the daemon does not answer or refuses.
pub async fn run(daemon: &Address, args: &ShowArgs, out: &mut Output) -> Result<(), Error> {
    let mut asking = Asking { client: client::connect(daemon).await?, previous: None, paint: out.paint };
    let Some(interval) = args.watch else {
        if let Show::Routes(routes) = &args.what {
            return routes::stream(&mut asking.client, routes, out).await;
        }
        let page = asking.page(&args.what, false).await?;
        return out.page(&page);
    };
    if out.terminal && out.format == crate::args::Format::Table {
        out.text("\x1b[2J")?;
    }
    let title = format!("every {}, Ctrl-C ends", ze_tui::units::duration(interval));
    loop {
        let page = asking.page(&args.what, true).await?;
        out.next_page(&page, &title)?;
        tokio::time::sleep(interval).await;
    }
}

fn lookup(args: &RouteArgs) -> LookupRouteRequest {
    let bytes = ze_proto::address::to_bytes;
    let flow = args.from.map(|from| Flow {
        source: bytes(from),
        protocol: args.protocol.into(),
        source_port: args.source_port.into(),
        destination_port: args.destination_port.into(),
    });
    LookupRouteRequest { vrf: args.vrf.clone(), address: bytes(args.address), flow }
}

/// Asks the daemon, and remembers the last sample for rates.
struct Asking {
    client: Client,
    previous: Option<Stats>,
    paint: Paint,
}

impl Asking {
    async fn page(&mut self, what: &Show, watching: bool) -> Result<Page, Error> {
        let paint = self.paint;
        match what {
            Show::Interfaces { name } => {
                let rates = if watching { self.rates().await?.1 } else { None };
                let reply = answer(self.client.list_interfaces(ListInterfacesRequest {})).await?;
                interfaces::page(&reply.interfaces, name.as_deref(), rates.as_ref(), paint)
            }
            Show::Ports { all } => {
                let reply = answer(self.client.list_ports(ListPortsRequest {})).await?;
                ports::page(&reply.ports, *all, paint)
            }
            Show::Routes(args) => routes::whole(&mut self.client, args, paint).await,
            Show::Route(args) => {
                let request = lookup(args);
                routes::lookup_page(args, &answer(self.client.lookup_route(request)).await?, paint)
            }
            Show::Fib { what: None } => {
                fib::page(&answer(self.client.get_fib(GetFibRequest {})).await?, false, paint)
            }
            Show::Fib { what: Some(FibWhat::Audit) } => {
                fib::page(&answer(self.client.audit_fib(AuditFibRequest {})).await?, true, paint)
            }
            Show::Neighbors { interface } => {
                let request = ListNeighborsRequest { interface: interface.clone().unwrap_or_default() };
                let mut entries = Vec::new();
                let mut stream = answer(self.client.list_neighbors(request)).await?;
                while let Some(entry) = stream.message().await? {
                    entries.push(entry);
                }
                neighbors::page(&entries, paint)
            }
            Show::Workers => {
                let (stats, rates) = self.rates().await?;
                workers::page(&stats, rates.as_ref(), paint)
            }
            Show::Counters { worker } => {
                let (stats, _) = self.rates().await?;
                counters::page(&stats, *worker, self.previous.as_ref(), paint)
            }
            Show::Drops { all } => drops::page(&self.stats().await?, *all, paint),
            Show::Punts { all } => punts::page(&self.stats().await?, *all, paint),
            Show::Vrfs => {
                let reply = answer(self.client.list_vrfs(ListVrfsRequest {})).await?;
                vrfs::page(&reply.vrfs, paint)
            }
            Show::Version => version::page(&answer(self.client.get_info(GetInfoRequest {})).await?, paint),
            Show::Trace(_) => {
                Err(Error::Usage("a trace is a stream already; it can not be watched".to_owned()))
            }
        }
    }

    async fn stats(&mut self) -> Result<Stats, Error> {
        answer(self.client.get_stats(GetStatsRequest {})).await
    }

    /// The newest sample and the rates since the one before; the first time, since a moment ago.
    async fn rates(&mut self) -> Result<(Stats, Option<Rates>), Error> {
        let older = match self.previous.take() {
            Some(stats) => stats,
            None => {
                let first = self.stats().await?;
                tokio::time::sleep(GLANCE).await;
                first
            }
        };
        let newer = self.stats().await?;
        let rates = Rates::between(&older, &newer);
        self.previous = Some(newer.clone());
        Ok((newer, rates))
    }
}
