//! `ze-fastpath`: the forwarding daemon. It owns ports, tables and neighbours, and does what its API is told.

pub mod api;
pub mod args;
pub mod control;
pub mod daemon;
pub mod fdstore;
pub mod instance;
pub mod server;
pub mod supervise;
