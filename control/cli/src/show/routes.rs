//! `ze show routes` and `ze show route`.

use serde::Serialize;
use ze_proto::v1::{ListRoutesRequest, LookupRouteReply, NexthopState, RouteEntry};
use ze_tui::units;

use crate::args::{Format, RouteArgs, RoutesArgs};
use crate::client::{Client, answer};
use crate::error::Error;
use crate::output::{Output, Page, Paint, Style};
use crate::table::{Cell, Table, left, right};
use crate::text;

/// Routes that are aligned together; a full table is too long to wait for its end.
const PART: usize = 1000;

/// One route.
#[derive(Debug, Serialize)]
struct Row {
    vrf: String,
    prefix: String,
    owner: String,
    active: bool,
    nexthops: Vec<Nexthop>,
}

/// One way of a route.
#[derive(Debug, Serialize)]
struct Nexthop {
    kind: String,
    gateway: Option<String>,
    interface: Option<String>,
    mac: Option<String>,
    vrf: Option<String>,
    mtu_bytes: u32,
    backup: Option<u32>,
    backup_in_force: bool,
    /// What takes its place while it can not be used, the first to be used first.
    backups: Vec<Nexthop>,
    /// Packets take it now.
    in_force: bool,
    weight: u32,
    tx_packets: u64,
    tx_bytes: u64,
    index: u32,
}

/// Prints routes as they come, a full table in parts.
///
/// # Errors
/// When the daemon refuses or goes, or nobody reads any more.
pub(super) async fn stream(client: &mut Client, args: &RoutesArgs, out: &mut Output) -> Result<(), Error> {
    let mut routes = answer(client.list_routes(request(args))).await?;
    let mut table = table();
    let mut count = 0_u64;
    while let Some(entry) = routes.message().await? {
        if !wanted(args, &entry) {
            continue;
        }
        let row = row(&entry);
        count += 1;
        match out.format {
            Format::Json => {
                out.text(if count == 1 { "[\n" } else { ",\n" })?;
                out.text(&serde_json::to_string(&row)?)?;
            }
            Format::Table => add(&mut table, &row),
        }
        if table.len() >= PART {
            out.text(&table.render(out.paint))?;
        }
    }
    let rest = match (out.format, count) {
        (Format::Json, 0) => "[]\n".to_owned(),
        (Format::Json, _) => "\n]\n".to_owned(),
        (Format::Table, 0) => nothing(args),
        (Format::Table, _) => table.render(out.paint),
    };
    out.text(&rest)?;
    out.flush()
}

/// All routes as one page, to be shown again and again.
///
/// # Errors
/// When the daemon refuses or goes.
pub(super) async fn whole(client: &mut Client, args: &RoutesArgs, paint: Paint) -> Result<Page, Error> {
    let mut routes = answer(client.list_routes(request(args))).await?;
    let (mut rows, mut table) = (Vec::new(), table());
    while let Some(entry) = routes.message().await? {
        if wanted(args, &entry) {
            let row = row(&entry);
            add(&mut table, &row);
            rows.push(row);
        }
    }
    let text = if rows.is_empty() { nothing(args) } else { table.render(paint) };
    Page::new(&rows, text)
}

/// The way of one destination, or of one flow.
#[derive(Debug, Serialize)]
struct Lookup {
    #[serde(flatten)]
    route: Row,
    group: Option<Group>,
    /// Index of the nexthop that the flow takes.
    chosen: Option<u32>,
    flow_hash: Option<u32>,
    /// Routes in other VRFs that this one leads to, one after the other.
    further: Vec<Row>,
    /// Index of the nexthop that carries the flow's packets now: the chosen one, or a backup of it.
    carried_by: Option<u32>,
    /// Why packets are dropped though there is a route.
    dropped: Option<String>,
}

/// No route is asked.
#[derive(Debug, Serialize)]
struct Instead<'a> {
    instead: &'a str,
}

#[derive(Debug, Serialize)]
struct Group {
    /// Text, because it does not fit the numbers that JSON's readers have.
    key: String,
    members: usize,
    buckets: u32,
    resilient: bool,
    symmetric: bool,
}

