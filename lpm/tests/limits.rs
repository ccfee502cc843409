//! Limits from both sides, and what is promised of memory.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};

use common::{Bits, Model, Random, random_addr, random_prefix, random_value, seed};
use ipnet::{Ipv4Net, Ipv6Net};
use ze_lpm::{
    Config, Domain, Engine, Error, Extended, Family, Lpm, Lpm4, Lpm6, Prefix, Prefix4, Prefix6, V4, V6,
    Value, ValueError,
};

fn value(raw: u32) -> Value {
    Value::new(raw).unwrap()
}

fn prefix4(text: &str) -> Prefix4 {
    text.parse().unwrap()
}

/// `count` different routes of some length that the family's tables have many of.
fn routes<F: Bits>(count: u32) -> Vec<(Prefix<F>, Value)> {
    let mut random = Random(seed());
    let mut routes = Model::<F>::new();
    while routes.0.len() < count as usize {
        let len = [F::BITS / 8 * 3, F::BITS / 4, F::BITS / 2, F::BITS / 4 * 3][random.below(4) as usize];
        let prefix = Prefix::containing(F::random(&mut random), len).unwrap();
        routes.0.insert(prefix, value(1 + random.below(300) as u32));
    }
    routes.0.into_iter().collect()
}

#[test]
fn a_prefix_with_host_bits_is_refused_with_the_prefix_that_was_meant() {
    let error = Prefix4::new(0xc000_0201, 24).unwrap_err();
    assert_eq!(error.to_string(), "192.0.2.1/24 has host bits set; the prefix is 192.0.2.0/24");
    let error = "2001:db8::1/32".parse::<Prefix6>().unwrap_err();
    assert_eq!(error.to_string(), "2001:db8::1/32 has host bits set; the prefix is 2001:db8::/32");
    assert_eq!(Prefix4::containing(0xc000_0201, 24), Ok(prefix4("192.0.2.0/24")));
    let net: Ipv4Net = "192.0.2.1/24".parse().unwrap();
    assert!(Prefix4::try_from(net).is_err());
    assert!(Prefix4::try_from(net.trunc()).is_ok());
}

#[test]
fn a_prefix_is_as_long_as_an_address_at_most() {
    assert!(Prefix4::new(1, 32).is_ok() && Prefix6::new(1, 128).is_ok());
    assert!(Prefix4::new(0, 0).is_ok() && Prefix6::new(0, 0).is_ok());
    let error = Prefix4::new(0, 33).unwrap_err();
    assert_eq!(error.to_string(), "0.0.0.0/33: the length of this family's prefixes is 0 to 32");
    assert!(Prefix6::new(0, 129).is_err() && Prefix6::containing(0, 255).is_err());
}

#[test]
fn a_prefix_is_read_and_written_as_people_do() {
    for text in ["0.0.0.0/0", "10.0.0.0/8", "192.0.2.1/32"] {
        assert_eq!(prefix4(text).to_string(), text);
        let net: Ipv4Net = text.parse().unwrap();
        assert_eq!((Prefix4::try_from(net), Ipv4Net::from(prefix4(text))), (Ok(prefix4(text)), net));
    }
    for text in ["::/0", "2001:db8::/32", "::1/128"] {
        let prefix: Prefix6 = text.parse().unwrap();
        let net: Ipv6Net = text.parse().unwrap();
        assert_eq!((prefix.to_string(), Ipv6Net::from(prefix)), (text.to_owned(), net));
        assert_eq!(Prefix6::try_from(net), Ok(prefix));
    }
    for text in ["", "10.0.0.0", "10.0.0.0/x", "10.0.0.0/-1", "10.0.0.0/256", "::/0", "10.0.0/8"] {
        assert!(text.parse::<Prefix4>().is_err(), "{text:?}");
    }
}

#[test]
fn a_value_lies_between_one_and_its_maximum() {
    assert_eq!(Value::new(0), Err(ValueError(0)));
    assert_eq!(value(1).get(), 1);
    assert_eq!(Value::MAX.get(), (1 << 30) - 1);
    assert_eq!(Value::new(1 << 30), Err(ValueError(1 << 30)));
    assert_eq!((Value::from_raw(0), Value::from_raw(7)), (None, Some(value(7))));
}

