//! The configuration of Ze: curly-brace text, modelled in YANG, validated by libyang, read into types.
//!
//! # The text
//!
//! A statement is words that end with `;`, or words and a block of statements in braces. `#` starts a comment up to
//! the end of the line; `/*` and `*/` enclose one. A word with blanks stands in double quotes, in which `\"` and
//! `\\` are `"` and `\`. The text follows the YANG modules in `control/yang`:
//!
//! | in YANG | in the text |
//! |---|---|
//! | container | `static { … }` |
//! | list | `route 198.51.100.0/24 { … }`: the word after the name is the key |
//! | list `x` alone in a container `xs` | `interfaces { lan0 { … } }`: entries stand without the list's name |
//! | leaf | `mtu 1500;` |
//! | leaf of type empty | `disable;` |
//! | leaf-list | `address 10.0.0.1/24; address 10.0.1.1/24;` |
//!
//! A block may be left out where it would be empty (`lan0;`). Each statement stands once; nothing is merged.
//!
//! ```text
//! system {
//!     fail-open;                  # frames go to the kernel while the forwarding daemon is down
//! }
//! interfaces {
//!     lan0 {                      # a port, and the interface of its untagged traffic
//!         device enp1s0;          # the device of Linux, if it is not called lan0
//!         xdp-mode native;        # auto (default), native, generic
//!         description "Office";
//!         disable;
//!         mtu 1500;
//!         mac 02:00:5e:10:00:01;
//!         vrf blue;
//!         address 10.0.0.1/24;
//!         address 2001:db8::1/64;
//!         unit 100 {              # a VLAN unit: the interface lan0.100
//!             vlan 100;           # the unit's number if not given
//!             address 10.1.0.1/24;
//!         }
//!     }
//! }
//! vrf blue {                      # a routing table of its own, with routes as below
//!     static { … }
//! }
//! static {
//!     route 0.0.0.0/0 {
//!         via 192.0.2.1;          # reached by the connected prefix or static route that covers it
//!         via 192.0.2.2 { weight 3; }
//!         via 203.0.113.1 { distance 10; }   # used while none of a smaller distance can be
//!     }
//!     route ::/0 { via fe80::1%wan0; }
//!     route 10.9.0.0/16 { interface wan0; }  # every destination is a neighbour there
//!     route 198.51.100.0/24 { blackhole; }   # or reject, or prohibit
//! }
//! ```
//!
//! # From text to types
//!
//! `lexer` → `syntax` (statements with places) → `tree` (libyang data tree, validated) → `read` and `checks`
//! ([`Config`]). Errors name file, line, column, path and reason; as many as can be found are reported at once.

mod address;
mod checks;
mod difference;
mod error;
mod leaks;
mod lexer;
pub mod limits;
mod model;
mod print;
mod read;
mod schema;
mod suggest;
mod syntax;
mod tree;

use std::path::Path;

pub use difference::{Difference, difference};
pub use error::{ConfigError, ConfigErrors, Position};
pub use model::{
    Config, Discard, Hop, Interface, InterfaceName, Object, Port, RouteKey, StaticRoute, StaticRoutes,
    System, TableKey, Unit, VrfName, Way, XdpMode,
};
pub use print::print;
pub use schema::MODULES;

use error::Report;
use limits::TEXT_BYTES_MAX;

/// Where the configuration is unless another file is named.
pub const DEFAULT_PATH: &str = "/etc/ze/ze.conf";

/// A configuration together with where it stands in its file.
#[derive(Clone, Debug)]
pub struct Document {
    /// What the file says.
    pub config: Config,
    file: String,
    locations: read::Locations,
}

impl Document {
    /// An error about an object of this document, as a data plane finds it.
    pub fn error(&self, object: &Object, reason: impl Into<String>) -> ConfigError {
        ConfigError {
            file: self.file.as_str().into(),
            position: self.locations.get(object).copied(),
            path: object.to_string(),
            reason: reason.into(),
        }
    }
}

/// Reads a file.
///
/// # Errors
/// When the file can not be read, or what [`parse`] refuses.
pub fn load(path: &Path) -> Result<Document, ConfigErrors> {
    let file = path.display().to_string();
    let bytes = read_limited(path).map_err(|e| Report::new(&file).unreadable(e.to_string()))?;
    if bytes.len() > TEXT_BYTES_MAX {
        return Err(Report::new(&file).unreadable(format!("the file has more than {TEXT_BYTES_MAX} bytes")));
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => parse(&file, text),
        Err(error) => {
            let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned();
            let line = good.matches('\n').count() + 1;
            let column = good.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            let mut report = Report::new(&file);
            let at = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            report.add(Position { line: at(line), column: at(column) }, "", "this is not UTF-8 text");
            Err(report.into_errors())
        }
    }
}

fn read_limited(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(TEXT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a text; `file` is what errors call it.
///
/// # Errors
/// All that is wrong with it, as far as one pass can tell.
pub fn parse(file: &str, text: &str) -> Result<Document, ConfigErrors> {
    let mut report = Report::new(file);
    if text.len() > TEXT_BYTES_MAX {
        return Err(report.unreadable(format!("the text has more than {TEXT_BYTES_MAX} bytes")));
    }
    let statements = syntax::parse(text, &mut report);
    let (tree, origins) = tree::build(schema::schema(), &statements, &mut report);
    if !report.is_empty() {
        return Err(report.into_errors());
    }
    let (config, locations) = read::read(&tree, &origins, &mut report);
    if !report.is_empty() {
        return Err(report.into_errors());
    }
    Ok(Document { config, file: file.to_owned(), locations })
}
