//! The loop that keeps configuration, engines, RIB and fast path together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use ze_config::{Document, difference};
use ze_engine::OwnedInput;
use ze_rib::dplane::{self, Desired, News as DplaneNews};
use ze_rib::rib::Problem;
use ze_rib::{Rib, Source};
use ze_static::{Command, Event, StaticEngine};

use crate::links::Links;
use crate::objects::{state, vrf_words};
use crate::tables::Tables;
use crate::{OWNER, verdict};

/// News of engines that may wait for us before the engines wait.
const ENGINE_NEWS_MAX: usize = 1024;

/// News of the fast path that may wait for us.
const DPLANE_NEWS_MAX: usize = 256;

/// Routes named one by one when many change their state at once.
const PROBLEMS_NAMED_MAX: usize = 10;

/// Where things are.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configuration.
    pub config: PathBuf,
    /// The fast path's socket.
    pub fastpath: PathBuf,
}

impl Options {
    fn dplane(&self) -> dplane::Options {
        dplane::Options { socket: self.fastpath.clone(), owner: OWNER.to_owned() }
    }
}

/// What the world asks of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Read the file again and apply what differs.
    Reload,
    /// End; the fast path goes on forwarding.
    Stop,
}

type EngineNews = ze_host::News<Event>;

/// Runs until it is asked to stop.
pub async fn run(options: Options, document: Document, mut requests: mpsc::Receiver<Request>) {
    let (news_sender, mut engine_news) = mpsc::channel(ENGINE_NEWS_MAX);
    let (port_sender, mut dplane_news) = mpsc::channel(DPLANE_NEWS_MAX);
    let engine = ze_host::spawn("static", StaticEngine::new, news_sender);
    let (desired, _) = watch::channel(Desired::default());
    let mut rib = Rib::new();
    rib.set_connected(Links::default().connected(&document.config));
    let mut daemon = Daemon {
        links: Links::default(),
        rib,
        tables: Tables::new(options.dplane()),
        engine,
        told: BTreeMap::new(),
        desired,
        unpublished: Some(port_sender),
        problems: BTreeSet::new(),
        configuring: true,
        dirty: true,
        routes_untold: true,
        reload: None,
        reload_again: false,
        document,
        options,
    };
    loop {
        daemon.tell_engine(&mut engine_news).await;
        daemon.publish();
        tokio::select! {
            request = requests.recv() => match request {
                Some(Request::Reload) => daemon.begin_reload(),
                Some(Request::Stop) | None => break,
            },
            Some(news) = engine_news.recv() => {
                daemon.engine_news(news);
                while let Ok(news) = engine_news.try_recv() {
                    daemon.engine_news(news);
                }
            }
            Some(news) = dplane_news.recv() => daemon.dplane_news(news),
            prepared = finished(&mut daemon.reload) => daemon.end_reload(prepared),
        }
    }
    tracing::info!("stopping; the fast path goes on forwarding");
}

struct Daemon {
    options: Options,
    /// What is in force.
    document: Document,
    links: Links,
    rib: Rib,
    tables: Tables,
    engine: ze_host::Handle<Command>,
    /// Links that the engine has been told.
    told: BTreeMap<Arc<str>, bool>,
    desired: watch::Sender<Desired>,
    /// Until the first state is whole, the dplane does not run: the end of its snapshot sweeps what is not there.
    unpublished: Option<mpsc::Sender<DplaneNews>>,
    problems: BTreeSet<Problem>,
    /// The engine has not yet told all that follows from the configuration; until then nothing is published.
    configuring: bool,
    /// Something has changed that is not published.
    dirty: bool,
    /// The engine is to be told the routes.
    routes_untold: bool,
    reload: Option<JoinHandle<anyhow::Result<Document>>>,
    /// A reload was asked for while one was going on.
    reload_again: bool,
}

/// The result of a task, and never if there is none.
async fn finished(task: &mut Option<JoinHandle<anyhow::Result<Document>>>) -> anyhow::Result<Document> {
    let Some(running) = task else { return std::future::pending().await };
    let result = running.await;
    *task = None;
    result?
}

impl Daemon {
    fn engine_news(&mut self, news: EngineNews) {
        match news {
            EngineNews::Event(Event::Route(update)) => self.dirty |= self.rib.update(Source::Static, update),
            EngineNews::Event(Event::Configured) => {
                self.rib.sweep(Source::Static);
                self.configuring = false;
                self.dirty = true;
            }
            EngineNews::Panicked(_) => {
                // Its routes stay in force until the new engine has told its own.
                self.rib.mark_stale(Source::Static);
                self.told.clear();
                self.configuring = true;
                self.routes_untold = true;
            }
        }
    }

