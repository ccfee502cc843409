use super::*;
use crate::scenario::{BackendKind, suite};

/// Objects to frames of at least so many bytes in which this byte stands at this place.
struct Picky {
    at: usize,
    byte: u8,
    len: usize,
}

impl Oracle for Picky {
    fn judge(&mut self, input: &Input) -> Option<String> {
        let is_bad =
            |(_, frame): &(Place, Vec<u8>)| frame.len() >= self.len && frame.get(self.at) == Some(&self.byte);
        input.iter().any(is_bad).then(|| "a bad one".to_owned())
    }
}

fn some_inputs() -> Vec<Input> {
    let place = Place::Wire("lan0".to_owned());
    let frame = |ttl: u8| {
        let text = format!(
            "eth 02:00:00:00:01:02>02:00:00:00:01:01 / ip4 10.0.1.2>10.0.2.2 ttl={ttl} / udp 1>2 / payload 90"
        );
        crate::packet::Packet::parse(&text).unwrap().bytes()
    };
    vec![(9..14).map(|ttl| (place.clone(), frame(ttl))).collect()]
}

#[test]
fn what_is_found_is_made_as_small_as_still_shows_it() {
    // The type of service is 0 in every frame that goes in.
    let mut oracle = Picky { at: 15, byte: 0x80, len: 40 };
    let (rounds, find) = fuzz(&mut oracle, &some_inputs(), 7, |round| round > 100_000);
    let find = find.unwrap_or_else(|| panic!("nothing was found in {rounds} rounds"));
    assert_eq!((find.what.as_str(), find.input.len()), ("a bad one", 1));
    let frame = &find.input[0].1;
    assert_eq!((frame.len(), frame[15]), (40, 0x80));
    assert_eq!(frame[FRAME_BYTES_MIN..].iter().filter(|byte| **byte != 0).count(), 1, "{frame:02x?}");
    // And the round can be repeated on its own.
    let again = fuzz(&mut oracle, &some_inputs(), 7 + find.round, |_| false).1.unwrap();
    assert_eq!((again.round, again.input), (0, find.input));
}

#[test]
fn the_same_seed_gives_the_same_frames_and_another_gives_others() {
    let mutated = |seed| {
        let mut input = some_inputs().remove(0);
        mutate::mutate(&mut input, &mut Random::new(seed, 0));
        input
    };
    assert_eq!(mutated(3), mutated(3));
    let different = (0..50).filter(|seed| mutated(*seed) != some_inputs()[0]).count();
    assert!(different > 40, "{different} of 50 changed anything");
}

#[test]
fn mutants_of_the_suite_neither_break_the_router_nor_get_lost() {
    const ROUNDS: u64 = 1_500;
    let all = suite::read(&suite::directory()).unwrap();
    for (router, members) in suite::by_router(&all, BackendKind::Mem) {
        let seed = std::process::id().into();
        let (rounds, find) =
            fuzz(&mut MemoryOracle::new(router, 1), &inputs(&members), seed, |round| round == ROUNDS);
        assert_eq!((rounds, find), (ROUNDS, None), "seed {seed}");
    }
}
