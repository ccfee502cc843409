//! `ze show interfaces`.

use serde::Serialize;
use ze_proto::v1::{InterfaceState, LinkState, Traffic};
use ze_tui::rates::{InterfaceRates, Rates};
use ze_tui::units;

use crate::error::Error;
use crate::output::{Page, Paint, Style};
use crate::table::{Cell, Column, Table, left, right};
use crate::text;

/// One interface.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    state: &'static str,
    admin_down: bool,
    message: Option<String>,
    port: String,
    vlan: Option<u32>,
    vrf: String,
    description: Option<String>,
    mtu_bytes: u32,
    mac: Option<String>,
    addresses: Vec<String>,
    link_local: Option<String>,
    namespace: String,
    owner: String,
    rx_packets: u64,
    rx_bytes: u64,
    tx_packets: u64,
    tx_bytes: u64,
    punt_packets: u64,
    punt_bytes: u64,
    inject_packets: u64,
    inject_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rates: Option<InterfaceRates>,
}

/// All interfaces, or one.
///
/// # Errors
/// When there is none of that name.
pub(super) fn page(
    interfaces: &[InterfaceState],
    name: Option<&str>,
    rates: Option<&Rates>,
    paint: Paint,
) -> Result<Page, Error> {
    let mut rows: Vec<Row> = interfaces.iter().map(|i| row(i, rates)).collect();
    if let Some(name) = name {
        rows.retain(|row| row.name == name);
        if rows.is_empty() {
            let names: Vec<_> =
                interfaces.iter().filter_map(|i| i.interface.as_ref()).map(|i| i.name.as_str()).collect();
            return Err(Error::new(
                format!("there is no interface '{name}'"),
                format!("There are: {}.", names.join(", ")),
            ));
        }
    }
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    let text = if rows.is_empty() {
        "No interfaces are configured.\n".to_owned()
    } else {
        table(&rows, rates.is_some(), paint)
    };
    Page::new(&rows, text)
}

fn row(state: &InterfaceState, rates: Option<&Rates>) -> Row {
    let interface = state.interface.clone().unwrap_or_default();
    let traffic = |t: Option<Traffic>| t.map_or((0, 0), |t| (t.packets, t.bytes));
    let (rx, tx) = (traffic(state.rx), traffic(state.tx));
    let (punt, inject) = (traffic(state.punt), traffic(state.inject));
    let now = rates.and_then(|r| r.interfaces.iter().find(|i| i.interface == interface.name));
    Row {
        state: text::link(state.state()),
        admin_down: interface.admin_down,
        message: text::some(&state.message),
        vlan: Some(interface.vlan).filter(|v| *v != 0),
        vrf: if interface.vrf.is_empty() { "default".to_owned() } else { interface.vrf },
        description: text::some(&interface.description),
        mtu_bytes: state.mtu,
        mac: text::mac(&state.mac),
        addresses: state.addresses.iter().map(|a| text::prefix(&a.address, a.prefix_len)).collect(),
        link_local: text::address(&state.link_local),
        namespace: state.namespace.clone(),
        owner: state.owner.clone(),
        rx_packets: rx.0,
        rx_bytes: rx.1,
        tx_packets: tx.0,
        tx_bytes: tx.1,
        punt_packets: punt.0,
        punt_bytes: punt.1,
        inject_packets: inject.0,
        inject_bytes: inject.1,
        rates: now.cloned(),
        name: interface.name,
        port: interface.port,
    }
}

const FIRST: [Column; 6] =
    [left("INTERFACE"), left("STATE"), left("PORT"), left("VRF"), right("MTU"), left("ADDRESS")];
const TOTALS: [Column; 6] =
    [right("RX"), right("RX BYTES"), right("TX"), right("TX BYTES"), right("PUNT"), right("INJECT")];
const RATES: [Column; 6] = [
    right("RX pps"),
    right("RX bit/s"),
    right("TX pps"),
    right("TX bit/s"),
    right("PUNT/s"),
    right("INJECT/s"),
];

fn table(rows: &[Row], with_rates: bool, paint: Paint) -> String {
    let mut table = Table::new(&[FIRST, if with_rates { RATES } else { TOTALS }].concat());
    for row in rows {
        table.row([first(row), if with_rates { now(row) } else { totals(row) }].concat());
        // Further addresses, and what is wrong, stand below.
        for address in row.addresses.iter().skip(1).chain(&row.link_local) {
            let mut cells = vec![Cell::default(); FIRST.len() - 1];
            cells.push(address.into());
            table.row(cells);
        }
    }
    let mut text = table.render(paint);
    for row in rows {
        if let Some(message) = &row.message {
            text += &paint.paint(Style::Warning, &format!("{}: {}", row.name, text::clean(message)));
            text.push('\n');
        }
    }
    text
}

fn first(row: &Row) -> Vec<Cell> {
    let port = row.vlan.map_or_else(|| row.port.clone(), |vlan| format!("{} vlan {vlan}", row.port));
    let address = row.addresses.first().map_or("-", String::as_str);
    let mtu = row.mtu_bytes.to_string();
    vec![
        row.name.as_str().into(),
        state(row),
        port.into(),
        row.vrf.as_str().into(),
        mtu.into(),
        address.into(),
    ]
}

fn totals(row: &Row) -> Vec<Cell> {
    vec![
        units::count(row.rx_packets).into(),
        units::bytes(row.rx_bytes).into(),
        units::count(row.tx_packets).into(),
        units::bytes(row.tx_bytes).into(),
        units::count(row.punt_packets).into(),
        units::count(row.inject_packets).into(),
    ]
}

fn now(row: &Row) -> Vec<Cell> {
    let Some(now) = &row.rates else { return vec![Cell::from("-"); RATES.len()] };
    [
        now.rx_packets_per_s,
        now.rx_bits_per_s,
        now.tx_packets_per_s,
        now.tx_bits_per_s,
        now.punt_packets_per_s,
        now.inject_packets_per_s,
    ]
    .map(|figure| units::rate(figure).into())
    .to_vec()
}

fn state(row: &Row) -> Cell {
    if row.admin_down { Cell::styled("admin down", Style::Dim) } else { link_cell_named(row.state) }
}

/// A state with its colour.
pub(super) fn link_cell(state: LinkState) -> Cell {
    link_cell_named(text::link(state))
}

fn link_cell_named(state: &str) -> Cell {
    let style = match state {
        "up" => Style::Good,
        "down" | "unknown" => Style::Warning,
        _ => Style::Bad,
    };
    Cell::styled(state, style)
}