#[test]
fn values_keep_their_bits_on_both_sides_of_sixteen() {
    let domain = Domain::new();
    let mut table = Lpm4::new(&domain, Config::default());
    let reader = domain.register().unwrap();
    let values = [1, 0xffff, 0x1_0000, Value::MAX.get()];
    for (index, &raw) in values.iter().enumerate() {
        table.insert(Prefix4::new((index as u32) << 8, 24).unwrap(), value(raw)).unwrap();
    }
    let guard = reader.enter();
    for engine in Engine::all() {
        let source = table.reader().with_engine(engine);
        let mut answers = [9; 5];
        source.view(&guard).lookup_batch(&[0, 0x1ff, 0x2aa, 0x301, 0x400], &mut answers);
        assert_eq!(answers, [values[0], values[1], values[2], values[3], 0], "{}", engine.name());
    }
}

#[test]
fn a_batch_may_have_any_length_and_must_have_one() {
    let domain = Domain::new();
    let table = Lpm6::build(&domain, Config::default(), routes::<V6>(2_000)).unwrap();
    let reader = domain.register().unwrap();
    let guard = reader.enter();
    let mut random = Random(seed());
    for engine in Engine::all() {
        let source = table.reader().with_engine(engine);
        let view = source.view(&guard);
        for length in (0..140).chain([1_000]) {
            let addrs: Vec<_> = (0..length).map(|_| random_addr::<V6>(&mut random)).collect();
            let mut values = vec![u32::MAX; length];
            view.lookup_batch(&addrs, &mut values);
            assert!(addrs.iter().zip(&values).all(|(&addr, &value)| view.lookup(addr) == value));
        }
        let unequal = AssertUnwindSafe(|| view.lookup_batch(&[1, 2], &mut [0; 3]));
        assert!(catch_unwind(unequal).is_err());
    }
}

/// Addresses that are not answered by root and leaf: by a host route, a large value, that of a whole word, a subnet of a /24.
const KINDS: u32 = 4;

#[test]
fn any_number_of_a_batch_may_lead_below_the_leaves_or_to_large_values() {
    let domain = Domain::new();
    // Each of these has a /19, which is a word of the largest root, for itself.
    let block = |number: u32| number << 13;
    let host = |number: u32| (Prefix4::new(block(number) | 0x1234, 32).unwrap(), value(1 + number % 200));
    let large = |number: u32| (Prefix4::new(block(number), 24).unwrap(), value(70_000 + number));
    let whole = |number: u32| (Prefix4::new(block(number), 19).unwrap(), value(80_000 + number));
    let small = |number: u32| (Prefix4::new(block(number), 27).unwrap(), value(1 + number % 300));
    let plain = |number: u32| (Prefix4::new(block(number), 24).unwrap(), value(1 + number % 300));
    let routes = (0..70_000).map(|number| match number % 8 {
        0 => host(number),
        1 => large(number),
        2 => whole(number),
        3 => small(number),
        _ => plain(number),
    });
    let table = Lpm4::build(&domain, Config::default(), routes).unwrap();
    let reader = domain.register().unwrap();
    let guard = reader.enter();
    let mut random = Random(seed());
    for engine in Engine::all() {
        let source = table.reader().with_engine(engine);
        let view = source.view(&guard);
        for (kind, open) in (0..=KINDS).flat_map(|kind| (0..=128).map(move |open| (kind, open))) {
            let length = open.max(1) + random.below(140) as usize;
            let mut addrs: Vec<_> = (0..length as u32).map(|number| block(number * 8 + 7) | 5).collect();
            for addr in &mut addrs[..open] {
                let kind = if kind == KINDS { random.below(u64::from(KINDS)) as u32 } else { kind };
                let number = random.below(8_000) as u32 * 8 + kind;
                *addr = block(number) | if kind == 0 { 0x1234 } else { 5 };
            }
            addrs.sort_by_cached_key(|_| random.next());
            let mut values = vec![u32::MAX; length];
            view.lookup_batch(&addrs, &mut values);
            let expected: Vec<_> = addrs.iter().map(|&addr| table.lookup(addr).unwrap().1.get()).collect();
            assert_eq!(values, expected, "{}, {open} of {length}, kind {kind}", engine.name());
        }
    }
}

