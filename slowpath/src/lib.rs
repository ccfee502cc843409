//! ze-slowpath: configuration, routes, reconciliation.
