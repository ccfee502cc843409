//! Waiting for something to become true, with an error that names it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::LabError;

/// How often a condition is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A request to stop, shared by everything that works in one lab.
///
/// The program that owns the lab sets it from its Ctrl-C handler; long operations then return
/// [`LabError::Interrupted`], the owner's stack unwinds, and dropping the lab cleans up.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl From<Arc<AtomicBool>> for Interrupt {
    /// A flag that somebody else sets: a signal handler, for one.
    fn from(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }
}

impl Interrupt {
    /// Asks everything in the lab to stop.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// True once somebody asked to stop.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Fails when somebody asked to stop.
    ///
    /// # Errors
    /// [`LabError::Interrupted`].
    pub fn check(&self) -> Result<(), LabError> {
        if self.is_set() { Err(LabError::Interrupted) } else { Ok(()) }
    }

    /// Sleeps in short pieces, and returns early when somebody asks to stop.
    ///
    /// # Errors
    /// [`LabError::Interrupted`].
    pub fn sleep(&self, duration: Duration) -> Result<(), LabError> {
        let deadline = Instant::now() + duration;
        loop {
            self.check()?;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(Duration::from_millis(50)));
        }
    }
}

/// Looks at `condition` until it is true; the error says that `what` did not happen.
///
/// # Errors
/// [`LabError::Timeout`] after `timeout`.
pub fn wait_until(
    timeout: Duration,
    what: &str,
    mut condition: impl FnMut() -> bool,
) -> Result<(), LabError> {
    wait_for(timeout, what, || condition().then_some(()))
}

/// Looks until `probe` gives a value, and returns it; the error says that `what` did not happen.
///
/// # Errors
/// [`LabError::Timeout`] after `timeout`.
pub fn wait_for<T>(
    timeout: Duration,
    what: &str,
    mut probe: impl FnMut() -> Option<T>,
) -> Result<T, LabError> {
    let deadline = Instant::now() + timeout;
    loop {
        // The clock is read first, so that the condition is looked at once more after the deadline.
        let expired = Instant::now() >= deadline;
        if let Some(value) = probe() {
            return Ok(value);
        }
        if expired {
            return Err(LabError::Timeout { what: what.to_owned(), timeout, detail: String::new() });
        }
        thread::sleep(POLL_INTERVAL);
    }
}

#[cfg(test)]
mod tests;
