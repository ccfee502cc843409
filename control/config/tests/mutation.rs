//! Whatever stands in a file: a configuration, or an error with its place. Never a panic.

use rand::{RngExt as _, SeedableRng};
use ze_config::{parse, print};

const SEEDS: [&str; 2] = [
    include_str!("../examples/edge.conf"),
    r#"system { fail-open; } interfaces { lan0 { description "x y"; unit 5 { vlan 7; } } } vrf blue;
static { route ::/0 { via fe80::1%lan0; } route 10.0.0.0/8 { interface lan0 { weight 2; } } }"#,
];

const PIECES: [&str; 24] = [
    "{",
    "}",
    ";",
    "\"",
    "#",
    "/*",
    "*/",
    "\\",
    "\0",
    "\n",
    "é",
    "'",
    "%",
    "/",
    "[",
    "]",
    "route 10.0.0.0/8 { reject; }",
    "interfaces",
    "static {",
    "4294967296",
    "-1",
    "via",
    "::",
    "unit 1 { }",
];

fn mutate(text: &str, rng: &mut impl rand::Rng) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..chars.len().max(1)).min(chars.len());
        let end = (at + rng.random_range(0..30)).min(chars.len());
        match rng.random_range(0..5) {
            0 => drop(chars.drain(at..end)),
            1 => {
                let copy: Vec<char> = chars[at..end].to_vec();
                chars.splice(at..at, copy);
            }
            2 => {
                let piece = PIECES[rng.random_range(0..PIECES.len())];
                chars.splice(at..at, piece.chars());
            }
            3 => {
                if let Some(c) = chars.get_mut(at) {
                    *c = char::from(rng.random_range(0..128u8));
                }
            }
            _ => chars.truncate(end.max(1)),
        }
    }
    chars.into_iter().collect()
}

#[test]
fn any_text_gives_a_configuration_or_an_error_with_a_line() {
    let seed: u64 =
        std::env::var("ZE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(rand::random);
    println!("ZE_SEED={seed}");
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let (mut good, mut bad) = (0, 0);
    for round in 0..3000 {
        let text = mutate(SEEDS[round % SEEDS.len()], &mut rng);
        match parse("mutant", &text) {
            Ok(document) => {
                let again =
                    parse("again", &print(&document.config)).unwrap_or_else(|e| panic!("{e}\n{text}"));
                assert_eq!(again.config, document.config, "{text}");
                good += 1;
            }
            Err(errors) => {
                let lines = text.matches('\n').count() as u32 + 1;
                assert!(!errors.errors.is_empty());
                for error in &errors.errors {
                    let line = error.position.map_or(0, |position| position.line);
                    assert!((1..=lines).contains(&line), "{error}\n{text}");
                    assert!(!error.reason.is_empty(), "{text}");
                }
                bad += 1;
            }
        }
    }
    println!("{good} configurations, {bad} refused");
    assert!(good > 50 && bad > 500, "the mutations are too weak or too strong: {good} good, {bad} bad");
}
