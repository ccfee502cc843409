//! What is measured of every engine, and how those in this process are.

use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use ze_lpm::{Prefix, Value};

use super::table::{Addresses, CHUNK, Net, Table};
use crate::pipeline::random::Random;

/// How long an engine may take to show its rate of updates.
pub(super) const UPDATES_TIME: Duration = Duration::from_millis(500);
/// As many changes show the rate.
pub(super) const UPDATES_MAX: usize = 400_000;
/// Changes between two looks at the clock; four belong together.
const UPDATES_CHUNK: usize = 64;
/// The other nexthop that a route is pointed to for a moment.
const OTHER_VALUES: u32 = 250;

/// A table that is ready.
#[derive(Clone, Copy, Debug)]
pub(super) struct Built {
    pub(super) seconds: f64,
    pub(super) bytes: u64,
}

/// Route changes a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Updates {
    pub(super) per_second: f64,
    /// What a reader lost meanwhile, if there was one.
    pub(super) readers_lose: Option<ReadersLose>,
}

/// The share of its rate that a reader on another core loses while routes change.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct ReadersLose {
    /// Compared with a writer that is merely awake.
    pub(super) to_updates: f64,
    /// Compared with one that sleeps.
    pub(super) to_a_writer: f64,
}

/// One of those that are compared.
pub(super) trait Engine<F: Net> {
    fn name(&self) -> &str;
    /// Makes the table of all routes.
    fn build(&mut self, table: &Table<F>) -> Result<Built>;
    /// Looks a trace up; million lookups a second, by chunk.
    fn rates(&mut self, addresses: &Addresses<F>, batch: usize) -> Result<Vec<f64>>;
    /// The answers to a trace; 0 where there is no route.
    fn answers(&mut self, addresses: &Addresses<F>) -> Result<Vec<u32>>;
    /// Changes routes and changes them back; a reader, if there is one, looks up `batch` addresses at once.
    fn updates(&mut self, table: &Table<F>, batch: usize) -> Result<Updates>;
}

/// Rates by chunk; `lookup` takes a batch.
pub(super) fn rates<A>(all: &[A], batch: usize, mut lookup: impl FnMut(&[A], &mut [u32])) -> Vec<f64> {
    all.chunks_exact(CHUNK).map(|chunk| rate(chunk, batch, &mut lookup)).collect()
}

/// The rate of one chunk.
pub(super) fn rate<A>(chunk: &[A], batch: usize, lookup: &mut impl FnMut(&[A], &mut [u32])) -> f64 {
    let mut values = vec![0; batch];
    let start = cpu_time();
    for addrs in chunk.chunks(batch) {
        lookup(addrs, &mut values[..addrs.len()]);
        black_box(&values);
    }
    chunk.len() as f64 / (cpu_time() - start).as_secs_f64() / 1e6
}

/// All answers.
pub(super) fn answers<A>(all: &[A], mut lookup: impl FnMut(&[A], &mut [u32])) -> Vec<u32> {
    let mut values = vec![0; all.len()];
    all.chunks(256).zip(values.chunks_mut(256)).for_each(|(addrs, values)| lookup(addrs, values));
    values
}

/// A route's change.
pub(super) enum Change {
    Remove,
    Insert(Value),
}

/// Withdraws random routes, announces them again, points them elsewhere and back, until `goes_on` says no. Returns how
/// many changes that were, and the CPU time they took.
pub(super) fn change_routes<F: Net>(
    table: &Table<F>,
    random: &mut Random,
    mut goes_on: impl FnMut(usize) -> bool,
    mut change: impl FnMut(Prefix<F>, Change) -> Result<()>,
) -> Result<(usize, Duration)> {
    let (mut done, start) = (0, cpu_time());
    while done % UPDATES_CHUNK != 0 || goes_on(done) {
        let (prefix, value) = table.routes[random.below(table.routes.len())];
        change(prefix, Change::Remove)?;
        change(prefix, Change::Insert(value))?;
        change(prefix, Change::Insert(Value::new(value.get() % OTHER_VALUES + 1)?))?;
        change(prefix, Change::Insert(value))?;
        done += 4;
    }
    Ok((done, cpu_time() - start))
}

/// CPU time of this thread.
pub(super) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// A crate's table.
pub(super) trait Map<F: Net> {
    const NAME: &'static str;
    fn new() -> Self;
    /// A table of these, made the way that the crate is best at.
    fn build(routes: &[(Prefix<F>, Value)]) -> Self
    where
        Self: Sized,
    {
        let mut map = Self::new();
        routes.iter().for_each(|&(prefix, value)| map.insert(prefix, value.get()));
        map
    }
    fn insert(&mut self, prefix: Prefix<F>, value: u32);
    fn remove(&mut self, prefix: Prefix<F>) -> bool;
    fn lookup(&self, addr: F::Addr) -> u32;
    /// Bytes, if the crate says.
    fn bytes(&self) -> Option<usize>;
}

/// A crate, measured.
pub(super) struct Crate<M>(M);

impl<M> Crate<M> {
    pub(super) fn new<F: Net>() -> Self
    where
        M: Map<F>,
    {
        Self(M::new())
    }
}

impl<F: Net, M: Map<F>> Engine<F> for Crate<M> {
    fn name(&self) -> &str {
        M::NAME
    }

    fn build(&mut self, table: &Table<F>) -> Result<Built> {
        let (resident, start) = (resident_bytes()?, cpu_time());
        self.0 = M::build(&table.routes);
        let seconds = (cpu_time() - start).as_secs_f64();
        let grown = resident_bytes()?.saturating_sub(resident);
        Ok(Built { seconds, bytes: self.0.bytes().map_or(grown, |bytes| bytes as u64) })
    }

    fn rates(&mut self, addresses: &Addresses<F>, batch: usize) -> Result<Vec<f64>> {
        Ok(rates(&addresses.all, batch, |addrs, values| self.lookup(addrs, values)))
    }

    fn answers(&mut self, addresses: &Addresses<F>) -> Result<Vec<u32>> {
        Ok(answers(&addresses.all, |addrs, values| self.lookup(addrs, values)))
    }

    fn updates(&mut self, table: &Table<F>, _batch: usize) -> Result<Updates> {
        let end = Instant::now() + UPDATES_TIME;
        let goes_on = |done| done < UPDATES_MAX && Instant::now() < end;
        let (done, time) = change_routes(table, &mut Random::new(11), goes_on, |prefix, change| {
            match change {
                Change::Insert(value) => self.0.insert(prefix, value.get()),
                Change::Remove if self.0.remove(prefix) => (),
                Change::Remove => bail!("{} does not find {prefix}, which it has", M::NAME),
            }
            Ok(())
        })?;
        Ok(Updates { per_second: done as f64 / time.as_secs_f64(), readers_lose: None })
    }
}

impl<M> Crate<M> {
    fn lookup<F: Net>(&self, addrs: &[F::Addr], values: &mut [u32])
    where
        M: Map<F>,
    {
        for (&addr, value) in addrs.iter().zip(values) {
            *value = self.0.lookup(addr);
        }
    }
}

/// Memory of this process that is there: proc(5), statm. Pages are of 4 KB on every machine that DPDK and AF_XDP are
/// compared on.
fn resident_bytes() -> Result<u64> {
    let text = fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = text.split(' ').nth(1).context("/proc/self/statm is short")?.parse()?;
    Ok(pages * 4096)
}
