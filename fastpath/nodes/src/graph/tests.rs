use super::*;

/// The words of the drawing that look like node names.
fn drawn() -> Vec<&'static str> {
    let source = include_str!("../graph.rs");
    let drawing = source.split("//! ```").nth(1).unwrap();
    let words = drawing.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| !word.is_empty()).collect()
}

#[test]
fn the_drawing_has_every_node_and_no_other() {
    let words = drawn();
    for (name, _) in Graph::descriptions() {
        assert!(words.contains(name), "{name} is missing in the drawing");
    }
    let names: Vec<_> = Graph::descriptions().iter().map(|(name, _)| *name).collect();
    for word in words.iter().filter(|word| word.contains('_') && **word != "BATCH_MAX") {
        assert!(names.contains(word), "{word} is drawn but does not exist");
    }
}

#[test]
fn every_exit_leads_to_a_node_or_to_one_of_the_two_ends() {
    let names: Vec<_> = Graph::descriptions().iter().map(|(name, _)| *name).collect();
    for (name, exits) in Graph::descriptions() {
        for exit in *exits {
            assert!(names.contains(exit) || ["transmit", "free"].contains(exit), "{name} leads to {exit}");
        }
    }
}

#[test]
fn names_are_unique_and_every_node_has_a_file_of_its_name() {
    let mut names: Vec<_> = Graph::descriptions().iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Graph::descriptions().len());
    for name in names {
        let file = format!("{}/src/{name}.rs", env!("CARGO_MANIFEST_DIR"));
        let source = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(source.starts_with(&format!("//! `{name}`:")), "{file} begins with its node's name");
    }
}
