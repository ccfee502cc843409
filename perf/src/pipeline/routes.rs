//! Routes: from a file, or synthetic; and the plain model that says where a packet must go.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use ipnet::IpNet;

use super::random::Random;
use super::traffic::is_plain;

/// The most synthetic routes: twice what the largest tables of the Internet are expected to hold for years.
pub const SYNTHETIC_MAX: u32 = 4_000_000;
/// The most nexthops that a file may name: a peering router's neighbours, and a bound for a wrong file.
const HOPS_MAX: usize = 4096;
/// Nexthops of synthetic routes, as many as the real tables come with.
const SYNTHETIC_HOPS: usize = 256;
/// The largest file, unpacked: ten times a full table.
const FILE_BYTES_MAX: u64 = 1 << 28;
/// How a file compressed by zstd begins: RFC 8878 §3.1.1.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Lengths of synthetic prefixes and their weights: the shape of the Internet's tables, rounded.
const LENGTHS4: [(u8, u32); 9] =
    [(24, 60), (23, 10), (22, 12), (21, 5), (20, 5), (19, 3), (18, 2), (17, 1), (16, 2)];
const LENGTHS6: [(u8, u32); 8] = [(48, 46), (32, 14), (44, 12), (40, 10), (36, 6), (46, 5), (47, 4), (29, 3)];

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Bits of an address.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// 4 or 6.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::V4 => 4,
            Self::V6 => 6,
        }
    }

    /// The address with this number.
    #[must_use]
    pub const fn address(self, number: u128) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::from_bits(number as u32)),
            Self::V6 => IpAddr::V6(Ipv6Addr::from_bits(number)),
        }
    }

    /// The family of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// The family of the first route in a file.
    ///
    /// # Errors
    /// When the file can not be read, has no route, or begins with none.
    pub fn of_table(path: &Path) -> Result<Self> {
        let first = || {
            let text = read(path)?;
            let (at, line) = lines(&text).next().context("has no routes")?;
            prefix(line).with_context(|| format!("line {at}: '{line}'"))
        };
        let net = first().with_context(|| format!("table {}", path.display()))?;
        Ok(Self::of(net.addr()))
    }
}

/// The number of an address: its bits, the lowest last.
#[must_use]
pub fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Where routes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Made up: so many.
    Synthetic(usize),
    /// Read.
    File(PathBuf),
}

/// Prefixes and, for each, which nexthop it leads to.
#[derive(Clone, Debug)]
pub struct Routes {
    /// Their family.
    pub family: Family,
    /// Distinct prefixes, each with a nexthop counted from 0.
    pub all: Vec<(IpNet, u16)>,
    /// How many nexthops there are.
    pub hops: usize,
}

impl Routes {
    /// Makes or reads them.
    ///
    /// # Errors
    /// When the file can not be read, or a line of it is not a route of this family.
    pub fn load(source: &Source, family: Family) -> Result<Self> {
        match source {
            Source::Synthetic(count) => Ok(Self::synthetic(family, *count)),
            Source::File(path) => {
                let text = read(path).with_context(|| format!("table {}", path.display()))?;
                Self::parse(&text, family).with_context(|| format!("table {}", path.display()))
            }
        }
    }

