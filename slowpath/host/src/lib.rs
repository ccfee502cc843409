//! Runs engines on tokio, all in the same way: one task an instance, bounded queues, a panic ends the instance only.
//!
//! ```text
//! Handle::command, Handle::input ─▶ queue ─▶ task: handle_* → poll_output … ─▶ events (bounded, shared)
//!                                            ▲ poll_timeout
//! ```
//!
//! An engine that panics is reported ([`News::Panicked`]), dropped, and made anew after a pause that doubles with
//! each panic in a row. The new one knows nothing: who gets the report tells it everything again.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use ze_engine::{Engine, Output, OwnedInput};

/// Orders and inputs that may wait for an engine before their senders wait.
pub const QUEUE_MAX: usize = 256;

/// Pause before a panicked engine is made anew, the first time.
pub const RESTART_PAUSE_MIN: Duration = Duration::from_millis(50);

/// The longest pause: an engine that can not live is reported twice a minute, not a thousand times a second.
pub const RESTART_PAUSE_MAX: Duration = Duration::from_secs(30);

/// An engine that has lived this long without a panic starts again with the shortest pause.
pub const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// What comes out of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News<E> {
    /// The engine said this.
    Event(E),
    /// The engine panicked with this message. A new one runs, which has been told nothing.
    Panicked(String),
}

/// Talks to an instance. The instance ends when its last handle is dropped.
#[derive(Debug)]
pub struct Handle<C> {
    queue: mpsc::Sender<Message<C>>,
}

impl<C> Clone for Handle<C> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

#[derive(Debug)]
enum Message<C> {
    Command(C),
    Input(OwnedInput),
}

/// The instance has ended: nobody listens to its news any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended;

impl<C> Handle<C> {
    /// Gives an order; waits while the queue is full.
    ///
    /// # Errors
    /// When the instance has ended.
    pub async fn command(&self, command: C) -> Result<(), Ended> {
        self.queue.send(Message::Command(command)).await.map_err(|_| Ended)
    }

    /// Tells what came from outside; waits while the queue is full.
    ///
    /// # Errors
    /// When the instance has ended.
    pub async fn input(&self, input: OwnedInput) -> Result<(), Ended> {
        self.queue.send(Message::Input(input)).await.map_err(|_| Ended)
    }
}

/// Starts an instance. `make` makes its engine, now and after each panic.
pub fn spawn<E, M>(name: &'static str, make: M, news: mpsc::Sender<News<E::Event>>) -> Handle<E::Command>
where
    E: Engine + Send + 'static,
    E::Command: Send + 'static,
    E::Event: Send + 'static,
    M: FnMut() -> E + Send + 'static,
{
    let (queue, messages) = mpsc::channel(QUEUE_MAX);
    let instance = Instance { name, make, messages, news };
    tokio::spawn(instance.run());
    Handle { queue }
}

struct Instance<E: Engine, M> {
    name: &'static str,
    make: M,
    messages: mpsc::Receiver<Message<E::Command>>,
    news: mpsc::Sender<News<E::Event>>,
}

/// Why an engine's life is over.
enum End {
    Panic(String),
    /// The handle, or the receiver of the news, is gone.
    Unwanted,
}

impl<E: Engine, M: FnMut() -> E> Instance<E, M> {
    async fn run(mut self) {
        let mut pause = RESTART_PAUSE_MIN;
        loop {
            let born = tokio::time::Instant::now();
            let End::Panic(message) = self.live().await else { return };
            if born.elapsed() >= HEALTHY_AFTER {
                pause = RESTART_PAUSE_MIN;
            }
            tracing::error!(
                engine = self.name,
                panic = message,
                pause_ms = pause.as_millis(),
                "engine panicked"
            );
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RESTART_PAUSE_MAX);
            if self.news.send(News::Panicked(message)).await.is_err() {
                return;
            }
        }
    }

    /// One engine, from birth to panic.
    async fn live(&mut self) -> End {
        let mut engine = match guard(&mut self.make) {
            Ok(engine) => engine,
            Err(panic) => return End::Panic(panic),
        };
        loop {
            let timeout = match guard(|| engine.poll_timeout()) {
                Ok(timeout) => timeout,
                Err(panic) => return End::Panic(panic),
            };
            let done = tokio::select! {
                message = self.messages.recv() => {
                    let Some(message) = message else { return End::Unwanted };
                    guard(|| match message {
                        Message::Command(command) => engine.handle_command(command, now()),
                        Message::Input(input) => engine.handle_input(input.as_input(), now()),
                    })
                }
                () = wait_until(timeout) => guard(|| engine.handle_timeout(now())),
            };
            if let Err(panic) = done {
                return End::Panic(panic);
            }
            loop {
                match guard(|| engine.poll_output()) {
                    Ok(None) => break,
                    Ok(Some(Output::Event(event))) => {
                        if self.news.send(News::Event(event)).await.is_err() {
                            return End::Unwanted;
                        }
                    }
                    Err(panic) => return End::Panic(panic),
                }
            }
        }
    }
}

/// The time by tokio's clock, which tests can move.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

async fn wait_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

/// Runs a piece of an engine; a panic comes back as its message. The engine is not used after one.
fn guard<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| message(panic.as_ref()))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into())
}

#[cfg(test)]
mod tests;
