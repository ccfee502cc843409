//! Ze's own table, through the interface that the fast path uses: a view under a guard for each batch.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ze_lpm::{Config, Domain, Lpm, LpmReader};
use ze_sync::Reader;

use super::engine::{
    Built, Change, Engine, ReadersLose, Updates, answers, change_routes, cpu_time, rate, rates,
};
use super::table::{Addresses, CHUNK, Net, Table};
use crate::pipeline::random::Random;
use crate::stats::median;

/// What the writer does, by turns, so that whatever changes with time changes all.
const KINDS: usize = 3;
/// It sleeps.
const IDLE: usize = 0;
/// It is awake, and does as little as can be: one multiplication after the other, each waiting for the last, and no memory.
/// Cores of a virtual machine may be two threads of one core: what the reader loses to a neighbour that is merely awake, the
/// updates have not cost it.
const AWAKE: usize = 1;
/// It changes routes.
const UPDATING: usize = 2;
/// All turns: short ones and many, for a rate that other users of the machine disturb now and then.
const TURNS: usize = 20 * KINDS;
/// How long each is.
const TURN_TIME: Duration = Duration::from_millis(50);

/// What an engine is called: the one that the fast path takes is `ze`.
pub(super) fn name(engine: ze_lpm::Engine) -> String {
    if engine == ze_lpm::Engine::best() { "ze".to_owned() } else { format!("ze_{}", engine.name()) }
}

/// Ze with one of its engines.
pub(super) struct Ze<F: Net> {
    name: String,
    engine: ze_lpm::Engine,
    domain: Domain,
    table: Lpm<F>,
    reader: Reader,
    reader_core: Option<usize>,
}

impl<F: Net> Ze<F> {
    /// One for each engine that this CPU can run; the first is what the fast path takes, and is called `ze`. While
    /// updates are measured, the reader is on `reader_core`.
    pub(super) fn all(reader_core: Option<usize>) -> Result<Vec<Self>> {
        let named = |engine: ze_lpm::Engine| {
            let domain = Domain::new();
            Ok(Self {
                name: name(engine),
                engine,
                table: Lpm::new(&domain, Config::default()),
                reader: domain.register().context("a reader of a new domain")?,
                domain,
                reader_core,
            })
        };
        ze_lpm::Engine::all().into_iter().map(named).collect()
    }

    fn source(&self) -> LpmReader<F> {
        self.table.reader().with_engine(self.engine)
    }
}

impl<F: Net> Engine<F> for Ze<F> {
    fn name(&self) -> &str {
        &self.name
    }

    fn build(&mut self, table: &Table<F>) -> Result<Built> {
        let start = cpu_time();
        self.table = Lpm::build(&self.domain, Config::default(), table.routes.iter().copied())?;
        let seconds = (cpu_time() - start).as_secs_f64();
        Ok(Built { seconds, bytes: self.table.memory().lookup_bytes as u64 })
    }

    fn rates(&mut self, addresses: &Addresses<F>, batch: usize) -> Result<Vec<f64>> {
        let source = self.source();
        Ok(rates(&addresses.all, batch, |addrs, values| {
            source.view(&self.reader.enter()).lookup_batch(addrs, values);
            self.reader.quiescent();
        }))
    }

    fn answers(&mut self, addresses: &Addresses<F>) -> Result<Vec<u32>> {
        let source = self.source();
        Ok(answers(&addresses.all, |addrs, values| {
            source.view(&self.reader.enter()).lookup_batch(addrs, values);
            self.reader.quiescent();
        }))
    }

    fn updates(&mut self, table: &Table<F>, batch: usize) -> Result<Updates> {
        let addresses = table.traces.first().context("no trace for the reader")?;
        let (source, turn, stop) = (self.source(), AtomicUsize::new(0), AtomicBool::new(false));
        let core = self.reader_core;
        let mut reader = self.domain.register().context("a second reader")?;
        self.reader.quiescent();
        thread::scope(|scope| {
            let looking = scope.spawn(|| {
                if let Some(id) = core {
                    core_affinity::set_for_current(core_affinity::CoreId { id });
                }
                watch(&mut reader, &source, addresses, batch, &turn, &stop)
            });
            let wrote = write_in_turns(&mut self.table, table, &turn, &mut self.reader);
            stop.store(true, Ordering::Relaxed);
            let rates = looking.join().map_err(|_| anyhow::anyhow!("the reader panicked"))?;
            let rates = rates.map(|rates| median(rates).unwrap_or(f64::NAN));
            let lost_against = |kind: usize| 1.0 - rates[UPDATING] / rates[kind];
            let lose = ReadersLose { to_updates: lost_against(AWAKE), to_a_writer: lost_against(IDLE) };
            Ok(Updates { per_second: wrote?, readers_lose: Some(lose) })
        })
    }
}

/// Takes all turns; updates a second of CPU time.
fn write_in_turns<F: Net>(
    lpm: &mut Lpm<F>,
    table: &Table<F>,
    turn: &AtomicUsize,
    own_reader: &mut Reader,
) -> Result<f64> {
    let mut random = Random::new(11);
    let (mut done, mut time) = (0, Duration::ZERO);
    for number in 0..TURNS {
        turn.store(number, Ordering::Relaxed);
        let end = Instant::now() + TURN_TIME;
        match number % KINDS {
            IDLE => thread::sleep(TURN_TIME),
            AWAKE => multiply_until(end),
            _ => (),
        }
        if number % KINDS != UPDATING {
            continue;
        }
        let goes_on = |_| {
            own_reader.quiescent();
            Instant::now() < end
        };
        let (more, took) = change_routes(table, &mut random, goes_on, |prefix, change| {
            match change {
                Change::Remove => _ = lpm.remove(prefix).context("a route that is there is not found")?,
                Change::Insert(value) => _ = lpm.insert(prefix, value)?,
            }
            Ok(())
        })?;
        (done, time) = (done + more, time + took);
    }
    Ok(done as f64 / time.as_secs_f64())
}

fn multiply_until(end: Instant) {
    let mut number = 3_u64;
    while Instant::now() < end {
        number = std::hint::black_box((0..20_000).fold(number, |number, _| number.wrapping_mul(number | 5)));
    }
}

/// Looks up until told to stop: the rates of chunks, by what the writer did meanwhile.
fn watch<F: Net>(
    reader: &mut Reader,
    source: &LpmReader<F>,
    addresses: &Addresses<F>,
    batch: usize,
    turn: &AtomicUsize,
    stop: &AtomicBool,
) -> [Vec<f64>; KINDS] {
    let mut rates = [const { Vec::new() }; KINDS];
    for chunk in addresses.all.chunks_exact(CHUNK).cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let before = turn.load(Ordering::Relaxed);
        let rate = rate(chunk, batch, &mut |addrs, values| {
            source.view(&reader.enter()).lookup_batch(addrs, values);
            reader.quiescent();
        });
        if turn.load(Ordering::Relaxed) == before {
            rates[before % KINDS].push(rate);
        }
    }
    rates
}
