//! ze-fastpath: the forwarding daemon.
