//! The narrow waist: protobuf messages and services between the two daemons.
