//! Ctrl-C: asks the tour to stop; a second one ends the program at once, and the lab's reaper cleans up.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::lab::Interrupt;

/// The exit code of a program that SIGINT ended, as shells give it.
const EXIT_INTERRUPTED: i32 = 130;

/// Signals so close to each other are one wish: `timeout` sends its signal to the program, and then to all of its group.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Starts to listen; the request to stop is set when the first signal comes.
pub(crate) fn watch() -> io::Result<Interrupt> {
    let interrupt = Interrupt::default();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    // The handlers are in place before this function returns.
    let (mut interrupted, mut terminated) = {
        let _entered = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let request = interrupt.clone();
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            let mut first = None;
            loop {
                tokio::select! {
                    _ = interrupted.recv() => {}
                    _ = terminated.recv() => {}
                }
                match first {
                    None => first = Some(Instant::now()),
                    Some(then) if then.elapsed() < AT_ONCE => {}
                    Some(_) => std::process::exit(EXIT_INTERRUPTED),
                }
                request.set();
            }
        });
    })?;
    Ok(interrupt)
}
