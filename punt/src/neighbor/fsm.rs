//! The state machine of one neighbour: states × events → next state. Pure and total.

/// Where a neighbour entry stands: RFC 4861 §7.3.2, with Linux' Failed and Permanent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Asked, no answer yet.
    Incomplete,
    /// Confirmed lately.
    Reachable,
    /// Known, not confirmed lately, and not in use.
    Stale,
    /// Known and in use: a confirmation may still come by itself.
    Delay,
    /// Known, in use and being asked.
    Probe,
    /// Does not answer; nobody asks until the back-off is over.
    Failed,
    /// Configured.
    Permanent,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Incomplete,
        Self::Reachable,
        Self::Stale,
        Self::Delay,
        Self::Probe,
        Self::Failed,
        Self::Permanent,
    ];

    /// Does forwarding use the entry's Ethernet address in this state?
    pub const fn forwards(self) -> bool {
        match self {
            Self::Reachable | Self::Stale | Self::Delay | Self::Probe | Self::Permanent => true,
            Self::Incomplete | Self::Failed => false,
        }
    }

    /// The word that operators read.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::Reachable => "reachable",
            Self::Stale => "stale",
            Self::Delay => "delay",
            Self::Probe => "probe",
            Self::Failed => "failed",
            Self::Permanent => "permanent",
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.pad(self.name())
    }
}

/// What can happen to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A packet went to the neighbour, or wants to and the back-off is over.
    Used,
    /// The neighbour answered our question; its Ethernet address is known.
    Answered,
    /// An upper layer saw packets come back (RFC 4861 §7.3.1).
    Confirmed,
    /// The neighbour spoke unasked, from the Ethernet address we know, or for the first time.
    Heard,
    /// The neighbour spoke unasked, from another Ethernet address that replaces the known one.
    Moved,
    /// Somebody named another Ethernet address but may not replace the known one (RFC 4861 §7.2.5 I).
    Challenged,
    /// The state's timer ran out and tries remain.
    Timeout,
    /// The state's timer ran out after the last try.
    Exhausted,
    /// An operator configured the entry.
    Pinned,
    /// An operator removed the configured entry.
    Unpinned,
    /// Flushed, evicted, or the link went down.
    Purged,
}

impl Event {
    /// Every event.
    #[cfg(test)]
    pub(super) const ALL: [Self; 11] = [
        Self::Used,
        Self::Answered,
        Self::Confirmed,
        Self::Heard,
        Self::Moved,
        Self::Challenged,
        Self::Timeout,
        Self::Exhausted,
        Self::Pinned,
        Self::Unpinned,
        Self::Purged,
    ];
}

/// What becomes of the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Same state; its timer goes on.
    Stay,
    /// Enter this state, perhaps again: its timer starts.
    To(State),
    /// The entry goes.
    Remove,
}

