//! Values that vary from flow to flow: one, a range, a list, or random ones of a seed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

/// SplitMix64: small, fast, the same for a seed for ever.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of a seed; different streams of one seed have nothing in common.
    #[must_use]
    pub const fn new(seed: u64, stream: u64) -> Self {
        Self(seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95))
    }

    /// 64 random bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 if that is 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }
}

/// Addresses of the flows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// From the first on, `count` of them, again and again.
    Range {
        /// The first.
        first: IpAddr,
        /// How many.
        count: u32,
    },
    /// These by turns.
    List(Vec<IpAddr>),
    /// Each time a random prefix of these, and a random host in it.
    Random(Vec<IpNet>),
}

impl Addresses {
    /// One address for all flows.
    #[must_use]
    pub const fn one(address: IpAddr) -> Self {
        Self::Range { first: address, count: 1 }
    }

    /// The address of flow number `flow`.
    #[must_use]
    pub fn of(&self, flow: u32, random: &mut Random) -> Option<IpAddr> {
        match self {
            Self::Range { first, count } => plus(*first, u128::from(flow.checked_rem(*count)?)),
            Self::List(list) => list.get(flow as usize % list.len().max(1)).copied(),
            Self::Random(nets) => {
                let net = nets.get(random.below(nets.len() as u64) as usize)?;
                Some(host_in(net, random))
            }
        }
    }

    /// Are all of this family?
    #[must_use]
    pub fn are_ip4(&self) -> bool {
        match self {
            Self::Range { first, .. } => first.is_ipv4(),
            Self::List(list) => list.iter().all(IpAddr::is_ipv4),
            Self::Random(nets) => nets.iter().all(|net| net.addr().is_ipv4()),
        }
    }
}

/// The address `by` further; none beyond the last.
fn plus(address: IpAddr, by: u128) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(address) => {
            Ipv4Addr::from_bits(address.to_bits().checked_add(u32::try_from(by).ok()?)?).into()
        }
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits().checked_add(by)?).into(),
    })
}

/// A random address of a prefix. In IPv4 never its first or last, where there are others.
fn host_in(net: &IpNet, random: &mut Random) -> IpAddr {
    match net {
        IpNet::V4(net) => {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            let (first, last) = if net.prefix_len() < 31 { (first + 1, last - 1) } else { (first, last) };
            Ipv4Addr::from_bits(first + random.below(u64::from(last - first) + 1) as u32).into()
        }
        IpNet::V6(net) => {
            let wide = u128::from(random.next()) << 64 | u128::from(random.next());
            Ipv6Addr::from_bits(net.network().to_bits() | wide & net.hostmask().to_bits()).into()
        }
    }
}

impl FromStr for Addresses {
    type Err = String;

    /// An address, a range `A-B`, a list `A,B,C`, or random ones of a prefix, `random:PREFIX`, or of several.
    fn from_str(text: &str) -> Result<Self, String> {
        let one_family = |mut are_ip4: Vec<bool>| {
            are_ip4.dedup();
            if are_ip4.len() == 1 { Ok(()) } else { Err(format!("'{text}' mixes families")) }
        };
        if let Some(nets) = text.strip_prefix("random:") {
            let net = |word: &str| word.parse::<IpNet>().map_err(|_| format!("'{word}' is no prefix"));
            let nets = nets.split(',').map(net).collect::<Result<Vec<_>, _>>()?;
            one_family(nets.iter().map(|net| net.addr().is_ipv4()).collect())?;
            return Ok(Self::Random(nets));
        }
        if let Some((first, last)) = text.split_once('-') {
            let (first, last) = (address(first)?, address(last)?);
            one_family(vec![first.is_ipv4(), last.is_ipv4()])?;
            let far = distance(first, last).ok_or_else(|| format!("'{text}' ends before it begins"))?;
            let count = u32::try_from(far).ok().and_then(|far| far.checked_add(1));
            let count = count.ok_or_else(|| format!("'{text}' is no range of at most 2³² − 1 addresses"))?;
            return Ok(Self::Range { first, count });
        }
        let list = text.split(',').map(address).collect::<Result<Vec<_>, _>>()?;
        one_family(list.iter().map(IpAddr::is_ipv4).collect())?;
        Ok(if let [one] = list[..] { Self::one(one) } else { Self::List(list) })
    }
}

fn address(word: &str) -> Result<IpAddr, String> {
    word.parse().map_err(|_| match word.parse::<IpNet>() {
        Ok(_) => format!("'{word}' is a prefix; random:{word} takes hosts of it"),
        Err(_) => format!("'{word}' is no address"),
    })
}

fn distance(first: IpAddr, last: IpAddr) -> Option<u128> {
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            Some(u128::from(last.to_bits().checked_sub(first.to_bits())?))
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => last.to_bits().checked_sub(first.to_bits()),
        _ => None,
    }
}

/// Ports of the flows; identifier and number of ICMP echo requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ports {
    /// From the first to the last, again and again.
    Range {
        /// The first.
        first: u16,
        /// The last.
        last: u16,
    },
    /// These by turns.
    List(Vec<u16>),
    /// Pseudo-random ones of 1024 to 65535: RFC 4814 §4.5.
    Random,
}

impl Ports {
    /// One port for all flows.
    #[must_use]
    pub const fn one(port: u16) -> Self {
        Self::Range { first: port, last: port }
    }

    /// The port of flow number `flow`.
    #[must_use]
    pub fn of(&self, flow: u32, random: &mut Random) -> Option<u16> {
        match self {
            Self::Range { first, last } => {
                let count = u32::from(last.checked_sub(*first)?) + 1;
                Some(first + (flow % count) as u16)
            }
            Self::List(list) => list.get(flow as usize % list.len().max(1)).copied(),
            Self::Random => Some((1024 + random.below(65536 - 1024)) as u16),
        }
    }
}

impl FromStr for Ports {
    type Err = String;

    /// A port, a range `A-B`, a list `A,B,C`, or `random`.
    fn from_str(text: &str) -> Result<Self, String> {
        let port = |word: &str| word.parse::<u16>().map_err(|_| format!("'{word}' is no port"));
        if text == "random" {
            return Ok(Self::Random);
        }
        if let Some((first, last)) = text.split_once('-') {
            let (first, last) = (port(first)?, port(last)?);
            return if first > last {
                Err(format!("'{text}' ends before it begins"))
            } else {
                Ok(Self::Range { first, last })
            };
        }
        let list = text.split(',').map(port).collect::<Result<Vec<_>, _>>()?;
        Ok(if let [one] = list[..] { Self::one(one) } else { Self::List(list) })
    }
}

#[cfg(test)]
mod tests;
