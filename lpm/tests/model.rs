//! The table equals the plain one under random operations.
//!
//! Long run: `make soak-lpm`; with another seed: `ZE_SEED=… make soak-lpm`.

mod common;

use common::{Bits, Model, Random, operations, random_addr, random_prefix, random_value, seed};
use ze_lpm::{Config, Domain, Engine, Lpm, LpmReader, Prefix, V4, V6, Value};

struct Check<F: Bits> {
    random: Random,
    table: Lpm<F>,
    model: Model<F>,
    reader: ze_sync::Reader,
    view: LpmReader<F>,
    /// Routes the table grows to before most of it is taken out again.
    crowd: usize,
    /// Routes that it keeps.
    floor: usize,
}

impl<F: Bits> Check<F> {
    fn new(seed: u64, config: Config) -> Self {
        let domain = Domain::new();
        let table = Lpm::new(&domain, config);
        let (view, reader) = (table.reader(), domain.register().unwrap());
        Self { random: Random(seed), table, model: Model::new(), reader, view, crowd: 1_000, floor: 0 }
    }

    /// Fills the table until it has the largest root, so that engines go their quickest way where there is one.
    fn fill(&mut self) {
        while self.model.0.len() < 80_000 {
            let len = F::BITS / 4 + self.random.below(u64::from(F::BITS) * 5 / 8) as u8;
            let prefix = Prefix::containing(F::random(&mut self.random), len).unwrap();
            self.model.0.insert(prefix, random_value(&mut self.random));
        }
        self.table.extend(self.model.0.iter().map(|(&prefix, &value)| (prefix, value))).unwrap();
        self.floor = self.table.len() - 1_000;
        self.crowd = self.table.len();
        self.assert_largest_root();
    }

    /// It has words for every 19 or 23 bits, which the same routes with a smaller root have not.
    fn assert_largest_root(&self) {
        let config = Config { root_bits_max: 18, ..Config::default() };
        let smaller = Lpm::build(&Domain::new(), config, self.table.iter()).unwrap().memory().lookup_bytes;
        let bytes = self.table.memory().lookup_bytes;
        assert!(bytes > smaller + (2 << 20), "{bytes} bytes, with a smaller root {smaller}");
    }

    fn run(&mut self, operations: u64) {
        self.run_without_drain(operations);
        self.drain();
    }

    fn run_without_drain(&mut self, operations: u64) {
        let mut growing = true;
        for operation in 0..operations {
            if self.model.0.len() > self.crowd {
                growing = false;
            }
            if !growing && self.model.0.len() < self.floor + (self.crowd - self.floor) / 20 {
                growing = true;
                self.crowd = self.floor + 100 + self.random.below(10_000) as usize;
            }
            match self.random.below(10_000) {
                0 => self.extend(),
                _ if self.random.chance(if growing { 70 } else { 30 }) => self.insert(),
                _ => self.remove(),
            }
            if operation % 20_000 == 0 {
                self.compare_all();
            }
            self.reader.quiescent();
        }
        self.compare_all();
    }

    fn insert(&mut self) {
        let (prefix, value) = (random_prefix(&mut self.random), random_value(&mut self.random));
        assert_eq!(self.table.insert(prefix, value), Ok(self.model.0.insert(prefix, value)), "{prefix}");
        self.compare_around(&prefix);
    }

    fn remove(&mut self) {
        let near = random_prefix(&mut self.random);
        let next = self.model.0.range(near..).next().map(|(&prefix, _)| prefix);
        let prefix = next.unwrap_or(near);
        assert_eq!(self.table.remove(prefix), self.model.0.remove(&prefix), "{prefix}");
        self.compare_around(&prefix);
    }

    fn extend(&mut self) {
        let count = self.random.below(2_000);
        let random = &mut self.random;
        let routes: Vec<_> = (0..count).map(|_| (random_prefix(random), random_value(random))).collect();
        let before = self.model.0.len();
        self.model.0.extend(routes.iter().copied());
        let extended = self.table.extend(routes).unwrap();
        assert_eq!(extended.added, self.model.0.len() - before);
        assert_eq!(extended.added + extended.replaced, count as usize);
        self.compare_all();
    }

