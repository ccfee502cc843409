//! Newtypes for every identifier that crosses a crate boundary.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($raw:ty), $letter:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(pub $raw);

        impl $name {
            /// The identifier as an index into its table.
            #[inline]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($letter, "{}"), self.0)
            }
        }
    };
}

id!(
    /// A port: a set of NIC queues.
    PortId(u16), "port"
);
id!(
    /// An L3 interface: a port, a VLAN unit, a tunnel or a loopback. 0 is no interface.
    InterfaceId(u16), "if"
);
id!(
    /// A virtual routing and forwarding table. 0 is the default VRF.
    VrfId(u16), "vrf"
);
id!(
    /// A slot in the nexthop table. 0 is no nexthop.
    NexthopId(u32), "nh"
);
id!(
    /// A slot in the nexthop-group table.
    GroupId(u32), "nhg"
);
id!(
    /// A worker: a pinned thread with its queues.
    WorkerId(u8), "w"
);
