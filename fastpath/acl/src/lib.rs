//! Packet filters over the five-tuple.
