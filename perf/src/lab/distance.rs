//! Where two cores are, seen from each other.
//!
//! Generator and forwarder hand each other every packet from cache to cache. Between cores that share a last-level cache
//! that costs a fraction of what it does between others; and if the two are threads of one core, each takes away the
//! other's clocks. On a virtual machine all of that changes when its host moves its cores. So it is measured
//! beside what depends on it.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::placement::{Cores, pin_this_thread};
use crate::stats::{median, rounded};

/// Round trips that are timed together.
const TRIPS: u32 = 256;
/// How often; the median counts, for something else may have a core meanwhile.
const BATCHES: usize = 33;
/// Who has no core for this long gets no answer: all of it takes a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a sum is timed, alone and beside another; the fastest counts.
const SUMS: usize = 64;
/// Steps of a sum: some tens of microseconds.
const STEPS: u32 = 1 << 14;

/// Two cores as they were at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distance {
    /// How long a line of cache takes from the one to the other and back, nanoseconds.
    pub round_trip_ns: f64,
    /// How fast the one computes while the other does too, as a share of its speed alone: about one, unless they are threads
    /// of one core.
    pub speed_beside: f64,
}

impl Distance {
    /// Measures it. None if one of the cores was kept from running.
    ///
    /// # Errors
    /// When a thread can not be pinned to its core.
    pub fn measure(cores: Cores) -> Result<Option<Self>> {
        let Some(round_trip) = round_trip(cores)? else { return Ok(None) };
        let speed_beside = rounded(speed_beside(cores)?);
        Ok(Some(Self { round_trip_ns: rounded(round_trip.as_secs_f64() * 1e9), speed_beside }))
    }
}

/// What the two cores write in turns. Pairs of lines are fetched together.
#[repr(align(128))]
struct Line(AtomicU32);

const ANSWERED: u32 = 0;
const ASKED: u32 = 1;
const ENDED: u32 = 2;

fn round_trip(cores: Cores) -> Result<Option<Duration>> {
    let line = Line(AtomicU32::new(ANSWERED));
    let deadline = Instant::now() + PATIENCE;
    both(
        cores,
        || {
            let trips = ask(&line, deadline);
            line.0.store(ENDED, Ordering::Release);
            trips.and_then(median).map(Duration::from_secs_f64)
        },
        || answer(&line),
        || line.0.store(ENDED, Ordering::Release),
    )
}

fn speed_beside(cores: Cores) -> Result<f64> {
    let fastest = || (0..SUMS).map(|_| time_of_sum()).min().unwrap_or_default().as_secs_f64();
    let is_over = AtomicBool::new(false);
    let end = || is_over.store(true, Ordering::Relaxed);
    let alone = both(cores, fastest, || {}, || {})?;
    let beside = both(
        cores,
        || {
            let time = fastest();
            end();
            time
        },
        || {
            while !is_over.load(Ordering::Relaxed) {
                time_of_sum();
            }
        },
        end,
    )?;
    Ok(alone / beside)
}

/// Does `here` on the tester's core and `there` on the DUT's. `give_up` makes `there` end if `here` does not begin.
fn both<T: Send>(
    cores: Cores,
    here: impl FnOnce() -> T + Send,
    there: impl FnOnce() + Send,
    give_up: impl FnOnce() + Send,
) -> Result<T> {
    std::thread::scope(|scope| {
        let there = scope.spawn(move || pin_this_thread(cores.dut).map(|()| there()));
        let here =
            scope.spawn(move || pin_this_thread(cores.tester).inspect_err(|_| give_up()).map(|()| here()));
        let result = here.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        there.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        result
    })
}

/// Work for a core's arithmetic alone: independent chains, no memory.
fn time_of_sum() -> Duration {
    let began = Instant::now();
    let mut chains = [1_u64, 2, 3, 4, 5, 6, 7, 8];
    for step in 0..STEPS {
        for chain in &mut chains {
            *chain = black_box((*chain ^ u64::from(step)).wrapping_add(*chain >> 3));
        }
    }
    black_box(chains);
    began.elapsed()
}

fn answer(line: &Line) {
    loop {
        match line.0.load(Ordering::Acquire) {
            // An end that comes at this moment must not be overwritten.
            ASKED => _ = line.0.compare_exchange(ASKED, ANSWERED, Ordering::AcqRel, Ordering::Relaxed),
            ENDED => return,
            _ => {}
        }
    }
}

/// Seconds of a round trip, batch by batch.
fn ask(line: &Line, deadline: Instant) -> Option<Vec<f64>> {
    // The first one waits for the other thread to run at all.
    ask_once(line, deadline)?;
    let batch = |_| {
        let began = Instant::now();
        for _ in 0..TRIPS {
            ask_once(line, deadline)?;
        }
        Some(began.elapsed().as_secs_f64() / f64::from(TRIPS))
    };
    (0..BATCHES).map(batch).collect()
}

fn ask_once(line: &Line, deadline: Instant) -> Option<()> {
    /// Looks at the line between two looks at the clock.
    const LOOKS: u32 = 1 << 16;
    line.0.store(ASKED, Ordering::Release);
    loop {
        for _ in 0..LOOKS {
            if line.0.load(Ordering::Acquire) == ANSWERED {
                return Some(());
            }
        }
        if Instant::now() > deadline {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_cores_have_a_distance_and_a_speed_beside_each_other() {
        if std::thread::available_parallelism().is_ok_and(|cores| cores.get() < 2) {
            eprintln!("SKIPPED: one core only");
            return;
        }
        let tries =
            std::iter::repeat_with(|| Distance::measure(Cores { tester: 0, dut: 1 }).unwrap()).take(20);
        let distance = tries.flatten().next().expect("a core in 20 tries");
        // Less than a cache takes, or as much as a thread's turn, would be something else; no core is many times as fast as
        // itself.
        assert!((5.0..1e6).contains(&distance.round_trip_ns), "{distance:?}");
        assert!((0.02..5.0).contains(&distance.speed_beside), "{distance:?}");
    }

    #[test]
    fn who_gets_no_answer_gives_up() {
        let line = Line(AtomicU32::new(ANSWERED));
        assert_eq!(ask(&line, Instant::now()), None);
    }

    #[test]
    fn a_core_that_is_not_there_is_an_error_at_either_end() {
        for cores in [Cores { tester: 0, dut: 1023 }, Cores { tester: 1023, dut: 0 }] {
            assert!(Distance::measure(cores).is_err());
        }
    }
}
