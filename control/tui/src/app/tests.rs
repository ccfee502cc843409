use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ze_proto::v1::Stats;

use super::*;
use crate::rates::tests::stats;

/// A screen that has seen two samples.
pub(crate) fn live(view: View) -> App {
    let mut app = App::new(view, Duration::from_secs(1));
    let now = Instant::now();
    app.update(
        Update::Info(Box::new(Info { version: "0.1.0".into(), uptime_ms: 65_000, ..Info::default() })),
        now,
    );
    for s in 1..=2 {
        app.update(Update::Stats(Box::new(stats(s))), now);
    }
    app
}

fn press(app: &mut App, code: KeyCode) -> Action {
    app.key(KeyEvent::new(code, KeyModifiers::NONE))
}

#[test]
fn the_first_sample_has_no_rates_and_the_second_has() {
    let mut app = App::new(View::Workers, Duration::from_secs(1));
    app.update(Update::Stats(Box::new(stats(1))), Instant::now());
    assert_eq!(app.link, Link::Live);
    assert!(app.shown.as_ref().unwrap().rates.is_none());
    app.update(Update::Stats(Box::new(stats(2))), Instant::now());
    assert!(app.shown.as_ref().unwrap().rates.is_some());
    assert_eq!(app.history[&0].rx_packets_per_s, [1000]);
}

#[test]
fn a_daemon_that_is_away_is_away_since_the_first_failure() {
    let (mut app, start) = (live(View::Workers), Instant::now());
    app.update(Update::Away("refused".into()), start);
    app.update(Update::Away("no such file".into()), start + Duration::from_secs(3));
    assert_eq!(app.link, Link::Away { since: start, reason: "no such file".into() });
    app.update(Update::Stats(Box::new(stats(3))), start);
    assert_eq!(app.link, Link::Live);
}

#[test]
fn a_restarted_daemon_begins_anew_without_wild_rates() {
    let mut app = live(View::Workers);
    app.update(Update::Stats(Box::new(Stats { instance: 8, ..stats(1) })), Instant::now());
    assert!(app.shown.as_ref().unwrap().rates.is_none());
    app.update(Update::Stats(Box::new(Stats { instance: 8, ..stats(2) })), Instant::now());
    let rates = app.shown.as_ref().unwrap().rates.as_ref().unwrap();
    assert_eq!(rates.workers[0].rx_packets_per_s, 1000.0);
}

#[test]
fn a_paused_screen_holds_the_picture_but_remembers_the_history() {
    let mut app = live(View::Workers);
    press(&mut app, KeyCode::Char('p'));
    app.update(Update::Stats(Box::new(stats(3))), Instant::now());
    assert_eq!(app.shown.as_ref().unwrap().stats.at_ns, 2_000_000_000);
    assert_eq!(app.history[&0].rx_packets_per_s.len(), 2);
    press(&mut app, KeyCode::Char('p'));
    app.update(Update::Stats(Box::new(stats(4))), Instant::now());
    assert_eq!(app.shown.as_ref().unwrap().stats.at_ns, 4_000_000_000);
}

#[test]
fn keys_choose_views() {
    let mut app = live(View::Workers);
    for (code, view) in [
        (KeyCode::Char('4'), View::Drops),
        (KeyCode::Tab, View::Interfaces),
        (KeyCode::Tab, View::Workers),
        (KeyCode::BackTab, View::Interfaces),
        (KeyCode::Char('2'), View::Nodes),
    ] {
        assert_eq!(press(&mut app, code), Action::Redraw);
        assert_eq!(app.view, view);
    }
}

#[test]
fn plus_and_minus_walk_the_intervals_and_stop_at_the_ends() {
    let mut app = live(View::Workers);
    assert_eq!(press(&mut app, KeyCode::Char('+')), Action::Interval(Duration::from_secs(2)));
    assert_eq!(press(&mut app, KeyCode::Char('-')), Action::Interval(Duration::from_secs(1)));
    let steps = (0..10).filter(|_| press(&mut app, KeyCode::Char('-')) != Action::Redraw).count();
    assert_eq!((steps, app.interval), (3, Duration::from_millis(100)));
}

#[test]
fn q_escape_and_control_c_quit_and_help_closes_with_any_key() {
    let mut app = live(View::Workers);
    assert_eq!(press(&mut app, KeyCode::Char('q')), Action::Quit);
    assert_eq!(press(&mut app, KeyCode::Esc), Action::Quit);
    assert_eq!(app.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), Action::Quit);
    press(&mut app, KeyCode::Char('?'));
    assert!(app.help);
    assert_eq!(press(&mut app, KeyCode::Esc), Action::Redraw);
    assert!(!app.help);
}

#[test]
fn scrolling_stops_at_the_last_line_and_at_the_first() {
    let mut app = live(View::Workers);
    for _ in 0..5 {
        press(&mut app, KeyCode::Down);
    }
    assert_eq!(app.scroll, 1);
    press(&mut app, KeyCode::PageUp);
    assert_eq!(app.scroll, 0);
}

#[test]
fn w_walks_the_workers_and_comes_back_to_all() {
    let mut app = live(View::Nodes);
    let seen: Vec<_> = (0..4)
        .map(|_| {
            press(&mut app, KeyCode::Char('w'));
            app.worker
        })
        .collect();
    assert_eq!(seen, [Some(0), Some(1), None, Some(0)]);
}

#[test]
fn history_is_bounded() {
    let mut app = live(View::Workers);
    for s in 3..(HISTORY_MAX as u64 + 50) {
        app.update(Update::Stats(Box::new(stats(s))), Instant::now());
    }
    assert_eq!(app.history[&0].rx_packets_per_s.len(), HISTORY_MAX);
}
