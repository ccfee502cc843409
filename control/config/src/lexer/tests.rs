use super::*;

type Placed<'t> = (Token<'t>, (u32, u32));

fn tokens(text: &str) -> Result<Vec<Placed<'_>>, LexError> {
    let mut lexer = Lexer::new(text);
    let mut all = Vec::new();
    while let Some((token, at)) = lexer.next_token()? {
        all.push((token, (at.line, at.column)));
    }
    Ok(all)
}

fn word(text: &str) -> Token<'_> {
    Token::Word(Cow::Borrowed(text))
}

#[test]
fn tokens_know_their_line_and_column() {
    assert_eq!(
        tokens("a 10.0.0.0/8;\n\t# c {\n  b{ \"x y\" }"),
        Ok(vec![
            (word("a"), (1, 1)),
            (word("10.0.0.0/8"), (1, 3)),
            (Token::End, (1, 13)),
            (word("b"), (3, 3)),
            (Token::Open, (3, 4)),
            (word("x y"), (3, 6)),
            (Token::Close, (3, 12)),
        ])
    );
}

#[test]
fn comments_of_both_kinds_are_skipped_and_lines_go_on() {
    assert_eq!(tokens("/* a\n b */ x # y\nz"), Ok(vec![(word("x"), (2, 7)), (word("z"), (3, 1))]));
}

#[test]
fn columns_count_characters_and_a_byte_order_mark_counts_nothing() {
    assert_eq!(tokens("\u{feff}\"é\" b"), Ok(vec![(word("é"), (1, 1)), (word("b"), (1, 5))]));
}

#[test]
fn escapes_stand_for_themselves() {
    assert_eq!(tokens(r#""a \"b\" \\""#), Ok(vec![(word(r#"a "b" \"#), (1, 1))]));
}

#[test]
fn what_is_no_token_is_said_with_its_place() {
    for (text, line, column, reason) in [
        ("a\n /* b", 2, 2, "this comment has no end"),
        ("a \"b\nc\"", 1, 3, "no closing quote"),
        ("a \"b", 1, 3, "no closing quote"),
        ("\"a\\n\"", 1, 3, "stands before"),
        ("a\0b", 1, 2, "U+0000"),
        ("\"a\u{1b}\"", 1, 3, "U+001B"),
    ] {
        let error = tokens(text).unwrap_err();
        assert_eq!((error.position.line, error.position.column), (line, column), "{text:?}");
        assert!(error.reason.contains(reason), "{text:?}: {}", error.reason);
    }
}

#[test]
fn a_word_may_have_the_greatest_length_and_no_more() {
    assert!(tokens(&"a".repeat(WORD_BYTES_MAX)).is_ok());
    assert!(tokens(&"a".repeat(WORD_BYTES_MAX + 1)).unwrap_err().reason.contains("1025 bytes"));
    assert!(tokens(&format!("\"{}\"", "a".repeat(WORD_BYTES_MAX + 1))).is_err());
}

#[test]
fn a_word_is_bare_exactly_when_the_lexer_gives_it_back_unchanged() {
    for text in ["lan0", "10.0.0.0/8", "a/*b", "", "a b", "a;b", "/*", "a#", "é", "a\"", "\u{85}", "\u{a0}"]
    {
        let same = tokens(text).ok().is_some_and(|t| t == vec![(word(text), (1, 1))]);
        assert!(!is_bare(text) || same, "{text:?}");
    }
    assert!(is_bare("10.0.0.0/8") && is_bare("é") && !is_bare("a b") && !is_bare(""));
}
