//! `ze show vrfs`.

use serde::Serialize;
use ze_proto::v1::VrfState;
use ze_tui::units;

use crate::error::Error;
use crate::output::{Page, Paint};
use crate::table::{Table, left, right};
use crate::text;

/// One VRF.
#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    owner: Option<String>,
    ip4_routes: u64,
    ip6_routes: u64,
    lookup_bytes: u64,
    writer_bytes: u64,
    namespace: &'a str,
}

/// All VRFs.
pub(super) fn page(vrfs: &[VrfState], paint: Paint) -> Result<Page, Error> {
    let rows: Vec<Row<'_>> = vrfs.iter().map(row).collect();
    let mut table = Table::new(&[
        left("VRF"),
        right("IPv4 ROUTES"),
        right("IPv6 ROUTES"),
        right("LOOKUP MEMORY"),
        right("WRITER MEMORY"),
        left("NAMESPACE"),
        left("OWNER"),
    ]);
    for row in &rows {
        table.row([
            row.name.into(),
            units::count(row.ip4_routes).into(),
            units::count(row.ip6_routes).into(),
            units::bytes(row.lookup_bytes).into(),
            units::bytes(row.writer_bytes).into(),
            row.namespace.into(),
            text::dash(row.owner.as_deref()).into(),
        ]);
    }
    Page::new(&rows, table.render(paint))
}

fn row(vrf: &VrfState) -> Row<'_> {
    Row {
        name: &vrf.name,
        owner: text::some(&vrf.owner),
        ip4_routes: vrf.routes4,
        ip6_routes: vrf.routes6,
        lookup_bytes: vrf.lookup_bytes,
        writer_bytes: vrf.writer_bytes,
        namespace: &vrf.namespace,
    }
}
