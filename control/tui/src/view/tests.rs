use std::time::{Duration, Instant};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ze_proto::v1::Stats;

use super::*;
use crate::app::tests::live;
use crate::feed::Update;
use crate::rates::tests::stats;
use crate::run;

const PLAIN: Theme = Theme { color: false };

/// The page at the moment of the daemon's answer.
fn text(app: &App, width: u16, height: u16) -> String {
    run::text(app, PLAIN, (width, height), app.info.as_ref().map_or_else(Instant::now, |(_, at)| *at))
}

/// `ZE_UPDATE_GOLDEN=1` writes the snapshots anew; look at them before you keep them.
fn snapshot(name: &str, page: &str) {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/view/snapshots/{name}.txt"));
    if std::env::var_os("ZE_UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, page).unwrap();
    }
    assert_eq!(page, std::fs::read_to_string(&path).unwrap_or_default(), "{}:\n{page}", path.display());
}

#[test]
fn the_workers_view_shows_each_worker_with_its_figures() {
    let page = text(&live(View::Workers), 80, 24);
    snapshot("workers_80x24", &page);
}

#[test]
fn the_nodes_view_shows_cycles_and_ways_out() {
    let page = text(&live(View::Nodes), 80, 24);
    snapshot("nodes_80x24", &page);
}

#[test]
fn the_drops_view_shows_the_fastest_first() {
    let page = text(&live(View::Drops), 80, 24);
    snapshot("drops_80x24", &page);
}

#[test]
fn a_small_terminal_keeps_what_matters() {
    let page = text(&live(View::Workers), 40, 10);
    snapshot("workers_40x10", &page);
}

#[test]
fn no_size_of_terminal_panics() {
    for view in View::ALL {
        let mut app = live(view);
        for help in [false, true] {
            app.help = help;
            app.scroll = 100;
            for (width, height) in (0..=130).step_by(13).flat_map(|w| (0..=50).map(move |h| (w, h))) {
                let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
                terminal.draw(|screen| draw(screen, &app, PLAIN, Instant::now())).unwrap();
            }
        }
    }
}

#[test]
fn a_daemon_that_is_away_is_said_with_its_time_and_the_last_picture_stays() {
    let mut app = live(View::Workers);
    let now = Instant::now();
    app.update(Update::Away("Connection refused (os error 111)".into()), now);
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    terminal.draw(|screen| draw(screen, &app, PLAIN, now + Duration::from_secs(3))).unwrap();
    let page: String = terminal.backend().buffer().content().iter().map(|c| c.symbol()).collect();
    assert!(page.contains("daemon away since 3 s") && page.contains("worker 0 on core 1"), "{page}");
}

#[test]
fn a_broken_law_is_shouted() {
    let mut app = live(View::Workers);
    let mut broken = stats(3);
    if let Some(law) = &mut broken.workers[0].law {
        law.drop -= 1;
        law.rx += 9000;
    }
    app.update(Update::Stats(Box::new(broken)), Instant::now());
    assert!(text(&app, 80, 24).contains("LAW BROKEN by 9001"));
}

#[test]
fn before_the_first_sample_it_says_what_it_waits_for() {
    let mut app = App::new(View::Workers, Duration::from_secs(1));
    assert!(text(&app, 80, 24).contains("waiting for ze-fastpath"));
    app.update(Update::Away("No such file or directory (os error 2)".into()), Instant::now());
    assert!(text(&app, 80, 24).contains("no answer from ze-fastpath: No such file"));
    app.update(Update::Stats(Box::new(Stats { workers: vec![], ..stats(1) })), Instant::now());
    assert!(text(&app, 80, 24).contains("first sample taken"));
}

#[test]
fn help_is_over_the_picture() {
    let mut app = live(View::Workers);
    app.key(KeyEvent::new(KeyCode::Char('?'), KeyModifiers::NONE));
    assert!(text(&app, 80, 24).contains("longer or shorter interval"));
}

#[test]
fn columns_go_by_rank_and_the_first_rank_stays() {
    let columns = [
        Column::text("A", 10, 0),
        Column::text("B", 10, 2),
        Column::text("C", 10, 1),
        Column::text("D", 10, 2),
    ];
    assert_eq!(grid::chosen(&columns, 43), [0, 1, 2, 3]);
    assert_eq!(grid::chosen(&columns, 42), [0, 1, 2]);
    assert_eq!(grid::chosen(&columns, 31), [0, 2]);
    assert_eq!(grid::chosen(&columns, 5), [0]);
}

#[test]
fn the_time_that_the_daemon_runs_goes_on_while_it_is_there() {
    let mut app = live(View::Workers);
    let now = app.info.as_ref().unwrap().1;
    let title = |app: &App, now| {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|screen| draw(screen, app, PLAIN, now)).unwrap();
        let line: String =
            terminal.backend().buffer().content().iter().take(80).map(|c| c.symbol()).collect();
        line
    };
    assert!(title(&app, now + Duration::from_secs(60)).contains("up 2 min 5 s"));
    app.update(Update::Away("gone".into()), now);
    assert!(title(&app, now + Duration::from_secs(60)).contains("up 1 min 5 s"));
}
