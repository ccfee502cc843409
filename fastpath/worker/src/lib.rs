//! Pinned run-to-completion workers.
