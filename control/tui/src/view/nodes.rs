//! Nodes, those that take the most cycles first.

use std::collections::HashMap;

use crate::app::App;
use crate::rates::{ExitRate, NodeRates, Rates};
use crate::theme::Theme;
use crate::units;
use crate::view::bar::bar;
use crate::view::grid::{Cell, Column, Grid};
use crate::view::maybe;

const COLUMNS: &[Column] = &[
    Column::text("NODE", 16, 0),
    Column::number("CYCLES", 7, 1),
    Column::text("", 10, 4),
    Column::number("CYC/PKT", 7, 0),
    Column::number("PKT/S", 8, 0),
    Column::number("PKT/BATCH", 9, 3),
    Column::text("LEAVES BY", 24, 2),
];

pub(crate) fn grid(app: &App, rates: &Rates, theme: Theme) -> Grid {
    let nodes = summed(rates, app.worker);
    let total: f64 = nodes.iter().map(|n| n.cycles_per_s).sum();
    let rows =
        nodes.iter().map(|node| row(node, if total > 0.0 { node.cycles_per_s / total } else { 0.0 }, theme));
    Grid { columns: COLUMNS, rows: rows.collect(), empty: "no node took a packet so far" }
}

fn row(node: &NodeRates, share: f64, theme: Theme) -> Vec<Cell> {
    let style = if node.packets_per_s > 0.0 { ratatui::style::Style::new() } else { theme.dim() };
    vec![
        Cell::styled(&node.node, style),
        Cell::styled(units::percent(share), style),
        Cell::styled(bar(share, 10), theme.receive()),
        Cell::styled(maybe(node.cycles_per_packet, |c| format!("{c:.0}")), style),
        Cell::styled(units::rate(node.packets_per_s), style),
        Cell::styled(maybe(node.packets_per_batch, |p| format!("{p:.1}")), style),
        Cell::styled(exits(&node.exits, node.packets_per_s), style),
    ]
}

/// The exits that packets left by, the widest first: `ip4_rewrite 98 %  drop 2.0 %`.
fn exits(exits: &[ExitRate], packets_per_s: f64) -> String {
    let mut used: Vec<&ExitRate> = exits.iter().filter(|e| e.packets_per_s > 0.0).collect();
    used.sort_by(|a, b| b.packets_per_s.total_cmp(&a.packets_per_s));
    if let [only] = used.as_slice() {
        return only.exit.clone();
    }
    let words =
        used.iter().map(|e| format!("{} {}", e.exit, units::percent(e.packets_per_s / packets_per_s)));
    words.collect::<Vec<_>>().join("  ")
}

/// Nodes of one worker or summed over all, most cycles first.
fn summed(rates: &Rates, worker: Option<u32>) -> Vec<NodeRates> {
    let mut sums: HashMap<&str, NodeRates> = HashMap::new();
    for node in rates.workers.iter().filter(|w| worker.is_none_or(|n| n == w.worker)).flat_map(|w| &w.nodes) {
        let fresh = || NodeRates { node: node.node.clone(), ..NodeRates::default() };
        add(sums.entry(&node.node).or_insert_with(fresh), node);
    }
    let mut nodes: Vec<NodeRates> = sums.into_values().collect();
    nodes.sort_by(|a, b| b.cycles_per_s.total_cmp(&a.cycles_per_s).then_with(|| a.node.cmp(&b.node)));
    nodes
}

fn add(sum: &mut NodeRates, node: &NodeRates) {
    let batches = |n: &NodeRates| n.packets_per_batch.map_or(0.0, |fill| n.packets_per_s / fill);
    let all_batches = batches(sum) + batches(node);
    sum.packets_per_s += node.packets_per_s;
    sum.cycles_per_s += node.cycles_per_s;
    sum.packets_per_batch = (all_batches > 0.0).then(|| sum.packets_per_s / all_batches);
    sum.cycles_per_packet = (sum.packets_per_s > 0.0).then(|| sum.cycles_per_s / sum.packets_per_s);
    for exit in &node.exits {
        match sum.exits.iter_mut().find(|e| e.exit == exit.exit) {
            Some(same) => same.packets_per_s += exit.packets_per_s,
            None => sum.exits.push(exit.clone()),
        }
    }
}
