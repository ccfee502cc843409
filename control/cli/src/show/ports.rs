//! `ze show ports`.

use serde::Serialize;
use ze_proto::v1::{LinkState, NamedCounter, PortState};
use ze_tui::units;

use super::interfaces::link_cell;
use crate::error::Error;
use crate::output::{Page, Paint, Style};
use crate::table::{Cell, Table, left, right};
use crate::text;

/// One port.
#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    device: &'a str,
    state: &'static str,
    message: Option<String>,
    driver: Option<String>,
    mac: Option<String>,
    mtu_bytes: u32,
    queues: u32,
    attach_mode: Option<String>,
    bind_modes: &'a [String],
    state_changes: u64,
    representor: bool,
    owner: &'a str,
    xdp: Vec<Counter<'a>>,
    #[serde(skip)]
    link: LinkState,
}

/// One counter with a name.
#[derive(Debug, Serialize)]
pub(super) struct Counter<'a> {
    name: &'a str,
    packets: u64,
    sentence: Option<String>,
}

impl<'a> From<&'a NamedCounter> for Counter<'a> {
    fn from(counter: &'a NamedCounter) -> Self {
        Self { name: &counter.name, packets: counter.value, sentence: text::some(&counter.sentence) }
    }
}

/// Network ports; with `all`, representors too.
pub(super) fn page(ports: &[PortState], all: bool, paint: Paint) -> Result<Page, Error> {
    let mut rows: Vec<Row<'_>> = ports.iter().filter(|p| all || !p.representor).map(row).collect();
    rows.sort_by_key(|r| (r.representor, r.name));
    let text =
        if rows.is_empty() { "No ports are configured.\n".to_owned() } else { table(&rows, all, paint) };
    Page::new(&rows, text)
}

fn row(port: &PortState) -> Row<'_> {
    Row {
        name: &port.name,
        device: if port.device.is_empty() { &port.name } else { &port.device },
        state: text::link(port.state()),
        message: text::some(&port.message),
        driver: text::some(&port.driver),
        mac: text::mac(&port.mac),
        mtu_bytes: port.mtu,
        queues: port.queues,
        attach_mode: text::some(&port.attach_mode),
        bind_modes: &port.bind_modes,
        state_changes: port.state_changes,
        representor: port.representor,
        owner: &port.owner,
        xdp: port.xdp.iter().map(Counter::from).collect(),
        link: port.state(),
    }
}

fn table(rows: &[Row<'_>], all: bool, paint: Paint) -> String {
    let mut table = Table::new(&[
        left("PORT"),
        left("DEVICE"),
        left("STATE"),
        left("DRIVER"),
        left("MAC"),
        right("MTU"),
        right("QUEUES"),
        left("XDP"),
        left("SOCKETS"),
        right("CHANGES"),
    ]);
    for row in rows {
        table.row([
            row.name.into(),
            row.device.into(),
            link_cell(row.link),
            text::dash(row.driver.as_deref()).into(),
            text::dash(row.mac.as_deref()).into(),
            row.mtu_bytes.to_string().into(),
            row.queues.to_string().into(),
            mode_cell(text::dash(row.attach_mode.as_deref())),
            modes(row.bind_modes).into(),
            units::count(row.state_changes).into(),
        ]);
    }
    let mut text = table.render(paint);
    for row in rows {
        if let Some(message) = &row.message {
            text += &paint.paint(Style::Warning, &format!("{}: {}", row.name, text::clean(message)));
            text.push('\n');
        }
    }
    text + &program(rows, all, paint)
}

fn mode_cell(mode: &str) -> Cell {
    Cell::styled(mode, if mode == "generic" { Style::Warning } else { Style::Plain })
}

/// `zero-copy`, or when queues differ, `copy 3, zero-copy 1`.
fn modes(modes: &[String]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for mode in modes {
        match counts.iter_mut().find(|(m, _)| m == mode) {
            Some((_, count)) => *count += 1,
            None => counts.push((mode, 1)),
        }
    }
    match counts.as_slice() {
        [] => "-".to_owned(),
        [(mode, _)] => (*mode).to_owned(),
        mixed => mixed.iter().map(|(mode, count)| format!("{mode} {count}")).collect::<Vec<_>>().join(", "),
    }
}

/// What the XDP programs did with frames.
fn program(rows: &[Row<'_>], all: bool, paint: Paint) -> String {
    let mut table = Table::new(&[left("PORT"), left("XDP PROGRAM"), right("FRAMES"), left("MEANING")]);
    for row in rows {
        for counter in row.xdp.iter().filter(|c| all || c.packets > 0) {
            let sentence = Cell::styled(counter.sentence.as_deref().unwrap_or_default(), Style::Dim);
            table.row([row.name.into(), counter.name.into(), units::count(counter.packets).into(), sentence]);
        }
    }
    if table.is_empty() { String::new() } else { format!("\n{}", table.render(paint)) }
}

#[cfg(test)]
mod tests {
    use super::modes;

    #[test]
    fn equal_modes_are_said_once_and_mixed_ones_counted() {
        let text = |m: &[&str]| modes(&m.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        assert_eq!(text(&[]), "-");
        assert_eq!(text(&["copy", "copy"]), "copy");
        assert_eq!(text(&["copy", "zero-copy", "copy"]), "copy 2, zero-copy 1");
    }
}