/// The table. Rows follow RFC 4861 appendix C, ARP being told in the same words.
pub(super) const fn next(state: State, event: Event) -> Next {
    use Next::{Remove, Stay, To};
    use State::{Delay, Failed, Incomplete, Permanent, Probe, Reachable, Stale};
    match state {
        Incomplete => match event {
            Event::Used | Event::Confirmed | Event::Challenged | Event::Unpinned => Stay,
            Event::Answered => To(Reachable),
            Event::Heard | Event::Moved => To(Stale),
            Event::Timeout => To(Incomplete),
            Event::Exhausted => To(Failed),
            Event::Pinned => To(Permanent),
            Event::Purged => Remove,
        },
        Reachable => match event {
            Event::Used | Event::Heard | Event::Unpinned => Stay,
            Event::Answered | Event::Confirmed => To(Reachable),
            Event::Moved | Event::Challenged | Event::Timeout | Event::Exhausted => To(Stale),
            Event::Pinned => To(Permanent),
            Event::Purged => Remove,
        },
        Stale => match event {
            Event::Used => To(Delay),
            Event::Answered | Event::Confirmed => To(Reachable),
            Event::Heard | Event::Moved => To(Stale),
            Event::Challenged | Event::Unpinned => Stay,
            Event::Timeout | Event::Exhausted | Event::Purged => Remove,
            Event::Pinned => To(Permanent),
        },
        Delay => match event {
            Event::Used | Event::Heard | Event::Challenged | Event::Unpinned => Stay,
            Event::Answered | Event::Confirmed => To(Reachable),
            Event::Moved => To(Stale),
            Event::Timeout | Event::Exhausted => To(Probe),
            Event::Pinned => To(Permanent),
            Event::Purged => Remove,
        },
        Probe => match event {
            Event::Used | Event::Heard | Event::Challenged | Event::Unpinned => Stay,
            Event::Answered | Event::Confirmed => To(Reachable),
            Event::Moved => To(Stale),
            Event::Timeout => To(Probe),
            Event::Exhausted => To(Failed),
            Event::Pinned => To(Permanent),
            Event::Purged => Remove,
        },
        Failed => match event {
            Event::Used => To(Incomplete),
            Event::Answered => To(Reachable),
            Event::Heard | Event::Moved => To(Stale),
            Event::Confirmed | Event::Challenged | Event::Unpinned => Stay,
            Event::Timeout | Event::Exhausted | Event::Purged => Remove,
            Event::Pinned => To(Permanent),
        },
        Permanent => match event {
            Event::Used | Event::Answered | Event::Confirmed | Event::Heard | Event::Moved => Stay,
            Event::Challenged | Event::Timeout | Event::Exhausted | Event::Purged => Stay,
            Event::Pinned => To(Permanent),
            Event::Unpinned => Remove,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table as drawn in the module's documentation, cell by cell: one letter a state, `.` stays, `x` goes.
    /// Columns in the order of `Event::ALL`.
    const CELLS: [(State, &str); 7] = [
        //                   UACHMCTEPUP  (used, answered, confirmed, heard, moved, challenged, timeout, exhausted,
        //                                 pinned, unpinned, purged)
        (State::Incomplete, ".R.SS.IFP.x"),
        (State::Reachable, ".RR.SSSSP.x"),
        (State::Stale, "DRRSS.xxP.x"),
        (State::Delay, ".RR.S.BBP.x"),
        (State::Probe, ".RR.S.BFP.x"),
        (State::Failed, "IR.SS.xxP.x"),
        (State::Permanent, "........Px."),
    ];

    fn letter(next: Next) -> char {
        match next {
            Next::Stay => '.',
            Next::Remove => 'x',
            Next::To(State::Incomplete) => 'I',
            Next::To(State::Reachable) => 'R',
            Next::To(State::Stale) => 'S',
            Next::To(State::Delay) => 'D',
            Next::To(State::Probe) => 'B',
            Next::To(State::Failed) => 'F',
            Next::To(State::Permanent) => 'P',
        }
    }

    #[test]
    fn every_state_answers_every_event_as_the_table_says() {
        assert_eq!(CELLS.map(|(state, _)| state), State::ALL);
        for (state, row) in CELLS {
            let found: String = Event::ALL.iter().map(|event| letter(next(state, *event))).collect();
            assert_eq!(found, row, "{state}");
        }
    }

    #[test]
    fn only_an_operator_changes_a_configured_neighbour() {
        for event in Event::ALL {
            let changes = next(State::Permanent, event) != Next::Stay;
            assert_eq!(changes, matches!(event, Event::Pinned | Event::Unpinned), "{event:?}");
        }
    }

    #[test]
    fn every_state_but_a_configured_one_can_be_left_by_time_and_by_an_answer() {
        for state in State::ALL.into_iter().filter(|state| *state != State::Permanent) {
            assert_eq!(next(state, Event::Answered), Next::To(State::Reachable), "{state}");
            assert_ne!(next(state, Event::Exhausted), Next::Stay, "{state}");
            assert_eq!(next(state, Event::Purged), Next::Remove, "{state}");
        }
    }
}
