//! What is looked up, and where: routes, grown if asked, addresses, and the answers they must get.

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::{Result, bail};
use ipnet::IpNet;
use ze_lpm::{Prefix, V4, V6, Value};

use super::args::{LpmArgs, Trace};
use crate::pipeline::random::Random;
use crate::pipeline::routes::{Family, Model, Routes, Source, number, random_address};

/// Lookups that one figure is made of.
pub(super) const CHUNK: usize = 1 << 16;
/// Chunks of a trace.
const CHUNKS: usize = 32;
/// Destinations of the Zipf trace.
const DESTINATIONS: usize = 1 << 18;
/// Of so many answers one is compared with the plain table's: it is slow.
const SAMPLE: usize = 16;
/// Routes when none are given: the Internet's, early in 2024.
const ROUTES4: usize = 901_899;
const ROUTES6: usize = 160_147;

/// An address family, as engines want it.
pub(super) trait Net: ze_lpm::Family {
    const FAMILY: Family;
    fn addr(number: u128) -> Self::Addr;
    /// The address as DPDK wants it: IPv4 a number of this machine, IPv6 in network order.
    fn write(addr: Self::Addr, bytes: &mut Vec<u8>);
}

impl Net for V4 {
    const FAMILY: Family = Family::V4;

    fn addr(number: u128) -> u32 {
        number as u32
    }

    fn write(addr: u32, bytes: &mut Vec<u8>) {
        bytes.extend(addr.to_ne_bytes());
    }
}

impl Net for V6 {
    const FAMILY: Family = Family::V6;

    fn addr(number: u128) -> u128 {
        number
    }

    fn write(addr: u128, bytes: &mut Vec<u8>) {
        bytes.extend(addr.to_be_bytes());
    }
}

/// Routes, addresses, answers.
pub(super) struct Table<F: Net> {
    /// Sorted, as tables usually come.
    pub(super) routes: Vec<(Prefix<F>, Value)>,
    pub(super) traces: Vec<Addresses<F>>,
    pub(super) source: String,
}

/// The addresses of one trace.
pub(super) struct Addresses<F: Net> {
    pub(super) trace: Trace,
    pub(super) all: Vec<F::Addr>,
    /// For every `SAMPLE`th, what the plain table says; 0 where there is no route.
    expected: Vec<u32>,
}

impl<F: Net> Table<F> {
    pub(super) fn load(args: &LpmArgs) -> Result<Self> {
        let (mut routes, mut source) = match &args.table {
            Some(path) => (Routes::load(&Source::File(path.clone()), F::FAMILY)?, path.display().to_string()),
            None => {
                let usual = if F::FAMILY == Family::V4 { ROUTES4 } else { ROUTES6 };
                let count = args.routes.map_or(usual, |count| count as usize);
                (Routes::load(&Source::Synthetic(count), F::FAMILY)?, "made up".to_owned())
            }
        };
        if let (Some(_), Some(wanted)) = (&args.table, args.routes) {
            let had = routes.all.len();
            grow(&mut routes, wanted as usize)?;
            source = format!("{source}, grown from {had}");
        }
        routes.all.sort_unstable();
        let model = Model::new(&routes);
        let traces = args.traces().into_iter().map(|trace| Addresses::new(trace, &routes, &model)).collect();
        let route = |(net, hop): &(IpNet, u16)| {
            let prefix = Prefix::new(F::addr(number(net.addr())), net.prefix_len())?;
            Ok((prefix, Value::new(value(*hop))?))
        };
        let routes: Result<_> = routes.all.iter().map(route).collect();
        Ok(Self { routes: routes?, traces, source })
    }
}

impl<F: Net> Addresses<F> {
    fn new(trace: Trace, routes: &Routes, model: &Model) -> Self {
        let mut random = Random::new(7);
        let count = CHUNK * CHUNKS;
        let numbers: Vec<u128> = match trace {
            Trace::Covered => (0..count).map(|_| host(routes, &mut random)).collect(),
            Trace::Uniform => (0..count).map(|_| random_address(routes.family, &mut random)).collect(),
            Trace::Zipf => {
                let hosts: Vec<_> = (0..DESTINATIONS).map(|_| host(routes, &mut random)).collect();
                (0..count).map(|_| hosts[random.zipf(DESTINATIONS)]).collect()
            }
        };
        let answer = |&number: &u128| model.lookup(number).map_or(0, value);
        let expected = numbers.iter().step_by(SAMPLE).map(answer).collect();
        Self { trace, all: numbers.into_iter().map(F::addr).collect(), expected }
    }

