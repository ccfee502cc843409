//! The network lab, packet scenarios and regression suites of Ze.
//!
//! [`lab`] builds real hosts and links on one Linux machine, sends real traffic through them and leaves nothing
//! behind, whatever happens to the program that built it.

pub mod lab;
