//! Nothing: the control run, in which generator and sink share one cable.

use anyhow::{Result, bail};

use super::{Dut, Site};

/// The cable. What is measured with it is the most that the tester can.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDut;

impl Dut for NoDut {
    fn name(&self) -> &str {
        "none"
    }

    fn is_cable(&self) -> bool {
        true
    }

    fn start(&mut self, _: &Site<'_>) -> Result<()> {
        bail!("a cable has no site to start at")
    }

    fn stop(&mut self) -> Result<()> {
        Ok(())
    }
}
