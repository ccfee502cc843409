//! The layers of the notation, and their fields.

/// How a field is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 64.
    Number,
    /// 0x8100.
    Hex,
    /// The name alone.
    Flag,
    /// 02:00:00:00:01:01.
    Mac,
    /// 10.0.1.1.
    Ip4,
    /// `2001:db8::1`.
    Ip6,
}

/// What a field is when it is not named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usual {
    /// Always this.
    Is(u128),
    /// What the layers around it make right: lengths, checksums, the kind of what follows.
    Derived,
}

/// A field of a header.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its first bit, from the header's first.
    pub bit: usize,
    /// Its length.
    pub bits: usize,
    /// How it is written.
    pub kind: Kind,
    /// What it is when it is not named.
    pub usual: Usual,
}

/// What an argument without a name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positional {
    /// Nothing: there is none.
    None,
    /// `a>b`: these two fields.
    Pair(&'static str, &'static str),
    /// A number: that many bytes of a pattern.
    Pattern,
    /// Bytes in hexadecimal.
    Bytes,
    /// The rest of the layer, as it is written.
    Text,
    /// A number.
    Number,
}

/// A kind of layer.
#[derive(Debug, PartialEq, Eq)]
pub struct LayerSpec {
    /// Its name.
    pub name: &'static str,
    /// Bytes of its fixed part.
    pub bytes: usize,
    /// Its fields.
    pub fields: &'static [Field],
    /// What stands behind the fixed part, if something may: the argument's name.
    pub tail: Option<&'static str>,
    /// What an argument without a name means.
    pub positional: Positional,
    /// A line of explanation.
    pub about: &'static str,
}

const fn field(name: &'static str, bit: usize, bits: usize, kind: Kind, usual: Usual) -> Field {
    Field { name, bit, bits, kind, usual }
}

const fn is(name: &'static str, bit: usize, bits: usize, usual: u128) -> Field {
    field(name, bit, bits, Kind::Number, Usual::Is(usual))
}

const fn hex(name: &'static str, bit: usize, bits: usize, usual: u128) -> Field {
    field(name, bit, bits, Kind::Hex, Usual::Is(usual))
}

const fn flag(name: &'static str, bit: usize) -> Field {
    field(name, bit, 1, Kind::Flag, Usual::Is(0))
}

const fn derived(name: &'static str, bit: usize, bits: usize) -> Field {
    field(name, bit, bits, Kind::Number, Usual::Derived)
}

const fn kind_of_next(name: &'static str, bit: usize) -> Field {
    field(name, bit, 16, Kind::Hex, Usual::Derived)
}

const fn sum(bit: usize) -> Field {
    field("sum", bit, 16, Kind::Hex, Usual::Derived)
}

const fn mac(name: &'static str, bit: usize) -> Field {
    field(name, bit, 48, Kind::Mac, Usual::Is(0))
}

const fn ip4(name: &'static str, bit: usize) -> Field {
    field(name, bit, 32, Kind::Ip4, Usual::Is(0))
}

const fn ip6(name: &'static str, bit: usize) -> Field {
    field(name, bit, 128, Kind::Ip6, Usual::Is(0))
}

const fn header(
    name: &'static str,
    bytes: usize,
    positional: Positional,
    fields: &'static [Field],
    about: &'static str,
) -> LayerSpec {
    LayerSpec { name, bytes, fields, tail: None, positional, about }
}

const fn tailed(spec: LayerSpec, tail: &'static str) -> LayerSpec {
    LayerSpec { tail: Some(tail), ..spec }
}

