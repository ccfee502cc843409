//! What the screen shows, and how samples and keys change it. No terminal and no clock: both are told.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ze_proto::v1::{Info, Stats};

use crate::feed::Update;
use crate::rates::Rates;

#[cfg(test)]
pub(crate) mod tests;

/// Samples of history that are kept: as wide as terminals get.
pub const HISTORY_MAX: usize = 512;
/// The intervals that `+` and `-` walk through.
const INTERVALS: [Duration; 7] = [
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// What is shown below the summary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// A line and a card for each worker.
    #[default]
    Workers,
    /// Nodes by the cycles that they take.
    Nodes,
    /// Ports and their queues.
    Ports,
    /// Drops by reason and port.
    Drops,
    /// Interfaces.
    Interfaces,
}

impl View {
    /// All views, in the order of their keys.
    pub const ALL: [Self; 5] = [Self::Workers, Self::Nodes, Self::Ports, Self::Drops, Self::Interfaces];

    /// Its name.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Workers => "Workers",
            Self::Nodes => "Nodes",
            Self::Ports => "Ports",
            Self::Drops => "Drops",
            Self::Interfaces => "Interfaces",
        }
    }

    fn stepped(self, step: usize) -> Self {
        let position = Self::ALL.iter().position(|v| *v == self).unwrap_or(0);
        Self::ALL.get((position + step) % Self::ALL.len()).copied().unwrap_or_default()
    }
}

/// The connection to the forwarding daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// Never connected so far.
    Connecting,
    /// Samples come in.
    Live,
    /// Lost, or never had.
    Away {
        /// Since when.
        since: Instant,
        /// Why, for people.
        reason: String,
    },
}

/// What a key asks of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing but drawing anew.
    Redraw,
    /// End.
    Quit,
    /// Ask for samples at another interval.
    Interval(Duration),
}

/// What was measured of one worker, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Packets received a second.
    pub rx_packets_per_s: VecDeque<u64>,
    /// Packets sent a second.
    pub tx_packets_per_s: VecDeque<u64>,
}

/// What is on the screen: the newest sample and the rates that lead to it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The newest sample.
    pub stats: Stats,
    /// Its rates; none at the first sample of an instance.
    pub rates: Option<Rates>,
}

/// The state of the screen.
#[derive(Clone, Debug)]
pub struct App {
    /// What is shown below the summary.
    pub view: View,
    /// Is the picture held?
    pub paused: bool,
    /// Is somebody there to press keys?
    pub interactive: bool,
    /// Is the help shown over it?
    pub help: bool,
    /// Time between samples.
    pub interval: Duration,
    /// Lines that are scrolled away.
    pub scroll: usize,
    /// Nodes of one worker only.
    pub worker: Option<u32>,
    /// The connection.
    pub link: Link,
    /// What the daemon said of itself, and when.
    pub info: Option<(Info, Instant)>,
    /// What is shown; none before the first sample.
    pub shown: Option<Shown>,
    /// History by worker.
    pub history: BTreeMap<u32, History>,
    latest: Option<Stats>,
}

impl App {
    /// A screen without samples.
    pub const fn new(view: View, interval: Duration) -> Self {
        Self {
            view,
            paused: false,
            interactive: true,
            help: false,
            interval,
            scroll: 0,
            worker: None,
            link: Link::Connecting,
            info: None,
            shown: None,
            history: BTreeMap::new(),
            latest: None,
        }
    }

    /// Takes news from the daemon.
    pub fn update(&mut self, update: Update, now: Instant) {
        match update {
            Update::Info(info) => self.info = Some((*info, now)),
            Update::Stats(stats) => self.sample(*stats),
            Update::Away(reason) => {
                let since = match self.link {
                    Link::Away { since, .. } => since,
                    Link::Connecting | Link::Live => now,
                };
                self.link = Link::Away { since, reason };
            }
        }
    }

    fn sample(&mut self, stats: Stats) {
        self.link = Link::Live;
        let rates = self.latest.as_ref().and_then(|older| Rates::between(older, &stats));
        if let Some(rates) = &rates {
            self.remember(rates);
        }
        if !self.paused {
            self.shown = Some(Shown { stats: stats.clone(), rates });
        }
        self.latest = Some(stats);
    }

    fn remember(&mut self, rates: &Rates) {
        for worker in &rates.workers {
            let history = self.history.entry(worker.worker).or_default();
            push(&mut history.rx_packets_per_s, worker.rx_packets_per_s);
            push(&mut history.tx_packets_per_s, worker.tx_packets_per_s);
        }
    }

    /// Takes a key.
    pub fn key(&mut self, key: KeyEvent) -> Action {
        if key.kind == KeyEventKind::Release {
            return Action::Redraw;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return if key.code == KeyCode::Char('c') { Action::Quit } else { Action::Redraw };
        }
        if self.help {
            self.help = false;
            return if key.code == KeyCode::Char('q') { Action::Quit } else { Action::Redraw };
        }
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Action::Quit,
            KeyCode::Char('?' | 'h') => self.help = true,
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Char('+' | '=') => return self.step_interval(true),
            KeyCode::Char('-') => return self.step_interval(false),
            KeyCode::Char('w') => self.next_worker(),
            KeyCode::Char(digit @ '1'..='5') => self.show(View::ALL[digit as usize - '1' as usize]),
            KeyCode::Tab | KeyCode::Right => self.show(self.view.stepped(1)),
            KeyCode::BackTab | KeyCode::Left => self.show(self.view.stepped(View::ALL.len() - 1)),
            KeyCode::Down | KeyCode::Char('j') => self.scroll += 1,
            KeyCode::Up | KeyCode::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::PageDown => self.scroll += 10,
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(10),
            KeyCode::Home => self.scroll = 0,
            _ => {}
        }
        // The view stops at its last line; what is beyond would have to be scrolled back.
        self.scroll = self.scroll.min(crate::view::lines(self).saturating_sub(1));
        Action::Redraw
    }

    fn show(&mut self, view: View) {
        self.view = view;
        self.scroll = 0;
    }

    fn step_interval(&mut self, longer: bool) -> Action {
        let next = if longer {
            INTERVALS.iter().find(|i| **i > self.interval)
        } else {
            INTERVALS.iter().rev().find(|i| **i < self.interval)
        };
        let Some(next) = next else { return Action::Redraw };
        self.interval = *next;
        Action::Interval(*next)
    }

    fn next_worker(&mut self) {
        let numbers: Vec<u32> = self.history.keys().copied().collect();
        self.worker = match self.worker {
            None => numbers.first().copied(),
            Some(current) => numbers.into_iter().find(|n| *n > current),
        };
        self.scroll = 0;
    }
}

fn push(history: &mut VecDeque<u64>, value: f64) {
    if history.len() == HISTORY_MAX {
        history.pop_front();
    }
    history.push_back(value.round() as u64);
}
