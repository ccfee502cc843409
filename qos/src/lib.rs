//! Meters and policers.
