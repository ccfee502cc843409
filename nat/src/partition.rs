//! Which worker owns which external port.

use ze_packet::WorkerId;

/// Ports below this are system ports: a NAT maps them to one another only (RFC 4787 REQ-3a, 0–1023).
pub const SYSTEM_PORTS: u16 = 1024;

/// A division of the ports of every pool address among workers.
///
/// Ports are dealt out in blocks of a power of two (at least 2, so that an even port and the odd one above it
/// stay together, as RTP and RTCP want them), block by block, to one worker after the other; each address begins
/// with another worker, so that no worker has the scarce system ports of all addresses.
///
/// ```text
/// port      0 … 7   8 … 15   16 … 23   24 … 31   …        blocks of 8 ports, 3 workers
/// address A   w0       w1        w2        w0    …
/// address B   w1       w2        w0        w1    …
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    workers: u16,
    block_bits: u8,
}

/// Ports that may stand for one another: same range (RFC 4787 REQ-3a) and same parity (REQ-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// A system port, below 1024.
    pub system: bool,
    /// An odd port.
    pub odd: bool,
}

/// Why ports can not be divided so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody to own the ports.
    #[error("a pool needs a worker")]
    NoWorker,
    /// Not a power of two, or below 2.
    #[error("a block of {0} ports: a power of two from 2 on is needed")]
    Block(u16),
    /// Some worker would own no system port, and could not keep system ports in their range.
    #[error("{workers} workers can not share 1024 system ports in blocks of {block_ports}")]
    TooManyWorkers {
        /// The workers.
        workers: u8,
        /// Ports in a block.
        block_ports: u16,
    },
}

impl Class {
    /// The class of a port.
    #[inline]
    #[must_use]
    pub const fn of(port: u16) -> Self {
        Self { system: port < SYSTEM_PORTS, odd: port & 1 == 1 }
    }
}

impl Partition {
    /// Divides ports among `workers` in blocks of `block_ports`.
    ///
    /// # Errors
    /// When a worker would be left without ports of some class, or the block is no power of two from 2 on.
    pub const fn new(workers: u8, block_ports: u16) -> Result<Self, Error> {
        if workers == 0 {
            return Err(Error::NoWorker);
        }
        if block_ports < 2 || !block_ports.is_power_of_two() {
            return Err(Error::Block(block_ports));
        }
        if SYSTEM_PORTS / block_ports < workers as u16 {
            return Err(Error::TooManyWorkers { workers, block_ports });
        }
        Ok(Self { workers: workers as u16, block_bits: block_ports.trailing_zeros() as u8 })
    }

    /// The worker that owns `port` of the pool's address number `address`.
    #[inline]
    #[must_use]
    pub const fn owner(&self, address: u32, port: u16) -> WorkerId {
        let block = port >> self.block_bits;
        WorkerId(((block % self.workers + self.first(address)) % self.workers) as u8)
    }

    /// How many ports of `class` a worker owns on an address. Port 0 counts for nobody: it is no port.
    #[must_use]
    pub fn count(&self, worker: WorkerId, address: u32, class: Class) -> u32 {
        let blocks = self.blocks(worker, address, class.system);
        let zero = u32::from(class == Class::of(0) && self.owner(address, 0) == worker);
        blocks * self.ports_of_a_class_in_a_block() - zero
    }

    /// The `n`th port of `class` that a worker owns on an address, in ascending order; none from
    /// [`count`](Self::count) on.
    #[must_use]
    pub fn nth(&self, worker: WorkerId, address: u32, class: Class, n: u32) -> Option<u16> {
        if n >= self.count(worker, address, class) {
            return None;
        }
        let skipped = u32::from(class == Class::of(0) && self.owner(address, 0) == worker);
        let (turn, within) = (
            (n + skipped) / self.ports_of_a_class_in_a_block(),
            (n + skipped) % self.ports_of_a_class_in_a_block(),
        );
        let block = self.first_block(worker, address, class.system) + turn * u32::from(self.workers);
        u16::try_from((block << self.block_bits) + within * 2 + u32::from(class.odd)).ok()
    }

    /// The worker that owns an address's first block.
    const fn first(&self, address: u32) -> u16 {
        (address % self.workers as u32) as u16
    }

    /// The first block of a range that a worker owns.
    fn first_block(&self, worker: WorkerId, address: u32, system: bool) -> u32 {
        let workers = u32::from(self.workers);
        let begin = if system { 0 } else { u32::from(SYSTEM_PORTS) >> self.block_bits };
        let owner = u32::from(self.owner(address, (begin << self.block_bits) as u16).0);
        begin + (u32::from(worker.0) % workers + workers - owner) % workers
    }

    /// Blocks of a range that a worker owns.
    fn blocks(&self, worker: WorkerId, address: u32, system: bool) -> u32 {
        if u16::from(worker.0) >= self.workers {
            return 0;
        }
        let end = if system { u32::from(SYSTEM_PORTS) } else { 1 << 16 } >> self.block_bits;
        (end - self.first_block(worker, address, system)).div_ceil(u32::from(self.workers))
    }

    const fn ports_of_a_class_in_a_block(&self) -> u32 {
        1 << (self.block_bits - 1)
    }
}

#[cfg(test)]
mod tests;
