//! The tokenizer.

use super::dialect::{Comments, Dialect};
use crate::SchemaError;

/// What a token is. Texts and quoted names are decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A word without quotes: a keyword, a function, a name.
    Word(String),
    /// A name in backticks, or in double quotes where the dialect says so.
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
    let (tokens, error) = tokenize_as(source, Dialect::shown());
    error.map_or(Ok(tokens), Err)
}

/// Splits a text of a dialect into tokens: those in front of what is not understood, and the error.
pub(super) fn tokenize_as(source: &str, dialect: Dialect) -> (Vec<Token>, Option<SchemaError>) {
    let mut lexer = Lexer {
        source,
        dialect,
        at: 0,
        depth: 0,
        edges: 0,
        name_ends: None,
        behind_dot: None,
    };
    let mut tokens = Vec::new();
    loop {
        match lexer.next() {
            Ok(token) => {
                let done = token.kind == TokenKind::End;
                tokens.push(token);
                if done {
                    return (tokens, None);
                }
            }
            Err(error) => return (tokens, Some(error)),
        }
    }
}

struct Lexer<'a> {
    source: &'a str,
    dialect: Dialect,
    at: usize,
    depth: usize,
    edges: usize,
    /// Where a name ended that may go on with a dot.
    name_ends: Option<usize>,
    /// Where the dot behind a name ended.
    behind_dot: Option<usize>,
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
            let is_shown = self.dialect.comments == Comments::Shown;
            let trimmed = if is_shown {
                rest.trim_start()
            } else {
                // Other blanks, such as the ideographic one, are parts of names.
                rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}'])
            };
            self.at += rest.len() - trimmed.len();
            if trimmed.starts_with("/*") {
                self.comment(trimmed)?;
            } else if self.depth > 0 && trimmed.starts_with("*/") {
                self.at += 2;
                self.depth -= 1;
                self.edges += usize::from(is_shown);
            } else if !is_shown && is_line_comment(trimmed) {
                self.at += trimmed.find('\n').unwrap_or(trimmed.len());
            } else {
                return Ok(());
            }
        }
    }

    /// At `/*`: opens a comment that the server executes, or goes behind one that it does not.
    fn comment(&mut self, text: &str) -> Result<(), SchemaError> {
        let body = text.get(2..).unwrap_or("");
        let is_mariadb = body.starts_with("M!");
        let executable = body.strip_prefix('M').unwrap_or(body).strip_prefix('!');
        let (Some(inner), true) = (executable, is_mariadb || body.starts_with('!')) else {
            if self.dialect.comments == Comments::Shown {
                return self.error("a comment", self.at);
            }
            return self.skip_comment(text, false);
        };
        let Some(digits) = self.dialect.executes(is_mariadb, inner) else {
            return self.skip_comment(text, true);
        };
        self.at = self.source.len() - inner.len() + digits;
        self.depth += 1;
        self.edges += usize::from(self.dialect.comments == Comments::Shown);
        Ok(())
    }

    /// Goes behind a comment, which may hold others if it is a versioned one.
    fn skip_comment(&mut self, text: &str, nests: bool) -> Result<(), SchemaError> {
        let (mut depth, mut from) = (1usize, 2usize);
        while depth > 0 {
            let rest = text.get(from..).unwrap_or("");
            let close = rest.find("*/");
            let open = rest
                .find("/*")
                .filter(|open| nests && close.is_some_and(|c| *open < c));
            match (open, close) {
                (Some(open), _) => {
                    depth += 1;
                    from += open + 2;
                }
                (None, Some(close)) => {
                    depth -= 1;
                    from += close + 2;
                }
                (None, None) => return self.error("an open comment", self.at),
            }
        }
        self.at += from;
        Ok(())
    }

    fn next(&mut self) -> Result<Token, SchemaError> {
        self.skip_blank()?;
        let start = self.at;
        let rest = self.rest();
        let kind = match rest.chars().next() {
            None if self.depth > 0 => return self.error("an open comment at the end", start),
            None => TokenKind::End,
            Some('`') => TokenKind::Quoted(self.quoted('`', false)?),
            Some('\'') => TokenKind::Text(self.quoted('\'', self.dialect.backslash_escapes)?),
            Some('"') if self.dialect.comments == Comments::Shown => return self.error("\"", start),
            Some('"') if self.dialect.ansi_quotes => TokenKind::Quoted(self.quoted('"', false)?),
            Some('"') => TokenKind::Text(self.quoted('"', self.dialect.backslash_escapes)?),
            Some('.') if self.name_ends == Some(start) => {
                self.at += 1;
                TokenKind::Symbol(".")
            }
            Some(c) if self.behind_dot == Some(start) && is_name(c, self.dialect) => {
                TokenKind::Word(self.word(rest))
            }
            Some(c) if c.is_ascii_digit() && begins_name(rest, self.dialect) => {
                TokenKind::Word(self.word(rest))
            }
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
            Some(c) if is_name(c, self.dialect) => TokenKind::Word(self.word(rest)),
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
        if self.dialect.comments != Comments::Shown {
            let is_name = matches!(kind, TokenKind::Word(_) | TokenKind::Quoted(_));
            let is_dot = kind == TokenKind::Symbol(".") && self.name_ends == Some(start);
            self.name_ends = is_name.then_some(self.at);
            self.behind_dot = is_dot.then_some(self.at);
        }
        Ok(Token {
            kind,
            start,
            end: self.at,
            comment_edges: edges,
        })
    }

    fn word(&mut self, rest: &str) -> String {
        let end = rest.find(|c| !is_name(c, self.dialect)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or("").to_owned()
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
                    // These two stay for LIKE.
                    Some((_, wildcard @ ('%' | '_'))) => out.extend(['\\', wildcard]),
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

/// Whether a character may be part of a word without quotes.
fn is_name(c: char, dialect: Dialect) -> bool {
    let more = dialect.comments != Comments::Shown && c >= '\u{80}';
    c.is_alphanumeric() || c == '_' || c == '$' || more
}

/// Whether digits are the beginning of a name (`2020_orders`) and not of a number (`1e10`, `0xff`).
fn begins_name(rest: &str, dialect: Dialect) -> bool {
    if dialect.comments == Comments::Shown {
        return false;
    }
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let tail = rest.get(digits..).unwrap_or("");
    let Some(first) = tail.chars().next().filter(|c| is_name(*c, dialect)) else {
        return false;
    };
    let word_end = tail.find(|c| !is_name(c, dialect)).unwrap_or(tail.len());
    let word = tail.get(1..word_end).unwrap_or("");
    let is_bits = rest.starts_with('0')
        && digits == 1
        && !word.is_empty()
        && match first {
            'x' => word.bytes().all(|b| b.is_ascii_hexdigit()),
            'b' => word.bytes().all(|b| matches!(b, b'0' | b'1')),
            _ => false,
        };
    let behind = tail.get(1..).unwrap_or("");
    let unsigned = behind.strip_prefix(['+', '-']).unwrap_or(behind);
    let exponent_end = unsigned
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(unsigned.len());
    let is_exponent = matches!(first, 'e' | 'E')
        && exponent_end > 0
        && (unsigned.len() < behind.len()
            || !unsigned
                .get(exponent_end..)
                .and_then(|t| t.chars().next())
                .is_some_and(|c| is_name(c, dialect)));
    !(is_bits || is_exponent)
}

/// `#` or `-- ` up to the end of the line.
fn is_line_comment(text: &str) -> bool {
    text.starts_with('#')
        || text.strip_prefix("--").is_some_and(|rest| {
            rest.chars()
                .next()
                .is_none_or(|c| c.is_ascii_whitespace() || c.is_ascii_control())
        })
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
