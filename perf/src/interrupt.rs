//! Ctrl-C.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// What a shell reports of a program that Ctrl-C ended: 128 + SIGINT.
pub const EXIT_CODE: u8 = 130;

/// Whether somebody wants this program to end.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Set by Ctrl-C and by SIGTERM. The second one ends the program where it stands.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen() -> Result<Self> {
        let set = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag unset, and sets it.
            flag::register_conditional_shutdown(signal, EXIT_CODE.into(), Arc::clone(&set))
                .and_then(|_| flag::register(signal, Arc::clone(&set)))
                .context("listening to signals")?;
        }
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
