//! One trial: packets out at one end, and what became of them at the other. One thread does both.

use std::time::Duration;

use super::TrafficError;
use super::arrivals::Arrivals;
use super::clock::now_ns;
use super::counter::Counter;
use super::generator::{Generator, Transmission};
use super::live::LiveGenerator;
use super::pace::{Rate, Stop};
use super::packets::Packets;
use super::sink::Sink;
use crate::lab::Interrupt;

/// Silence after which nothing more is expected.
const SILENCE: Duration = Duration::from_millis(30);
/// The longest wait for stragglers.
const STRAGGLERS_MAX: Duration = Duration::from_secs(2);
/// How often, in steps, something rare is looked after: interrupts, and what came back to the generator.
const RARE_STEPS: u64 = 1024;

/// How the receiving end works.
pub enum Receiver {
    /// Looks at each packet.
    Full(Box<Sink>),
    /// Only counts.
    Counting(Box<Counter>),
}

/// What came of a trial.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Packets that the generator's device took.
    pub sent: u64,
    /// From the first to the last of them.
    pub elapsed: Duration,
    /// How much longer the generator took than it should, being late.
    pub slipped: Duration,
    /// Of that, how long it did not have its core: the load was right before and after.
    pub away: Duration,
    /// Packets that arrived, each counted once. A counting receiver counts whatever arrives.
    pub received: u64,
    /// What a full receiver saw.
    pub arrivals: Option<Arrivals>,
    /// Packets that reached the receiver's device and could not be delivered to it: it was too slow.
    pub missed: u64,
    /// Frames that came back to the generator.
    pub returned: u64,
}

impl Receiver {
    /// Throws away what is still there.
    fn clear(&mut self) {
        if let Self::Full(sink) = self {
            while sink.poll(|_| ()) > 0 {}
        }
    }

    fn missed(&self) -> u64 {
        match self {
            Self::Full(sink) => sink.missed(),
            Self::Counting(_) => 0,
        }
    }

    fn counted(&self) -> Result<u64, TrafficError> {
        match self {
            Self::Full(_) => Ok(0),
            Self::Counting(counter) => counter.count(),
        }
    }

    /// Closes it.
    pub fn close(self) {
        match self {
            Self::Full(sink) => sink.close(),
            Self::Counting(counter) => counter.detach(),
        }
    }
}

/// Runs a trial on the calling thread. `run` must differ from that of the trials before.
///
/// # Errors
/// When somebody asked to stop, or the receiver's counters can not be read.
pub fn trial(
    generator: &mut Generator,
    receiver: &mut Receiver,
    packets: &Packets,
    (rate, stop): (Rate, Stop),
    run: u16,
    interrupt: &Interrupt,
) -> Result<Outcome, TrafficError> {
    receiver.clear();
    generator.discard_received();
    let (missed, returned, counted) = (receiver.missed(), generator.returned, receiver.counted()?);
    let mut arrivals = Arrivals::new(run, generator.queues());
    let mut transmission = Transmission::start(packets, run, rate, stop, generator);
    for step in 1_u64.. {
        let more = transmission.step(generator);
        look(receiver, packets, &mut arrivals);
        if !more {
            break;
        }
        if step.is_multiple_of(RARE_STEPS) {
            interrupt.check()?;
            generator.discard_received();
        }
    }
    // What the generator's rings still hold is sent meanwhile.
    let mut push = || {
        let is_under_way = generator.under_way() > 0;
        if is_under_way {
            generator.push();
        }
        is_under_way
    };
    let received = match receiver {
        Receiver::Full(_) => {
            await_silence(|| {
                let was_under_way = push();
                Ok(look(receiver, packets, &mut arrivals) > 0 || was_under_way)
            })?;
            arrivals.received
        }
        Receiver::Counting(counter) => await_count(counter, counted, push)?,
    };
    generator.discard_received();
    Ok(Outcome {
        sent: transmission.sent,
        elapsed: Duration::from_nanos(transmission.elapsed_ns()),
        slipped: Duration::from_nanos(transmission.slipped_ns()),
        away: Duration::from_nanos(transmission.away_ns()),
        received,
        missed: receiver.missed() - missed,
        returned: generator.returned - returned,
        arrivals: matches!(receiver, Receiver::Full(_)).then_some(arrivals),
    })
}

#[inline]
fn look(receiver: &mut Receiver, packets: &Packets, arrivals: &mut Arrivals) -> usize {
    let Receiver::Full(sink) = receiver else { return 0 };
    let now_ns = now_ns() as u32;
    sink.poll(|frame| arrivals.note(packets, frame, now_ns))
}

/// Runs a trial of the generator in the kernel on the calling thread. What is in the way counts as received, whoever's.
///
/// # Errors
/// As [`trial`], and those of [`LiveGenerator::send`].
pub fn trial_live(
    generator: &mut LiveGenerator,
    counter: &Counter,
    (rate, stop): (Rate, Stop),
    interrupt: &Interrupt,
) -> Result<Outcome, TrafficError> {
    let (returned, counted) = (generator.returned()?, counter.count()?);
    let sent = generator.send(rate, stop, interrupt)?;
    let received = await_count(counter, counted, || false)?;
    Ok(Outcome {
        sent: sent.packets,
        elapsed: sent.elapsed,
        slipped: sent.slipped,
        away: sent.away,
        received,
        missed: 0,
        returned: generator.returned()? - returned,
        arrivals: None,
    })
}

/// Packets beyond `counted`, once no more come. `push` says whether some are still to be sent.
fn await_count(counter: &Counter, counted: u64, mut push: impl FnMut() -> bool) -> Result<u64, TrafficError> {
    let mut last = counted;
    await_silence(|| {
        let is_under_way = push();
        let now = counter.count()?;
        Ok(now > std::mem::replace(&mut last, now) || is_under_way)
    })?;
    Ok(last - counted)
}

/// Looks until nothing has moved for a while.
fn await_silence(mut has_moved: impl FnMut() -> Result<bool, TrafficError>) -> Result<(), TrafficError> {
    let began_ns = now_ns();
    let mut last_ns = began_ns;
    loop {
        if has_moved()? {
            last_ns = now_ns();
        }
        let now = now_ns();
        if now - last_ns > SILENCE.as_nanos() as u64 || now - began_ns > STRAGGLERS_MAX.as_nanos() as u64 {
            return Ok(());
        }
    }
}
