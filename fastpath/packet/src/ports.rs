//! Well-known transport ports that the punt classes tell apart (IANA).

/// BGP, RFC 4271.
pub const BGP: u16 = 179;
/// LDP, RFC 5036.
pub const LDP: u16 = 646;
/// BFD single hop, RFC 5881.
pub const BFD: u16 = 3784;
/// BFD echo, RFC 5881.
pub const BFD_ECHO: u16 = 3785;
/// BFD multihop, RFC 5883.
pub const BFD_MULTIHOP: u16 = 4784;
/// L2TP, RFC 2661.
pub const L2TP: u16 = 1701;
/// IKE, RFC 7296.
pub const IKE: u16 = 500;
/// IKE behind NAT, RFC 3948.
pub const IKE_NAT: u16 = 4500;
/// DHCP server and client, RFC 2131.
pub const DHCP: [u16; 2] = [67, 68];
