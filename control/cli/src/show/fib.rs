//! `ze show fib`: who programs the tables, how far behind it is, and what the tables hold.

use serde::Serialize;
use ze_proto::v1::{self, AuditReport, DivergenceKind, FibState, OwnerState};
use ze_tui::units;

use crate::error::Error;
use crate::output::{Page, Paint, Style};
use crate::table::{Cell, Table, left, right};

#[derive(Debug, Serialize)]
struct Fib<'a> {
    owners: Vec<Owner<'a>>,
    vrfs: Vec<Vrf<'a>>,
    nexthops: u64,
    nexthops_max: u64,
    groups: u64,
    groups_max: u64,
    table_bytes_max: u64,
    /// Only after an audit.
    tables: Option<Tables>,
}

#[derive(Debug, Serialize)]
struct Tables {
    checked_routes: u64,
    mended_routes: u64,
}

#[derive(Debug, Serialize)]
struct Vrf<'a> {
    name: &'a str,
    ip4_routes: u64,
    ip6_routes: u64,
    lookup_bytes: u64,
    writer_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Owner<'a> {
    name: &'a str,
    connected: bool,
    preference: u32,
    generation: u64,
    routes: u64,
    nexthops: u64,
    groups: u64,
    batches: u64,
    applied: u64,
    /// At this time.
    refused_now: u64,
    /// Each as often as it was tried.
    refused: u64,
    programming_lag_us: u64,
    programming_lag_max_us: u64,
    backlog: u64,
    audit: Option<Audit<'a>>,
}

#[derive(Debug, Serialize)]
struct Audit<'a> {
    /// Made because it was asked for now.
    is_new: bool,
    age_ms: u64,
    checked: u64,
    missing: u64,
    surplus: u64,
    different: u64,
    /// The first so many of them.
    divergences: Vec<Divergence<'a>>,
}

#[derive(Debug, Serialize)]
struct Divergence<'a> {
    path: &'a str,
    kind: &'static str,
    message: &'a str,
}

/// The page; after an audit with what it found.
///
/// # Errors
/// When it can not be serialized.
pub(super) fn page(state: &FibState, audited: bool, paint: Paint) -> Result<Page, Error> {
    let fib = Fib {
        owners: state.owners.iter().map(owner).collect(),
        vrfs: state.vrfs.iter().map(vrf).collect(),
        nexthops: state.nexthops,
        nexthops_max: state.nexthops_max,
        groups: state.groups,
        groups_max: state.groups_max,
        table_bytes_max: state.table_bytes_max,
        tables: audited.then_some(Tables { checked_routes: state.checked, mended_routes: state.mended }),
    };
    let text = if audited { audit_text(&fib, paint) } else { text(&fib, paint) };
    Page::new(&fib, text)
}

fn text(fib: &Fib<'_>, paint: Paint) -> String {
    let mut owners = Table::new(&[
        left("OWNER"),
        left("STREAM"),
        right("PREFERENCE"),
        right("ROUTES"),
        right("NEXTHOPS"),
        right("GROUPS"),
        right("REFUSED"),
        right("BACKLOG"),
        right("LAG"),
        right("LONGEST"),
        right("AUDIT"),
    ]);
    for owner in &fib.owners {
        owners.row([
            owner.name.into(),
            stream(owner),
            owner.preference.to_string().into(),
            units::count(owner.routes).into(),
            units::count(owner.nexthops).into(),
            units::count(owner.groups).into(),
            Cell::trouble(owner.refused_now),
            units::count(owner.backlog).into(),
            lag(owner.programming_lag_us).into(),
            lag(owner.programming_lag_max_us).into(),
            owner.audit.as_ref().map_or("-".to_owned(), |audit| format!("{} ago", age(audit.age_ms))).into(),
        ]);
    }
    let mut vrfs = Table::new(&[
        left("VRF"),
        right("IPv4 ROUTES"),
        right("IPv6 ROUTES"),
        right("LOOKUP MEMORY"),
        right("WRITER MEMORY"),
    ]);
    for vrf in &fib.vrfs {
        vrfs.row([
            vrf.name.into(),
            units::count(vrf.ip4_routes).into(),
            units::count(vrf.ip6_routes).into(),
            units::bytes(vrf.lookup_bytes).into(),
            units::bytes(vrf.writer_bytes).into(),
        ]);
    }
    let limits = format!(
        "{} of {} nexthops, {} of {} groups; the routes of a VRF and family may take {}\n",
        units::count(fib.nexthops),
        units::count(fib.nexthops_max),
        units::count(fib.groups),
        units::count(fib.groups_max),
        units::bytes(fib.table_bytes_max),
    );
    format!("{}\n{}\n{limits}", owners.render(paint), vrfs.render(paint))
}

