//! AF_XDP ports and the in-memory port.
