//! Representors, punt classes, and the neighbour engine (ARP, ND).
