//! Runs engines on tokio.
