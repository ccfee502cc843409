//! Network address translation: the arithmetic of port ownership.
