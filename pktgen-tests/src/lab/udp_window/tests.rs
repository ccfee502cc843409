use std::collections::HashSet;

use super::*;

/// The plain model: remembers everything, and forgets by arithmetic only.
#[derive(Default)]
struct Model {
    highest: Option<u64>,
    seen: HashSet<u64>,
}

impl Model {
    fn arrive(&mut self, sequence: u64) -> Arrival {
        let highest = self.highest;
        self.highest = Some(highest.map_or(sequence, |highest| highest.max(sequence)));
        match highest {
            Some(highest) if sequence + WINDOW_PACKETS <= highest => Arrival::TooOld,
            _ if !self.seen.insert(sequence) => Arrival::Duplicate,
            Some(highest) if sequence < highest => Arrival::Reordered,
            _ => Arrival::InOrder,
        }
    }
}

#[test]
fn the_window_agrees_with_a_model_that_remembers_everything() {
    let seed = 0x5eed_0001_u64;
    println!("seed {seed:#x}");
    let mut state = seed;
    let mut random = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let (mut window, mut model) = (SequenceWindow::new(), Model::default());
    let mut base = 0;
    for step in 0..200_000 {
        base += match random(2000) {
            0 => random(3 * WINDOW_PACKETS),
            1..=50 => random(100),
            _ => random(3),
        };
        let sequence = match random(10) {
            0 => base.saturating_sub(random(2 * WINDOW_PACKETS)),
            1..=3 => base.saturating_sub(random(20)),
            _ => base,
        };
        assert_eq!(window.arrive(sequence), model.arrive(sequence), "step {step}, sequence {sequence}");
    }
}

#[test]
fn the_oldest_in_the_window_is_told_apart_and_the_next_older_is_not() {
    let mut window = SequenceWindow::new();
    assert_eq!(window.arrive(WINDOW_PACKETS), Arrival::InOrder);
    assert_eq!(window.arrive(1), Arrival::Reordered);
    assert_eq!(window.arrive(1), Arrival::Duplicate);
    assert_eq!(window.arrive(0), Arrival::TooOld);
}
