//! Rounds by where the two cores were, seen from each other.
//!
//! All that a forwarder receives comes from the tester's core. On a virtual machine whose host moves its cores, the same
//! forwarder has several throughputs; a median over all of them is none.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::report::{CONTROL, Forwarder, REFERENCE, Round, of_kernel};
use crate::lab::Distance;
use crate::stats::{Summary, median, rounded};

/// Threads of one core compute at less than this share of their speed while both do.
const SIBLING_SPEED: f64 = 0.8;
/// Cores are far from each other if a line takes this many times as long between them as it did in another round. Pairs
/// that share a last-level cache were seen to differ by a factor of two, others by four and more.
const FAR: f64 = 3.0;

/// Where the cores were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cores {
    /// As near as they ever were, each a core of its own.
    Near,
    /// Farther.
    Far,
    /// Two threads of one core.
    Siblings,
    /// The one before a round and another after it.
    Moved,
}

/// How the cores were before a round, and after it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are described where users read of them: by --help")]
pub struct BeforeAndAfter {
    pub round_trip_ns: [f64; 2],
    pub speed_beside: [f64; 2],
}

/// Rounds with the cores at the same places.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are described where users read of them: by --help")]
pub struct Place {
    pub cores: Cores,
    pub round_trip_ns: Summary,
    pub forwarders: Vec<Share>,
}

/// A forwarder's rounds at one place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are described where users read of them: by --help")]
pub struct Share {
    pub name: String,
    pub rounds: usize,
    pub mpps: f64,
    pub overload_mpps: f64,
    pub of_kernel: Option<f64>,
}

impl BeforeAndAfter {
    pub(super) fn new(before: Distance, after: Distance) -> Self {
        Self {
            round_trip_ns: [before.round_trip_ns, after.round_trip_ns],
            speed_beside: [before.speed_beside, after.speed_beside],
        }
    }

    fn are_siblings(self) -> [bool; 2] {
        self.speed_beside.map(|speed| speed < SIBLING_SPEED)
    }

    fn cores(self, least_ns: f64) -> Cores {
        let is_far = self.round_trip_ns.map(|trip| trip > least_ns * FAR);
        match (self.are_siblings(), is_far) {
            ([true, true], _) => Cores::Siblings,
            ([false, false], [false, false]) => Cores::Near,
            ([false, false], [true, true]) => Cores::Far,
            _ => Cores::Moved,
        }
    }

    /// The shortest trip between cores that are two.
    fn least_ns(self) -> f64 {
        let trips = self.round_trip_ns.into_iter().zip(self.are_siblings());
        trips
            .filter(|(_, are_siblings)| !are_siblings)
            .fold(f64::INFINITY, |least, (trip, _)| least.min(trip))
    }
}

impl Place {
    /// Those that there were.
    pub(super) fn of(forwarders: &[Forwarder]) -> Vec<Self> {
        let rounds = forwarders.iter().flat_map(|one| &one.rounds);
        let least = rounds
            .filter_map(|round| round.cores)
            .map(BeforeAndAfter::least_ns)
            .fold(f64::INFINITY, f64::min);
        let all = [Cores::Near, Cores::Far, Cores::Siblings, Cores::Moved];
        all.into_iter().filter_map(|cores| Self::at(cores, forwarders, least)).collect()
    }

    fn at(cores: Cores, forwarders: &[Forwarder], least: f64) -> Option<Self> {
        let is_here = |round: &&Round| round.cores.is_some_and(|seen| seen.cores(least) == cores);
        let here = |one: &Forwarder| one.rounds.iter().filter(is_here).cloned().collect::<Vec<_>>();
        let seen = forwarders.iter().flat_map(here).filter_map(|round| round.cores);
        let round_trip_ns = Summary::of(seen.flat_map(|seen| seen.round_trip_ns).collect())?;
        let routers = forwarders.iter().filter(|one| one.name != CONTROL);
        let mut shares: Vec<_> = routers.filter_map(|one| Share::of(&one.name, &here(one))).collect();
        if shares.is_empty() {
            return None;
        }
        let kernel = shares.iter().find(|one| one.name == REFERENCE).map(|one| one.mpps);
        for share in &mut shares {
            share.of_kernel = of_kernel(share.mpps, kernel);
        }
        Some(Self { cores, round_trip_ns, forwarders: shares })
    }
}

