//! The atomics this crate is built on: the standard library's, or loom's when a model is checked.

#[cfg(loom)]
pub(crate) use loom::{
    sync::atomic::{AtomicPtr, AtomicU64, Ordering, fence},
    sync::{Arc, Mutex, MutexGuard},
    thread::yield_now,
};
#[cfg(not(loom))]
pub(crate) use std::{
    sync::atomic::{AtomicPtr, AtomicU64, Ordering, fence},
    sync::{Arc, Mutex, MutexGuard},
    thread::yield_now,
};