    /// Compares answers to all addresses with what they must be.
    pub(super) fn check(&self, engine: &str, answers: &[u32]) -> Result<()> {
        if answers.len() != self.all.len() {
            bail!("{engine} gave {} answers to {} addresses", answers.len(), self.all.len());
        }
        for (at, (&expected, &answer)) in self.expected.iter().zip(answers.iter().step_by(SAMPLE)).enumerate()
        {
            if expected != answer {
                let address = F::to_ip(self.all[at * SAMPLE]);
                bail!("{engine} answers {answer} for {address}, the plain table {expected} (0: no route)");
            }
        }
        Ok(())
    }
}

/// What a nexthop is called by engines, to which 0 is no route.
fn value(hop: u16) -> u32 {
    u32::from(hop) + 1
}

/// A random host of a random route.
fn host(routes: &Routes, random: &mut Random) -> u128 {
    let (net, _) = routes.all[random.below(routes.all.len())];
    let host_bits = u32::from(routes.family.bits() - net.prefix_len());
    number(net.addr()) | random.wide().checked_shr(128 - host_bits).unwrap_or(0)
}

/// Adds routes until there are `wanted`, keeping the table's shape: half are the block next to an existing route, half
/// more-specifics of one (of the lengths that the table's own have), half of all with its nexthop, the others with that of any route.
fn grow(routes: &mut Routes, wanted: usize) -> Result<()> {
    let bits = routes.family.bits();
    if wanted < routes.all.len() {
        bail!("the table has {} routes already: --routes can only add", routes.all.len());
    }
    let specific = if routes.family == Family::V4 { 17..=24 } else { 33..=48 };
    let lengths: Vec<u8> =
        routes.all.iter().map(|(net, _)| net.prefix_len()).filter(|len| specific.contains(len)).collect();
    if lengths.is_empty() {
        bail!("the table has no routes of /{} to /{} to grow by", specific.start(), specific.end());
    }
    let mut there: HashSet<IpNet> = routes.all.iter().map(|(net, _)| *net).collect();
    let mut random = Random::new(8);
    // Of a table that is nearly full, most attempts meet what is there.
    for _ in 0..wanted.saturating_mul(64) {
        if routes.all.len() == wanted {
            return Ok(());
        }
        let (net, hop) = routes.all[random.below(routes.all.len())];
        let Some(new) = neighbour_or_specific(net, bits, &lengths, &mut random) else { continue };
        if there.insert(new) {
            // That of any route, so that common nexthops stay common.
            let other = routes.all[random.below(routes.all.len())].1;
            routes.all.push((new, if random.below(2) == 0 { hop } else { other }));
        }
    }
    bail!("the table does not grow beyond {} routes", routes.all.len())
}

fn neighbour_or_specific(net: IpNet, bits: u8, lengths: &[u8], random: &mut Random) -> Option<IpNet> {
    let (addr, len) = (number(net.addr()), net.prefix_len());
    let (addr, len) = if random.below(2) == 0 {
        let size = 1_u128.checked_shl(u32::from(bits - len))?;
        (addr.checked_add(size).filter(|next| bits == 128 || next >> bits == 0 && len >= 8)?, len)
    } else {
        let longer = lengths[random.below(lengths.len())];
        if longer <= len {
            return None;
        }
        (addr | random.wide().checked_shr(u32::from(128 - (bits - len))).unwrap_or(0), longer)
    };
    let addr =
        if bits == 32 { Ipv4Addr::from_bits(addr as u32).into() } else { Ipv6Addr::from_bits(addr).into() };
    Some(IpNet::new(addr, len).ok()?.trunc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_grows_by_distinct_routes_to_the_number_wanted() {
        for family in [Family::V4, Family::V6] {
            let mut routes = Routes::load(&Source::Synthetic(2000), family).unwrap();
            let before = routes.all.clone();
            grow(&mut routes, 3000).unwrap();
            let distinct: HashSet<_> = routes.all.iter().map(|(net, _)| *net).collect();
            assert_eq!((routes.all.len(), distinct.len()), (3000, 3000));
            assert_eq!(routes.all[..2000], before);
            assert!(grow(&mut routes, 2999).unwrap_err().to_string().contains("can only add"));
        }
    }

    #[test]
    fn a_wrong_answer_is_told_with_its_address() {
        let routes = Routes::load(&Source::Synthetic(1000), Family::V4).unwrap();
        let model = Model::new(&routes);
        let addresses = Addresses::<V4>::new(Trace::Covered, &routes, &model);
        let all: Vec<u32> =
            addresses.all.iter().map(|&addr| model.lookup(addr.into()).map_or(0, value)).collect();
        addresses.check("it", &all).unwrap();
        let mut wrong = all.clone();
        wrong[SAMPLE * 5] += 1;
        let error = addresses.check("it", &wrong).unwrap_err().to_string();
        let address = Ipv4Addr::from_bits(addresses.all[SAMPLE * 5]).to_string();
        assert!(error.contains("it answers") && error.contains(&address), "{error}");
        assert!(addresses.check("it", &all[1..]).is_err(), "an answer short");
    }
}