#[test]
fn values_that_came_and_went_cost_a_small_table_nothing() {
    let domain = Domain::new();
    let mut reader = domain.register().unwrap();
    let mut table = Lpm4::build(&domain, Config::default(), routes::<V4>(100)).unwrap();
    let first = table.memory().total_bytes();
    for raw in 1..=70_000 {
        table.insert(prefix4("10.0.0.0/8"), value(raw)).unwrap();
        assert_eq!(table.reader().view(&reader.enter()).lookup(0x0aff_ffff), raw);
        reader.quiescent();
    }
    let last = table.memory().total_bytes();
    assert!(last <= first + 2_048, "{first} bytes, then {last}");
}

/// A customer's VRF: a default route, sites, their subnets, and host routes of loopbacks.
fn vrf<F: Family>(texts: &[String]) -> Vec<(Prefix<F>, Value)> {
    let route = |(number, text): (usize, &String)| (text.parse().unwrap(), value(number as u32 % 8 + 1));
    texts.iter().enumerate().map(route).collect()
}

#[test]
fn a_vrf_of_a_hundred_routes_takes_ten_kilobytes_at_most() {
    let domain = Domain::new();
    let mut four = vec!["0.0.0.0/0".to_owned()];
    four.extend((0..9).map(|site| format!("10.{site}.0.0/16")));
    four.extend((0..60).map(|subnet| format!("10.{}.{}.0/24", subnet % 9, subnet * 4)));
    four.extend((0..30).map(|host| format!("10.255.0.{host}/32")));
    let mut six = vec!["::/0".to_owned()];
    six.extend((0..9).map(|site| format!("2001:db8:{site:x}::/48")));
    six.extend((0..60).map(|subnet| format!("2001:db8:{:x}:{:x}::/64", subnet % 9, subnet * 4)));
    six.extend((0..30).map(|host| format!("2001:db8:ffff::{host:x}/128")));
    // As if every route had a nexthop of its own, far from those of the others.
    let scattered = |count: usize| {
        let routes = vrf::<V4>(&four[..count]).into_iter().zip(1..);
        routes.map(|((prefix, _), number)| (prefix, value(number * 600)))
    };
    for count in [0, 16, 100] {
        let wide = Lpm4::build(&domain, Config::default(), scattered(count)).unwrap().memory();
        println!("{count} routes, {count} values: IPv4 {wide:?}");
        assert!(wide.total_bytes() <= 10 << 10, "{wide:?}");
        let four = Lpm4::build(&domain, Config::default(), vrf(&four[..count])).unwrap().memory();
        let six = Lpm6::build(&domain, Config::default(), vrf(&six[..count])).unwrap().memory();
        println!("{count} routes: IPv4 {four:?}, IPv6 {six:?}");
        assert!(four.total_bytes() <= 10 << 10, "{four:?}");
        assert!(six.lookup_bytes <= 10 << 10 && six.total_bytes() <= 16 << 10, "{six:?}");
    }
}

/// The least budget, found by trying, with which `count` routes are taken one by one.
fn least_budget(routes: &[(Prefix4, Value)]) -> usize {
    let fits = |&memory_budget_bytes: &usize| {
        let mut table = Lpm4::new(&Domain::new(), Config { memory_budget_bytes, ..Config::default() });
        routes.iter().all(|&(prefix, value)| table.insert(prefix, value).is_ok())
    };
    let (mut refused, mut taken) = (0_usize, 1 << 20);
    while taken - refused > 1 {
        let middle = refused.midpoint(taken);
        if fits(&middle) { taken = middle } else { refused = middle }
    }
    taken
}

