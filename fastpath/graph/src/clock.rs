//! Time for workers: the time-stamp counter, calibrated once.

#![expect(unsafe_code, reason = "the time-stamp counter is read by an intrinsic")]

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The time-stamp counter now, cycles.
#[inline]
pub fn cycles() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 CPU has RDTSC, and Linux leaves it enabled for user space.
    unsafe {
        std::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }
}

/// Cycles a second, measured against the monotonic clock the first time it is asked for (takes 20 ms).
pub fn hertz() -> u64 {
    static HERTZ: OnceLock<u64> = OnceLock::new();
    *HERTZ.get_or_init(|| {
        let (began, first) = (Instant::now(), cycles());
        std::thread::sleep(Duration::from_millis(20));
        let (ticks, elapsed) = (cycles().wrapping_sub(first), began.elapsed());
        (ticks as u128 * 1_000_000_000 / elapsed.as_nanos().max(1)) as u64
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_counter_advances_at_the_rate_it_states() {
        let (began, first) = (std::time::Instant::now(), super::cycles());
        while began.elapsed() < std::time::Duration::from_millis(30) {
            std::hint::spin_loop();
        }
        let measured = (super::cycles() - first) as f64 / began.elapsed().as_secs_f64();
        let stated = super::hertz() as f64;
        assert!((measured / stated - 1.0).abs() < 0.05, "measured {measured}, stated {stated}");
    }
}
