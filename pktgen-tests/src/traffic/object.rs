//! Object files of programs for the kernel, which are part of this crate.

use libbpf_rs::{MapCore, MapHandle, Object};

use super::TrafficError;

/// ELF structures are read in place.
#[repr(C, align(8))]
pub(super) struct Aligned<B: ?Sized>(pub(super) B);

/// What the object file should have and has not.
pub(super) fn missing() -> TrafficError {
    TrafficError::Spec("a program for the kernel lacks a part".to_owned())
}

/// A map of a loaded object, which stays when the object goes.
pub(super) fn map(object: &Object, name: &str) -> Result<MapHandle, TrafficError> {
    let found = object.maps().find(|map| map.name() == name).ok_or_else(missing)?;
    Ok(MapHandle::try_from(&found)?)
}
