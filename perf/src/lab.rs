//! `ze-perf lab`: throughput, loss and latency of a device under test, over real AF_XDP in network namespaces.

mod bench;
mod placement;
mod trial;

pub use bench::{Bench, BenchOptions, Placement, SinkKind, sizes};
pub use placement::{Cores, prioritize};
pub use trial::{Latency, Offer, Trial};
