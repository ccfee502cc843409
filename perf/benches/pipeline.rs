//! The graph under criterion: `cargo bench -p ze-perf`, or one case by `cargo bench -p ze-perf -- ip4/1`.
//!
//! The same code as `ze-perf pipeline`. Criterion sees the time of a packet, worked out from the median slice of a run
//! of the worker's own loop, so that starting and stopping the worker are not in it; the harness's cost is.

use std::time::Duration;

use clap::Parser;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ze_graph::clock;
use ze_perf::args::{Args, Command};
use ze_perf::interrupt::Interrupt;
use ze_perf::pipeline::Bench;

/// Name of the case, and how `ze-perf pipeline` is asked for it.
const CASES: [(&str, &str); 7] = [
    ("baseline", "baseline"),
    ("ip4/1", "ip4"),
    ("ip4/1/batch16", "ip4 --batch 16"),
    ("ip4/1/imix", "ip4 --size imix"),
    ("ip4/1000000", "ip4 --routes 1000000 --pattern uniform"),
    ("ip6/1", "ip6"),
    ("ip6/200000", "ip6 --routes 200000 --pattern covered"),
];
/// Seconds of one run, a tenth of a second of warm-up besides.
const RUN: &str = "0.05";

fn bench(line: &str) -> Bench {
    let words = format!("ze-perf pipeline {line} --seconds {RUN}");
    let Command::Pipeline(options) = Args::parse_from(words.split(' ')).command else {
        panic!("{words} is another command");
    };
    let order = options.check().unwrap_or_else(|error| error.exit());
    Bench::new(&order.cases[0], &Interrupt::default()).unwrap_or_else(|error| panic!("{line}: {error:#}"))
}

fn pipeline(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pipeline");
    group.throughput(Throughput::Elements(1)).sample_size(10).warm_up_time(Duration::from_millis(100));
    group.measurement_time(Duration::from_secs(2));
    for (name, line) in CASES {
        // Not before it is known that the case is asked for: tables take their time.
        let mut made: Option<Bench> = None;
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|packets| {
                let bench = made.get_or_insert_with(|| bench(line));
                let cycles = bench.cycles().unwrap_or_else(|error| panic!("{name}: {error:#}"));
                Duration::from_secs_f64(cycles * packets as f64 / clock::hertz() as f64)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, pipeline);
criterion_main!(benches);
