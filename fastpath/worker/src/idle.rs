//! What a worker does when there is nothing to do.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::str::FromStr;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use ze_graph::{Port, clock};

/// How a worker waits for packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleMode {
    /// Never sleeps: the lowest latency, a whole core.
    Busy,
    /// Spins for a while after the last packet, then sleeps until one comes.
    Adaptive {
        /// How long it spins.
        spin: Duration,
    },
    /// Sleeps as soon as a round found nothing.
    Interrupt,
}

impl IdleMode {
    /// Adaptive with 50 µs: longer than the gap between packets of a busy link, short enough that an idle router
    /// takes no measurable share of a core.
    pub const DEFAULT: Self = Self::Adaptive { spin: Duration::from_micros(50) };
}

impl fmt::Display for IdleMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("busy"),
            Self::Adaptive { spin } => write!(f, "adaptive:{}us", spin.as_micros()),
            Self::Interrupt => f.write_str("interrupt"),
        }
    }
}

impl FromStr for IdleMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("'{text}' is no idle mode (busy, adaptive, adaptive:MICROSECONDSus, interrupt)");
        match text {
            "busy" => return Ok(Self::Busy),
            "adaptive" => return Ok(Self::DEFAULT),
            "interrupt" => return Ok(Self::Interrupt),
            _ => {}
        }
        let spin = text.strip_prefix("adaptive:").and_then(|t| t.strip_suffix("us")).ok_or_else(wrong)?;
        let micros: u64 = spin.parse().map_err(|_| wrong())?;
        // Above a second it is "busy" in all but name.
        if micros > 1_000_000 {
            return Err(wrong());
        }
        Ok(Self::Adaptive { spin: Duration::from_micros(micros) })
    }
}

/// Decides after each round whether to sleep.
pub(crate) struct Idle {
    mode: IdleMode,
    spin_cycles: u64,
    last_work: u64,
}

impl Idle {
    pub(crate) fn new(mode: IdleMode) -> Self {
        let spin_cycles = match mode {
            IdleMode::Busy => u64::MAX,
            IdleMode::Adaptive { spin } => {
                (spin.as_nanos() * u128::from(clock::hertz()) / 1_000_000_000) as u64
            }
            IdleMode::Interrupt => 0,
        };
        Self { mode, spin_cycles, last_work: clock::cycles() }
    }

    /// A round moved packets at `now`.
    pub(crate) const fn worked(&mut self, now: u64) {
        self.last_work = now;
    }

    /// Is it time to sleep, after a round at `now` that moved nothing?
    pub(crate) fn should_sleep(&self, now: u64) -> bool {
        self.mode != IdleMode::Busy && now.wrapping_sub(self.last_work) >= self.spin_cycles
    }
}

/// Sockets that one sleep can wait for; more are looked at when the sleep ends by its limit.
const POLLED_MAX: usize = 256;

/// Sleeps until a port has input, the eventfd is written, or the limit passes. Without allocation.
pub(crate) fn sleep(ports: &[Box<dyn Port>], wake: BorrowedFd<'_>, limit: Duration) {
    let mut fds = [const { None }; POLLED_MAX];
    let mut count = 0;
    for fd in std::iter::once(wake).chain(ports.iter().filter_map(|port| port.poll_fd())) {
        if let Some(place) = fds.get_mut(count) {
            *place = Some(PollFd::from_borrowed_fd(fd, PollFlags::IN));
            count += 1;
        }
    }
    let mut polled: [PollFd<'_>; POLLED_MAX] =
        fds.map(|fd| fd.unwrap_or_else(|| PollFd::from_borrowed_fd(wake, PollFlags::empty())));
    let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(limit.subsec_nanos()) };
    if let Some(polled) = polled.get_mut(..count) {
        // An error (EINTR) only means that the next round comes early.
        let _ = poll(polled, Some(&timeout));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_round_trip_and_bad_ones_are_named() {
        for mode in [IdleMode::Busy, IdleMode::DEFAULT, IdleMode::Interrupt] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        assert_eq!("adaptive".parse(), Ok(IdleMode::DEFAULT));
        for bad in ["", "lazy", "adaptive:", "adaptive:5", "adaptive:2000000us"] {
            assert!(bad.parse::<IdleMode>().unwrap_err().contains(bad));
        }
    }

    #[test]
    fn busy_never_sleeps_interrupt_at_once_adaptive_after_its_spin() {
        assert!(!Idle::new(IdleMode::Busy).should_sleep(u64::MAX / 2));
        let mut interrupt = Idle::new(IdleMode::Interrupt);
        interrupt.worked(100);
        assert!(interrupt.should_sleep(100));
        let mut adaptive = Idle::new(IdleMode::Adaptive { spin: Duration::from_millis(1) });
        adaptive.worked(1000);
        let spin = clock::hertz() / 1000;
        assert!(!adaptive.should_sleep(1000 + spin - 2));
        assert!(adaptive.should_sleep(1000 + spin + 2));
    }
}
