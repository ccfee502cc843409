//! The model: the YANG modules in the binary, loaded into libyang once, and what the text reader needs of them.

use std::cell::RefCell;
use std::sync::OnceLock;

use yang3::context::{Context, ContextFlags, EmbeddedModuleKey, EmbeddedModules};
use yang3::iter::IterSchemaFlags;
use yang3::schema::{DataValueType, SchemaNode, SchemaNodeKind};

/// The modules, by name. No file needs to be installed.
pub const MODULES: [(&str, &str); 5] = [
    ("ze-types", include_str!("../../yang/ze-types.yang")),
    ("ze-system", include_str!("../../yang/ze-system.yang")),
    ("ze-static", include_str!("../../yang/ze-static.yang")),
    ("ze-vrf", include_str!("../../yang/ze-vrf.yang")),
    ("ze-interfaces", include_str!("../../yang/ze-interfaces.yang")),
];

/// How a node is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `name { … }`
    Container,
    /// `name key { … }`
    List,
    /// `name value;`
    Leaf,
    /// `name;`
    Empty,
    /// `name value;`, several times
    LeafList,
}

/// A node of the model.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) module: String,
    pub(crate) kind: Kind,
    /// First sentence of the description, without the full stop.
    pub(crate) summary: String,
    /// What may stand in the block; keys of a list are not among it.
    pub(crate) children: Vec<Node>,
}

impl Node {
    /// The list whose entries stand in this container without the list's name: that of `interfaces` is `interface`.
    pub(crate) fn elided_list(&self) -> Option<&Node> {
        match self.children.as_slice() {
            [list] if list.kind == Kind::List && self.name.strip_suffix('s') == Some(&list.name) => {
                Some(list)
            }
            _ => None,
        }
    }
}

/// The model, ready for use.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) context: Context,
    pub(crate) top: Vec<Node>,
}

/// The model. Loaded at the first call.
///
/// # Panics
/// When our own modules are wrong, which the first test finds.
pub(crate) fn schema() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| load().unwrap_or_else(|e| panic!("the embedded YANG modules: {e}")))
}

fn load() -> Result<Schema, yang3::Error> {
    // libyang keeps a pointer to the map: it lives as long as the process.
    static EMBEDDED: OnceLock<EmbeddedModules> = OnceLock::new();
    let embedded = EMBEDDED.get_or_init(|| {
        MODULES.iter().map(|&(name, text)| (EmbeddedModuleKey::new(name, None, None, None), text)).collect()
    });
    let flags =
        ContextFlags::NO_YANGLIBRARY | ContextFlags::DISABLE_SEARCHDIRS | ContextFlags::DISABLE_SEARCHDIR_CWD;
    let mut context = Context::new(flags)?;
    // Refused when something else in the process listens already: then one error at a time is seen.
    let _ = context.init_logger(Listener);
    context.set_embedded_modules(embedded);
    for (name, _) in MODULES {
        context.load_module(name, None, &[])?;
    }
    let top = MODULES
        .iter()
        .filter_map(|(name, _)| context.get_module_implemented(name))
        .flat_map(|module| module.data().map(|node| mirror(&node)).collect::<Vec<_>>())
        .collect();
    Ok(Schema { context, top })
}

fn mirror(node: &SchemaNode<'_>) -> Node {
    let children = node.children2(IterSchemaFlags::empty()).filter(|child| !child.is_list_key());
    Node {
        name: node.name().to_owned(),
        module: node.module().name().to_owned(),
        kind: kind(node),
        summary: summary(node.description().unwrap_or_default()),
        children: match node.kind() {
            SchemaNodeKind::Container | SchemaNodeKind::List => {
                children.map(|child| mirror(&child)).collect()
            }
            _ => Vec::new(),
        },
    }
}

fn kind(node: &SchemaNode<'_>) -> Kind {
    match node.kind() {
        SchemaNodeKind::Container => Kind::Container,
        SchemaNodeKind::List => {
            assert_eq!(
                node.list_keys().count(),
                1,
                "list {} has one key, so that one word names an entry",
                node.name()
            );
            Kind::List
        }
        SchemaNodeKind::LeafList => Kind::LeafList,
        SchemaNodeKind::Leaf => match node.leaf_type().map(|t| t.base_type()) {
            Some(DataValueType::Empty) => Kind::Empty,
            _ => Kind::Leaf,
        },
        other => panic!("the text format has no form for {other:?} {}", node.name()),
    }
}

fn summary(description: &str) -> String {
    let flat = description.split_whitespace().collect::<Vec<_>>().join(" ");
    flat.strip_suffix('.').unwrap_or(&flat).to_owned()
}

/// An error of libyang: the reason and the data path it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) reason: String,
    pub(crate) path: Option<String>,
}

thread_local! {
    /// What libyang complained about on this thread since [`listen`] began.
    static COMPLAINTS: RefCell<Vec<Complaint>> = const { RefCell::new(Vec::new()) };
}

struct Listener;

impl yang3::logging::LogCallback for Listener {
    fn log<'a>(
        &'a self,
        level: yang3::ffi::LY_LOG_LEVEL::Type,
        message: Option<std::borrow::Cow<'a, str>>,
        data_path: Option<std::borrow::Cow<'a, str>>,
        _schema_path: Option<std::borrow::Cow<'a, str>>,
        _line: u64,
    ) {
        if level != yang3::ffi::LY_LOG_LEVEL::LY_LLERR {
            return;
        }
        let reason = message.map(std::borrow::Cow::into_owned).unwrap_or_default();
        let complaint = Complaint { reason, path: data_path.map(std::borrow::Cow::into_owned) };
        COMPLAINTS.with_borrow_mut(|all| {
            if all.len() < COMPLAINTS_MAX {
                all.push(complaint);
            }
        });
    }
}

/// Complaints kept of one validation: more than are shown.
const COMPLAINTS_MAX: usize = 1000;

/// Runs `work` and gives back what libyang complained about meanwhile.
pub(crate) fn listen<T>(work: impl FnOnce() -> T) -> (T, Vec<Complaint>) {
    COMPLAINTS.with_borrow_mut(Vec::clear);
    let result = work();
    (result, COMPLAINTS.take())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find<'s>(nodes: &'s [Node], path: &[&str]) -> &'s Node {
        let node = nodes.iter().find(|n| n.name == path[0]).unwrap_or_else(|| panic!("{path:?}"));
        if path.len() == 1 { node } else { find(&node.children, &path[1..]) }
    }

    #[test]
    fn the_modules_load_and_each_node_has_a_summary() {
        fn check(nodes: &[Node]) {
            for node in nodes {
                assert!(!node.summary.is_empty() && !node.summary.ends_with('.'), "{}", node.name);
                check(&node.children);
            }
        }
        check(&schema().top);
    }

    #[test]
    fn kinds_follow_the_model() {
        let top = &schema().top;
        assert_eq!(find(top, &["system", "fail-open"]).kind, Kind::Empty);
        assert_eq!(find(top, &["vrf", "static", "route", "via", "weight"]).kind, Kind::Leaf);
        assert_eq!(find(top, &["static", "route", "via"]).kind, Kind::List);
        assert_eq!(find(top, &["interfaces", "interface", "unit", "address"]).kind, Kind::LeafList);
        assert_eq!(find(top, &["interfaces"]).elided_list().map(|n| n.name.as_str()), Some("interface"));
        assert!(find(top, &["static"]).elided_list().is_none());
    }

    #[test]
    fn modules_are_in_canonical_yang_as_libyang_reads_them() {
        for (name, text) in MODULES {
            assert!(text.contains(&format!("module {name} {{")), "{name}");
        }
    }
}
