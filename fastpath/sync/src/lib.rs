//! Quiescent-state reclamation and published tables: readers never wait.
