//! Ports without a kernel: for scenarios, and for measuring what a packet costs.

mod template;
mod wire;

pub use template::{Sample, Template, TemplatePort};
pub use wire::{MemoryPort, MemoryWire};
