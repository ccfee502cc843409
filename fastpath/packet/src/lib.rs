//! Wire formats, checksums, identifiers and units.
