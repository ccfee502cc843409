//! Measures a table: `cargo run --release -p ze-lpm --example rate -- --table FILE [--batch N] [--root-bits N]`.
//!
//! FILE has one `prefix number` a line (the number any 32-bit value), IPv4 or IPv6; `zstd -d` it first.
//! Times are those of the measuring thread's CPU; a rate is the median over chunks of 64 k lookups (in
//! brackets: of the quickest twentieth, which a busy machine disturbs less).
//! Traces: *covered* = a random route, then a random host in it; *uniform* = anywhere (IPv6: in
//! 2000::/3); *zipf* = 256 k covered destinations, the k-th with a share of 1/k;
//! *few* = 1,024 of them, evenly: what the code costs when memory costs nothing.

use std::{
    hint::black_box,
    str::FromStr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use ze_lpm::{Config, Domain, Engine, Family, Lpm, Prefix, V4, V6, Value};

const CHUNK: usize = 1 << 16;
const CHUNKS: usize = 64;

struct Options {
    table: String,
    batch: usize,
    config: Config,
}

fn main() {
    let mut options = Options { table: String::new(), batch: 64, config: Config::default() };
    let mut arguments = std::env::args().skip(1);
    while let (Some(name), Some(value)) = (arguments.next(), arguments.next()) {
        match name.as_str() {
            "--table" => options.table = value,
            "--batch" => options.batch = value.parse().expect("--batch takes a number"),
            "--root-bits" => {
                options.config.root_bits_max = value.parse().expect("--root-bits takes a number")
            }
            _ => panic!("unknown option {name}"),
        }
    }
    let text = std::fs::read_to_string(&options.table).expect("--table names a readable file");
    if text.lines().next().is_some_and(|line| line.contains(':')) {
        measure::<V6>(&text, &options);
    } else {
        measure::<V4>(&text, &options);
    }
}

fn measure<F: Hosts>(text: &str, options: &Options) {
    let routes = parse::<F>(text);
    let domain = Domain::new();
    let start = cpu_time();
    let mut table = Lpm::build(&domain, options.config, routes.iter().copied()).expect("it fits");
    let build = cpu_time() - start;
    let memory = table.memory();
    println!("{} routes, built in {:.3} s, {memory:?}", table.len(), build.as_secs_f64());

    let mut random = Random(7);
    let reader = domain.register().expect("the first reader");
    let view_source = table.reader();
    for (name, trace) in traces::<F>(&routes, &mut random) {
        let guard = reader.enter();
        let view = view_source.view(&guard);
        let single = rate(&trace, |addrs, values| {
            for (addr, value) in addrs.iter().zip(values) {
                *value = view.lookup(*addr);
            }
        });
        print!("{name:8} single {single:6.1}");
        for engine in Engine::all() {
            let view_source = view_source.clone().with_engine(engine);
            let view = view_source.view(&guard);
            let mut rates = rates(&trace, |addrs, values| {
                for (addrs, values) in addrs.chunks(options.batch).zip(values.chunks_mut(options.batch)) {
                    view.lookup_batch(addrs, values);
                }
            });
            print!("   {} {:6.1}", engine.name(), median(&mut rates));
            print!(" [{:6.1}]", rates[rates.len() * 19 / 20]);
        }
        println!("   M/s");
    }
    drop(reader);
    println!("updates, no reader:   {:.2} M/s", updates(&mut table, &routes));
    with_reader(&domain, &mut table, &routes);
}

/// Updates while a reader looks up: both rates.
fn with_reader<F: Hosts>(domain: &Domain, table: &mut Lpm<F>, routes: &[(Prefix<F>, Value)]) {
    let stop = AtomicBool::new(false);
    let mut reader = domain.register().expect("a reader");
    let source = table.reader();
    let (_, trace) = traces::<F>(routes, &mut Random(9)).swap_remove(0);
    thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut rates = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                rates.push(rate(&trace, |addrs, values| {
                    for (addrs, values) in addrs.chunks(64).zip(values.chunks_mut(64)) {
                        source.view(&reader.enter()).lookup_batch(addrs, values);
                        reader.quiescent();
                    }
                }));
            }
            median(&mut rates)
        });
        thread::sleep(Duration::from_millis(200));
        let rate = updates(table, routes);
        stop.store(true, Ordering::Relaxed);
        let looked = looking.join().expect("the reader");
        println!("updates, one reader:  {rate:.2} M/s, while it looks up {looked:.1} M/s (covered)");
    });
    println!("afterwards: {:?}", table.memory());
}

