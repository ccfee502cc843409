//! A line for each worker, and as many cards with history and gauges as there is room for.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{RenderDirection, Sparkline};

use crate::app::{App, History};
use crate::rates::{QueueRates, Rates, Verdict, WorkerRates};
use crate::theme::Theme;
use crate::units;
use crate::view::bar::bar;
use crate::view::grid::{Cell, Column, Grid, row};
use crate::view::maybe;

const COLUMNS: &[Column] = &[
    Column::number("W", 2, 0),
    Column::number("CORE", 4, 4),
    Column::number("RX pps", 7, 0),
    Column::number("TX pps", 7, 0),
    Column::number("RX bit/s", 8, 2),
    Column::number("TX bit/s", 8, 2),
    Column::number("DROP/S", 7, 3),
    Column::number("BATCH", 6, 5),
    Column::number("CYC/PKT", 7, 1),
    Column::number("IDLE", 6, 1),
    Column::number("POOL", 6, 6),
];

/// Title, history of two lines, and what keeps it busy.
const CARD_MIN_HEIGHT: u16 = 4;
/// A card is no better for being higher: history of four lines and twelve queues.
const CARD_MAX_HEIGHT: u16 = 18;
/// Two cards side by side from here on.
const TWO_CARDS_WIDTH: u16 = 120;
const SPARK_MAX_HEIGHT: u16 = 4;

pub(crate) fn draw(screen: &mut Frame<'_>, area: Rect, app: &App, rates: &Rates, theme: Theme) {
    let grid = Grid {
        columns: COLUMNS,
        rows: rates.workers.iter().map(|worker| worker_row(worker, theme)).collect(),
        empty: "no workers",
    };
    let wanted = rates.workers.len() as u16 + 1;
    // At least one card is worth more than many lines, if there is room for both.
    let table_height = wanted.min(area.height.saturating_sub(CARD_MIN_HEIGHT + 1).max(3)).min(area.height);
    grid.draw(screen, Rect { height: table_height, ..area }, app.scroll, theme);
    let taken = (table_height + 1).min(area.height);
    let below = Rect { y: area.y + taken, height: area.height - taken, ..area };
    cards(screen, below, app, rates, theme);
}

fn worker_row(worker: &WorkerRates, theme: Theme) -> Vec<Cell> {
    let busy = worker.idle_share.map(|idle| 1.0 - idle);
    let drops = if worker.drop_packets_per_s > 0.0 { theme.warning() } else { theme.dim() };
    let core = if worker.pinned { worker.core.to_string() } else { format!("{}?", worker.core) };
    let pool = if worker.pool_free_frames == 0 { theme.bad() } else { ratatui::style::Style::new() };
    vec![
        Cell::plain(worker.worker.to_string()),
        Cell::styled(core, if worker.pinned { theme.dim() } else { theme.warning() }),
        Cell::styled(units::rate(worker.rx_packets_per_s), theme.receive()),
        Cell::styled(units::rate(worker.tx_packets_per_s), theme.send()),
        Cell::styled(units::rate(worker.rx_bits_per_s), theme.receive()),
        Cell::styled(units::rate(worker.tx_bits_per_s), theme.send()),
        Cell::styled(units::rate(worker.drop_packets_per_s), drops),
        Cell::plain(maybe(worker.packets_per_batch, |p| format!("{p:.1}"))),
        Cell::plain(maybe(worker.cycles_per_packet, |c| format!("{c:.0}"))),
        Cell::styled(maybe(worker.idle_share, units::percent), theme.load(busy.unwrap_or(0.0))),
        Cell::styled(units::count(worker.pool_free_frames), pool),
    ]
}

fn cards(screen: &mut Frame<'_>, area: Rect, app: &App, rates: &Rates, theme: Theme) {
    let workers =
        rates.workers.get(app.scroll.min(rates.workers.len().saturating_sub(1))..).unwrap_or_default();
    for (place, worker) in places(area, workers).into_iter().zip(workers) {
        card(screen, place, worker, app.history.get(&worker.worker), theme);
    }
}

/// Where the cards go: as high as their queues ask for, while there is room.
fn places(area: Rect, workers: &[WorkerRates]) -> Vec<Rect> {
    let columns: u16 = if area.width >= TWO_CARDS_WIDTH && workers.len() > 1 { 2 } else { 1 };
    let rows = (workers.len() as u16).div_ceil(columns).max(1);
    let most = workers.iter().map(|w| w.queues.len() as u16).max().unwrap_or(0);
    let wanted = (SPARK_MAX_HEIGHT + 3 + most).min(CARD_MAX_HEIGHT);
    let height = (area.height / rows).clamp(CARD_MIN_HEIGHT, wanted.max(CARD_MIN_HEIGHT));
    let width = area.width / columns;
    let fitting = area.height / height * columns;
    let place = |n: u16| Rect {
        x: area.x + n % columns * width,
        y: area.y + n / columns * height,
        width: width.saturating_sub(columns - 1),
        height,
    };
    (0..fitting.min(workers.len() as u16)).map(place).collect()
}

