//! AF_XDP ports and the in-memory ports.
//!
//! [`open_port`] turns a network device into queue pairs ([`ze_graph::Port`]) for workers, all of them on one
//! [`Umem`], so that a packet goes from any port to any other without a copy.
//!
//! ```text
//!            our side                                     the kernel's side
//!  pool ──▶ refill ──▶ fill ring ───────────────────────▶ takes a chunk, receives into it
//!           receive ◀── receive ring ◀──────────────────── XDP program redirects (ze_redirect)
//!           transmit ──▶ transmit ring ───(wake)─────────▶ sends
//!  pool ◀── complete ◀── completion ring ◀──────────────── has sent
//! ```
//!
//! Where the kernel copies, a busy queue goes another way (`exchange`): the page that a frame came in carries another one out.
//!
//! Modules with `unsafe`: `ring`, `mapping` and `exchange::memory` (memory shared with the kernel), `ledger` (frames come
//! back as numbers), and `ioctl`. Everything above them is safe code.

mod device;
mod error;
mod ethtool;
mod exchange;
mod health;
mod ioctl;
mod ledger;
mod mapping;
mod memory;
mod netlink;
mod open;
mod primitives;
mod qdisc;
mod queue;
mod ring;
mod socket;
mod spec;
mod umem;

pub use device::{Device, MTU_MAX};
pub use error::{Error, Result, Step, Why};
pub use ethtool::{Offload, Offloads};
pub use exchange::Lanes;
pub use health::{Health, KernelStatistics, Monitor};
pub use memory::{MemoryPort, MemoryWire, Sample, Template, TemplatePort};
pub use netlink::RedirectTargets;
pub use open::{OpenedPort, Prepared, open_port};
pub use qdisc::{BackPressure, back_pressure};
pub use spec::{
    BindMode, FILL_FRAMES_DEFAULT, PortReport, PortSpec, QueueReport, RING_FRAMES_MAX,
    TRANSMIT_FRAMES_DEFAULT,
};
pub use umem::Umem;
