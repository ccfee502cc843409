//! Drives the screen on a terminal, or once on paper.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossterm::event::{self, Event};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use tokio::sync::{mpsc, watch};
use ze_proto::endpoint::Address;

use crate::app::{Action, App, View};
use crate::feed::{self, Update};
use crate::theme::Theme;
use crate::view;

/// Between two drawings without news, so that "away since 3 s" counts on.
const TICK: Duration = Duration::from_millis(500);
/// How long the key reader may take to see that it is over.
const KEY_POLL: Duration = Duration::from_millis(100);
/// Updates and keys that wait to be drawn.
const QUEUE_MAX: usize = 64;

/// What `run` and `once` are told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the daemon is.
    pub daemon: Address,
    /// Time between samples.
    pub interval: Duration,
    /// What is shown at first.
    pub view: View,
    /// Colours or not.
    pub theme: Theme,
}

/// Shows the live screen until the operator quits. The terminal is as before afterwards, also after a panic.
///
/// # Errors
/// When the terminal can not be used.
pub async fn run(options: Options) -> io::Result<()> {
    let (interval, wanted) = watch::channel(options.interval);
    let (updates, mut news) = mpsc::channel(QUEUE_MAX);
    let feed = tokio::spawn(feed::feed(options.daemon, wanted, updates));
    // Sets a panic hook, too, that restores the terminal before the message is written.
    let mut terminal = ratatui::try_init()?;
    let _restored = Restore;
    let mut keys = Keys::start();
    let mut app = App::new(options.view, options.interval);
    let mut ends = Ends::listen()?;
    loop {
        terminal.draw(|frame| view::draw(frame, &app, options.theme, Instant::now()))?;
        tokio::select! {
            Some(update) = news.recv() => app.update(update, Instant::now()),
            event = keys.events.recv() => match event {
                Some(Event::Key(key)) => match app.key(key) {
                    Action::Redraw => {}
                    Action::Quit => break,
                    Action::Interval(chosen) => _ = interval.send(chosen),
                },
                Some(_) => {}
                // Nobody can press `q` any more.
                None => break,
            },
            () = ends.next() => break,
            () = tokio::time::sleep(TICK) => {}
        }
    }
    feed.abort();
    Ok(())
}

/// Two samples, drawn once as text of this size.
///
/// # Errors
/// When the daemon does not answer; the text says why.
pub async fn once(options: Options, width: u16, height: u16) -> Result<String, String> {
    let (_interval, wanted) = watch::channel(options.interval);
    let (updates, mut news) = mpsc::channel(QUEUE_MAX);
    let feed = tokio::spawn(feed::feed(options.daemon, wanted, updates));
    let mut app = App::new(options.view, options.interval);
    app.interactive = false;
    while app.shown.as_ref().is_none_or(|shown| shown.rates.is_none()) {
        match news.recv().await {
            Some(Update::Away(reason)) => return Err(reason),
            Some(update) => app.update(update, Instant::now()),
            None => return Err("the feed ended".to_owned()),
        }
    }
    feed.abort();
    Ok(text(&app, options.theme, (width, height), Instant::now()))
}

/// The screen as text, without what is empty at the end of lines and of the page.
pub(crate) fn text(app: &App, theme: Theme, (width, height): (u16, u16), now: Instant) -> String {
    let Ok(mut terminal) = Terminal::new(TestBackend::new(width, height));
    let Ok(_) = terminal.draw(|frame| view::draw(frame, app, theme, now));
    let buffer = terminal.backend().buffer();
    let cells: Vec<&str> = buffer.content().iter().map(|cell| cell.symbol()).collect();
    let lines: Vec<String> =
        cells.chunks(usize::from(width.max(1))).map(|line| line.concat().trim_end().to_owned()).collect();
    lines.join("\n").trim_end().to_owned() + "\n"
}

/// Gives the terminal back.
struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Reads keys on a thread of its own, because the terminal is read with blocking calls.
struct Keys {
    events: mpsc::Receiver<Event>,
    over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Keys {
    fn start() -> Self {
        let (sender, events) = mpsc::channel(QUEUE_MAX);
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                let event = match event::poll(KEY_POLL) {
                    Ok(true) => event::read(),
                    Ok(false) => continue,
                    Err(error) => Err(error),
                };
                let Ok(event) = event else { return };
                if sender.blocking_send(event).is_err() {
                    return;
                }
            }
        });
        Self { events, over, thread: Some(thread) }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.events.close();
        if let Some(thread) = self.thread.take() {
            // It ends within KEY_POLL; a panic of it was shown already.
            _ = thread.join();
        }
    }
}

/// The signals that ask a program to end.
struct Ends {
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

impl Ends {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, hang_up: signal(SignalKind::hangup())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
