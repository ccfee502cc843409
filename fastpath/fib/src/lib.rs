//! Forwarding tables: interfaces, VRFs, nexthops, groups, adjacencies.
