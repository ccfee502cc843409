//! What the program in the kernel is told and tells: `struct schedule` of `src/bpf/live.bpf.c`.

const LONGS: usize = 7;
const WORDS: usize = 4;
/// Bytes of it in the kernel.
pub(super) const SCHEDULE_BYTES: usize = LONGS * 8 + WORDS * 4;

/// One turn of the program: when to send, and how far that is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Schedule {
    /// 0: as fast as can be.
    pub(super) interval_ps: u64,
    /// When the first burst began; 0: not yet.
    pub(super) began_ns: u64,
    /// When the last one did.
    pub(super) ended_ns: u64,
    /// Packets to send.
    pub(super) packets: u64,
    /// Packets sent.
    pub(super) sent: u64,
    /// How long the schedule was stretched.
    pub(super) slipped_ns: u64,
    /// Of that, in pieces so long that the generator did not have its core.
    pub(super) away_ns: u64,
    /// Packets between two looks at the clock.
    pub(super) burst: u32,
    /// Packets of the burst that are still to come.
    pub(super) left: u32,
    /// The next packet's.
    pub(super) flow: u32,
}

impl Schedule {
    pub(super) fn to_bytes(self) -> [u8; SCHEDULE_BYTES] {
        let longs: [u64; LONGS] = [
            self.interval_ps,
            self.began_ns,
            self.ended_ns,
            self.packets,
            self.sent,
            self.slipped_ns,
            self.away_ns,
        ];
        let words: [u32; WORDS] = [self.burst, self.left, self.flow, 0];
        let longs = longs.into_iter().flat_map(u64::to_ne_bytes);
        let mut bytes = [0; SCHEDULE_BYTES];
        let all = longs.chain(words.into_iter().flat_map(u32::to_ne_bytes));
        bytes.iter_mut().zip(all).for_each(|(byte, value)| *byte = value);
        bytes
    }

    /// Of what the kernel gave; none of less.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (longs, words) = bytes.split_at_checked(LONGS * 8)?;
        let mut longs = longs.as_chunks::<8>().0.iter().copied().map(u64::from_ne_bytes);
        let mut words = words.as_chunks::<4>().0.iter().copied().map(u32::from_ne_bytes);
        Some(Self {
            interval_ps: longs.next()?,
            began_ns: longs.next()?,
            ended_ns: longs.next()?,
            packets: longs.next()?,
            sent: longs.next()?,
            slipped_ns: longs.next()?,
            away_ns: longs.next()?,
            burst: words.next()?,
            left: words.next()?,
            flow: words.next()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_goes_there_and_back() {
        let schedule = Schedule {
            interval_ps: 1,
            began_ns: 2,
            ended_ns: u64::MAX,
            packets: 4,
            sent: 5,
            slipped_ns: 6,
            away_ns: 7,
            burst: 8,
            left: 9,
            flow: 10,
        };
        assert_eq!(Schedule::from_bytes(&schedule.to_bytes()), Some(schedule));
        assert_eq!(Schedule::from_bytes(&[0; SCHEDULE_BYTES - 5]), None);
    }
}
