//! Live screens in the terminal, and the arithmetic behind them.
//!
//! [`units`] writes numbers for people; [`rates`] makes rates of two samples of the statistics; [`App`] is what the
//! screen shows and how keys change it; [`view`] draws it, purely; [`run`] drives it all on a terminal.

pub mod app;
pub mod feed;
pub mod rates;
mod run;
pub mod theme;
pub mod units;
pub mod view;

pub use app::{App, View};
pub use run::{Options, once, run};