    fn compare_around(&mut self, prefix: &Prefix<F>) {
        let (first, last) = (prefix.addr(), F::last(prefix));
        let mut addrs = vec![first, last, F::plus(first, -1), F::plus(last, 1)];
        addrs.push(random_addr::<F>(&mut self.random));
        if prefix.len() < F::BITS {
            let inside = prefix.len() + self.random.below(u64::from(F::BITS - prefix.len())) as u8;
            addrs.push(F::flip(first, inside));
        }
        self.compare(&addrs);
        assert_eq!(self.table.exact(*prefix), self.model.0.get(prefix).copied());
    }

    fn compare(&self, addrs: &[F::Addr]) {
        let guard = self.reader.enter();
        let view = self.view.view(&guard);
        let mut expected = Vec::new();
        for &addr in addrs {
            let route = self.model.lookup(addr);
            assert_eq!(self.table.lookup(addr), route, "{addr:x?}, the writer's answer");
            expected.push(route.map_or(0, |(_, value)| value.get()));
            assert_eq!(view.lookup(addr), expected[expected.len() - 1], "{addr:x?}, one by one");
        }
        for engine in Engine::all() {
            let mut batch = vec![u32::MAX; addrs.len()];
            self.view.clone().with_engine(engine).view(&guard).lookup_batch(addrs, &mut batch);
            assert_eq!(batch, expected, "{} for {addrs:x?}", engine.name());
        }
    }

    fn compare_all(&mut self) {
        assert_eq!(self.table.len(), self.model.0.len());
        let routes: Vec<(Prefix<F>, Value)> = self.table.iter().collect();
        assert!(routes.iter().copied().eq(self.model.0.iter().map(|(&prefix, &value)| (prefix, value))));
        for _ in 0..50 {
            let over = random_prefix(&mut self.random);
            let expected = self.model.0.range(over..).take_while(|(prefix, _)| over.covers(prefix));
            let expected = expected.map(|(&prefix, &value)| (prefix, value));
            assert!(self.table.subtree(over).eq(expected), "below {over}");
        }
        let count = self.random.below(300);
        let addrs: Vec<_> = (0..count).map(|_| random_addr::<F>(&mut self.random)).collect();
        self.compare(&addrs);
        // Anywhere, and where there are routes: most of these of a large table end in its root or a leaf below it.
        let routes: Vec<_> = self.model.0.keys().step_by(100).copied().collect();
        let mut addrs: Vec<_> = routes.iter().map(F::last).collect();
        addrs.extend((0..count).map(|_| F::random(&mut self.random)));
        self.compare(&addrs);
    }

    fn drain(&mut self) {
        while let Some((&prefix, &value)) = self.model.0.first_key_value() {
            assert_eq!(self.table.remove(prefix), Some(value));
            self.model.0.remove(&prefix);
        }
        assert!(self.table.is_empty());
        self.compare_all();
        self.reader.quiescent();
        let fresh = Lpm::<F>::new(&Domain::new(), Config::default()).memory();
        assert_eq!(self.table.memory(), fresh, "an emptied table takes what a new one takes");
    }
}

#[test]
fn ipv4_equals_the_plain_table_under_random_operations() {
    Check::<V4>::new(seed(), Config::default()).run(operations(200_000));
}

#[test]
fn ipv6_equals_the_plain_table_under_random_operations() {
    Check::<V6>::new(seed(), Config::default()).run(operations(200_000));
}

#[test]
fn ipv4_with_the_smallest_root_equals_the_plain_table() {
    let config = Config { root_bits_max: 0, ..Config::default() };
    Check::<V4>::new(seed(), config).run(operations(200_000) / 4);
}

#[test]
fn ipv6_with_the_smallest_root_equals_the_plain_table() {
    let config = Config { root_bits_max: 0, ..Config::default() };
    Check::<V6>::new(seed(), config).run(operations(200_000) / 4);
}

#[test]
fn ipv4_with_the_largest_root_equals_the_plain_table() {
    let mut check = Check::<V4>::new(seed(), Config::default());
    check.fill();
    check.run_without_drain(operations(200_000) / 8);
    check.assert_largest_root();
}

#[test]
fn ipv6_with_the_largest_root_equals_the_plain_table() {
    let mut check = Check::<V6>::new(seed(), Config::default());
    check.fill();
    check.run_without_drain(operations(200_000) / 8);
    check.assert_largest_root();
}
