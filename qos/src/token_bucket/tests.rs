use super::*;

const HERTZ: u64 = 2_300_000_000;

/// The obviously right model: exact rational arithmetic over the whole history, in 1/hertz of a unit.
struct Model {
    rate: u128,
    burst: u128,
    hertz: u128,
    credit: u128,
    at: u128,
}

impl Model {
    fn take(&mut self, now: u64, amount: u64) -> bool {
        let now = u128::from(now);
        if now > self.at {
            self.credit = (self.credit + (now - self.at) * self.rate).min(self.burst * self.hertz);
            self.at = now;
        }
        let cost = u128::from(amount) * self.hertz;
        let pass = self.rate > 0 && self.credit >= cost;
        if pass {
            self.credit -= cost;
        }
        pass
    }
}

fn noise(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

#[test]
fn it_agrees_with_the_model_on_random_histories() {
    for seed in 0..200 {
        let mut random = noise(seed);
        let (rate, burst) = (random(1_000_000), random(10_000));
        let hertz = 1 + random(4_000_000_000);
        let mut bucket = TokenBucket::new(rate, burst, hertz);
        let full = u128::from(burst) * u128::from(hertz);
        let mut model = Model {
            rate: rate.into(),
            burst: burst.into(),
            hertz: hertz.into(),
            credit: if rate == 0 { 0 } else { full },
            at: 0,
        };
        let mut now = random(1 << 30);
        for step in 0..2000 {
            now += random(hertz / 100 + 1);
            let amount = random(burst / 4 + 2);
            assert_eq!(bucket.take(now, amount), model.take(now, amount), "seed {seed} step {step}");
        }
    }
}

#[test]
fn a_full_bucket_gives_its_burst_and_not_one_more() {
    let mut bucket = TokenBucket::new(1000, 50, HERTZ);
    assert_eq!(bucket.available(5), 50);
    assert_eq!((0..51).filter(|_| bucket.take(5, 1)).count(), 50);
    assert_eq!(bucket.available(5), 0);
}

#[test]
fn the_next_unit_comes_at_its_cycle_and_not_one_before() {
    let mut bucket = TokenBucket::new(1000, 1, HERTZ);
    assert!(bucket.take(7, 1));
    assert!(!bucket.take(7 + HERTZ / 1000 - 1, 1));
    assert!(bucket.take(7 + HERTZ / 1000, 1));
}

#[test]
fn a_rate_that_does_not_divide_the_clock_does_not_drift() {
    let (rate, hertz) = (7, 1_000_000_003);
    let mut bucket = TokenBucket::new(rate, 2, hertz);
    assert!(bucket.take(0, 2));
    let passed = (1..=1_000_000u64).filter(|i| bucket.take(i * hertz / 1000, 1)).count();
    assert!((6999..=7000).contains(&passed), "{passed} in 1000 s at 7 a second");
}

#[test]
fn rate_zero_is_never_and_unlimited_is_always() {
    let mut never = TokenBucket::new(0, 100, HERTZ);
    let mut always = TokenBucket::unlimited();
    for now in [0, 1, HERTZ, u64::MAX] {
        assert!(!never.take(now, 1) && !never.take(now, 0));
        assert!(always.take(now, u64::MAX));
    }
    assert_eq!((never.available(0), always.available(0)), (0, u64::MAX));
}

#[test]
fn extremes_and_a_clock_that_steps_back_do_no_harm() {
    let mut bucket = TokenBucket::new(u64::MAX, u64::MAX, u64::MAX);
    assert!(bucket.take(u64::MAX, u64::MAX));
    assert!(!bucket.take(0, 1), "time that went back earns nothing");
    let mut bucket = TokenBucket::new(1, 1, 0);
    assert!(bucket.take(0, 1) && !bucket.take(0, 1) && bucket.take(1, 1));
}

#[test]
fn shares_add_up_to_no_less_than_the_limit_and_zero_stays_zero() {
    assert_eq!((share(1000, 3), share(1, 8), share(0, 4), share(10, 0)), (334, 1, 0, 10));
    for workers in 1..64 {
        assert!(share(1000, workers) * workers >= 1000);
    }
}
