//! The network lab, packet scenarios and regression suites of Ze.
//!
//! [`lab`] builds real hosts and links on one Linux machine, sends real traffic through them and leaves nothing
//! behind, whatever happens to the program that built it. [`daemons`] runs Ze's daemons in such a lab and asks them
//! over their API. [`demo`] is the guided tour of `ze demo`. [`scenario`] plays packets in, packets out, on ports in
//! memory and through AF_XDP alike. [`traffic`] is the generator and the sink that measurements use. [`cli`] is the
//! command `ze-pktgen`, [`packet`] the notation in which it reads and shows packets.

pub mod cli;
pub mod daemons;
pub mod demo;
pub mod frame;
pub mod lab;
pub mod packet;
pub mod scenario;
pub mod traffic;