#[test]
fn a_route_over_budget_is_refused_and_nothing_changes() {
    let all = routes::<V4>(300);
    let budget = least_budget(&all);
    let config = Config { memory_budget_bytes: budget - 1, ..Config::default() };
    let domain = Domain::new();
    let mut table = Lpm4::new(&domain, config);
    let mut model = Model::<V4>::new();
    let mut refused = 0;
    for &(prefix, value) in &all {
        match table.insert(prefix, value) {
            Ok(old) => assert_eq!(old, model.0.insert(prefix, value)),
            Err(Error::OverBudget { needed_bytes, budget_bytes }) => {
                assert!(needed_bytes > budget_bytes && budget_bytes == budget - 1);
                assert_eq!(table.exact(prefix), None);
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
        assert!(table.memory().total_bytes() < budget);
        assert_same(&table, &domain, &model);
    }
    assert!(refused > 0, "one byte less is too little");
    for (prefix, _) in all.iter().take(200) {
        assert_eq!(table.remove(*prefix), model.0.remove(prefix));
        assert_same(&table, &domain, &model);
    }
    let (prefix, value) = all[299];
    assert!(table.insert(prefix, value).is_ok(), "there is room again");
}

#[test]
fn a_batch_over_budget_is_refused_whole() {
    let all = routes::<V4>(3_000);
    let config = Config { memory_budget_bytes: 40 << 10, ..Config::default() };
    let domain = Domain::new();
    for (there, more) in [(100, 2_900), (400, 40), (400, 20)] {
        let mut table = Lpm4::build(&domain, config, all[..there].iter().copied()).unwrap();
        let mut model = Model::<V4>::new();
        model.0.extend(all[..there].iter().copied());
        // Replacements are undone like additions.
        let other = |(prefix, _)| (prefix, value(77_777));
        let replaced = all[there - 10..there].iter().copied().map(other);
        let batch = replaced.chain(all[there..].iter().copied()).take(more);
        let result = table.extend(batch.clone());
        if more > 1_000 {
            assert!(matches!(result, Err(Error::OverBudget { .. })), "{result:?}");
        }
        if result.is_ok() {
            assert_eq!(result, Ok(Extended { added: more - 10, replaced: 10 }));
            model.0.extend(batch);
        }
        assert_same(&table, &domain, &model);
    }
}

#[test]
fn a_table_with_the_largest_root_keeps_to_its_budget() {
    let all = routes::<V4>(80_000);
    let domain = Domain::new();
    let (mut largest, mut smaller, mut refused) = (0, 0, 0);
    for budget in (3 << 20..9 << 20).step_by(250_000) {
        let config = Config { memory_budget_bytes: budget, ..Config::default() };
        let Ok(mut table) = Lpm4::build(&domain, config, all[..70_000].iter().copied()) else { continue };
        let mut model = Model::<V4>::new();
        model.0.extend(all[..70_000].iter().copied());
        // Each with a value that is new here.
        for (number, &(prefix, _)) in (0..).zip(&all[70_000..]) {
            let value = value(1_000 + number * 6);
            if table.insert(prefix, value).is_err() {
                assert_eq!(table.exact(prefix), None);
                refused += 1;
                break;
            }
            model.0.insert(prefix, value);
        }
        assert_same(&table, &domain, &model);
        let memory = table.memory();
        assert!(memory.total_bytes() <= budget, "{budget}: {memory:?}");
        if memory.lookup_bytes > 4 << 20 { largest += 1 } else { smaller += 1 }
    }
    let what =
        format!("{largest} with the largest root, {smaller} with a smaller one, {refused} refused a route");
    assert!(largest > 0 && smaller > 0 && refused > 0, "{what}");
    println!("{what}");
}

#[test]
fn a_small_batch_that_fails_at_its_end_is_taken_back() {
    let all = routes::<V4>(2_000);
    let domain = Domain::new();
    let mut model = Model::<V4>::new();
    model.0.extend(all[..1_000].iter().copied());
    let taken = Lpm4::build(&domain, Config::default(), all[..1_000].iter().copied()).unwrap().memory();
    let config = Config { memory_budget_bytes: taken.total_bytes() + 500, ..Config::default() };
    let mut table = Lpm4::build(&domain, config, all[..1_000].iter().copied()).unwrap();
    let mut refused = 0;
    for batch in all[1_000..].chunks(100) {
        let replaced: Vec<_> = all[..5].iter().map(|&(prefix, _)| (prefix, value(9_999))).collect();
        let batch = replaced.into_iter().chain(batch.iter().copied());
        match table.extend(batch.clone()) {
            Ok(_) => model.0.extend(batch),
            Err(_) => refused += 1,
        }
        assert_same(&table, &domain, &model);
    }
    assert!(refused > 0);
}

fn assert_same<F: Bits>(table: &Lpm<F>, domain: &Domain, model: &Model<F>) {
    assert!(table.iter().eq(model.0.iter().map(|(&prefix, &value)| (prefix, value))));
    let reader = domain.register().unwrap();
    let guard = reader.enter();
    let source = table.reader();
    let mut addrs: Vec<_> = model.0.keys().step_by(7).map(|prefix| prefix.addr()).collect();
    let mut random = Random(11);
    addrs.extend((0..50).map(|_| random_addr::<F>(&mut random)));
    let mut values = vec![0; addrs.len()];
    source.view(&guard).lookup_batch(&addrs, &mut values);
    for (&addr, &value) in addrs.iter().zip(&values) {
        assert_eq!(value, model.raw(addr), "{addr:x?}");
    }
}

fn grow_and_shrink<F: Bits>() {
    let mut random = Random(seed());
    let domain = Domain::new();
    let mut table = Lpm::<F>::new(&domain, Config::default());
    let mut model = Model::<F>::new();
    // Up to the largest root and back, in batches and one by one.
    let all = routes::<F>(70_000);
    let crowd: Vec<_> = (0..3_000).map(|_| (random_prefix(&mut random), random_value(&mut random))).collect();
    for (at_once, routes) in [(false, &crowd[..]), (true, &all[..60_000]), (false, &all[60_000..])] {
        if at_once {
            table.extend(routes.iter().copied()).unwrap();
            model.0.extend(routes.iter().copied());
        } else {
            for &(prefix, value) in routes {
                assert_eq!(table.insert(prefix, value), Ok(model.0.insert(prefix, value)));
            }
        }
        assert_same(&table, &domain, &model);
    }
    let large = table.memory().lookup_bytes;
    assert!(large > 4 << 20, "the largest root: {large} bytes");
    while model.0.len() > 10_000 {
        let near = Prefix::containing(F::random(&mut random), F::BITS).unwrap();
        let prefix = *model.0.range(near..).next().unwrap_or(model.0.first_key_value().unwrap()).0;
        assert_eq!(table.remove(prefix), model.0.remove(&prefix));
    }
    assert_same(&table, &domain, &model);
    assert!(table.memory().lookup_bytes < large / 4, "a smaller root again");
}

#[test]
fn the_ipv4_root_grows_and_shrinks_with_the_table() {
    grow_and_shrink::<V4>();
}

#[test]
fn the_ipv6_root_grows_and_shrinks_with_the_table() {
    grow_and_shrink::<V6>();
}

#[test]
fn memory_stays_where_it_was_after_a_hundred_flaps() {
    let domain = Domain::new();
    let routes = routes::<V4>(5_000);
    let mut table = Lpm4::build(&domain, Config::default(), routes.iter().copied()).unwrap();
    let mut flap = || {
        routes.iter().step_by(2).for_each(|(prefix, _)| _ = table.remove(*prefix));
        routes.iter().step_by(2).for_each(|&(prefix, value)| _ = table.insert(prefix, value).unwrap());
        table.memory()
    };
    let first = flap();
    let last = (0..100).map(|_| flap()).last().unwrap();
    assert!(last.total_bytes() * 100 <= first.total_bytes() * 105, "{first:?} → {last:?}");
}

#[test]
fn a_reader_that_never_leaves_costs_memory_and_is_told_so() {
    let domain = Domain::new();
    let mut table = Lpm4::new(&domain, Config::default());
    let mut stuck = domain.register().unwrap();
    stuck.online();
    let routes = routes::<V4>(3_000);
    for &(prefix, value) in &routes {
        table.insert(prefix, value).unwrap();
    }
    let held = table.memory().retired_bytes;
    assert!(held > 0);
    let config = Config { memory_budget_bytes: table.memory().total_bytes() - held, ..Config::default() };
    let mut bounded = Lpm4::new(&domain, config);
    let insert = |&(prefix, value)| bounded.insert(prefix, value).map(|_| ());
    assert!(matches!(routes.iter().try_for_each(insert), Err(Error::OverBudget { .. })));
    stuck.quiescent();
    assert_eq!(table.memory().retired_bytes, 0);
}

#[test]
fn readers_outlive_the_writer_with_its_last_routes() {
    let domain = Domain::new();
    let mut table = Lpm4::new(&domain, Config::default());
    table.insert(prefix4("192.0.2.0/24"), value(5)).unwrap();
    let source = table.reader();
    drop(table);
    domain.reclaim();
    let reader = domain.register().unwrap();
    assert_eq!(source.view(&reader.enter()).lookup(0xc000_0207), 5);
    assert_eq!(source.view(&reader.enter()).lookup_value(0xc000_0307), None);
}

#[test]
fn readers_go_to_any_thread_and_the_writer_to_one() {
    fn sent<T: Send>() {}
    fn shared<T: Send + Sync + Clone>() {}
    sent::<Lpm4>();
    sent::<ze_sync::Reader>();
    shared::<ze_lpm::LpmReader<V4>>();
    shared::<ze_lpm::LpmReader<V6>>();
}