/// The way of one destination.
///
/// # Errors
/// When it can not be serialized.
pub(super) fn lookup_page(args: &RouteArgs, reply: &LookupRouteReply, paint: Paint) -> Result<Page, Error> {
    let RouteArgs { address, vrf, from, .. } = args;
    if !reply.instead.is_empty() {
        let text = format!("{}\n", text::clean(&reply.instead));
        return Page::new(&Instead { instead: &reply.instead }, text);
    }
    let Some(entry) = &reply.route else {
        return Page::new(
            &None::<Row>,
            format!("No route leads to {address} in VRF {vrf}: its packets are dropped (no_route).\n"),
        );
    };
    let (first, further): (_, Vec<_>) = (row(entry), reply.further.iter().map(row).collect());
    let mut table = table();
    add(&mut table, &first);
    further.iter().for_each(|row| add(&mut table, row));
    let last = reply.further.last().unwrap_or(entry);
    let flow_hash = from.filter(|_| last.group.is_some()).map(|_| reply.flow_hash);
    let taken = last.nexthops.iter().find(|state| state.index == reply.chosen).map(nexthop);
    let dropped = text::some(&reply.dropped);
    let words = words(last, taken.as_ref(), dropped.as_deref(), flow_hash);
    let gap = if words.is_empty() { "" } else { "\n" };
    let text = format!("{}{gap}{words}", table.render(paint));
    let group = last.group.as_ref().map(|group| Group {
        key: group.key.to_string(),
        members: last.nexthops.len(),
        buckets: group.buckets,
        resilient: group.resilient,
        symmetric: group.symmetric,
    });
    let chosen = (reply.chosen != 0).then_some(reply.chosen);
    let carried_by = taken.filter(|_| dropped.is_none()).map(|taken| carrier(&taken).index);
    Page::new(&Lookup { route: first, group, chosen, flow_hash, further, carried_by, dropped }, text)
}

/// What the table does not say: the group, the member of the flow, its adjacency and what it has carried.
fn words(
    entry: &RouteEntry,
    taken: Option<&Nexthop>,
    dropped: Option<&str>,
    flow_hash: Option<u32>,
) -> String {
    let mut out = String::new();
    if let Some(group) = &entry.group {
        let mut how = format!("of {} nexthops", entry.nexthops.len());
        how += &format!(", {} buckets", group.buckets);
        how += if group.resilient { ", resilient" } else { "" };
        how += if group.symmetric { ", symmetric" } else { "" };
        out += &format!("  group      {how}\n");
    }
    if let Some(hash) = flow_hash {
        out += &format!("  flow       hash {hash:#010x}\n");
    }
    let Some(nexthop) = taken else {
        if entry.nexthops.len() > 1 {
            out += "  nexthop    depends on the flow: --from ADDRESS says which\n";
        }
        return out;
    };
    let carrier = carrier(nexthop);
    let [way, ..] = way(nexthop, false);
    let instead = if nexthop.in_force { "" } else { "; a backup carries its packets" };
    out += &format!("  nexthop    number {}, {}{instead}\n", nexthop.index, way.text());
    if let Some(reason) = dropped {
        out += &format!("  dropped    {reason}: that VRF does not lead it on\n");
    }
    if let (Some(mac), Some(interface)) = (&carrier.mac, &carrier.interface) {
        out += &format!("  adjacency  {mac} on {interface}, packets up to {} bytes\n", carrier.mtu_bytes);
    }
    for backup in &nexthop.backups {
        let in_force = match (backup.in_force, backup.kind.as_str()) {
            (true, _) => "in force",
            (false, "unresolved") => "not ready",
            (false, _) => "armed",
        };
        let [way, ..] = self::way(backup, false);
        let on = backup.interface.as_ref().map(|name| format!(" on {name}")).unwrap_or_default();
        out += &format!("  backup     number {}, {}{on}, {in_force}\n", backup.index, way.text());
    }
    let (packets, bytes) = (units::count(nexthop.tx_packets), units::bytes(nexthop.tx_bytes));
    out + &format!("  sent       {packets} packets, {bytes}\n")
}

/// The nexthop that carries packets now: this one, or its backup that is in force.
fn carrier(taken: &Nexthop) -> &Nexthop {
    taken.backups.iter().find(|backup| backup.in_force).unwrap_or(taken)
}

fn request(args: &RoutesArgs) -> ListRoutesRequest {
    let family = if args.ip4 {
        4
    } else if args.ip6 {
        6
    } else {
        0
    };
    ListRoutesRequest { vrf: args.vrf.clone().unwrap_or_default(), family }
}

