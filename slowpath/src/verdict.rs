//! What a configuration comes to, and whether the fast path takes it; nothing running is touched.

use std::path::Path;
use std::time::Instant;

use anyhow::anyhow;
use ze_config::{Config, Document};
use ze_engine::{Engine as _, Output};
use ze_rib::dplane::{Options, VerifyError, verify};
use ze_rib::rib::{Problem, ProblemKind};
use ze_rib::{Key, Rib, Source, State};
use ze_static::{Command, Event, StaticEngine};

use crate::links::Links;
use crate::objects::{origin, route_origin, state};

/// All objects of a configuration while every link is up, and the routes that are not in force even then.
pub fn whole(config: &Config) -> (State, Vec<Problem>) {
    let mut engine = StaticEngine::new();
    let mut rib = Rib::new();
    rib.set_connected(Links::default().connected(config));
    engine.handle_command(Command::Configure(config.routes.clone()), Instant::now());
    while let Some(Output::Event(event)) = engine.poll_output() {
        match event {
            Event::Route(update) => drop(rib.update(Source::Static, update)),
            Event::Configured => {}
        }
    }
    state(config, &rib)
}

/// What an operator should look at in a configuration that is right: routes that can not be in force as written.
pub fn warnings(document: &Document) -> Vec<String> {
    let (_, problems) = whole(&document.config);
    let line = |problem: &Problem| {
        let object = route_origin(&problem.vrf, &problem.prefix, &document.config)?;
        Some(document.error(&object, problem.what.to_string()).to_string())
    };
    let wanted = problems.iter().filter(|problem| match problem.what {
        // Whoever disabled an interface knows.
        ProblemKind::Unreachable => !document.config.interfaces.values().any(|interface| interface.disable),
        ProblemKind::Connected | ProblemKind::TooManyNexthops => true,
    });
    wanted.filter_map(line).collect()
}

/// Reads a file and asks the fast path. A fast path that is absent has no objections: it is told when it comes.
///
/// # Errors
/// What is wrong with the file, or what the fast path would refuse, each with file, line, path and reason.
pub async fn prepare(path: &Path, options: &Options) -> anyhow::Result<Document> {
    let file = path.to_owned();
    let load = move || -> anyhow::Result<Document> { check_tables(ze_config::load(&file)?) };
    let document = tokio::task::spawn_blocking(load).await??;
    let (state, _) = whole(&document.config);
    match verify(options, &state).await {
        Ok(refused) if refused.is_empty() => Ok(document),
        Ok(refused) => {
            let lines = refused.iter().map(|refused| {
                let reason = format!("the fast path refuses {}: {}", refused.path, refused.message);
                place(&document, refused.step.key(), &state, &reason)
            });
            let lines: Vec<_> = lines.take(ze_config::limits::ERRORS_MAX).collect();
            Err(anyhow!("{}", lines.join("\n")))
        }
        Err(VerifyError::Unreachable(reason)) => {
            tracing::warn!("the configuration is not verified: {reason}");
            Ok(document)
        }
        Err(error @ VerifyError::NoVerdict(_)) => Err(error.into()),
    }
}

/// Passes a document on whose files of routes can all be read.
///
/// # Errors
/// What is wrong with a file, and where it is named.
pub fn check_tables(document: Document) -> anyhow::Result<Document> {
    match crate::tables::check(&document.config) {
        Ok(()) => Ok(document),
        Err((key, error)) => {
            let object = ze_config::Object::Table(key);
            Err(anyhow!("{}", document.error(&object, error.to_string())))
        }
    }
}

fn place(document: &Document, key: &Key, state: &State, reason: &str) -> String {
    match origin(key, state, &document.config) {
        Some(object) => document.error(&object, reason).to_string(),
        None => reason.to_owned(),
    }
}
