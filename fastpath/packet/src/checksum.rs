//! The Internet checksum: RFC 1071, and its incremental update, RFC 1624.

/// The running one's-complement sum over bytes; `fold` makes a checksum of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u64);

impl Sum {
    /// An empty sum.
    pub const fn new() -> Self {
        Self(0)
    }

    /// Adds bytes; an odd last byte counts as if a zero byte followed (RFC 1071 §4.1).
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        let mut words = bytes.chunks_exact(4);
        for word in words.by_ref() {
            if let Ok(word) = <[u8; 4]>::try_from(word) {
                self.0 = self.0.wrapping_add(u64::from(u32::from_be_bytes(word)));
            }
        }
        let rest = match *words.remainder() {
            [a] => u32::from_be_bytes([a, 0, 0, 0]),
            [a, b] => u32::from_be_bytes([a, b, 0, 0]),
            [a, b, c] => u32::from_be_bytes([a, b, c, 0]),
            _ => 0,
        };
        self.0 = self.0.wrapping_add(u64::from(rest));
        self
    }

    /// Adds one 16-bit word.
    #[must_use]
    pub const fn word(mut self, word: u16) -> Self {
        self.0 = self.0.wrapping_add(word as u64);
        self
    }

    /// Adds the IPv4 or IPv6 pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1) of an upper-layer packet.
    #[must_use]
    pub fn pseudo_header(self, source: &[u8], destination: &[u8], protocol: u8, len_bytes: u32) -> Self {
        let [a, b, c, d] = len_bytes.to_be_bytes();
        self.bytes(source).bytes(destination).bytes(&[a, b, c, d, 0, 0, 0, protocol])
    }

    /// The checksum: the one's complement of the folded sum.
    pub const fn fold(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }
}

/// The checksum of `bytes`; over data that contains a right checksum it is 0.
pub fn of(bytes: &[u8]) -> u16 {
    Sum::new().bytes(bytes).fold()
}

/// Is the checksum inside this 20-byte IPv4 header right? Without loops, for the fast path.
#[inline]
pub fn ipv4_header_is_right(header: &[u8; 20]) -> bool {
    let mut sum = 0u64;
    let (words, _) = header.as_chunks::<4>();
    for word in words {
        sum += u64::from(u32::from_ne_bytes(*word));
    }
    // A one's-complement sum is independent of byte order (RFC 1071 §2(B)).
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum == 0xffff || sum == 0x1_fffe
}

/// The checksum after a 16-bit word changed from `old` to `new`: RFC 1624 §3, equation 3.
#[inline]
pub const fn update(checksum: u16, old: u16, new: u16) -> u16 {
    let mut sum = (!checksum) as u32 + (!old) as u32 + new as u32;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The obviously right model: RFC 1071 §4.1, word by word.
    fn model(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            let word = u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]);
            sum += u32::from(word);
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    fn noise(seed: u64) -> impl Iterator<Item = u8> {
        let mut state = seed;
        std::iter::repeat_with(move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
    }

    #[test]
    fn sum_equals_the_word_by_word_model_at_every_length() {
        for len in 0..200 {
            let bytes: Vec<u8> = noise(len as u64 + 1).take(len).collect();
            assert_eq!(of(&bytes), model(&bytes), "length {len}");
        }
    }

    #[test]
    fn rfc_1071_example() {
        let sum = !of(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum, 0xddf2);
    }

    #[test]
    fn header_check_agrees_with_the_sum_for_right_and_wrong_headers() {
        for seed in 0..2000 {
            let mut header: [u8; 20] = std::array::from_fn(|_| 0);
            header.iter_mut().zip(noise(seed)).for_each(|(b, n)| *b = n);
            header[10] = 0;
            header[11] = 0;
            let sum = of(&header).to_be_bytes();
            header[10] = sum[0];
            header[11] = sum[1];
            assert!(ipv4_header_is_right(&header), "seed {seed}");
            header[(seed % 20) as usize] ^= 1 << (seed % 8);
            assert_eq!(ipv4_header_is_right(&header), of(&header) == 0, "seed {seed}");
        }
    }

    #[test]
    fn incremental_update_equals_a_fresh_sum() {
        for seed in 0..2000u64 {
            let mut bytes: Vec<u8> = noise(seed).take(20).collect();
            let before = of(&bytes);
            let old = u16::from_be_bytes([bytes[8], bytes[9]]);
            let new = old.wrapping_sub(0x0100);
            bytes[8..10].copy_from_slice(&new.to_be_bytes());
            let (fresh, updated) = (of(&bytes), update(before, old, new));
            // RFC 1624 §3: 0x0000 and 0xffff are the same number; equation 3 may yield either.
            assert!(fresh == updated || (fresh ^ updated) == 0xffff, "seed {seed}");
        }
    }
}
