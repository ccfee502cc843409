use super::*;

fn shape(statements: &[Statement<'_>]) -> String {
    let one = |s: &Statement<'_>| {
        let words: Vec<_> = s.words.iter().map(|w| w.text.as_ref()).collect();
        match &s.block {
            None => words.join(" "),
            Some(block) => format!("{}({})", words.join(" "), shape(block)),
        }
    };
    statements.iter().map(one).collect::<Vec<_>>().join(",")
}

fn read(text: &str) -> (String, Vec<(u32, u32, String)>) {
    let mut report = Report::new("f");
    let statements = parse(text, &mut report);
    let shape = shape(&statements);
    let errors = if report.is_empty() { Vec::new() } else { report.into_errors().errors };
    let place = |e: crate::ConfigError| {
        let p = e.position.unwrap();
        (p.line, p.column, e.reason)
    };
    (shape, errors.into_iter().map(place).collect())
}

#[test]
fn statements_nest() {
    assert_eq!(read("a; b c { d e; f {} } ;").0, "a,b c(d e,f())");
}

#[test]
fn several_mistakes_are_reported_and_the_rest_is_read() {
    let (shape, errors) = read("a { b } c;\n}\nd;\n{ e; }\nf");
    assert_eq!(shape, "a(),c,d");
    let places: Vec<_> = errors.iter().map(|(line, column, _)| (*line, *column)).collect();
    assert_eq!(places, [(1, 5), (2, 1), (4, 1), (5, 1)]);
}

#[test]
fn an_open_block_is_reported_where_it_opens() {
    let (_, errors) = read("a {\n b {\n c;\n}\n");
    assert_eq!(errors, [(1, 3, "this { is never closed".to_string())]);
}

#[test]
fn blocks_nest_to_the_limit_and_no_deeper() {
    let nest = |depth: usize| format!("{}{}", "a {".repeat(depth), "}".repeat(depth));
    assert!(read(&nest(DEPTH_MAX)).1.is_empty());
    assert_eq!(read(&nest(DEPTH_MAX + 1)).1.len(), 1);
    // A text that only opens does not exhaust the stack.
    assert_eq!(read(&"a {".repeat(1_000_000)).1.len(), 1);
}

#[test]
fn a_statement_has_words_to_the_limit_and_no_more() {
    assert!(read(&format!("{};", "a ".repeat(WORDS_MAX))).1.is_empty());
    assert!(read(&format!("{};", "a ".repeat(WORDS_MAX + 1))).1[0].2.contains("is a ; missing?"));
}

#[test]
fn there_are_statements_to_the_limit_and_no_more() {
    assert!(read(&";".repeat(STATEMENTS_MAX)).1.is_empty());
    assert!(read(&";".repeat(STATEMENTS_MAX + 1)).1[0].2.contains("2000000 statements"));
}
