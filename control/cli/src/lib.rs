//! ze: the operator's command.
//!
//! It talks to the forwarding daemon over gRPC and to nothing else. Every command gathers a [`output::Page`]: a JSON
//! value whose schema is stable, and the table that people read; the rendering is pure and has no daemon in it.
//!
//! JSON: field names are `snake_case` with their unit; addresses, prefixes and MACs are text; what is unknown is
//! `null`. A command prints one document; with `--watch`, and for streams (`trace`, `top`), one document a line.
//! Errors are `{"error": …, "hint": …}` on standard error.
//!
//! Exit codes: 0 done, 1 it failed (or `doctor` found an error), 2 the command line is wrong.

pub mod args;
pub mod client;
pub mod dissect;
pub mod doctor;
pub mod error;
pub mod output;
mod run;
pub mod show;
pub mod table;
pub mod text;
pub mod top;
pub mod trace;

pub use run::main;
