//! A place in a token list.

use super::{
    dialect::{Comments, Dialect},
    quote,
    token::{Token, TokenKind, tokenize, tokenize_as},
};
use crate::SchemaError;

type Result<T> = std::result::Result<T, SchemaError>;

/// Reads tokens one after another.
pub(super) struct Cursor<'a> {
    source: &'a str,
    tokens: Vec<Token>,
    at: usize,
    end: Token,
    /// Texts of expressions are rendered anew instead of copied, because the dialect of the source
    /// is not that of definitions.
    renders: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(source: &'a str) -> Result<Self> {
        let end = Token {
            kind: TokenKind::End,
            start: source.len(),
            end: source.len(),
            comment_edges: 0,
        };
        Ok(Self {
            source,
            tokens: tokenize(source)?,
            at: 0,
            end,
            renders: false,
        })
    }

    /// A cursor over a text of a dialect, and what is wrong behind its last token.
    pub(super) fn of_dialect(source: &'a str, dialect: Dialect) -> (Self, Option<SchemaError>) {
        let (tokens, error) = tokenize_as(source, dialect);
        let offset = match &error {
            Some(SchemaError::NotUnderstood { offset, .. }) => *offset,
            _ => source.len(),
        };
        let end = Token {
            kind: TokenKind::End,
            start: offset,
            end: offset,
            comment_edges: 0,
        };
        let cursor = Self {
            source,
            tokens,
            at: 0,
            end,
            renders: dialect.comments != Comments::Shown,
        };
        (cursor, error)
    }

    /// The place, to be given to [`Cursor::text_from`].
    pub(super) fn mark(&self) -> usize {
        self.at
    }

    /// Goes back to a mark.
    pub(super) fn back_to(&mut self, mark: usize) {
        self.at = mark;
    }

    /// The text from a mark to this place.
    pub(super) fn text_from(&self, mark: usize) -> String {
        let tokens = self.tokens.get(mark..self.at).unwrap_or_default();
        let tokens = match tokens {
            [before @ .., last] if last.kind == TokenKind::End => before,
            all => all,
        };
        if self.renders {
            return render(tokens);
        }
        match (tokens.first(), tokens.last()) {
            (Some(first), Some(last)) => self.source.get(first.start..last.end).unwrap_or("").to_owned(),
            _ => String::new(),
        }
    }

    pub(super) fn peek(&self) -> &Token {
        self.look(0)
    }

    pub(super) fn look(&self, ahead: usize) -> &Token {
        self.tokens.get(self.at + ahead).unwrap_or(&self.end)
    }

    pub(super) fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    /// The bytes from here to the end.
    pub(super) fn rest(&self) -> &'a str {
        self.source.get(self.peek().start..).unwrap_or("")
    }

    /// The error that names the token at this place.
    pub(super) fn refuse<T>(&self, expected: &str) -> Result<T> {
        let token = self.peek();
        let shown = match &token.kind {
            TokenKind::End => "the end".to_owned(),
            _ => self.source.get(token.start..token.end).unwrap_or("").to_owned(),
        };
        Err(SchemaError::NotUnderstood {
            construct: format!("{shown} where {expected} is expected"),
            offset: token.start,
        })
    }

    pub(super) fn is_word(&self, ahead: usize, word: &str) -> bool {
        matches!(&self.look(ahead).kind, TokenKind::Word(w) if w.eq_ignore_ascii_case(word))
    }

    /// Takes the words if all of them follow.
    pub(super) fn accept(&mut self, words: &str) -> bool {
        let count = words.split(' ').count();
        if words.split(' ').enumerate().all(|(i, w)| self.is_word(i, w)) {
            self.at += count;
            return true;
        }
        false
    }

    pub(super) fn expect(&mut self, words: &str) -> Result<()> {
        if self.accept(words) {
            Ok(())
        } else {
            self.refuse(words)
        }
    }

    pub(super) fn is_symbol(&self, ahead: usize, symbol: &str) -> bool {
        matches!(&self.look(ahead).kind, TokenKind::Symbol(s) if *s == symbol)
    }

    pub(super) fn accept_symbol(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(0, symbol);
        if found {
            self.at += 1;
        }
        found
    }

    pub(super) fn expect_symbol(&mut self, symbol: &str) -> Result<()> {
        if self.accept_symbol(symbol) {
            Ok(())
        } else {
            self.refuse(symbol)
        }
    }

    pub(super) fn is_end(&self) -> bool {
        self.peek().kind == TokenKind::End
    }

    /// A name, with or without backticks.
    pub(super) fn name(&mut self) -> Result<String> {
        match &self.peek().kind {
            TokenKind::Quoted(n) | TokenKind::Word(n) => {
                let name = n.clone();
                self.at += 1;
                Ok(name)
            }
            _ => self.refuse("a name"),
        }
    }

    pub(super) fn text(&mut self) -> Result<String> {
        match &self.peek().kind {
            TokenKind::Text(t) => {
                let text = t.clone();
                self.at += 1;
                Ok(text)
            }
            _ => self.refuse("a text"),
        }
    }

    pub(super) fn integer<T: std::str::FromStr>(&mut self) -> Result<T> {
        let parsed = match &self.peek().kind {
            TokenKind::Number(n) => n.parse().ok(),
            _ => None,
        };
        match parsed {
            Some(n) => {
                self.at += 1;
                Ok(n)
            }
            None => self.refuse("a number"),
        }
    }

    /// `(a, b)` as names.
    pub(super) fn names_in_parentheses(&mut self) -> Result<Vec<String>> {
        self.expect_symbol("(")?;
        let mut names = Vec::new();
        if self.accept_symbol(")") {
            return Ok(names);
        }
        loop {
            names.push(self.name()?);
            if self.accept_symbol(")") {
                return Ok(names);
            }
            self.expect_symbol(",")?;
        }
    }

    /// The source text of a balanced `( … )`, without the outer pair.
    pub(super) fn parenthesized(&mut self) -> Result<String> {
        let open = self.peek().end;
        self.expect_symbol("(")?;
        let mark = self.at;
        let mut depth = 1usize;
        loop {
            if self.is_end() {
                return self.refuse(")");
            }
            let token = self.advance();
            if token.comment_edges > 0 {
                self.at -= 1;
                return self.refuse("an expression without a comment");
            }
            match token.kind {
                TokenKind::Symbol("(") => depth += 1,
                TokenKind::Symbol(")") => depth -= 1,
                _ => {}
            }
            if depth == 0 && self.renders {
                return Ok(render(self.tokens.get(mark..self.at - 1).unwrap_or_default()));
            }
            if depth == 0 {
                return Ok(self.source.get(open..token.start).unwrap_or("").trim().to_owned());
            }
        }
    }

    /// The items of `( … , … )`, split at the commas outside inner parentheses.
    pub(super) fn items_in_parentheses(&mut self) -> Result<Vec<String>> {
        let inner = self.parenthesized()?;
        let tokens = tokenize(&inner)?;
        let mut items = Vec::new();
        let (mut depth, mut from) = (0usize, 0usize);
        for token in &tokens {
            match token.kind {
                TokenKind::Symbol("(") => depth += 1,
                TokenKind::Symbol(")") => depth = depth.saturating_sub(1),
                TokenKind::Symbol(",") if depth == 0 => {
                    items.push(inner.get(from..token.start).unwrap_or("").trim().to_owned());
                    from = token.end;
                }
                TokenKind::End => items.push(inner.get(from..token.start).unwrap_or("").trim().to_owned()),
                _ => {}
            }
        }
        Ok(items)
    }

    /// The source text of a call such as `uuid()` or `nextval(`a`.`b`)` that begins here.
    pub(super) fn call(&mut self) -> Result<String> {
        let (start, mark) = (self.peek().start, self.at);
        let TokenKind::Word(_) = self.peek().kind else {
            return self.refuse("a function");
        };
        self.at += 1;
        if !self.is_symbol(0, "(") {
            return self.refuse("(");
        }
        self.parenthesized()?;
        if self.renders {
            return Ok(self.text_from(mark));
        }
        let end = self
            .tokens
            .get(self.at.saturating_sub(1))
            .map_or(start, |t| t.end);
        Ok(self.source.get(start..end).unwrap_or("").to_owned())
    }
}

/// The tokens as a text of the dialect of definitions: names in backticks, texts in single quotes
/// with escapes, no comments.
fn render(tokens: &[Token]) -> String {
    let mut out = String::new();
    let mut before: Option<&Token> = None;
    for token in tokens {
        if let Some(before) = before {
            let texts = matches!(
                (&before.kind, &token.kind),
                (TokenKind::Text(_), TokenKind::Text(_))
            );
            if token.start > before.end || texts {
                out.push(' ');
            }
        }
        match &token.kind {
            TokenKind::Word(w) if is_plain(w) => out.push_str(w),
            TokenKind::Word(n) | TokenKind::Quoted(n) => out.push_str(&quote::identifier(n)),
            TokenKind::Text(t) => out.push_str(&quote::text(t)),
            TokenKind::Number(n) | TokenKind::Bits(n) => out.push_str(n),
            TokenKind::Symbol(s) => out.push_str(s),
            TokenKind::End => {}
        }
        before = Some(token);
    }
    out
}

/// Whether a word is read as the same word without quotes.
fn is_plain(word: &str) -> bool {
    !word.starts_with(|c: char| c.is_ascii_digit())
        && word.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$')
}
