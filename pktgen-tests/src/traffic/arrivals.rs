//! What arrived of a run: each packet judged by its signature.

use hdrhistogram::Histogram;

use super::packets::Packets;
use super::signature::Signature;
use crate::lab::{Arrival, SequenceWindow};

/// Latencies above this are counted as this: more is an outage.
pub const LATENCY_MAX_NS: u64 = 2_000_000_000;
/// Every so many-th packet has its checksums looked at.
const VERIFY_EVERY: u64 = 256;

/// Counts and latencies of one run.
#[derive(Clone, Debug)]
pub struct Arrivals {
    run: u16,
    streams: Vec<SequenceWindow>,
    /// Packets of the run, each counted once.
    pub received: u64,
    /// Packets of the run that came again.
    pub duplicates: u64,
    /// Among `received`: packets that came after a later one of their stream.
    pub reordered: u64,
    /// So late that it can not be told whether they are new: not among `received`.
    pub too_late: u64,
    /// Packets that are not of this run: other hosts', or stragglers of an earlier run.
    pub foreign: u64,
    /// Among `received`: of those looked at, packets with a wrong checksum.
    pub corrupt: u64,
    /// How many were looked at.
    pub verified: u64,
    /// From writing into the frame to reading at the sink, nanoseconds.
    pub latency: Histogram<u64>,
}

impl Arrivals {
    /// Nothing yet, of a run with so many streams.
    ///
    /// # Panics
    /// Never: the histogram's bounds are constants that make sense.
    #[must_use]
    pub fn new(run: u16, streams: usize) -> Self {
        // Three digits, from a nanosecond up.
        let latency = Histogram::new_with_bounds(1, LATENCY_MAX_NS, 3).expect("constant bounds");
        Self {
            run,
            streams: (0..streams).map(|_| SequenceWindow::default()).collect(),
            received: 0,
            duplicates: 0,
            reordered: 0,
            too_late: 0,
            foreign: 0,
            corrupt: 0,
            verified: 0,
            latency,
        }
    }

    /// How many must have been sent, by the highest number of each stream.
    #[must_use]
    pub fn expected(&self) -> u64 {
        self.streams.iter().map(SequenceWindow::next).sum()
    }

    /// Judges a frame that arrived at `now_ns`.
    #[inline]
    pub fn note(&mut self, packets: &Packets, frame: &[u8], now_ns: u32) {
        let ours = packets.signature(frame).filter(|signature| signature.run == self.run);
        let Some(signature) = ours else {
            self.foreign += 1;
            return;
        };
        let Some(window) = self.streams.get_mut(usize::from(signature.stream)) else {
            self.foreign += 1;
            return;
        };
        match window.arrive(whole(signature.sequence, window.next())) {
            Arrival::InOrder => self.take(packets, frame, signature, now_ns),
            Arrival::Reordered => {
                self.reordered += 1;
                self.take(packets, frame, signature, now_ns);
            }
            Arrival::Duplicate => self.duplicates += 1,
            Arrival::TooOld => self.too_late += 1,
        }
    }

    #[inline]
    fn take(&mut self, packets: &Packets, frame: &[u8], signature: Signature, now_ns: u32) {
        if self.received.is_multiple_of(VERIFY_EVERY) {
            self.verified += 1;
            self.corrupt += u64::from(!packets.is_intact(frame));
        }
        self.received += 1;
        let latency_ns = u64::from(now_ns.wrapping_sub(signature.sent_at_ns));
        // Three digits of at most two seconds are within its bounds; saturating is for the compiler.
        self.latency.saturating_record(latency_ns.min(LATENCY_MAX_NS));
    }
}

/// The number of which `low` are the last 32 bits: the one nearest to `next`.
#[inline]
fn whole(low: u32, next: u64) -> u64 {
    let ahead = low.wrapping_sub(next as u32).cast_signed();
    next.checked_add_signed(i64::from(ahead)).unwrap_or(u64::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::{PacketSpec, Ports, Sizes, Transport};
    use ze_packet::MacAddr;

    fn packets() -> Packets {
        let spec = PacketSpec {
            to_mac: MacAddr([2; 6]),
            from_mac: MacAddr([4; 6]),
            layers: vec![],
            transport: Transport::Udp,
            sources: "10.0.0.1".parse().unwrap(),
            destinations: "198.18.0.0-198.18.0.9".parse().unwrap(),
            source_ports: Ports::Random,
            destination_ports: Ports::one(7),
            flows: 10,
            sizes: Sizes::new(vec![64]).unwrap(),
            seed: 1,
        };
        Packets::new(&spec).unwrap()
    }

    fn arrive(arrivals: &mut Arrivals, packets: &Packets, run: u16, stream: u16, sequence: u32) {
        let mut frame = [0; 64];
        let signature = Signature { run, stream, sequence, sent_at_ns: 1000 };
        let len_bytes = packets.write(u64::from(sequence), signature, &mut frame);
        arrivals.note(packets, &frame[..len_bytes], 1500);
    }

    #[test]
    fn loss_reordering_and_duplicates_are_told_apart_in_each_stream() {
        let (packets, mut arrivals) = (packets(), Arrivals::new(9, 2));
        // Stream 0: 2 is lost, 4 overtakes 3, 4 comes twice.
        [0, 1, 4, 3, 4].into_iter().for_each(|sequence| arrive(&mut arrivals, &packets, 9, 0, sequence));
        [0, 1].into_iter().for_each(|sequence| arrive(&mut arrivals, &packets, 9, 1, sequence));
        arrive(&mut arrivals, &packets, 8, 0, 2);
        arrive(&mut arrivals, &packets, 9, 2, 0);
        arrivals.note(&packets, &[0; 60], 0);
        let Arrivals { received, duplicates, reordered, foreign, corrupt, too_late, .. } = arrivals;
        assert_eq!((received, duplicates, reordered, foreign, corrupt, too_late), (6, 1, 1, 3, 0, 0));
        assert_eq!(arrivals.expected(), 5 + 2);
        assert_eq!((arrivals.latency.len(), arrivals.latency.max()), (6, 500));
    }

    #[test]
    fn a_packet_that_was_damaged_on_the_way_is_seen() {
        let (packets, mut arrivals) = (packets(), Arrivals::new(9, 1));
        let mut frame = [0; 64];
        let signature = Signature { run: 9, stream: 0, sequence: 0, sent_at_ns: 0 };
        let len_bytes = packets.write(0, signature, &mut frame);
        frame[30] ^= 1;
        arrivals.note(&packets, &frame[..len_bytes], 1);
        assert_eq!((arrivals.received, arrivals.corrupt), (1, 1));
    }

    #[test]
    fn sequences_go_on_where_32_bits_wrap() {
        for (low, next, number) in [
            (0, 0, 0),
            (5, 3, 5),
            (2, 3, 2),
            (0, 1 << 32, 1 << 32),
            (u32::MAX, 1 << 32, (1 << 32) - 1),
            (u32::MAX, 0, u64::from(u32::MAX)),
        ] {
            assert_eq!(whole(low, next), number, "{low} {next}");
        }
    }
}
