//! The nodes of the forwarding graph.