    fn synthetic(family: Family, count: usize) -> Self {
        if count == 1 {
            // The prefixes set aside for benchmarks: RFC 2544 appendix C.2.2, RFC 5180 §8.
            let address = match family {
                Family::V4 => IpNet::new_assert(Ipv4Addr::new(198, 18, 0, 0).into(), 15),
                Family::V6 => IpNet::new_assert(Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0).into(), 48),
            };
            return Self { family, all: vec![(address, 0)], hops: 1 };
        }
        let mut random = Random::new(1);
        let (mut seen, mut all) = (HashSet::with_capacity(count), Vec::with_capacity(count));
        while all.len() < count {
            let net = random_prefix(family, &mut random);
            if is_plain(net.addr()) && is_plain(net.broadcast()) && seen.insert(net) {
                all.push((net, random.below(SYNTHETIC_HOPS) as u16));
            }
        }
        Self { family, all, hops: SYNTHETIC_HOPS }
    }

    fn parse(text: &str, family: Family) -> Result<Self> {
        let mut hops: HashMap<u32, u16> = HashMap::new();
        let mut routes: BTreeMap<IpNet, u16> = BTreeMap::new();
        for (at, line) in lines(text) {
            let (net, id) = route(line, family).with_context(|| format!("line {at}: '{line}'"))?;
            let next = hops.len();
            let hop = *hops.entry(id).or_insert(next as u16);
            if hops.len() > HOPS_MAX {
                bail!("line {at}: more than {HOPS_MAX} different nexthops");
            }
            if routes.insert(net, hop).is_some() {
                bail!("line {at}: {net} is there twice");
            }
        }
        if routes.is_empty() {
            bail!("has no routes");
        }
        Ok(Self { family, all: routes.into_iter().collect(), hops: hops.len() })
    }

    /// Adds a default route unless there is one. Returns whether it did.
    pub fn add_default(&mut self) -> bool {
        if self.all.iter().any(|(net, _)| net.prefix_len() == 0) {
            return false;
        }
        self.all.push((IpNet::new_assert(self.family.address(0), 0), 0));
        true
    }
}

fn random_prefix(family: Family, random: &mut Random) -> IpNet {
    let lengths = match family {
        Family::V4 => &LENGTHS4[..],
        Family::V6 => &LENGTHS6[..],
    };
    let total: u32 = lengths.iter().map(|(_, weight)| weight).sum();
    let mut left = random.below(total as usize) as u32;
    let mut chosen = lengths[0].0;
    for (len, weight) in lengths {
        chosen = *len;
        if left < *weight {
            break;
        }
        left -= weight;
    }
    IpNet::new_assert(family.address(random_address(family, random)), chosen).trunc()
}

/// Any IPv4 address; any IPv6 address of 2000::/3 (RFC 4291 §2.4), where unicast is.
pub(crate) fn random_address(family: Family, random: &mut Random) -> u128 {
    match family {
        Family::V4 => random.wide() >> 96,
        Family::V6 => 1 << 125 | random.wide() >> 3,
    }
}

/// The lines of a table that are to be routes, with their numbers, from 1 on.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn prefix(line: &str) -> Result<IpNet> {
    line.split_ascii_whitespace().next().unwrap_or_default().parse().context("no prefix")
}

fn route(line: &str, family: Family) -> Result<(IpNet, u32)> {
    let mut words = line.split_ascii_whitespace();
    let (Some(_), Some(id), None) = (words.next(), words.next(), words.next()) else {
        bail!("is not 'PREFIX NEXTHOP-NUMBER'");
    };
    let net = prefix(line)?;
    if Family::of(net.addr()) != family {
        bail!("is not of the scenario's family");
    }
    if net.trunc() != net {
        bail!("has host bits set; the prefix is {}", net.trunc());
    }
    Ok((net, id.parse().context("no nexthop number")?))
}

fn read(path: &Path) -> Result<String> {
    let mut file = BufReader::new(File::open(path)?);
    let mut bytes = Vec::new();
    file.by_ref().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.starts_with(&ZSTD_MAGIC) {
        let packed = std::mem::take(&mut bytes);
        let mut unpacked = zstd::stream::read::Decoder::new(packed.as_slice()).context("does not unpack")?;
        unpacked.by_ref().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).context("does not unpack")?;
    }
    if bytes.len() as u64 > FILE_BYTES_MAX {
        bail!("is larger than {FILE_BYTES_MAX} bytes");
    }
    String::from_utf8(bytes).context("is not text")
}

/// Longest-prefix match, slow and obviously right: one map a length, the longest asked first.
pub struct Model {
    lengths: Vec<(u8, HashMap<u128, u16>)>,
    bits: u8,
}

impl Model {
    /// Of these routes.
    #[must_use]
    pub fn new(routes: &Routes) -> Self {
        let mut lengths: BTreeMap<u8, HashMap<u128, u16>> = BTreeMap::new();
        for (net, hop) in &routes.all {
            lengths.entry(net.prefix_len()).or_default().insert(number(net.addr()), *hop);
        }
        Self { lengths: lengths.into_iter().rev().collect(), bits: routes.family.bits() }
    }

