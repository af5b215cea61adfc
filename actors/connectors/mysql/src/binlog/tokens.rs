//! Words and symbols of a logged statement.

/// A piece of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// A keyword or an unquoted name, as written.
    Word(String),
    /// A name in backticks, or a text in double quotes, which may be a name (`ANSI_QUOTES`).
    Quoted(String),
    /// A text in single quotes.
    Text,
    /// Any other character.
    Symbol(char),
}

impl Token {
    /// Whether it is this keyword (upper case).
    pub(crate) fn is(&self, keyword: &str) -> bool {
        matches!(self, Self::Word(w) if w.eq_ignore_ascii_case(keyword))
    }

    /// Its text as a name.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Word(name) | Self::Quoted(name) => Some(name),
            _ => None,
        }
    }
}

/// Splits a statement. Comments are left out, except that the content of those the server executes
/// (`/*! … */`, `/*M! … */`) is taken as statement text. `None` when something is not closed.
pub(crate) fn tokenize(text: &str) -> Option<Vec<Token>> {
    let mut out = Vec::new();
    let mut rest = text;
    let mut executed = 0;
    while let Some(c) = rest.chars().next() {
        let tail = rest.get(c.len_utf8()..).unwrap_or_default();
        if c.is_whitespace() || c == '\0' {
            rest = tail;
        } else if c == '#' || rest.starts_with("--") && is_line_comment(rest) {
            rest = rest.split_once('\n').map_or("", |(_, r)| r);
        } else if let Some(inner) = rest.strip_prefix("/*!").or_else(|| rest.strip_prefix("/*M!")) {
            executed += 1;
            rest = inner.trim_start_matches(|d: char| d.is_ascii_digit());
        } else if rest.starts_with("/*") {
            rest = rest.get(2..)?.split_once("*/")?.1;
        } else if executed > 0 && rest.starts_with("*/") {
            executed -= 1;
            rest = rest.get(2..)?;
        } else if matches!(c, '`' | '"' | '\'') {
            let (value, behind) = quoted(tail, c)?;
            out.push(if c == '\'' {
                Token::Text
            } else {
                Token::Quoted(value)
            });
            rest = behind;
        } else if is_name(c) {
            let end = rest.find(|d| !is_name(d)).unwrap_or(rest.len());
            let (word, behind) = rest.split_at_checked(end)?;
            out.push(Token::Word(word.to_owned()));
            rest = behind;
        } else {
            out.push(Token::Symbol(c));
            rest = tail;
        }
    }
    (executed == 0).then_some(out)
}

fn is_line_comment(text: &str) -> bool {
    text.chars()
        .nth(2)
        .is_none_or(|c| c.is_whitespace() || c.is_control())
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

/// The text up to the closing quote and what is behind it. A doubled quote stands for one;
/// backslashes escape in texts, not in names.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((i, c)) = chars.next() {
        if c == '\\' && quote != '`' {
            out.push(chars.next()?.1);
        } else if c == quote {
            let behind = text.get(i + c.len_utf8()..)?;
            if !behind.starts_with(quote) {
                return Some((out, behind));
            }
            chars.next();
            out.push(c);
        } else {
            out.push(c);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Option<Vec<String>> {
        let names = |t: &Token| match t {
            Token::Text => "''".to_owned(),
            Token::Symbol(c) => c.to_string(),
            other => other.name().unwrap_or_default().to_owned(),
        };
        tokenize(text).map(|tokens| tokens.iter().map(names).collect())
    }

    #[test]
    fn comments_quotes_and_executed_comments() {
        let text = "/* c */ DROP -- x\n TABLE /*!40000 IF */ # y\n `a``b`.\"c\\\"d\" '/*' 'it''s' 1--2";
        assert_eq!(
            words(text).unwrap(),
            [
                "DROP", "TABLE", "IF", "a`b", ".", "c\"d", "''", "''", "1", "-", "-", "2"
            ]
        );
        assert_eq!(words("/*M!100100 ALTER*/ T").unwrap(), ["ALTER", "T"]);
        for open in ["'a", "`a", "/* a", "/*!40000 a", "\"a\\\""] {
            assert_eq!(words(open), None, "{open}");
        }
    }
}
