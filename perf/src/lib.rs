//! ze-perf: throughput, latency and scale.
