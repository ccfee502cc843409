//! Live screens in the terminal.
