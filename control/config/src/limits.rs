//! The limits of a configuration, each with its reason.

/// Largest text, bytes: a million static routes and room to spare, and still read at once.
pub const TEXT_BYTES_MAX: usize = 64 << 20;

/// Blocks within blocks. The model has five levels; more is no configuration of ours.
pub const DEPTH_MAX: usize = 16;

/// Statements in a text: two for each of a million routes.
pub const STATEMENTS_MAX: usize = 2_000_000;

/// Words in a statement. The longest that the model knows has two.
pub const WORDS_MAX: usize = 16;

/// Bytes in a word: the longest value is a description of 255 characters.
pub const WORD_BYTES_MAX: usize = 1024;

/// VRFs in which a packet is looked up after its own, one after the other: what the fast path follows.
pub const VRF_CHAIN_MAX: usize = 4;

/// Errors reported at once: what a person reads before trying again.
pub const ERRORS_MAX: usize = 20;

/// Length of an interface's name: IFNAMSIZ of Linux less the closing zero.
pub const INTERFACE_NAME_MAX: usize = 15;
