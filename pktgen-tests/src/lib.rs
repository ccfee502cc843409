//! The network lab, scenarios and regression suites.
