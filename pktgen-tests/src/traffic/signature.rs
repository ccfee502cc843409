//! What marks a packet as ours: twelve bytes behind its L4 header.
//!
//! Short, so that UDP over IPv4 carries it in a frame of 64 bytes, and UDP over IPv6 in one of 78.
//!
//! ```text
//!   0        2        4                 8                 12
//!   │ run    │ stream │ sequence        │ sent at, ns     │     big-endian; sequence and time wrap at 2³²
//! ```

/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 12;

/// Whose packet it is, which one, and when it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Chosen for each run: packets of an earlier one are told apart.
    pub run: u16,
    /// Packets of a stream leave by one queue, in order.
    pub stream: u16,
    /// Number in its stream, from 0, modulo 2³².
    pub sequence: u32,
    /// Nanoseconds of the sender's clock, modulo 2³².
    pub sent_at_ns: u32,
}

impl Signature {
    /// As on the wire.
    #[inline]
    #[must_use]
    pub fn to_bytes(self) -> [u8; SIGNATURE_BYTES] {
        let mut bytes = [0; SIGNATURE_BYTES];
        bytes[..2].copy_from_slice(&self.run.to_be_bytes());
        bytes[2..4].copy_from_slice(&self.stream.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[8..].copy_from_slice(&self.sent_at_ns.to_be_bytes());
        bytes
    }

    /// From the wire.
    #[inline]
    #[must_use]
    pub fn from_bytes(bytes: [u8; SIGNATURE_BYTES]) -> Self {
        let [r0, r1, s0, s1, n0, n1, n2, n3, t0, t1, t2, t3] = bytes;
        Self {
            run: u16::from_be_bytes([r0, r1]),
            stream: u16::from_be_bytes([s0, s1]),
            sequence: u32::from_be_bytes([n0, n1, n2, n3]),
            sent_at_ns: u32::from_be_bytes([t0, t1, t2, t3]),
        }
    }

    /// One's-complement sum of its words: what it adds to a checksum.
    #[inline]
    #[must_use]
    pub const fn sum(self) -> u32 {
        self.run as u32 + self.stream as u32 + halves(self.sequence) + halves(self.sent_at_ns)
    }
}

const fn halves(word: u32) -> u32 {
    (word >> 16) + (word & 0xffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_reads_back_and_its_sum_is_that_of_its_bytes() {
        let all = [(1, 2, 3, 4), (0xffff, 0xfffe, u32::MAX, 0x8000_0001), (0, 0, 0, 0)];
        for (run, stream, sequence, sent_at_ns) in all {
            let signature = Signature { run, stream, sequence, sent_at_ns };
            let bytes = signature.to_bytes();
            assert_eq!(Signature::from_bytes(bytes), signature);
            let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
            let fold = |sum: u32| (sum & 0xffff) + (sum >> 16);
            assert_eq!(fold(fold(signature.sum())), fold(fold(words.sum())));
        }
    }
}
