//! What stands around every view: title, summary, tabs and the line of keys.

use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use crate::app::{App, Link, View};
use crate::rates::{Rates, Verdict, WorkerRates};
use crate::theme::Theme;
use crate::units;
use crate::view::grid::row;

/// Terminals lower than this have no summary.
const SUMMARY_HEIGHT: u16 = 8;
/// Terminals lower than this have no line of keys.
const KEYS_HEIGHT: u16 = 6;

/// Draws the surroundings; returns the room for the view.
pub(crate) fn draw(screen: &mut Frame<'_>, area: Rect, app: &App, theme: Theme, now: Instant) -> Rect {
    let mut top = 0;
    let mut put = |screen: &mut Frame<'_>, line: Line<'_>| {
        screen.render_widget(line, row(area, top));
        top += 1;
    };
    put(screen, title(app, theme, now, area.width));
    if area.height >= SUMMARY_HEIGHT {
        put(screen, summary(app, theme, area.width));
    }
    put(screen, tabs(app, theme, area.width));
    let mut bottom = 0;
    if area.height >= KEYS_HEIGHT && app.interactive {
        screen.render_widget(keys(theme, area.width), row(area, area.height - 1));
        bottom = 1;
    }
    let height = area.height.saturating_sub(top + bottom);
    Rect { y: area.y + top.min(area.height), height, ..area }
}

/// Stands where the first sample will be.
pub(crate) fn placeholder(screen: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    let text = match &app.link {
        Link::Connecting | Link::Live => "waiting for ze-fastpath …".to_owned(),
        Link::Away { reason, .. } => format!("no answer from ze-fastpath: {reason}. Trying again …"),
    };
    screen.render_widget(Line::styled(text, theme.dim()), area);
}

fn title<'a>(app: &'a App, theme: Theme, now: Instant, width: u16) -> Line<'a> {
    let mut spans = vec![Span::styled("ze top", Style::new().add_modifier(Modifier::BOLD)), Span::raw("  ")];
    spans.push(state(app, theme, now));
    spans.push(Span::styled(format!("  every {}", units::duration(app.interval)), theme.dim()));
    if let Some((info, at)) = app.info.as_ref().filter(|_| width >= 60) {
        // It runs on while the screen is open, unless it is away.
        let since = if app.link == Link::Live { now.saturating_duration_since(*at) } else { Duration::ZERO };
        let up = units::duration(Duration::from_millis(info.uptime_ms) + since);
        spans.push(Span::styled(format!("  ze-fastpath {} up {up}", info.version), theme.dim()));
    }
    Line::from(spans)
}

fn state<'a>(app: &App, theme: Theme, now: Instant) -> Span<'a> {
    match (&app.link, app.paused) {
        (Link::Away { since, .. }, _) => {
            let since = units::duration(Duration::from_secs(now.saturating_duration_since(*since).as_secs()));
            let since = if since == "0 ms" { "0 s".to_owned() } else { since };
            Span::styled(format!("● daemon away since {since}"), theme.bad())
        }
        (Link::Connecting, _) => Span::styled("● connecting", theme.warning()),
        (Link::Live, true) => Span::styled("● PAUSED", theme.warning()),
        (Link::Live, false) => Span::styled("● live", theme.good()),
    }
}

fn summary<'a>(app: &App, theme: Theme, width: u16) -> Line<'a> {
    let Some(rates) = app.shown.as_ref().and_then(|shown| shown.rates.as_ref()) else {
        return Line::default();
    };
    let rate = |figure: fn(&WorkerRates) -> f64| units::rate(rates.total(figure));
    let bits = |figure| if width < 60 { String::new() } else { format!(" {}bit/s", rate(figure)) };
    let rx = format!("rx {}pps{}", rate(|w| w.rx_packets_per_s), bits(|w| w.rx_bits_per_s));
    let tx = format!("tx {}pps{}", rate(|w| w.tx_packets_per_s), bits(|w| w.tx_bits_per_s));
    let drops = super::drop_rate(rates);
    let drop_style = if drops > 0.0 { theme.warning() } else { theme.dim() };
    let mut spans = vec![Span::styled(rx, theme.receive()), Span::raw("  "), Span::styled(tx, theme.send())];
    spans.push(Span::styled(format!("  drop {}/s", units::rate(drops)), drop_style));
    if width >= 70 {
        spans.push(Span::raw("  "));
        spans.push(law(rates, theme));
    }
    Line::from(spans)
}

/// The worst verdict of all workers.
fn law<'a>(rates: &Rates, theme: Theme) -> Span<'a> {
    let broken = rates.workers.iter().filter(|w| w.law.verdict == Verdict::Broken);
    let lost: i64 = broken.clone().map(|w| w.law.difference()).sum();
    if broken.count() == 0 {
        return Span::styled("all accounted for", theme.good());
    }
    Span::styled(format!("LAW BROKEN by {lost}"), theme.bad())
}

fn tabs<'a>(app: &App, theme: Theme, width: u16) -> Line<'a> {
    let mut spans = Vec::new();
    for (number, view) in (1..).zip(View::ALL) {
        let title = match width {
            0..45 => view.title().chars().take(5).collect(),
            _ => view.title().to_owned(),
        };
        let style = if view == app.view { theme.chosen() } else { theme.dim() };
        spans.push(Span::styled(
            if width < 45 { format!("{number}{title}") } else { format!(" {number} {title} ") },
            style,
        ));
        spans.push(Span::raw(" "));
    }
    if let Some(worker) = app.worker.filter(|_| app.view == View::Nodes) {
        spans.push(Span::styled(format!("worker {worker} only"), theme.warning()));
    }
    Line::from(spans)
}

fn keys<'a>(theme: Theme, width: u16) -> Line<'a> {
    let text = if width < 70 {
        "q quit  tab view  p pause  ? help"
    } else {
        "q quit   tab 1-5 view   ↑↓ scroll   p pause   + - interval   w worker   ? help"
    };
    Line::styled(text, theme.dim())
}
