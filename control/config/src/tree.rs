//! Statements to a libyang data tree, by the model; then libyang's validation, its complaints brought back to lines.

use std::collections::HashMap;

use yang3::data::{Data, DataNodeRef, DataTree, DataValidationFlags};
use yang3::iter::NodeIterable;

use crate::error::{Position, Report};
use crate::schema::{Complaint, Kind, Node, Schema, listen};
use crate::suggest::nearest;
use crate::syntax::{Statement, Word};

/// LYD_VALIDATE_MULTI_ERROR of libyang 3: go on after an error. The binding does not name it.
const VALIDATE_MULTI_ERROR: u32 = 0x0004;

/// Which statement made an inner node of the data tree, by the node's address.
pub(crate) type Origins<'s, 't> = HashMap<usize, &'s Statement<'t>>;

/// The data tree that `statements` say, validated if every statement could be placed in it.
pub(crate) fn build<'s, 't>(
    schema: &'static Schema,
    statements: &'s [Statement<'t>],
    report: &mut Report,
) -> (DataTree<'static>, Origins<'s, 't>) {
    let mut tree = DataTree::new(&schema.context);
    let mut builder = Builder { origins: HashMap::new(), report, path: Vec::new() };
    builder.top(&mut tree, &schema.top, statements);
    let origins = builder.origins;
    if report.is_empty() {
        validate(&mut tree, &origins, report);
    }
    (tree, origins)
}

/// The address of a node, as a key. It is compared, never followed.
pub(crate) fn address(node: &DataNodeRef<'_>) -> usize {
    node.as_raw() as usize
}

struct Builder<'s, 't, 'r> {
    origins: Origins<'s, 't>,
    report: &'r mut Report,
    /// Words on the way to the statement at hand.
    path: Vec<String>,
}

/// What the block at hand has already: name and, where several may stand, value; and where.
type Seen<'s> = HashMap<(&'s str, &'s str), Position>;