fn audit_text(fib: &Fib<'_>, paint: Paint) -> String {
    let mut table = Table::new(&[
        left("COMPARED"),
        right("CHECKED"),
        right("MISSING"),
        right("SURPLUS"),
        right("DIFFERENT"),
        right("REFUSED"),
        left("VERDICT"),
    ]);
    if let Some(tables) = &fib.tables {
        table.row([
            "lookups with the books".into(),
            units::count(tables.checked_routes).into(),
            Cell::default(),
            Cell::default(),
            Cell::trouble(tables.mended_routes),
            Cell::default(),
            found(tables.mended_routes),
        ]);
    }
    for owner in &fib.owners {
        let compared = format!("the books with {}", owner.name);
        let figures = owner.audit.as_ref().map(|audit| {
            [
                units::count(audit.checked).into(),
                Cell::trouble(audit.missing),
                Cell::trouble(audit.surplus),
                Cell::trouble(audit.different),
            ]
        });
        let [checked, missing, surplus, different] = figures.unwrap_or_default();
        let refused = Cell::trouble(owner.refused_now);
        table.row([compared.as_str().into(), checked, missing, surplus, different, refused, verdict(owner)]);
    }
    format!("{}{}", table.render(paint), divergences_text(fib, paint))
}

/// What was found, object by object; nothing if nothing was.
fn divergences_text(fib: &Fib<'_>, paint: Paint) -> String {
    let mut table = Table::new(&[left("OWNER"), left("FOUND"), left("OBJECT"), left("WHAT")]);
    let mut untold = 0;
    for owner in &fib.owners {
        let Some(audit) = &owner.audit else { continue };
        for divergence in &audit.divergences {
            table.row([
                owner.name.into(),
                Cell::styled(divergence.kind, Style::Warning),
                divergence.path.into(),
                divergence.message.into(),
            ]);
        }
        untold +=
            (audit.missing + audit.surplus + audit.different).saturating_sub(audit.divergences.len() as u64);
    }
    if table.is_empty() {
        return String::new();
    }
    let more = if untold == 0 { String::new() } else { format!("and {} more\n", units::count(untold)) };
    format!("\n{}{more}", table.render(paint))
}

/// What the comparison that was asked for has come to; or why there is none, and from when the figures are.
fn verdict(owner: &Owner<'_>) -> Cell {
    match &owner.audit {
        Some(audit) if audit.is_new && owner.refused_now > 0 => {
            let words = format!("{} refused, see the log", units::count(owner.refused_now));
            Cell::styled(words, Style::Warning)
        }
        Some(audit) if audit.is_new => found(audit.missing + audit.surplus + audit.different),
        older => {
            let why = if owner.connected { "no answer" } else { "has no stream" };
            let since = older.as_ref().map(|audit| format!("; compared {} ago", age(audit.age_ms)));
            Cell::styled(format!("{why}{}", since.unwrap_or_default()), Style::Warning)
        }
    }
}

fn found(differences: u64) -> Cell {
    match differences {
        0 => Cell::styled("the same", Style::Plain),
        _ => Cell::styled("healed", Style::Warning),
    }
}

fn stream(owner: &Owner<'_>) -> Cell {
    if owner.connected { "open".into() } else { Cell::styled("none", Style::Warning) }
}

fn lag(us: u64) -> String {
    match us {
        0 => "-".to_owned(),
        us if us < 10_000 => format!("{us} µs"),
        us if us < 10_000_000 => format!("{} ms", us / 1000),
        us => format!("{} s", us / 1_000_000),
    }
}

fn age(ms: u64) -> String {
    units::duration(std::time::Duration::from_secs(ms / 1000))
}

fn vrf(vrf: &ze_proto::v1::VrfState) -> Vrf<'_> {
    Vrf {
        name: &vrf.name,
        ip4_routes: vrf.routes4,
        ip6_routes: vrf.routes6,
        lookup_bytes: vrf.lookup_bytes,
        writer_bytes: vrf.writer_bytes,
    }
}

fn owner(owner: &OwnerState) -> Owner<'_> {
    Owner {
        name: &owner.name,
        connected: owner.connected,
        preference: owner.preference,
        generation: owner.generation,
        routes: owner.routes,
        nexthops: owner.nexthops,
        groups: owner.groups,
        batches: owner.batches,
        applied: owner.applied,
        refused_now: owner.refused_now,
        refused: owner.refused,
        programming_lag_us: owner.lag_us,
        programming_lag_max_us: owner.lag_max_us,
        backlog: owner.backlog,
        audit: owner.audit.as_ref().map(|report| audit(owner, report)),
    }
}

fn audit<'a>(owner: &OwnerState, report: &'a AuditReport) -> Audit<'a> {
    Audit {
        is_new: owner.audit_is_new,
        age_ms: owner.audit_age_ms,
        checked: report.checked,
        missing: report.missing,
        surplus: report.surplus,
        different: report.different,
        divergences: report.divergences.iter().map(divergence).collect(),
    }
}

fn divergence(divergence: &v1::Divergence) -> Divergence<'_> {
    let kind = match divergence.kind() {
        DivergenceKind::Unspecified => "unknown",
        DivergenceKind::Missing => "missing",
        DivergenceKind::Surplus => "surplus",
        DivergenceKind::Different => "different",
    };
    Divergence { path: &divergence.path, kind, message: &divergence.message }
}