const SOURCE_TO_DESTINATION: Positional = Positional::Pair("src", "dst");
const PORT_TO_PORT: Positional = Positional::Pair("sport", "dport");
/// `next` and `len` of an IPv6 extension header.
const EXTENSION: &[Field] = &[derived("next", 0, 8), derived("len", 8, 8)];
const TAG: &[Field] = &[is("pcp", 0, 3, 0), flag("dei", 3), is("id", 4, 12, 0), kind_of_next("type", 16)];
/// `id` and `seq` are those of an echo; of "too big", `seq` holds the MTU, which may be called so.
const ICMP: &[Field] =
    &[is("type", 0, 8, 0), is("code", 8, 8, 0), sum(16), is("id", 32, 16, 0), is("seq", 48, 16, 0)];

/// Every kind of layer.
pub static LAYERS: &[LayerSpec] = &[
    header(
        "eth",
        14,
        SOURCE_TO_DESTINATION,
        &[mac("dst", 0), mac("src", 48), kind_of_next("type", 96)],
        "Ethernet",
    ),
    header("vlan", 4, Positional::None, TAG, "IEEE 802.1Q tag, TPID 0x8100"),
    header("qinq", 4, Positional::None, TAG, "IEEE 802.1ad tag, TPID 0x88a8"),
    header(
        "mpls",
        4,
        Positional::None,
        &[is("label", 0, 20, 0), is("tc", 20, 3, 0), derived("bottom", 23, 1), is("ttl", 24, 8, 64)],
        "MPLS label",
    ),
    header(
        "llc",
        3,
        Positional::None,
        &[hex("dsap", 0, 8, 0xfe), hex("ssap", 8, 8, 0xfe), hex("ctl", 16, 8, 3)],
        "IEEE 802.2; eth's type becomes the length",
    ),
    header(
        "arp",
        28,
        Positional::None,
        &[
            is("hw", 0, 16, 1),
            hex("proto", 16, 16, 0x800),
            is("hwlen", 32, 8, 6),
            is("protolen", 40, 8, 4),
            is("op", 48, 16, 1),
            mac("sha", 64),
            ip4("spa", 112),
            mac("tha", 144),
            ip4("tpa", 192),
        ],
        "ARP: op 1 asks, 2 answers",
    ),
    tailed(
        header(
            "ip4",
            20,
            SOURCE_TO_DESTINATION,
            &[
                is("version", 0, 4, 4),
                derived("ihl", 4, 4),
                hex("tos", 8, 8, 0),
                derived("len", 16, 16),
                hex("id", 32, 16, 0),
                flag("evil", 48),
                flag("df", 49),
                flag("mf", 50),
                is("frag", 51, 13, 0),
                is("ttl", 64, 8, 64),
                derived("proto", 72, 8),
                sum(80),
                ip4("src", 96),
                ip4("dst", 128),
            ],
            "IPv4; frag counts units of 8 bytes",
        ),
        "opt",
    ),
    header(
        "ip6",
        40,
        SOURCE_TO_DESTINATION,
        &[
            is("version", 0, 4, 6),
            hex("tc", 4, 8, 0),
            hex("flow", 12, 20, 0),
            derived("len", 32, 16),
            derived("next", 48, 8),
            is("hop", 56, 8, 64),
            ip6("src", 64),
            ip6("dst", 192),
        ],
        "IPv6",
    ),
    tailed(
        header("hopopts", 2, Positional::None, EXTENSION, "IPv6 hop-by-hop options, next header 0"),
        "data",
    ),
    tailed(
        header("dstopts", 2, Positional::None, EXTENSION, "IPv6 destination options, next header 60"),
        "data",
    ),
    tailed(header("routing", 2, Positional::None, EXTENSION, "IPv6 routing header, next header 43"), "data"),
    tailed(
        header("ah", 2, Positional::None, EXTENSION, "authentication header, 51; len counts words, less two"),
        "data",
    ),
    header(
        "frag6",
        8,
        Positional::None,
        &[
            derived("next", 0, 8),
            is("res", 8, 8, 0),
            is("frag", 16, 13, 0),
            is("res2", 29, 2, 0),
            flag("mf", 31),
            hex("id", 32, 32, 0),
        ],
        "IPv6 fragment header, 44; frag counts units of 8 bytes",
    ),
    header(
        "udp",
        8,
        PORT_TO_PORT,
        &[is("sport", 0, 16, 0), is("dport", 16, 16, 0), derived("len", 32, 16), sum(48)],
        "UDP",
    ),
    tailed(
        header(
            "tcp",
            20,
            PORT_TO_PORT,
            &[
                is("sport", 0, 16, 0),
                is("dport", 16, 16, 0),
                is("seq", 32, 32, 0),
                is("ackn", 64, 32, 0),
                derived("off", 96, 4),
                is("res", 100, 4, 0),
                flag("cwr", 104),
                flag("ece", 105),
                flag("urg", 106),
                flag("ack", 107),
                flag("psh", 108),
                flag("rst", 109),
                flag("syn", 110),
                flag("fin", 111),
                is("win", 112, 16, 65535),
                sum(128),
                is("urgp", 144, 16, 0),
            ],
            "TCP; ackn is the acknowledgment number, ack the flag",
        ),
        "opt",
    ),
    header("icmp", 8, Positional::None, ICMP, "ICMP; mtu is another name for seq"),
    header("icmp6", 8, Positional::None, ICMP, "ICMPv6; mtu is another name for seq"),
    header("nd", 16, Positional::None, &[ip6("target", 0)], "the target of a neighbour discovery message"),
    header(
        "lla",
        8,
        Positional::None,
        &[is("kind", 0, 8, 1), is("units", 8, 8, 1), mac("mac", 16)],
        "a link-layer address option: kind 1 source, 2 target",
    ),
    header("payload", 0, Positional::Pattern, &[], "so many bytes that differ from place to place"),
    header("hex", 0, Positional::Bytes, &[], "these bytes"),
    header("text", 0, Positional::Text, &[], "these characters"),
    header(
        "any",
        0,
        Positional::Number,
        &[],
        "so many bytes of any value; without a number, all that follow",
    ),
    header(
        "quote",
        0,
        Positional::Number,
        &[],
        "what follows is a packet of its own, cut to so many bytes; without a number it is whole",
    ),
    header("cut", 0, Positional::Number, &[], "last: the frame ends after so many bytes"),
    header(
        "pad",
        0,
        Positional::Number,
        &[hex("with", 0, 0, 0)],
        "last: the frame is padded to so many bytes",
    ),
];

