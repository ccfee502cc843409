//! `ze-perf lab`: throughput, loss and latency of a device under test, over real AF_XDP in network namespaces.
//!
//! ```text
//!   Bench: two cables, the DUT, generator and sink ── Trial: what became of an Offer ─┐
//!   Search: which load next ◀── loss ─────────────────────────────────────────────────┘──▶ Report
//! ```

mod bench;
mod burst;
mod distance;
mod placement;
mod report;
mod run;
pub mod search;
mod shield;
mod trial;

pub use bench::{Bench, BenchOptions, GeneratorKind, Placement, SinkKind, sizes};
pub use distance::Distance;
pub use placement::{Cores, prioritize};
pub use report::{BackToBack, CaseResult, LatencyAt, Parameters, Report, Throughput};
pub use run::{LabOptions, run};
pub use trial::{Latency, Offer, Trial};