    /// The nexthop of the longest prefix that an address is in.
    #[must_use]
    pub fn lookup(&self, address: u128) -> Option<u16> {
        let network = |len: u8| {
            let host_bits = u32::from(self.bits - len);
            address.checked_shr(host_bits).unwrap_or(0).checked_shl(host_bits).unwrap_or(0)
        };
        self.lengths.iter().find_map(|(len, nets)| nets.get(&network(*len)).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_finds_the_longest_prefix() {
        let text = "0.0.0.0/0 9\n10.0.0.0/8 5\n10.1.0.0/16 6\n10.1.2.3/32 9\n";
        let model = Model::new(&Routes::parse(text, Family::V4).unwrap());
        let lookup = |address: &str| model.lookup(number(address.parse().unwrap()));
        let [any, eight, sixteen] = [Some(0), Some(1), Some(2)];
        let expected = [("9.9.9.9", any), ("10.9.9.9", eight), ("10.1.9.9", sixteen), ("10.1.2.3", any)];
        for (address, hop) in expected {
            assert_eq!(lookup(address), hop, "{address}");
        }
        let six = Model::new(&Routes::parse("2001:db8::/32 1", Family::V6).unwrap());
        assert_eq!(six.lookup(number("2001:db8::1".parse().unwrap())), Some(0));
        assert_eq!(six.lookup(number("2001:db9::1".parse().unwrap())), None);
    }

    #[test]
    fn a_line_that_is_no_route_is_named() {
        let cases = [
            ("10.0.0.0/8 1\n10.0.0.0/8 2", "line 2: 10.0.0.0/8 is there twice"),
            ("# nothing\n\n", "has no routes"),
            ("10.0.0.0/8", "line 1: '10.0.0.0/8'"),
            ("10.0.0.0/8 x", "nexthop number"),
            ("10.0.0.1/8 1", "the prefix is 10.0.0.0/8"),
            ("2001:db8::/32 1", "family"),
            ("10.0.0.0/33 1", "no prefix"),
        ];
        for (text, expected) in cases {
            let error = format!("{:#}", Routes::parse(text, Family::V4).unwrap_err());
            assert!(error.contains(expected), "{text:?}: {error}");
        }
        let many: String = (0..=HOPS_MAX).map(|n| format!("10.{}.{}.0/24 {n}\n", n / 256, n % 256)).collect();
        assert!(
            Routes::parse(&many, Family::V4).unwrap_err().to_string().contains("4096 different nexthops")
        );
    }

    #[test]
    fn text_and_zstd_give_the_same_table() {
        let folder = tempfile::tempdir().unwrap();
        let (text, packed) = (folder.path().join("t.txt"), folder.path().join("t.zst"));
        std::fs::write(&text, "10.0.0.0/8 1\n").unwrap();
        std::fs::write(&packed, zstd::encode_all(&b"10.0.0.0/8 1\n"[..], 1).unwrap()).unwrap();
        for path in [text, packed] {
            let routes = Routes::load(&Source::File(path), Family::V4).unwrap();
            assert_eq!((routes.all.len(), routes.hops), (1, 1));
        }
        let missing = Routes::load(&Source::File(folder.path().join("none")), Family::V4).unwrap_err();
        assert!(format!("{missing:#}").contains("none"));
    }

    #[test]
    fn synthetic_routes_are_as_many_as_asked_for_distinct_and_the_same_again() {
        for family in [Family::V4, Family::V6] {
            let routes = Routes::synthetic(family, 3000);
            let distinct: HashSet<_> = routes.all.iter().map(|(net, _)| *net).collect();
            assert_eq!((routes.all.len(), distinct.len()), (3000, 3000));
            assert_eq!(routes.all, Routes::synthetic(family, 3000).all);
            assert!(routes.all.iter().all(|(_, hop)| usize::from(*hop) < routes.hops));
        }
    }

    #[test]
    fn a_default_route_is_added_once() {
        let mut routes = Routes::synthetic(Family::V4, 1);
        assert!(routes.add_default() && !routes.add_default());
        assert_eq!(Model::new(&routes).lookup(5), Some(0));
    }
}
