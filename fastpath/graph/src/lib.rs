//! Frames, batches, the contract of a node, counters and the packet trace.
