//! Text to tokens. The only file that looks at characters.
//!
//! A token is `{`, `}`, `;`, a bare word, or a quoted string. `#` starts a comment that ends with the line; `/*` at
//! the start of a token one that ends with `*/`. In a quoted string, `\"` and `\\` stand for `"` and `\`.

use std::borrow::Cow;

use crate::error::Position;
use crate::limits::WORD_BYTES_MAX;

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token<'t> {
    Word(Cow<'t, str>),
    Open,
    Close,
    End,
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LexError {
    pub(crate) position: Position,
    pub(crate) reason: String,
}

/// Reads tokens one by one.
#[derive(Debug)]
pub(crate) struct Lexer<'t> {
    rest: &'t str,
    position: Position,
}

impl<'t> Lexer<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        // An editor may have left a byte order mark in front.
        Self { rest: text.strip_prefix('\u{feff}').unwrap_or(text), position: Position::START }
    }

    /// The next token with its place; nothing at the end of the text.
    pub(crate) fn next_token(&mut self) -> Result<Option<(Token<'t>, Position)>, LexError> {
        self.skip_blanks_and_comments()?;
        let position = self.position;
        let Some(first) = self.peek() else { return Ok(None) };
        let token = match first {
            '{' => self.single(Token::Open),
            '}' => self.single(Token::Close),
            ';' => self.single(Token::End),
            '"' => self.quoted()?,
            _ => self.word()?,
        };
        Ok(Some((token, position)))
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn advance(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        if c == '\n' {
            self.position.line += 1;
            self.position.column = 1;
        } else {
            self.position.column += 1;
        }
        Some(c)
    }

    fn single(&mut self, token: Token<'t>) -> Token<'t> {
        self.advance();
        token
    }

    fn skip_blanks_and_comments(&mut self) -> Result<(), LexError> {
        loop {
            match self.peek() {
                Some(' ' | '\t' | '\r' | '\n') => {
                    self.advance();
                }
                Some('#') => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.advance();
                    }
                }
                Some('/') if self.rest.starts_with("/*") => self.block_comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn block_comment(&mut self) -> Result<(), LexError> {
        let position = self.position;
        self.advance();
        self.advance();
        while !self.rest.starts_with("*/") {
            if self.advance().is_none() {
                return Err(LexError { position, reason: "this comment has no end (*/)".into() });
            }
        }
        self.advance();
        self.advance();
        Ok(())
    }

    fn word(&mut self) -> Result<Token<'t>, LexError> {
        let (start, position) = (self.rest, self.position);
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\r' | '\n' | '{' | '}' | ';' | '#' | '"' => break,
                c if c.is_control() => return Err(self.control(c)),
                _ => {
                    self.advance();
                }
            }
        }
        let word = &start[..start.len() - self.rest.len()];
        check_length(word, position)?;
        Ok(Token::Word(Cow::Borrowed(word)))
    }

    fn quoted(&mut self) -> Result<Token<'t>, LexError> {
        let position = self.position;
        self.advance();
        let mut value = String::new();
        loop {
            let at = self.position;
            match self.peek() {
                None | Some('\n') => {
                    return Err(LexError {
                        position,
                        reason: "this string has no closing quote on its line".into(),
                    });
                }
                Some('"') => break,
                Some('\\') => {
                    self.advance();
                    match self.peek() {
                        Some(c @ ('"' | '\\')) => value.push(c),
                        _ => {
                            return Err(LexError {
                                position: at,
                                reason: "\\ stands before \" or \\ only".into(),
                            });
                        }
                    }
                }
                Some(c) if c.is_control() && c != '\t' => return Err(self.control(c)),
                Some(c) => value.push(c),
            }
            self.advance();
        }
        self.advance();
        check_length(&value, position)?;
        Ok(Token::Word(Cow::Owned(value)))
    }

    fn control(&self, c: char) -> LexError {
        LexError { position: self.position, reason: format!("control character U+{:04X}", u32::from(c)) }
    }
}

fn check_length(word: &str, position: Position) -> Result<(), LexError> {
    if word.len() <= WORD_BYTES_MAX {
        return Ok(());
    }
    let reason = format!("a word of {} bytes; {WORD_BYTES_MAX} are possible", word.len());
    Err(LexError { position, reason })
}

/// Whether a word can stand without quotes.
pub(crate) fn is_bare(word: &str) -> bool {
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '{' | '}' | ';' | '#' | '"');
    !word.is_empty() && !word.starts_with("/*") && word.chars().all(plain)
}

#[cfg(test)]
mod tests;