    fn dplane_news(&mut self, news: DplaneNews) {
        match news {
            DplaneNews::Port(port) => self.port_news(&port),
        }
    }

    fn port_news(&mut self, port: &ze_proto::v1::PortState) {
        if !self.links.update(port) {
            return;
        }
        tracing::info!(port = port.name, state = port.state().as_str_name(), message = port.message, "port");
        self.rib.set_connected(self.links.connected(&self.document.config));
        self.dirty = true;
    }

    /// Tells the engine what it does not know: links first, so that routes are right from the start.
    async fn tell_engine(&mut self, news: &mut mpsc::Receiver<EngineNews>) {
        let engine = self.engine.clone();
        for (interface, up) in self.link_changes() {
            self.while_listening(news, engine.input(OwnedInput::Link { interface, up })).await;
        }
        if std::mem::take(&mut self.routes_untold) {
            let routes = Arc::clone(&self.document.config.routes);
            self.while_listening(news, engine.command(Command::Configure(routes))).await;
        }
    }

    /// Waits for `work`. The engine may wait for us to hear its news before it hears ours.
    async fn while_listening<W: Future>(&mut self, news: &mut mpsc::Receiver<EngineNews>, work: W) {
        tokio::pin!(work);
        loop {
            tokio::select! {
                _ = &mut work => return,
                Some(news) = news.recv() => self.engine_news(news),
            }
        }
    }

    /// Links that are not as the engine was told; from now on it is told.
    fn link_changes(&mut self) -> Vec<(Arc<str>, bool)> {
        let config = &self.document.config;
        let mut changes = Vec::new();
        for name in config.interfaces.keys() {
            let up = self.links.is_up(config, name);
            if self.told.get(name.as_str()).copied().unwrap_or(true) != up {
                changes.push((name.shared(), up));
            }
        }
        // An interface that is configured no more is as good as one nobody spoke of.
        let gone = self.told.iter().filter(|(name, up)| !**up && !config.interfaces.contains_key(&***name));
        changes.extend(gone.map(|(name, _)| (Arc::clone(name), true)));
        self.told.extend(changes.iter().cloned());
        self.told.retain(|_, up| !*up);
        changes
    }

    /// Makes known what the fast path shall have.
    fn publish(&mut self) {
        if self.configuring || !std::mem::take(&mut self.dirty) {
            return;
        }
        let (state, problems) = state(&self.document.config, &self.rib);
        self.report_problems(problems.into_iter().collect());
        self.tables.configure(&self.document.config, &self.rib);
        self.desired.send_if_modified(|current| {
            let changed = *current.state != state;
            if changed {
                *current = Desired::now(state);
            }
            changed
        });
        if let Some(news) = self.unpublished.take() {
            tokio::spawn(dplane::run(self.options.dplane(), self.desired.subscribe(), news));
        }
    }

    fn report_problems(&mut self, problems: BTreeSet<Problem>) {
        let words = |problem: &Problem| format!("{}{}", vrf_words(&problem.vrf), problem.prefix);
        let new: Vec<_> = problems.difference(&self.problems).collect();
        for problem in new.iter().take(PROBLEMS_NAMED_MAX) {
            tracing::warn!("static route {}: {}", words(problem), problem.what);
        }
        let over: Vec<_> = self.problems.difference(&problems).collect();
        for problem in over.iter().take(PROBLEMS_NAMED_MAX) {
            tracing::info!("static route {}: no longer {}", words(problem), problem.what);
        }
        let unnamed = |list: &[&Problem]| list.len().saturating_sub(PROBLEMS_NAMED_MAX);
        if unnamed(&new) + unnamed(&over) > 0 {
            tracing::warn!(bad = unnamed(&new), good = unnamed(&over), "and more static routes");
        }
        self.problems = problems;
    }

    fn begin_reload(&mut self) {
        if self.reload.is_some() {
            self.reload_again = true;
            return;
        }
        let (path, options) = (self.options.config.clone(), self.options.dplane());
        self.reload = Some(tokio::spawn(async move { verdict::prepare(&path, &options).await }));
    }

    fn end_reload(&mut self, prepared: anyhow::Result<Document>) {
        match prepared {
            Ok(document) => self.apply(document),
            Err(error) => tracing::error!("reload refused, the running state is untouched:\n{error:#}"),
        }
        if std::mem::take(&mut self.reload_again) {
            self.begin_reload();
        }
    }

    fn apply(&mut self, document: Document) {
        tracing::info!("reload: {}", difference(&self.document.config, &document.config));
        self.document = document;
        self.tables.reload();
        self.links.retain(&self.document.config);
        self.rib.set_connected(self.links.connected(&self.document.config));
        self.configuring = true;
        self.routes_untold = true;
    }
}