fn wanted(args: &RoutesArgs, entry: &RouteEntry) -> bool {
    args.owner.as_ref().is_none_or(|owner| *owner == entry.owner)
}

fn nothing(args: &RoutesArgs) -> String {
    let narrowed = args.vrf.is_some() || args.ip4 || args.ip6 || args.owner.is_some();
    if narrowed { "No such routes.\n".to_owned() } else { "There are no routes.\n".to_owned() }
}

fn row(entry: &RouteEntry) -> Row {
    Row {
        vrf: if entry.vrf.is_empty() { "default".to_owned() } else { entry.vrf.clone() },
        prefix: text::prefix(&entry.prefix, entry.prefix_len),
        owner: entry.owner.clone(),
        active: entry.active,
        nexthops: entry.nexthops.iter().map(nexthop).collect(),
    }
}

fn nexthop(state: &NexthopState) -> Nexthop {
    let traffic = state.traffic.unwrap_or_default();
    Nexthop {
        kind: state.kind.clone(),
        gateway: text::address(&state.gateway),
        interface: text::some(&state.interface),
        mac: text::mac(&state.mac),
        vrf: text::some(&state.vrf),
        mtu_bytes: state.mtu,
        backup: (state.backup != 0).then_some(state.backup),
        backup_in_force: state.backup_in_force,
        backups: state.backups.iter().map(backup).collect(),
        in_force: !state.backup_in_force,
        weight: state.weight,
        tx_packets: traffic.packets,
        tx_bytes: traffic.bytes,
        index: state.index,
    }
}

fn backup(state: &NexthopState) -> Nexthop {
    Nexthop { in_force: state.in_force, ..nexthop(state) }
}

fn table() -> Table {
    Table::new(&[
        left(" "),
        left("PREFIX"),
        left("VRF"),
        left("OWNER"),
        left("WAY"),
        left("INTERFACE"),
        left("MAC"),
        right("WEIGHT"),
        right("PACKETS"),
    ])
}

fn add(table: &mut Table, row: &Row) {
    let mark = if row.active { "*" } else { " " };
    let mut head: Vec<Cell> =
        vec![mark.into(), row.prefix.as_str().into(), row.vrf.as_str().into(), row.owner.as_str().into()];
    if row.nexthops.is_empty() {
        head.push(Cell::styled("none", Style::Warning));
        table.row(head);
        return;
    }
    let several = row.nexthops.len() > 1;
    for nexthop in &row.nexthops {
        let mut cells = std::mem::replace(&mut head, vec![Cell::default(); 4]);
        cells.extend(way(nexthop, several));
        table.row(cells);
        for backup in &nexthop.backups {
            let mut cells = vec![Cell::default(); 4];
            cells.extend(backup_way(backup));
            table.row(cells);
        }
    }
}

/// What a backup carries is counted at what it stands in for.
fn backup_way(backup: &Nexthop) -> Vec<Cell> {
    let [words, interface, mac, ..] = way(backup, false);
    let (mark, style) = if backup.in_force { (", in force", Style::Warning) } else { ("", Style::Plain) };
    vec![Cell::styled(format!("  else {}{mark}", words.text()), style), interface, mac]
}

fn way(nexthop: &Nexthop, several: bool) -> [Cell; 5] {
    let (words, style) = match (nexthop.kind.as_str(), &nexthop.gateway) {
        ("adjacency", Some(gateway)) => (format!("via {gateway}"), Style::Plain),
        ("adjacency", None) => ("neighbour".to_owned(), Style::Plain),
        ("unresolved", Some(gateway)) => (format!("via {gateway} (unresolved)"), Style::Warning),
        ("glean", _) => ("connected".to_owned(), Style::Plain),
        ("vrf", _) => (format!("VRF {}", nexthop.vrf.as_deref().unwrap_or_default()), Style::Plain),
        ("blackhole" | "unreachable" | "prohibit", _) => (nexthop.kind.clone(), Style::Warning),
        (kind, Some(gateway)) => (format!("via {gateway} ({kind})"), Style::Plain),
        (kind, None) => (kind.to_owned(), Style::Plain),
    };
    [
        Cell::styled(words, style),
        text::dash(nexthop.interface.as_deref()).into(),
        text::dash(nexthop.mac.as_deref()).into(),
        // One way of several has its share, the only one has all.
        if several { nexthop.weight.to_string().into() } else { Cell::default() },
        units::count(nexthop.tx_packets).into(),
    ]
}
