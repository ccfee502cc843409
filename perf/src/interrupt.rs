//! Ctrl-C.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

/// What a shell reports of a program that Ctrl-C ended: 128 + SIGINT.
pub const EXIT_CODE: u8 = 130;

/// Signals so close to each other are one wish.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Whether somebody wants this program to end.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Set by Ctrl-C and by SIGTERM. Another one ends the program where it stands, unless it follows at once: `timeout`
    /// sends its signal to the program, and then to all of its group.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen() -> Result<Self> {
        let (set, insisting) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, EXIT_CODE.into(), Arc::clone(&insisting))
                .and_then(|_| flag::register(signal, Arc::clone(&set)))
                .context("listening to signals")?;
        }
        let mut first = Signals::new([SIGINT, SIGTERM]).context("listening to signals")?;
        std::thread::spawn(move || {
            first.forever().next();
            std::thread::sleep(AT_ONCE);
            insisting.store(true, Ordering::Relaxed);
        });
        Ok(Self(set))
    }

    /// Does somebody?
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The same request, for what works in a lab.
    #[must_use]
    pub fn for_lab(&self) -> ze_pktgen::lab::Interrupt {
        Arc::clone(&self.0).into()
    }

    /// As Ctrl-C does.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
