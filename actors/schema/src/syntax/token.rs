//! The tokenizer.

use crate::SchemaError;

/// What a token is. Texts and quoted names are decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A word without quotes: a keyword, a function, a name.
    Word(String),
    /// A name in backticks.
    Quoted(String),
    /// A text literal.
    Text(String),
    /// A number, without sign.
    Number(String),
    /// `b'01'`, `x'0F'`, `0x0F`, as written.
    Bits(String),
    /// Punctuation and operators.
    Symbol(&'static str),
    /// The end of the text.
    End,
}

/// A token and the bytes it covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) start: usize,
    pub(super) end: usize,
    /// How many versioned comments opened or closed before this token.
    pub(super) comment_edges: usize,
}

/// Longest first.
const SYMBOLS: &[&str] = &[
    "->>", "<=>", ":=", "->", "<<", ">>", "<=", ">=", "<>", "!=", "&&", "||", "(", ")", ",", ".", "=", "<",
    ">", "+", "-", "*", "/", "%", "!", "&", "|", "^", "~", "@", ";", ":", "?", "{", "}",
];

/// Splits a text into tokens. What is inside versioned comments (`/*!50100 … */`, `/*M! … */`)
/// counts as text, because the server that printed them executes it.
pub(super) fn tokenize(source: &str) -> Result<Vec<Token>, SchemaError> {
    let mut lexer = Lexer {
        source,
        at: 0,
        depth: 0,
        edges: 0,
    };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next()?;
        let done = token.kind == TokenKind::End;
        tokens.push(token);
        if done {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    depth: usize,
    edges: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.source.get(self.at..).unwrap_or("")
    }

    fn error<T>(&self, construct: impl Into<String>, offset: usize) -> Result<T, SchemaError> {
        Err(SchemaError::NotUnderstood {
            construct: construct.into(),
            offset,
        })
    }

    fn skip_blank(&mut self) -> Result<(), SchemaError> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if let Some(body) = trimmed.strip_prefix("/*") {
                let body = body.strip_prefix('M').unwrap_or(body);
                let Some(body) = body.strip_prefix('!') else {
                    return self.error("a comment", self.at);
                };
                let digits = body.bytes().take_while(u8::is_ascii_digit).count();
                self.at = self.source.len() - body.len() + digits;
                self.depth += 1;
                self.edges += 1;
            } else if self.depth > 0 && trimmed.starts_with("*/") {
                self.at += 2;
                self.depth -= 1;
                self.edges += 1;
            } else {
                return Ok(());
            }
        }
    }

    fn next(&mut self) -> Result<Token, SchemaError> {
        self.skip_blank()?;
        let start = self.at;
        let rest = self.rest();
        let kind = match rest.chars().next() {
            None if self.depth > 0 => return self.error("an open comment at the end", start),
            None => TokenKind::End,
            Some('`') => TokenKind::Quoted(self.quoted('`', false)?),
            Some('\'') => TokenKind::Text(self.quoted('\'', true)?),
            Some('b' | 'B' | 'x' | 'X') if rest.get(1..2) == Some("'") => {
                self.at += 1;
                let digits = self.quoted('\'', false)?;
                if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return self.error("a bit literal", start);
                }
                TokenKind::Bits(self.source.get(start..self.at).unwrap_or("").to_owned())
            }
            Some('0') if rest.starts_with("0x") || rest.starts_with("0b") => {
                let digits = rest.bytes().skip(2).take_while(u8::is_ascii_hexdigit).count();
                self.at += 2 + digits;
                TokenKind::Bits(rest.get(..2 + digits).unwrap_or("").to_owned())
            }
            Some(c) if c.is_ascii_digit() => TokenKind::Number(self.number(rest)),
            Some('.') if rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit) => {
                TokenKind::Number(self.number(rest))
            }
            Some(c) if c.is_alphanumeric() || c == '_' || c == '$' => {
                let end = rest
                    .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
                    .unwrap_or(rest.len());
                self.at += end;
                TokenKind::Word(rest.get(..end).unwrap_or("").to_owned())
            }
            Some(_) => match SYMBOLS.iter().find(|s| rest.starts_with(**s)) {
                // An operator must not swallow the end of a versioned comment.
                Some(symbol) => {
                    self.at += symbol.len();
                    TokenKind::Symbol(symbol)
                }
                None => {
                    let shown: String = rest.chars().take(20).collect();
                    return self.error(format!("{shown:?}"), start);
                }
            },
        };
        let edges = std::mem::take(&mut self.edges);
        Ok(Token {
            kind,
            start,
            end: self.at,
            comment_edges: edges,
        })
    }

    fn number(&mut self, rest: &str) -> String {
        let bytes = rest.as_bytes();
        let mut end = 0;
        while let Some(b) = bytes.get(end) {
            let exponent_sign =
                (*b == b'+' || *b == b'-') && end > 0 && matches!(bytes.get(end - 1), Some(b'e' | b'E'));
            if !(b.is_ascii_digit() || *b == b'.' || exponent_sign || (end > 0 && matches!(b, b'e' | b'E'))) {
                break;
            }
            end += 1;
        }
        self.at += end;
        rest.get(..end).unwrap_or("").to_owned()
    }

    /// Decodes a quoted run; the closing quote doubled is one quote.
    fn quoted(&mut self, quote: char, escapes: bool) -> Result<String, SchemaError> {
        let start = self.at;
        let mut out = String::new();
        let mut chars = self.rest().char_indices().skip(1).peekable();
        while let Some((offset, c)) = chars.next() {
            if c == quote {
                if chars.peek().is_some_and(|(_, n)| *n == quote) {
                    chars.next();
                    out.push(quote);
                    continue;
                }
                self.at = start + offset + c.len_utf8();
                return Ok(out);
            }
            if c == '\\' && escapes {
                match chars.next() {
                    Some((_, 'n')) => out.push('\n'),
                    Some((_, 'r')) => out.push('\r'),
                    Some((_, 't')) => out.push('\t'),
                    Some((_, 'b')) => out.push('\u{8}'),
                    Some((_, '0')) => out.push('\0'),
                    Some((_, 'Z')) => out.push('\u{1a}'),
                    Some((_, other)) => out.push(other),
                    None => break,
                }
                continue;
            }
            out.push(c);
        }
        self.error("an open quote", start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &str) -> Vec<TokenKind> {
        tokenize(source).unwrap().into_iter().map(|t| t.kind).collect()
    }

    #[test]
    fn versioned_comments_are_text_and_others_are_refused() {
        let word = |w: &str| TokenKind::Word(w.into());
        assert_eq!(
            kinds("A /*!50100 B */ /*M!100301 C*/ /*!80000 D*/"),
            [word("A"), word("B"), word("C"), word("D"), TokenKind::End]
        );
        assert!(tokenize("A /* B */").is_err());
        assert!(tokenize("A /*!50100 B").is_err());
        assert!(tokenize("'open").is_err());
    }

    #[test]
    fn quotes_decode() {
        assert_eq!(
            kinds(r"'it''s \\ \' \n'")[0],
            TokenKind::Text("it's \\ ' \n".into())
        );
        assert_eq!(kinds("`a``b c`")[0], TokenKind::Quoted("a`b c".into()));
        assert_eq!(kinds("b'101'")[0], TokenKind::Bits("b'101'".into()));
        assert_eq!(kinds("1.5e+10")[0], TokenKind::Number("1.5e+10".into()));
    }
}
