//! The contract of a protocol engine: told bytes, links and the time.