impl Share {
    fn of(name: &str, rounds: &[Round]) -> Option<Self> {
        let of = |figure: fn(&Round) -> f64| median(rounds.iter().map(figure).collect()).map(rounded);
        Some(Self {
            name: name.to_owned(),
            rounds: rounds.len(),
            mpps: of(|round| round.mpps)?,
            overload_mpps: of(|round| round.overload_mpps)?,
            of_kernel: None,
        })
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Near => "near each other",
            Self::Far => "far from each other",
            Self::Siblings => "threads of one core",
            Self::Moved => "moved during the round",
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trip = self.round_trip_ns;
        writeln!(
            out,
            "cores {}, {:.0} to {:.0} ns for a line there and back:",
            self.cores, trip.min, trip.max
        )?;
        for one in &self.forwarders {
            let Share { name, rounds, mpps, overload_mpps, .. } = one;
            let of_kernel = one.of_kernel.map_or_else(String::new, |share| format!(", {share:.2} × kernel"));
            let s = if *rounds == 1 { "" } else { "s" };
            writeln!(
                out,
                "  {name:14}{mpps:8.3}{of_kernel}, overload {overload_mpps:.3} ({rounds} round{s})"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEAR: BeforeAndAfter = BeforeAndAfter { round_trip_ns: [80.0, 95.0], speed_beside: [1.0, 0.97] };
    const FAR: BeforeAndAfter = BeforeAndAfter { round_trip_ns: [390.0, 410.0], speed_beside: [1.0, 1.0] };
    const SIBLINGS: BeforeAndAfter =
        BeforeAndAfter { round_trip_ns: [30.0, 31.0], speed_beside: [0.5, 0.55] };
    const MOVED: BeforeAndAfter = BeforeAndAfter { round_trip_ns: [90.0, 31.0], speed_beside: [1.0, 0.5] };

    fn forwarder(name: &str, rounds: &[(f64, BeforeAndAfter)]) -> Forwarder {
        let mut one = Forwarder::new(name, None);
        one.rounds = rounds.iter().map(|(mpps, seen)| Round { cores: Some(*seen), ..round(*mpps) }).collect();
        one
    }

    fn round(mpps: f64) -> Round {
        Round { round: 1, mpps, overload_mpps: 2.0 * mpps, cores: None, trials: Vec::new() }
    }

    #[test]
    fn rounds_are_compared_with_those_of_the_same_place() {
        let ze = forwarder("ze", &[(2.0, NEAR), (1.0, FAR), (2.2, NEAR), (0.8, SIBLINGS), (0.9, SIBLINGS)]);
        let kernel = forwarder("kernel", &[(0.5, NEAR), (0.4, FAR), (0.5, NEAR)]);
        // Where only the control was, there is nothing to compare.
        let control = forwarder(CONTROL, &[(5.0, NEAR), (5.0, MOVED)]);
        let all = Place::of(&[control, ze, kernel]);
        let first = |place: &Place| (place.cores, place.forwarders[0].mpps, place.forwarders[0].of_kernel);
        assert_eq!(
            all.iter().map(first).collect::<Vec<_>>(),
            [(Cores::Near, 2.1, Some(4.2)), (Cores::Far, 1.0, Some(2.5)), (Cores::Siblings, 0.85, None)]
        );
        let near = &all[0];
        assert_eq!((near.forwarders.len(), near.forwarders[0].rounds), (2, 2));
        assert_eq!(
            (near.forwarders[0].overload_mpps, near.round_trip_ns.min, near.round_trip_ns.max),
            (4.2, 80.0, 95.0)
        );
        let text = near.to_string();
        assert!(text.contains("near each other, 80 to 95 ns") && text.contains("4.20 × kernel"), "{text}");
    }

    #[test]
    fn a_round_with_the_cores_at_two_places_is_at_neither() {
        let all = Place::of(&[forwarder(
            "ze",
            &[(2.0, NEAR), (1.5, MOVED), (1.6, BeforeAndAfter { round_trip_ns: [90.0, 400.0], ..NEAR })],
        )]);
        let found: Vec<_> = all.iter().map(|place| (place.cores, place.forwarders[0].rounds)).collect();
        assert_eq!(found, [(Cores::Near, 1), (Cores::Moved, 2)]);
    }

    #[test]
    fn what_was_not_measured_is_at_no_place() {
        let mut ze = Forwarder::new("ze", None);
        ze.rounds = vec![round(2.0)];
        assert_eq!(Place::of(&[ze]), []);
    }
}
