//! Readers while the writer works: each answer is one that some version of the table gave during the
//! lookup.

mod common;

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use common::{Bits, Model, Random, operations, random_addr, random_prefix, random_value, seed};
use ze_lpm::{Config, Domain, Engine, Lpm, LpmReader, Prefix, V4, V6, Value};

const PROBES: usize = 100;

/// A change, and what every probe is answered after it.
struct Version<F: Bits> {
    prefix: Prefix<F>,
    value: Option<Value>,
    answers: [u32; PROBES],
}

/// Changes to a table of up to some thousand routes more than `model` has, with the answers of the plain table.
fn history<F: Bits>(
    random: &mut Random,
    mut model: Model<F>,
    probes: &[F::Addr],
    length: usize,
) -> Vec<Version<F>> {
    let mut answers = first_answers(&model, probes);
    let (there, mut growing) = (model.0.len(), true);
    let change = |_| {
        growing = model.0.len() < there + if growing { 3_000 } else { 50 };
        let prefix = random_prefix(random);
        let insert = random.chance(if growing { 75 } else { 25 });
        let (prefix, value) = if insert {
            let value = random_value(random);
            model.0.insert(prefix, value);
            (prefix, Some(value))
        } else {
            let prefix = model.0.range(prefix..).next().map_or(prefix, |(&prefix, _)| prefix);
            model.0.remove(&prefix);
            (prefix, None)
        };
        for (answer, &probe) in answers.iter_mut().zip(probes).filter(|(_, probe)| prefix.contains(**probe)) {
            *answer = model.raw(probe);
        }
        Version { prefix, value, answers }
    };
    (0..length).map(change).collect()
}

fn first_answers<F: Bits>(model: &Model<F>, probes: &[F::Addr]) -> [u32; PROBES] {
    std::array::from_fn(|number| model.raw(probes[number]))
}

/// How far the writer is: version `finished` is complete, `started` may have begun.
#[derive(Default)]
struct Progress {
    started: AtomicUsize,
    finished: AtomicUsize,
    stop: AtomicBool,
}

fn check<F: Bits>(
    engine: Engine,
    reader: &mut ze_sync::Reader,
    table: &LpmReader<F>,
    probes: &[F::Addr],
    (first_answers, history): (&[u32; PROBES], &[Version<F>]),
    progress: &Progress,
) -> usize {
    let mut batches = 0;
    let mut values = [0; PROBES];
    while !progress.stop.load(Ordering::Acquire) {
        // Before the view is taken: when the table is built anew, a view goes on to show what was.
        let first = progress.finished.load(Ordering::SeqCst);
        let guard = reader.enter();
        let view = table.view(&guard);
        if batches % 2 == 0 {
            view.lookup_batch(probes, &mut values);
        } else {
            values.iter_mut().zip(probes).for_each(|(value, &probe)| *value = view.lookup(probe));
        }
        let last = progress.started.load(Ordering::SeqCst);
        for (index, value) in values.iter().enumerate() {
            let known = |version: usize| match version {
                0 => first_answers[index] == *value,
                _ => history[version - 1].answers[index] == *value,
            };
            let (probe, way) = (probes[index], if batches % 2 == 0 { engine.name() } else { "one by one" });
            assert!((first..=last).any(known), "{way}: {probe:x?} → {value}, versions {first} to {last}");
        }
        batches += 1;
        reader.quiescent();
    }
    batches
}

/// With so many routes before it begins.
fn run<F: Bits>(routes: usize) {
    let mut random = Random(seed());
    let probes: Vec<_> = (0..PROBES).map(|_| random_addr::<F>(&mut random)).collect();
    let mut model = Model::<F>::new();
    while model.0.len() < routes {
        let len = F::BITS / 4 + random.below(u64::from(F::BITS) * 5 / 8) as u8;
        let prefix = Prefix::containing(F::random(&mut random), len).unwrap();
        model.0.insert(prefix, random_value(&mut random));
    }
    let domain = Domain::new();
    let there = model.0.iter().map(|(&prefix, &value)| (prefix, value));
    let mut table = Lpm::<F>::build(&domain, Config::default(), there).unwrap();
    let first_answers = first_answers(&model, &probes);
    let history = history::<F>(&mut random, model, &probes, operations(6_000) as usize);
    let progress = Progress::default();
    thread::scope(|scope| {
        let readers: Vec<_> = Engine::all()
            .into_iter()
            .map(|engine| {
                let (mut reader, table) = (domain.register().unwrap(), table.reader().with_engine(engine));
                let (probes, history, progress) = (&probes, (&first_answers, &history[..]), &progress);
                scope.spawn(move || check(engine, &mut reader, &table, probes, history, progress))
            })
            .collect();
        for (index, version) in history.iter().enumerate() {
            progress.started.store(index + 1, Ordering::SeqCst);
            match version.value {
                Some(value) => _ = table.insert(version.prefix, value).unwrap(),
                None => _ = table.remove(version.prefix),
            }
            progress.finished.store(index + 1, Ordering::SeqCst);
            if index % 16 == 0 {
                thread::yield_now(); // so that readers get their turn where cores are few
            }
        }
        progress.stop.store(true, Ordering::Release);
        for reader in readers {
            assert!(reader.join().unwrap() > 0, "every reader has looked");
        }
    });
    assert_eq!(table.memory().retired_bytes, 0, "nothing is held once the readers have left");
}

/// As many as give a table its largest root; the history hardly goes below.
const MANY: usize = 70_000;

#[test]
fn each_ipv4_answer_belongs_to_some_version_of_the_table() {
    run::<V4>(0);
}

#[test]
fn each_ipv6_answer_belongs_to_some_version_of_the_table() {
    run::<V6>(0);
}

#[test]
fn each_ipv4_answer_belongs_to_some_version_of_a_large_table() {
    run::<V4>(MANY);
}

#[test]
fn each_ipv6_answer_belongs_to_some_version_of_a_large_table() {
    run::<V6>(MANY);
}