impl<'s, 't> Builder<'s, 't, '_> {
    fn top(&mut self, tree: &mut DataTree<'static>, nodes: &'static [Node], statements: &'s [Statement<'t>]) {
        let mut seen = Seen::new();
        for statement in statements {
            let Some(node) = self.admit(nodes, statement, &mut seen) else { continue };
            self.path.push(node.name.clone());
            self.top_statement(tree, node, statement);
            self.path.pop();
        }
    }

    fn top_statement(
        &mut self,
        tree: &mut DataTree<'static>,
        node: &'static Node,
        statement: &'s Statement<'t>,
    ) {
        let mut path = format!("/{}:{}", node.module, node.name);
        let mut value = statement.words.first();
        if node.kind == Kind::List {
            let Some(key) = self.one_argument(node, statement) else { return };
            value = Some(key);
            let quote = if key.text.contains('\'') { '"' } else { '\'' };
            path.push_str(&format!("[name={quote}{}{quote}]", key.text));
            self.path.push(key.text.to_string());
        } else if !self.no_argument(node, statement) {
            return;
        }
        match tree.new_path(&path, None, false) {
            Ok(Some(mut created)) => self.inner(&mut created, node, statement),
            Ok(None) => {}
            Err(error) => {
                let at = value.map_or_else(|| statement.position(), |word| word.position);
                self.refuse_value(at, node, &error);
            }
        }
        if node.kind == Kind::List {
            self.path.pop();
        }
    }

    /// Fills a container or list entry that has been created for `statement`.
    fn inner(&mut self, parent: &mut DataNodeRef<'_>, node: &'static Node, statement: &'s Statement<'t>) {
        self.origins.insert(address(parent), statement);
        if let Some(list) = node.elided_list() {
            let mut seen = Seen::new();
            for entry in statement.children() {
                self.elided_entry(parent, list, entry, &mut seen);
            }
            return;
        }
        let mut seen = Seen::new();
        for child in statement.children() {
            let Some(found) = self.admit(&node.children, child, &mut seen) else { continue };
            self.path.push(found.name.clone());
            self.child(parent, found, child);
            self.path.pop();
        }
    }

    /// `lan0 { … }` in `interfaces`: the first word is the key.
    fn elided_entry(
        &mut self,
        parent: &mut DataNodeRef<'_>,
        list: &'static Node,
        entry: &'s Statement<'t>,
        seen: &mut Seen<'s>,
    ) {
        let Some(key) = entry.words.first() else { return };
        if let Some(extra) = entry.arguments().first() {
            let reason = format!("unexpected \"{}\": {} {{ … }} is right", extra.text, key.text);
            return self.refuse(extra.position, reason);
        }
        if !self.first_time(("", &key.text), entry.position(), seen) {
            return;
        }
        self.entry(parent, list, key, entry);
    }

    fn child(&mut self, parent: &mut DataNodeRef<'_>, node: &'static Node, statement: &'s Statement<'t>) {
        match node.kind {
            Kind::Container => {
                if !self.no_argument(node, statement) {
                    return;
                }
                match parent.new_inner(None, &node.name) {
                    Ok(mut created) => self.inner(&mut created, node, statement),
                    Err(error) => self.refuse_value(statement.position(), node, &error),
                }
            }
            Kind::List => {
                if let Some(key) = self.one_argument(node, statement) {
                    self.entry(parent, node, key, statement);
                }
            }
            Kind::Empty => {
                if self.no_argument(node, statement) && self.no_block(node, statement) {
                    self.term(parent, node, "", statement.position());
                }
            }
            Kind::Leaf | Kind::LeafList => {
                if !self.no_block(node, statement) {
                    return;
                }
                if let Some(value) = self.one_argument(node, statement) {
                    self.term(parent, node, &value.text, value.position);
                }
            }
        }
    }

    fn entry(
        &mut self,
        parent: &mut DataNodeRef<'_>,
        list: &'static Node,
        key: &'s Word<'t>,
        statement: &'s Statement<'t>,
    ) {
        self.path.push(key.text.to_string());
        match parent.new_list2(None, &list.name, &[&key.text]) {
            Ok(mut created) => self.inner(&mut created, list, statement),
            Err(error) => self.refuse_value(key.position, list, &error),
        }
        self.path.pop();
    }

    fn term(&mut self, parent: &mut DataNodeRef<'_>, node: &'static Node, value: &str, at: Position) {
        if let Err(error) = parent.new_term(None, &node.name, Some(value)) {
            self.refuse_value(at, node, &error);
        }
    }

    /// The node of the model that a statement names, if it may stand here.
    fn admit(
        &mut self,
        nodes: &'static [Node],
        statement: &'s Statement<'t>,
        seen: &mut Seen<'s>,
    ) -> Option<&'static Node> {
        let keyword = statement.keyword();
        let Some(node) = nodes.iter().find(|node| node.name == keyword) else {
            self.refuse(statement.position(), unknown(keyword, nodes));
            return None;
        };
        let value = match node.kind {
            Kind::List | Kind::LeafList => statement.arguments().first().map_or("", |word| &word.text),
            Kind::Container | Kind::Leaf | Kind::Empty => "",
        };
        self.first_time((&node.name, value), statement.position(), seen).then_some(node)
    }

    fn first_time(&mut self, name: (&'s str, &'s str), at: Position, seen: &mut Seen<'s>) -> bool {
        let Some(first) = seen.get(&name) else {
            seen.insert(name, at);
            return true;
        };
        let words = [name.0, name.1].into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ");
        let reason = format!("\"{words}\" stands here for the second time, first on line {}", first.line);
        self.refuse(at, reason);
        false
    }

    fn no_argument(&mut self, node: &Node, statement: &Statement<'t>) -> bool {
        let Some(extra) = statement.arguments().first() else { return true };
        self.refuse(extra.position, format!("unexpected \"{}\": {} is right", extra.text, form(node)));
        false
    }

    fn one_argument(&mut self, node: &Node, statement: &'s Statement<'t>) -> Option<&'s Word<'t>> {
        match statement.arguments() {
            [one] => return Some(one),
            [] => self.refuse(statement.position(), format!("something is missing: {} is right", form(node))),
            [_, extra, ..] => {
                self.refuse(
                    extra.position,
                    format!("unexpected \"{}\": {} is right", extra.text, form(node)),
                );
            }
        }
        None
    }

    fn no_block(&mut self, node: &Node, statement: &Statement<'t>) -> bool {
        if statement.block.is_some() {
            self.refuse(statement.position(), format!("{} has no block: {} is right", node.name, form(node)));
        }
        statement.block.is_none()
    }

    fn refuse(&mut self, at: Position, reason: String) {
        self.report.add(at, self.path.join(" "), reason);
    }

    fn refuse_value(&mut self, at: Position, node: &Node, error: &yang3::Error) {
        let reason = plain(error.msg.as_deref().unwrap_or("libyang refuses it"));
        let reason =
            if reason.starts_with("invalid") { format!("{reason} ({})", node.summary) } else { reason };
        self.refuse(at, reason);
    }
}

