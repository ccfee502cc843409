//! Mutated packets of scenarios: whatever comes, no packet may get lost and nothing may break.
//!
//! A round takes the frames that a scenario sends, changes some, sends them, and asks an oracle. Half of the changes are
//! to bytes; half are to fields, with lengths and checksums made right again, so that they come past the first check.
//! What the oracle objects to is made smaller for as long as it still objects.

mod mutate;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::memory::Memory;
use super::router::Router;
use super::{Action, Backend, BackendError, Place, Scenario};
use crate::traffic::Random;

/// Frames in one round.
const FRAMES_MAX: usize = 64;
/// The shortest frame: an Ethernet header.
const FRAME_BYTES_MIN: usize = 14;
/// Questions to the oracle while a find is made smaller.
const QUESTIONS_MAX: usize = 5_000;

/// Frames, and where they go in.
pub type Input = Vec<(Place, Vec<u8>)>;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Find {
    /// The round in which it was found, from 0.
    pub round: u64,
    /// What is wrong.
    pub what: String,
    /// As little as still shows it.
    pub input: Input,
}

/// Says what is wrong with what a router does with the input; none if nothing is.
pub trait Oracle {
    /// Sends all, in order, to a router that has met nothing before.
    fn judge(&mut self, input: &Input) -> Option<String>;
}

/// A router in memory, anew after each panic.
pub struct MemoryOracle<'a> {
    router: &'a Router,
    seed: u64,
    memory: Option<Memory>,
}

impl<'a> MemoryOracle<'a> {
    /// A router.
    #[must_use]
    pub const fn new(router: &'a Router, seed: u64) -> Self {
        Self { router, seed, memory: None }
    }

    fn send(&mut self, input: &Input) -> Result<Option<String>, BackendError> {
        let memory = match &mut self.memory {
            Some(memory) => memory,
            none => none.insert(Memory::start(self.router, self.seed)?),
        };
        memory.reset()?;
        let before = memory.totals()?;
        input.iter().try_for_each(|(at, frame)| memory.send(at, frame))?;
        // Neighbours that do not answer are given up, and packets that wait for them come back.
        memory.wait(Duration::from_secs(10))?;
        let counted = memory.totals()?.since(&before);
        let entered = counted.law.rx + counted.law.inject;
        if counted.law.imbalance() != 0 {
            return Ok(Some(format!("the law misses {}: {:?}", counted.law.imbalance(), counted.law)));
        }
        if entered != input.len() as u64 {
            return Ok(Some(format!("{} frames were sent, {entered} counted as received", input.len())));
        }
        Ok(None)
    }
}

impl Oracle for MemoryOracle<'_> {
    fn judge(&mut self, input: &Input) -> Option<String> {
        let judged = catch_unwind(AssertUnwindSafe(|| self.send(input)));
        let objection = match judged {
            Ok(Ok(objection)) => objection,
            Ok(Err(error)) => Some(format!("the router failed: {error}")),
            Err(panic) => {
                let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
                let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
                Some(format!("the router panicked: {text}"))
            }
        };
        if objection.is_some() {
            // A router that did wrong once is not asked again.
            self.memory = None;
        }
        objection
    }
}

/// Frames of each scenario that sends any.
#[must_use]
pub fn inputs(scenarios: &[&Scenario]) -> Vec<Input> {
    let sends = |scenario: &&Scenario| -> Input {
        let frame = |action: &Action| match action {
            Action::Send(at, frame) => Some((at.clone(), frame.clone())),
            Action::Expect(..) | Action::Wait(_) => None,
        };
        scenario.steps.iter().filter_map(|step| frame(&step.action)).take(FRAMES_MAX).collect()
    };
    scenarios.iter().map(sends).filter(|input| !input.is_empty()).collect()
}

/// Fuzzes until `done` says so (it is given the number of rounds played) or something is found.
pub fn fuzz(
    oracle: &mut dyn Oracle,
    inputs: &[Input],
    seed: u64,
    mut done: impl FnMut(u64) -> bool,
) -> (u64, Option<Find>) {
    let mut round = 0;
    while !done(round) && !inputs.is_empty() {
        // Each round has a seed of its own: it can be repeated without those before it.
        let mut random = Random::new(seed.wrapping_add(round), 0);
        let mut input = inputs[mutate::below(&mut random, inputs.len())].clone();
        mutate::mutate(&mut input, &mut random);
        if let Some(what) = oracle.judge(&input) {
            let (input, what) = minimise(oracle, input, what);
            return (round + 1, Some(Find { round, what, input }));
        }
        round += 1;
    }
    (round, None)
}

/// Until this moment.
pub fn until(end: Instant) -> impl FnMut(u64) -> bool {
    move |_| Instant::now() >= end
}

/// Fewer frames, then shorter ones, then more zeros, as long as the oracle objects to anything.
fn minimise(oracle: &mut dyn Oracle, mut input: Input, mut what: String) -> (Input, String) {
    let mut questions = 0;
    let mut still = |candidate: &Input, what: &mut String| {
        questions += 1;
        let objection = (questions <= QUESTIONS_MAX).then(|| oracle.judge(candidate)).flatten();
        let objects = objection.is_some();
        if let Some(objection) = objection {
            *what = objection;
        }
        objects
    };
    let mut at = 0;
    while at < input.len() {
        let mut fewer = input.clone();
        fewer.remove(at);
        if !fewer.is_empty() && still(&fewer, &mut what) {
            input = fewer;
        } else {
            at += 1;
        }
    }
    for at in 0..input.len() {
        let mut step = input[at].1.len() / 2;
        while step > 0 {
            let mut shorter = input.clone();
            let len = shorter[at].1.len().saturating_sub(step).max(FRAME_BYTES_MIN);
            if len < shorter[at].1.len() && {
                shorter[at].1.truncate(len);
                still(&shorter, &mut what)
            } {
                input = shorter;
            } else {
                step /= 2;
            }
        }
        for byte in FRAME_BYTES_MIN..input[at].1.len() {
            if input[at].1[byte] != 0 {
                let mut plainer = input.clone();
                plainer[at].1[byte] = 0;
                if still(&plainer, &mut what) {
                    input = plainer;
                }
            }
        }
    }
    (input, what)
}
