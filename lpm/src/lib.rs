//! Longest-prefix match for IPv4 and IPv6: batched lookups, readers that never wait.
