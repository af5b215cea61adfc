//! From text to tokens.

use super::Mistake;

/// What a token is. Texts and names are decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A word without quotes: a keyword, a function, a name.
    Word(String),
    /// A name in backquotes.
    Name(String),
    /// A text in single quotes.
    Text(String),
    /// `x'0F'` or `0x0F`.
    Bytes(Vec<u8>),
    /// Digits.
    Integer(String),
    /// Digits with a point.
    Decimal(String),
    /// An operator or punctuation.
    Symbol(&'static str),
    /// The end of the text.
    End,
}

/// A token and the number of its first character, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) at: usize,
}

/// Longest first.
const SYMBOLS: &[&str] = &[
    "<=>", "<<", ">>", "<=", ">=", "<>", "!=", "&&", "||", "/*", "(", ")", ",", ".", "=", "<", ">", "+", "-",
    "*", "/", "%", "!", "&", "|", "^", "~",
];

/// Splits a condition.
pub(super) fn tokenize(text: &str) -> Result<Vec<Token>, Mistake> {
    let mut lexer = Lexer { rest: text, at: 1 };
    let mut tokens = Vec::new();
    loop {
        let blank = lexer.rest.len() - lexer.rest.trim_start().len();
        lexer.take(blank);
        let at = lexer.at;
        let kind = lexer.next()?;
        let done = kind == TokenKind::End;
        tokens.push(Token { kind, at });
        if done {
            return Ok(tokens);
        }
    }
}

struct Lexer<'t> {
    rest: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    /// Goes behind so many bytes, which end a character.
    fn take(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        self.at += taken.chars().count();
        taken
    }

    fn take_while(&mut self, is_part: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        self.take(end)
    }

    fn next(&mut self) -> Result<TokenKind, Mistake> {
        let Some(first) = self.rest.chars().next() else {
            return Ok(TokenKind::End);
        };
        let at = self.at;
        let after = self.rest.chars().nth(1);
        match (first, after) {
            ('\'', _) => self.quoted('\'').map(TokenKind::Text),
            ('`', _) => match self.quoted('`')? {
                name if name.is_empty() => Err(Mistake::new(at, "the name is empty")),
                name => Ok(TokenKind::Name(name)),
            },
            ('"', _) => Err(Mistake::new(
                at,
                "double quotes are not used: put names between ` and texts between '",
            )),
            ('x' | 'X', Some('\'')) => {
                self.take(1);
                let digits = self.quoted('\'')?;
                hexadecimal(&digits, at)
            }
            ('0', Some('x')) => {
                self.take(2);
                let digits = self.take_while(|c| c.is_ascii_alphanumeric());
                hexadecimal(digits, at)
            }
            ('0'..='9', _) | ('.', Some('0'..='9')) => self.number(at),
            (c, _) if c.is_alphabetic() || c == '_' || c == '$' => {
                let word = self.take_while(|c| c.is_alphanumeric() || c == '_' || c == '$');
                Ok(TokenKind::Word(word.to_owned()))
            }
            _ => match SYMBOLS.iter().find(|s| self.rest.starts_with(**s)) {
                Some(&"/*") => Err(Mistake::new(at, "comments are not part of conditions")),
                Some(symbol) => {
                    self.take(symbol.len());
                    Ok(TokenKind::Symbol(symbol))
                }
                None => Err(Mistake::new(at, format!("unexpected character {first:?}"))),
            },
        }
    }

    fn number(&mut self, at: usize) -> Result<TokenKind, Mistake> {
        let whole = self.take_while(|c| c.is_ascii_digit());
        let fraction = if self.rest.starts_with('.') {
            self.take(1);
            Some(self.take_while(|c| c.is_ascii_digit()))
        } else {
            None
        };
        if let Some(c) = self
            .rest
            .chars()
            .next()
            .filter(|c| c.is_alphanumeric() || *c == '_')
        {
            let words = if c.eq_ignore_ascii_case(&'e') {
                "floating point numbers are not exact and cannot be used; write all digits".to_owned()
            } else {
                "a number ends in letters; put a name that begins with a digit between `".to_owned()
            };
            return Err(Mistake::new(at, words));
        }
        Ok(match fraction {
            None => TokenKind::Integer(whole.to_owned()),
            Some(fraction) => TokenKind::Decimal(format!("{whole}.{fraction}")),
        })
    }

    /// The content of quotes. Doubled quotes stand for one; in texts a backslash takes the next character.
    fn quoted(&mut self, quote: char) -> Result<String, Mistake> {
        let begin = self.at;
        self.take(1);
        let mut content = String::new();
        loop {
            let Some(c) = self.rest.chars().next() else {
                let what = if quote == '`' { "name" } else { "text" };
                return Err(Mistake::new(begin, format!("the {what} has no closing {quote}")));
            };
            self.take(c.len_utf8());
            if c == quote {
                if !self.rest.starts_with(quote) {
                    return Ok(content);
                }
                self.take(1);
                content.push(quote);
            } else if c == '\\' && quote == '\'' {
                let Some(escaped) = self.rest.chars().next() else {
                    continue;
                };
                self.take(escaped.len_utf8());
                match escaped {
                    'n' => content.push('\n'),
                    't' => content.push('\t'),
                    'r' => content.push('\r'),
                    '0' => content.push('\0'),
                    'b' => content.push('\u{8}'),
                    'Z' => content.push('\u{1a}'),
                    other => content.push(other),
                }
            } else {
                content.push(c);
            }
        }
    }
}

fn hexadecimal(digits: &str, at: usize) -> Result<TokenKind, Mistake> {
    let wrong = || Mistake::new(at, "a hexadecimal literal has pairs of the digits 0-9 and a-f");
    if !digits.len().is_multiple_of(2) || digits.is_empty() {
        return Err(wrong());
    }
    let bytes = digits
        .as_bytes()
        .chunks(2)
        .map(|pair| {
            let text = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(text, 16).ok()
        })
        .collect::<Option<Vec<u8>>>();
    bytes.map(TokenKind::Bytes).ok_or_else(wrong)
}
