//! The conservation law: what came in is what went out, plus what is still here.

use serde::Serialize;
use ze_proto::v1::LawTerms;

/// Both sides of `rx + inject + generated + handoff_in = tx + drop + punt + held + handoff_out`, since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Law {
    /// Packets that came from somewhere.
    pub in_packets: u64,
    /// Packets that went somewhere, or are held.
    pub out_packets: u64,
    /// Does it hold?
    pub verdict: Verdict,
}

/// Does the law hold?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Both sides are equal.
    #[default]
    Holds,
    /// They differ by no more than a worker can have in its hands, and the worker was at work while the counters
    /// were read one after the other.
    InFlight,
    /// Packets are missing or were made of nothing: a defect.
    Broken,
}

/// More than a worker may have in its hands between two rounds, or move while its counters are read.
const IN_FLIGHT_MAX_PACKETS: u64 = 4096;

impl Law {
    /// The law at the newer sample; the older one says whether the worker was at work.
    pub fn between(older: &LawTerms, newer: &LawTerms) -> Self {
        let (in_packets, out_packets) = (Self::entered(newer), Self::left(newer));
        let verdict = match in_packets.abs_diff(out_packets) {
            0 => Verdict::Holds,
            1..=IN_FLIGHT_MAX_PACKETS if older != newer => Verdict::InFlight,
            _ => Verdict::Broken,
        };
        Self { in_packets, out_packets, verdict }
    }

    /// Packets that came from somewhere.
    pub const fn entered(law: &LawTerms) -> u64 {
        law.rx.wrapping_add(law.inject).wrapping_add(law.generated).wrapping_add(law.handoff_in)
    }

    /// Packets that went somewhere, or are held.
    pub const fn left(law: &LawTerms) -> u64 {
        let early = law.drop.wrapping_add(law.punt).wrapping_add(law.held);
        law.tx.wrapping_add(early).wrapping_add(law.handoff_out)
    }

    /// What is missing on the right side; negative when there is too much.
    pub const fn difference(&self) -> i64 {
        self.in_packets.wrapping_sub(self.out_packets).cast_signed()
    }
}

impl Verdict {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::InFlight => "holds, some in flight",
            Self::Broken => "BROKEN",
        }
    }
}
