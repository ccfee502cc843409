//! The network lab, packet scenarios and regression suites of Ze.
//!
//! [`lab`] builds real hosts and links on one Linux machine, sends real traffic through them and leaves nothing
//! behind, whatever happens to the program that built it. [`daemons`] runs Ze's daemons in such a lab and asks them
//! over their API. [`demo`] is the guided tour of `ze demo`.

pub mod daemons;
pub mod demo;
pub mod lab;