/// How a statement is written.
fn form(node: &Node) -> String {
    match node.kind {
        Kind::Container => format!("{} {{ … }}", node.name),
        Kind::List => format!("{} NAME {{ … }}", node.name),
        Kind::Leaf | Kind::LeafList => format!("{} VALUE;", node.name),
        Kind::Empty => format!("{};", node.name),
    }
}

fn unknown(keyword: &str, nodes: &[Node]) -> String {
    let names = || nodes.iter().map(|node| node.name.as_str());
    match nearest(keyword, names()) {
        Some(name) => format!("unknown \"{keyword}\"; did you mean \"{name}\"?"),
        None => format!("unknown \"{keyword}\"; possible: {}", names().collect::<Vec<_>>().join(", ")),
    }
}

/// A message of libyang as part of a sentence.
fn plain(message: &str) -> String {
    let message = message.trim().trim_end_matches('.');
    let mut chars = message.chars();
    match chars.next() {
        // "IPv6 …", "MTU …" keep their capitals.
        Some(first) if chars.clone().next().is_some_and(char::is_lowercase) => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => message.to_owned(),
    }
}

fn validate(tree: &mut DataTree<'static>, origins: &Origins<'_, '_>, report: &mut Report) {
    let flags = DataValidationFlags::NO_STATE | DataValidationFlags::from_bits_retain(VALIDATE_MULTI_ERROR);
    let (result, mut complaints) = listen(|| tree.validate(flags));
    let Err(error) = result else { return };
    if complaints.is_empty() {
        complaints.push(Complaint { reason: error.to_string(), path: error.path });
    }
    for complaint in complaints {
        let (at, path) = locate(tree, origins, complaint.path.as_deref().unwrap_or_default());
        report.add(at, path, plain(&complaint.reason));
    }
}

/// The place of the statement that a data path of libyang belongs to, and the path in the words of the text.
fn locate(tree: &DataTree<'static>, origins: &Origins<'_, '_>, path: &str) -> (Position, String) {
    let mut path = path;
    while !path.is_empty() {
        if let Ok(node) = tree.find_path(path) {
            return (place_of(&node, origins), words(path));
        }
        // A node that is missing: its parent is to blame.
        path = path.rfind('/').map_or("", |at| &path[..at]);
    }
    (Position::START, String::new())
}

fn place_of(node: &DataNodeRef<'_>, origins: &Origins<'_, '_>) -> Position {
    if let Some(statement) = origins.get(&address(node)) {
        return statement.position();
    }
    let Some(statement) = node.parent().and_then(|parent| origins.get(&address(&parent)).copied()) else {
        return Position::START;
    };
    let value = node.value_canonical();
    place_in(statement, node.schema().name(), value.as_deref())
}

/// Where `name value` stands in the block of a statement; the statement itself if nowhere, as a list's key is.
pub(crate) fn place_in(statement: &Statement<'_>, name: &str, value: Option<&str>) -> Position {
    let named = || statement.children().iter().filter(|child| child.keyword() == name);
    let exact = named().find(|child| child.arguments().first().map(|word| word.text.as_ref()) == value);
    let found = exact.or_else(|| named().next()).unwrap_or(statement);
    found.arguments().first().map_or_else(|| found.position(), |word| word.position)
}

/// "/ze-interfaces:interfaces/interface[name='lan0']/mtu" as "interfaces lan0 mtu".
fn words(path: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    let mut rest = path;
    while let Some(step) = rest.strip_prefix('/') {
        let name_end = step.find(['/', '[']).unwrap_or(step.len());
        let name = step[..name_end].rsplit(':').next().unwrap_or_default();
        rest = &step[name_end..];
        if !(name == "interface" && words == ["interfaces"]) {
            words.push(name);
        }
        if let Some((value, after)) = predicate(rest) {
            words.push(value);
            rest = after;
        }
    }
    words.join(" ")
}

/// The value of "[key='value']" and what follows it.
fn predicate(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('[')?;
    let text = &text[text.find('=')? + 1..];
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let (value, after) = text[1..].split_once(quote)?;
    Some((value, after.strip_prefix(']')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_libyang_become_words() {
        for (path, expected) in [
            ("/ze-interfaces:interfaces/interface[name='lan0']/mtu", "interfaces lan0 mtu"),
            (
                "/ze-static:static/route[prefix='10.0.0.0/8']/via[gateway='::1']",
                "static route 10.0.0.0/8 via ::1",
            ),
            (
                "/ze-interfaces:interfaces/interface[name='a']/address[.='10.0.0.1/8']",
                "interfaces a address 10.0.0.1/8",
            ),
            ("", ""),
        ] {
            assert_eq!(words(path), expected);
        }
    }
}
