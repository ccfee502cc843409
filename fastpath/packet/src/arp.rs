//! ARP for IPv4 over Ethernet, RFC 826.

use std::net::Ipv4Addr;

use crate::MacAddr;

/// Bytes of a message.
pub const MESSAGE_BYTES: usize = 28;

/// Request or reply; other operations (RARP and such) are not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Operation {
    /// Who has this address?
    Request = 1,
    /// I have.
    Reply = 2,
}

/// One ARP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Request or reply.
    pub operation: Operation,
    /// The sender's Ethernet address.
    pub sender_mac: MacAddr,
    /// The sender's IPv4 address; 0.0.0.0 in a probe (RFC 5227).
    pub sender: Ipv4Addr,
    /// The target's Ethernet address; zero in a request.
    pub target_mac: MacAddr,
    /// The address asked for.
    pub target: Ipv4Addr,
}

/// Why bytes are not an ARP message we handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Fewer than 28 bytes.
    #[error("ARP message of {0} bytes, 28 needed")]
    Short(usize),
    /// Hardware or protocol type, or their lengths, are not Ethernet and IPv4.
    #[error("ARP for something other than IPv4 over Ethernet")]
    NotEthernetIpv4,
    /// Neither request nor reply.
    #[error("ARP operation {0}")]
    Operation(u16),
    /// The sender claims a group or zero Ethernet address.
    #[error("ARP sender with group or zero address {0}")]
    SenderMac(MacAddr),
}

impl Message {
    /// Decodes the bytes behind the Ethernet header.
    ///
    /// # Errors
    /// Says what is wrong; a router drops such a message and counts it.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let Some(bytes) = bytes.first_chunk::<MESSAGE_BYTES>() else {
            return Err(Error::Short(bytes.len()));
        };
        if bytes[..6] != [0, 1, 8, 0, 6, 4] {
            return Err(Error::NotEthernetIpv4);
        }
        let operation = match u16::from_be_bytes([bytes[6], bytes[7]]) {
            1 => Operation::Request,
            2 => Operation::Reply,
            other => return Err(Error::Operation(other)),
        };
        let mac = |at: usize| MacAddr(std::array::from_fn(|i| bytes[at + i]));
        let ip = |at: usize| Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
        let sender_mac = mac(8);
        if sender_mac.is_group() || sender_mac == MacAddr::ZERO {
            return Err(Error::SenderMac(sender_mac));
        }
        Ok(Self { operation, sender_mac, sender: ip(14), target_mac: mac(18), target: ip(24) })
    }

    /// The message's bytes, to stand behind an Ethernet header.
    pub fn to_bytes(&self) -> [u8; MESSAGE_BYTES] {
        let mut out = [0; MESSAGE_BYTES];
        out[..6].copy_from_slice(&[0, 1, 8, 0, 6, 4]);
        out[6..8].copy_from_slice(&(self.operation as u16).to_be_bytes());
        out[8..14].copy_from_slice(&self.sender_mac.0);
        out[14..18].copy_from_slice(&self.sender.octets());
        out[18..24].copy_from_slice(&self.target_mac.0);
        out[24..28].copy_from_slice(&self.target.octets());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message {
            operation: Operation::Request,
            sender_mac: MacAddr([2, 0, 0, 0, 0, 1]),
            sender: Ipv4Addr::new(10, 0, 0, 1),
            target_mac: MacAddr::ZERO,
            target: Ipv4Addr::new(10, 0, 0, 2),
        }
    }

    #[test]
    fn emit_and_decode_round_trip() {
        for operation in [Operation::Request, Operation::Reply] {
            let sent = Message { operation, ..message() };
            assert_eq!(Message::decode(&sent.to_bytes()), Ok(sent));
        }
    }

    #[test]
    fn every_malformation_is_named() {
        let right = message().to_bytes();
        assert_eq!(Message::decode(&right[..27]), Err(Error::Short(27)));
        for at in 0..6 {
            let mut wrong = right;
            wrong[at] ^= 0x40;
            assert_eq!(Message::decode(&wrong), Err(Error::NotEthernetIpv4), "byte {at}");
        }
        let mut wrong = right;
        wrong[7] = 9;
        assert_eq!(Message::decode(&wrong), Err(Error::Operation(9)));
        let mut wrong = right;
        wrong[8] = 1;
        assert!(matches!(Message::decode(&wrong), Err(Error::SenderMac(_))));
        let mut wrong = right;
        wrong[8..14].fill(0);
        assert!(matches!(Message::decode(&wrong), Err(Error::SenderMac(_))));
    }
}