fn card(screen: &mut Frame<'_>, area: Rect, worker: &WorkerRates, history: Option<&History>, theme: Theme) {
    screen.render_widget(card_title(worker, area.width, theme), row(area, 0));
    // Title, the busy gauge and a line of air below.
    let room = area.height.saturating_sub(3);
    let spark_height = room.saturating_sub(worker.queues.len() as u16).clamp(1, SPARK_MAX_HEIGHT);
    let spark = Rect { y: area.y + 1, height: spark_height, ..area }.intersection(area);
    draw_history(screen, spark, history, theme);
    let next = 1 + spark_height;
    screen.render_widget(busy_line(worker, area.width, theme), row(area, next));
    for (n, queue) in (1..).zip(worker.queues.iter().take(usize::from(area.height.saturating_sub(next + 1))))
    {
        screen.render_widget(queue_line(queue, area.width, theme), row(area, next + n));
    }
}

fn card_title<'a>(worker: &WorkerRates, width: u16, theme: Theme) -> Line<'a> {
    let title = format!("worker {} on core {} ", worker.worker, worker.core);
    let law = match worker.law.verdict {
        Verdict::Holds | Verdict::InFlight => Span::raw(""),
        Verdict::Broken => Span::styled(format!(" law broken by {} ", worker.law.difference()), theme.bad()),
    };
    let rule = "─".repeat(usize::from(width).saturating_sub(title.chars().count() + law.width()));
    Line::from(vec![Span::styled(title, theme.heading()), law, Span::styled(rule, theme.dim())])
}

/// Received packets a second over time, newest at the right.
fn draw_history(screen: &mut Frame<'_>, area: Rect, history: Option<&History>, theme: Theme) {
    const LABEL_WIDTH: u16 = 12;
    let Some(history) = history else { return };
    let label_width = LABEL_WIDTH.min(area.width);
    let rx = &history.rx_packets_per_s;
    let graph = Rect { x: area.x + label_width, width: area.width - label_width, ..area };
    let newest_first: Vec<u64> = rx.iter().rev().take(usize::from(graph.width)).copied().collect();
    let peak = newest_first.iter().copied().max().unwrap_or(0);
    let label = |text: String| Line::styled(text, theme.dim());
    screen.render_widget(
        label(format!("rx {}", units::rate(peak as f64))),
        row(Rect { width: label_width, ..area }, 0),
    );
    if area.height > 1 {
        screen.render_widget(label("peak pps".to_owned()), row(Rect { width: label_width, ..area }, 1));
    }
    let sparkline = Sparkline::default()
        .data(newest_first)
        .max(peak.max(1))
        .direction(RenderDirection::RightToLeft)
        .style(theme.receive());
    screen.render_widget(sparkline, graph);
}

fn busy_line<'a>(worker: &WorkerRates, width: u16, theme: Theme) -> Line<'a> {
    let busy = worker.idle_share.map_or(0.0, |idle| 1.0 - idle);
    let gauge = usize::from(width.saturating_sub(22)).min(40);
    Line::from(vec![
        Span::styled("busy        ", theme.dim()),
        Span::styled(bar(busy, gauge), theme.load(busy)),
        Span::raw(format!(" {}", units::percent(busy))),
    ])
}

/// `lan0:0  fill ██████ 1843/2048  tx ░░░░ 3`
fn queue_line<'a>(queue: &QueueRates, width: u16, theme: Theme) -> Line<'a> {
    let gauge = usize::from(width.saturating_sub(46) / 2).clamp(4, 20);
    let level = |frames: u64| {
        if queue.ring_size_frames == 0 { 0.0 } else { frames as f64 / queue.ring_size_frames as f64 }
    };
    let (fill, tx) = (level(queue.fill_level_frames), level(queue.tx_level_frames));
    let name: String = format!("{}:{}", queue.port, queue.queue).chars().take(11).collect();
    let mut spans = vec![
        Span::raw(format!("{name:<12}")),
        Span::styled("fill ", theme.dim()),
        Span::styled(bar(fill, gauge), theme.load(1.0 - fill)),
        Span::raw(format!(" {:<5}", queue.fill_level_frames)),
        Span::styled("tx ", theme.dim()),
        Span::styled(bar(tx, gauge), theme.load(tx)),
        Span::raw(format!(" {:<5}", queue.tx_level_frames)),
    ];
    if queue.fill_starved_per_s > 0.0 {
        spans.push(Span::styled(format!("STARVED {}/s", units::rate(queue.fill_starved_per_s)), theme.bad()));
    }
    Line::from(spans)
}
