//! The bank: frames for fill rings, and who may have how many of them.
//!
//! ```text
//!  --frames ── half ──▶ fill rings of network ports, and of representors once theirs are used up
//!           ── 1/16 ──▶ fill rings of representors only: without them the router does not answer for itself
//!           ── rest ──▶ workers: pools and transmit rings
//! ```

use ze_fib::PortKind;
use ze_graph::Frame;

use super::REPRESENTOR_FRAMES;
use crate::args::{FRAMES_MAX, FRAMES_MIN};

/// Of this many frames, one is set aside for representors: four of them by default.
const SET_ASIDE_ONE_OF: usize = 16;
/// Representors that there are frames for, however few frames there are.
const REPRESENTORS_MIN: usize = 2;

/// Frames that ports take for their fill rings and give back.
#[derive(Debug)]
pub struct Bank {
    free: Vec<Frame>,
    /// Network ports leave representors so many, less those that representors have.
    set_aside: usize,
}

impl Bank {
    /// Shares all frames out: those for the workers, and those for fill rings.
    pub fn split(mut frames: Vec<Frame>) -> (Vec<Frame>, Self) {
        let set_aside = set_aside(frames.len());
        let free = frames.split_off(frames.len() - fill(frames.len()) - set_aside);
        (frames, Self { free, set_aside })
    }

    /// How many frames a port may take, while representors have `held`.
    pub(super) fn free(&self, kind: PortKind, held: usize) -> usize {
        match kind {
            PortKind::Network => self.free.len().saturating_sub(self.set_aside.saturating_sub(held)),
            PortKind::Representor(_) => self.free.len(),
        }
    }

    /// Takes so many frames, or what there are.
    pub(super) fn take(&mut self, wanted: usize) -> Vec<Frame> {
        self.free.split_off(self.free.len().saturating_sub(wanted))
    }

    /// Frames come home.
    pub(super) fn give(&mut self, frames: Vec<Frame>) {
        self.free.extend(frames);
    }
}

/// What all ports together need.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Need {
    pub(super) network: usize,
    pub(super) representors: usize,
}

impl Need {
    /// The least `--frames`, in steps of the least that may be, that has enough for it.
    fn frames(self) -> Option<u32> {
        let is_enough = |frames: &u32| {
            let all = *frames as usize;
            let beyond = self.representors.saturating_sub(set_aside(all));
            self.network + beyond <= fill(all)
        };
        (FRAMES_MIN..=FRAMES_MAX).step_by(FRAMES_MIN as usize).find(is_enough)
    }
}

/// Why a port of so many queues gets no frames, and what would help.
pub(super) fn refusal(queues: usize, wanted: usize, free: usize, need: Need) -> String {
    let fact = format!("its fill rings ({queues} queues) need {wanted} frames, and {free} are free for them");
    match need.frames() {
        Some(frames) => {
            format!("{fact}: start ze-fastpath with --frames {frames}, which is enough for all ports")
        }
        None => format!(
            "{fact}: not even --frames {FRAMES_MAX} is enough for all ports; give devices fewer queues"
        ),
    }
}

const fn fill(all: usize) -> usize {
    all / 2
}

const fn set_aside(all: usize) -> usize {
    let (share, least) = (all / SET_ASIDE_ONE_OF, REPRESENTORS_MIN * REPRESENTOR_FRAMES as usize);
    if share < least { least } else { share }
}

#[cfg(test)]
mod tests {
    use ze_graph::Arena;
    use ze_packet::InterfaceId;

    use super::*;

    const REPRESENTOR: PortKind = PortKind::Representor(InterfaceId(0));
    const NETWORK_QUEUE: usize = ze_xsk::FILL_FRAMES_DEFAULT as usize;
    const FRAMES_OF_ONE: usize = REPRESENTOR_FRAMES as usize;

    fn bank(frames: u32) -> (Vec<Frame>, Bank) {
        Bank::split(Arena::allocate(frames, false).unwrap().1)
    }

    #[test]
    fn every_frame_is_a_workers_or_in_the_bank() {
        for frames in [FRAMES_MIN, 16384, 32768] {
            let (workers, bank) = bank(frames);
            assert_eq!(workers.len() + bank.free(REPRESENTOR, 0), frames as usize);
            assert!(workers.len() >= frames as usize / 4);
        }
    }

    #[test]
    fn by_default_two_ports_of_four_queues_leave_their_representors_frames() {
        let (_, mut bank) = bank(32768);
        for _ in 0..2 {
            assert!(bank.free(PortKind::Network, 0) >= 4 * NETWORK_QUEUE);
            assert_eq!(bank.take(4 * NETWORK_QUEUE).len(), 4 * NETWORK_QUEUE);
        }
        assert_eq!(bank.free(PortKind::Network, 0), 0);
        assert_eq!(bank.free(REPRESENTOR, 0), 4 * FRAMES_OF_ONE);
    }

    #[test]
    fn what_representors_have_is_not_kept_for_them_again_and_comes_back() {
        let (_, mut bank) = bank(32768);
        let taken = bank.take(5 * FRAMES_OF_ONE);
        // The fifth is from what the ports might have had.
        assert_eq!(bank.free(PortKind::Network, taken.len()), 16384 - FRAMES_OF_ONE);
        bank.give(taken);
        assert_eq!(bank.free(PortKind::Network, 0), 16384);
        assert_eq!(bank.take(1 << 20).len(), 16384 + 2048, "no more than there are");
    }

    #[test]
    fn the_number_that_is_named_is_enough_and_one_step_less_is_not() {
        for (network, representors) in [(1, 1), (4, 2), (8, 2), (8, 5), (9, 2), (64, 40), (1, 100)] {
            let need = Need { network: network * NETWORK_QUEUE, representors: representors * FRAMES_OF_ONE };
            let named = need.frames().unwrap();
            assert!(serves(named, need), "{need:?}: {named}");
            assert!(named == FRAMES_MIN || !serves(named - FRAMES_MIN, need), "{need:?}: {named}");
        }
    }

    /// Do all get their frames, whoever comes first?
    fn serves(frames: u32, need: Need) -> bool {
        let (_, mut bank) = bank(frames);
        let network_first = bank.free(PortKind::Network, 0) >= need.network && {
            let taken = bank.take(need.network);
            let rest = bank.free(REPRESENTOR, 0) >= need.representors;
            bank.give(taken);
            rest
        };
        let taken = bank.take(need.representors);
        network_first
            && taken.len() == need.representors
            && bank.free(PortKind::Network, taken.len()) >= need.network
    }

    #[test]
    fn a_refusal_names_the_option_and_what_would_do() {
        let need = Need { network: 8 * NETWORK_QUEUE, representors: 2 * FRAMES_OF_ONE };
        let why = refusal(4, 8192, 100, need);
        assert!(why.contains("need 8192 frames, and 100 are free"), "{why}");
        assert!(why.contains("--frames 32768,"), "{why}");
        let most = Need { network: FRAMES_MAX as usize / 2, representors: 0 };
        assert!(refusal(4, 8192, 0, most).contains("--frames 4194304,"));
        let more = Need { network: most.network + 1, representors: 0 };
        assert!(refusal(4, 8192, 0, more).contains("not even"));
    }
}
