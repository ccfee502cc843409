//! Addresses, MACs and foreign text, written for people and for JSON alike.

use std::borrow::Cow;

use ze_packet::MacAddr;
use ze_proto::address;
use ze_proto::v1::LinkState;

/// Text without control characters, so that a name from elsewhere can not steer the terminal.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if c.is_control() { '?' } else { c }).collect())
}

/// An address; none when there is none. Bytes that are no address are shown as they are.
pub fn address(bytes: &[u8]) -> Option<String> {
    match bytes {
        [] => None,
        _ => Some(address::from_bytes(bytes).map_or_else(|_| format!("0x{}", hex(bytes)), |a| a.to_string())),
    }
}

/// A prefix.
pub fn prefix(bytes: &[u8], len: u32) -> String {
    format!("{}/{len}", address(bytes).unwrap_or_default())
}

/// An Ethernet address; none when there is none.
pub fn mac(bytes: &[u8]) -> Option<String> {
    match bytes {
        [] => None,
        _ => Some(
            <[u8; 6]>::try_from(bytes)
                .map_or_else(|_| format!("0x{}", hex(bytes)), |m| MacAddr(m).to_string()),
        ),
    }
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The state of a port or interface.
pub const fn link(state: LinkState) -> &'static str {
    match state {
        LinkState::Unspecified => "unknown",
        LinkState::Up => "up",
        LinkState::Down => "down",
        LinkState::Missing => "missing",
        LinkState::Failed => "failed",
    }
}

/// None for text that is empty.
pub fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// `-` for what is not there.
pub fn dash(text: Option<&str>) -> &str {
    text.filter(|t| !t.is_empty()).unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_text_whatever_they_are() {
        assert_eq!(address(&[192, 0, 2, 1]).as_deref(), Some("192.0.2.1"));
        assert_eq!((address(&[]), address(&[1, 2]).as_deref()), (None, Some("0x0102")));
        assert_eq!(prefix(&[10, 0, 0, 0], 8), "10.0.0.0/8");
        assert_eq!(mac(&[2, 0, 0, 0, 0, 1]).as_deref(), Some("02:00:00:00:00:01"));
        assert_eq!((mac(&[]), mac(&[9]).as_deref()), (None, Some("0x09")));
    }

    #[test]
    fn control_characters_are_defused() {
        assert_eq!(clean("lan0"), "lan0");
        assert_eq!(clean("a\x1b[31mb\nc"), "a?[31mb?c");
    }
}
