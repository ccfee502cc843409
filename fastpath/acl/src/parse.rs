//! The text form of a filter.

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use ze_packet::ethernet::ethertype;
use ze_packet::ipv4::protocol;

use crate::Filter;

/// A filter text that can not be understood; names the word.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not a word of the language.
    #[error(
        "'{0}' is no filter word (ip, ip6, arp, tcp, udp, icmp, icmp6, proto, src, dst, host, sport, dport, port, vlan)"
    )]
    Word(String),
    /// A word needs a value and none follows.
    #[error("'{0}' needs a value behind it")]
    NoValue(String),
    /// A value that is not of the word's kind.
    #[error("'{1}' is no value for '{0}'")]
    Value(String, String),
    /// A condition stands twice.
    #[error("'{0}' states a condition that stands already")]
    Twice(String),
}

impl FromStr for Filter {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut filter = Self::default();
        let mut words = text.split_whitespace().filter(|w| *w != "and");
        while let Some(word) = words.next() {
            filter.condition(word, &mut words)?;
        }
        Ok(filter)
    }
}

impl Filter {
    fn condition<'a>(
        &mut self,
        word: &str,
        rest: &mut impl Iterator<Item = &'a str>,
    ) -> Result<(), ParseError> {
        match word {
            "ip" => once(&mut self.ethertype, word, ethertype::IPV4),
            "ip6" => once(&mut self.ethertype, word, ethertype::IPV6),
            "arp" => once(&mut self.ethertype, word, ethertype::ARP),
            "tcp" => once(&mut self.protocol, word, protocol::TCP),
            "udp" => once(&mut self.protocol, word, protocol::UDP),
            "icmp" => once(&mut self.protocol, word, protocol::ICMP),
            "icmp6" => once(&mut self.protocol, word, protocol::ICMPV6),
            "proto" => once(&mut self.protocol, word, value(word, rest)?),
            "src" => once(&mut self.source, word, net(word, rest)?),
            "dst" => once(&mut self.destination, word, net(word, rest)?),
            "host" => once(&mut self.host, word, net(word, rest)?),
            "sport" => once(&mut self.source_port, word, value(word, rest)?),
            "dport" => once(&mut self.destination_port, word, value(word, rest)?),
            "port" => once(&mut self.port, word, value(word, rest)?),
            "vlan" => {
                let vlan: u16 = value(word, rest)?;
                if vlan > 4094 {
                    return Err(ParseError::Value(word.to_owned(), vlan.to_string()));
                }
                once(&mut self.vlan, word, vlan)
            }
            _ => Err(ParseError::Word(word.to_owned())),
        }
    }
}

fn once<T>(place: &mut Option<T>, word: &str, value: T) -> Result<(), ParseError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(ParseError::Twice(word.to_owned())),
    }
}

fn value<'a, T: FromStr>(word: &str, rest: &mut impl Iterator<Item = &'a str>) -> Result<T, ParseError> {
    let text = rest.next().ok_or_else(|| ParseError::NoValue(word.to_owned()))?;
    text.parse().map_err(|_| ParseError::Value(word.to_owned(), text.to_owned()))
}

fn net<'a>(word: &str, rest: &mut impl Iterator<Item = &'a str>) -> Result<IpNet, ParseError> {
    let text = rest.next().ok_or_else(|| ParseError::NoValue(word.to_owned()))?;
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .map_err(|_| ParseError::Value(word.to_owned(), text.to_owned()))
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<String> = Vec::new();
        words.extend(self.ethertype.map(|e| match e {
            ethertype::IPV4 => "ip".to_owned(),
            ethertype::IPV6 => "ip6".to_owned(),
            _ => "arp".to_owned(),
        }));
        words.extend(self.protocol.map(|p| format!("proto {p}")));
        words.extend(self.source.map(|n| format!("src {n}")));
        words.extend(self.destination.map(|n| format!("dst {n}")));
        words.extend(self.host.map(|n| format!("host {n}")));
        words.extend(self.source_port.map(|p| format!("sport {p}")));
        words.extend(self.destination_port.map(|p| format!("dport {p}")));
        words.extend(self.port.map(|p| format!("port {p}")));
        words.extend(self.vlan.map(|v| format!("vlan {v}")));
        f.write_str(&words.join(" and "))
    }
}
