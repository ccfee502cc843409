//! Tokens to statements: `word word … ;` or `word word … { statements }`. Knows nothing of the model.

use std::borrow::Cow;

use crate::error::{Position, Report};
use crate::lexer::{Lexer, Token};
use crate::limits::{DEPTH_MAX, STATEMENTS_MAX, WORDS_MAX};

/// A word with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word<'t> {
    pub(crate) text: Cow<'t, str>,
    pub(crate) position: Position,
}

/// A statement: at least one word, and a block or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement<'t> {
    pub(crate) words: Vec<Word<'t>>,
    pub(crate) block: Option<Vec<Statement<'t>>>,
}

impl<'t> Statement<'t> {
    /// The first word.
    pub(crate) fn keyword(&self) -> &str {
        self.words.first().map_or("", |word| &word.text)
    }

    /// Where the statement begins.
    pub(crate) fn position(&self) -> Position {
        self.words.first().map_or(Position::START, |word| word.position)
    }

    /// The words after the first.
    pub(crate) fn arguments(&self) -> &[Word<'t>] {
        self.words.get(1..).unwrap_or_default()
    }

    /// The statements of the block.
    pub(crate) fn children(&self) -> &[Statement<'t>] {
        self.block.as_deref().unwrap_or_default()
    }
}

/// The statements of a text. What can not be read is reported and left out.
pub(crate) fn parse<'t>(text: &'t str, report: &mut Report) -> Vec<Statement<'t>> {
    let mut parser = Parser { lexer: Lexer::new(text), report, statements: 0, given_up: false };
    parser.statements(&mut Vec::new())
}

struct Parser<'t, 'r> {
    lexer: Lexer<'t>,
    report: &'r mut Report,
    statements: usize,
    /// Nothing sensible can follow; the rest is not read.
    given_up: bool,
}

/// What ends a list of words.
enum Ending {
    End,
    Open(Position),
    Close(Position),
    Text,
}

impl<'t> Parser<'t, '_> {
    /// Reads statements up to the end of the block; `open` has the braces that are open and their statements' names.
    fn statements(&mut self, open: &mut Vec<(Position, String)>) -> Vec<Statement<'t>> {
        let mut statements = Vec::new();
        while !self.given_up {
            let (words, ending) = self.words();
            match ending {
                Ending::End => statements.extend(self.finish(words, None)),
                Ending::Open(at) => {
                    let block = self.block(&words, at, open);
                    statements.extend(self.finish(words, Some(block)));
                }
                Ending::Close(at) => {
                    self.refuse_unfinished(&words);
                    if !open.is_empty() {
                        break;
                    }
                    self.report.add(at, "", "this } closes nothing");
                }
                Ending::Text => {
                    self.refuse_unfinished(&words);
                    if let Some((position, name)) = open.last() {
                        self.report.add(*position, name.clone(), "this { is never closed");
                    }
                    self.given_up = true;
                }
            }
        }
        statements
    }

    fn block(
        &mut self,
        words: &[Word<'t>],
        at: Position,
        open: &mut Vec<(Position, String)>,
    ) -> Vec<Statement<'t>> {
        if open.len() >= DEPTH_MAX {
            self.give_up(at, format!("blocks are nested deeper than {DEPTH_MAX}"));
            return Vec::new();
        }
        open.push((at, words.first().map(|w| w.text.to_string()).unwrap_or_default()));
        let block = self.statements(open);
        open.pop();
        block
    }

    fn finish(&mut self, words: Vec<Word<'t>>, block: Option<Vec<Statement<'t>>>) -> Option<Statement<'t>> {
        // A lone ";" says nothing; a block without a name has been reported.
        (!words.is_empty()).then_some(Statement { words, block })
    }

    fn words(&mut self) -> (Vec<Word<'t>>, Ending) {
        let mut words = Vec::new();
        loop {
            let (token, position) = match self.lexer.next_token() {
                Ok(Some(found)) => found,
                Ok(None) => return (words, Ending::Text),
                Err(error) => {
                    self.give_up(error.position, error.reason);
                    // What stands before the place is not to blame.
                    return (Vec::new(), Ending::End);
                }
            };
            match token {
                Token::Word(text) if words.len() < WORDS_MAX => words.push(Word { text, position }),
                Token::Word(_) => {
                    self.give_up(
                        position,
                        format!("a statement of more than {WORDS_MAX} words: is a ; missing?"),
                    );
                    return (Vec::new(), Ending::End);
                }
                Token::End => {
                    self.count(position);
                    return (words, Ending::End);
                }
                Token::Open => {
                    self.count(position);
                    if words.is_empty() {
                        self.report.add(position, "", "a { without a name before it");
                    }
                    return (words, Ending::Open(position));
                }
                Token::Close => return (words, Ending::Close(position)),
            }
        }
    }

    fn refuse_unfinished(&mut self, words: &[Word<'t>]) {
        if let (Some(first), Some(last)) = (words.first(), words.last()) {
            self.report.add(last.position, first.text.to_string(), "expected ; or { after this");
        }
    }

    fn count(&mut self, position: Position) {
        self.statements += 1;
        if self.statements > STATEMENTS_MAX {
            self.give_up(position, format!("more than {STATEMENTS_MAX} statements"));
        }
    }

    fn give_up(&mut self, position: Position, reason: String) {
        self.report.add(position, "", reason);
        self.given_up = true;
    }
}

#[cfg(test)]
mod tests;
