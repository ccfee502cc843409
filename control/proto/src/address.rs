//! Addresses on the wire: 4 or 16 bytes in network order.

use std::net::IpAddr;

/// Bytes that are no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongLength(pub usize);

impl std::fmt::Display for WrongLength {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "an address of {} bytes; 4 or 16 are right", self.0)
    }
}

impl std::error::Error for WrongLength {}

/// The address that `bytes` hold.
///
/// # Errors
/// When there are neither 4 nor 16 of them.
pub fn from_bytes(bytes: &[u8]) -> Result<IpAddr, WrongLength> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .map_err(|_| WrongLength(bytes.len()))
}

/// The bytes of an address.
pub fn to_bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_round_trip_and_other_lengths_are_refused() {
        for text in ["192.0.2.1", "2001:db8::1", "0.0.0.0", "::"] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(from_bytes(&to_bytes(address)), Ok(address));
        }
        for len in [0, 3, 5, 15, 17] {
            assert_eq!(from_bytes(&vec![0; len]), Err(WrongLength(len)));
        }
    }
}