/// Withdraws, announces and re-points random routes; million changes a second.
fn updates<F: Hosts>(table: &mut Lpm<F>, routes: &[(Prefix<F>, Value)]) -> f64 {
    let mut random = Random(11);
    let count = 200_000;
    let chosen: Vec<_> = (0..count).map(|_| routes[random.below(routes.len())]).collect();
    let start = cpu_time();
    for &(prefix, value) in &chosen {
        black_box(table.remove(prefix));
        let _ = black_box(table.insert(prefix, value));
        let other = Value::new(value.get() % 250 + 1).expect("in range");
        let _ = black_box(table.insert(prefix, other));
    }
    3.0 * count as f64 / (cpu_time() - start).as_secs_f64() / 1e6
}

fn rate<A>(trace: &[A], lookup: impl FnMut(&[A], &mut [u32])) -> f64 {
    median(&mut rates(trace, lookup))
}

fn rates<A>(trace: &[A], mut lookup: impl FnMut(&[A], &mut [u32])) -> Vec<f64> {
    let mut values = vec![0; CHUNK];
    trace
        .chunks_exact(CHUNK)
        .map(|chunk| {
            let start = cpu_time();
            lookup(chunk, &mut values);
            black_box(&values);
            CHUNK as f64 / (cpu_time() - start).as_secs_f64() / 1e6
        })
        .collect()
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(0.0)
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn parse<F: Family>(text: &str) -> Vec<(Prefix<F>, Value)> {
    let route = |line: &str| {
        let (prefix, number) = line.split_once(' ').expect("prefix number");
        let number: u32 = number.trim().parse().expect("a number");
        let value = Value::new(number % Value::MAX.get() + 1).expect("in range");
        (Prefix::from_str(prefix).expect("a prefix"), value)
    };
    text.lines().map(route).collect()
}

fn traces<F: Hosts>(routes: &[(Prefix<F>, Value)], random: &mut Random) -> Vec<(&'static str, Vec<F::Addr>)> {
    let host = |random: &mut Random| F::host(&routes[random.below(routes.len())].0, random);
    let count = CHUNK * CHUNKS;
    let covered = (0..count).map(|_| host(random)).collect();
    let destinations: Vec<_> = (0..1 << 18).map(|_| host(random)).collect();
    let uniform = (0..count).map(|_| F::uniform(random)).collect();
    let zipf = (0..count).map(|_| destinations[random.zipf(destinations.len())]).collect();
    let few = (0..count).map(|_| destinations[random.below(1 << 10)]).collect();
    vec![("covered", covered), ("uniform", uniform), ("zipf", zipf), ("few", few)]
}

trait Hosts: Family {
    fn host(prefix: &Prefix<Self>, random: &mut Random) -> Self::Addr;
    fn uniform(random: &mut Random) -> Self::Addr;
}

impl Hosts for V4 {
    fn host(prefix: &Prefix<V4>, random: &mut Random) -> u32 {
        prefix.addr() | (random.next() as u32).checked_shr(prefix.len().into()).unwrap_or(0)
    }

    fn uniform(random: &mut Random) -> u32 {
        random.next() as u32
    }
}

impl Hosts for V6 {
    fn host(prefix: &Prefix<V6>, random: &mut Random) -> u128 {
        prefix.addr() | random.wide().checked_shr(prefix.len().into()).unwrap_or(0)
    }

    fn uniform(random: &mut Random) -> u128 {
        1 << 125 | random.wide() >> 3
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn wide(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// A rank below `bound`, the k-th with a share of 1/k: the inverse of the harmonic sum is an exponential.
    fn zipf(&mut self, bound: usize) -> usize {
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        ((bound as f64).powf(unit) as usize - 1).min(bound - 1)
    }
}