/// The kind of layer of this name.
#[must_use]
pub fn layer(name: &str) -> Option<&'static LayerSpec> {
    LAYERS.iter().find(|spec| spec.name == name)
}

impl LayerSpec {
    /// The field of this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        // RFC 1191 §4 and RFC 4443 §3.2: both hold the MTU in the message's second word.
        let name = if name == "mtu" && self.name.starts_with("icmp") { "seq" } else { name };
        self.fields.iter().find(|field| field.name == name)
    }
}

/// EtherTypes by layer.
pub const ETHERTYPES: &[(&str, u16)] = &[
    ("ip4", 0x0800),
    ("arp", 0x0806),
    ("vlan", 0x8100),
    ("ip6", 0x86dd),
    ("mpls", 0x8847),
    ("qinq", 0x88a8),
];
/// IEEE 802, local experimental EtherType 1: of what has none of its own.
pub const ETHERTYPE_EXPERIMENT: u16 = 0x88b5;
/// Protocol numbers by layer.
pub const PROTOCOLS: &[(&str, u8)] = &[
    ("hopopts", 0),
    ("icmp", 1),
    ("ip4", 4),
    ("tcp", 6),
    ("udp", 17),
    ("ip6", 41),
    ("routing", 43),
    ("frag6", 44),
    ("ah", 51),
    ("icmp6", 58),
    ("dstopts", 60),
];
/// RFC 3692 §2.1, use for experimentation: of what has none of its own.
pub const PROTOCOL_EXPERIMENT: u8 = 253;
