//! The XDP program that steers frames to AF_XDP sockets, its loader and maps.
