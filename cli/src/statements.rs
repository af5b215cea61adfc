//! A file of SQL statements, as the user edits it.

use thiserror::Error;

/// Why a text is not a list of statements.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StatementError {
    /// A quote or comment that is not closed.
    #[error("line {line}: {what} is not closed")]
    Open {
        /// Line from 1 where it is opened.
        line: usize,
        /// What is open.
        what: &'static str,
    },
    /// Nothing but white space and comments.
    #[error("there is no statement")]
    Empty,
}

/// Splits a text at the semicolons that are outside of quotes and comments. Statements keep their
/// comments and lose the semicolon; pieces that consist of white space and comments only are left out.
///
/// # Errors
/// A quote or comment without an end, and a text without any statement.
pub fn split_statements(text: &str) -> Result<Vec<String>, StatementError> {
    let mut statements = Vec::new();
    let mut current = String::new();
    let mut has_words = false;
    let mut line = 1;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let opened = line;
        if c == '\n' {
            line += 1;
        }
        match c {
            ';' => {
                if has_words {
                    statements.push(current.trim().to_owned());
                }
                current.clear();
                has_words = false;
            }
            '\'' | '"' | '`' => {
                has_words = true;
                current.push(c);
                let mut closed = false;
                while let Some(q) = chars.next() {
                    current.push(q);
                    line += usize::from(q == '\n');
                    if q == '\\' && c != '`' {
                        if let Some(escaped) = chars.next() {
                            current.push(escaped);
                            line += usize::from(escaped == '\n');
                        }
                    } else if q == c {
                        // A doubled quote closes and opens again, which comes to the same.
                        closed = true;
                        break;
                    }
                }
                if !closed {
                    return Err(StatementError::Open {
                        line: opened,
                        what: "a quote",
                    });
                }
            }
            '#' => to_line_end(&mut chars, &mut current, c),
            '-' if chars.peek() == Some(&'-') && dashes_begin_comment(&chars) => {
                to_line_end(&mut chars, &mut current, c);
            }
            '/' if chars.peek() == Some(&'*') => {
                current.push(c);
                current.extend(chars.next());
                // What a server executes inside `/*! … */` is a statement.
                has_words |= matches!(chars.peek(), Some('!' | 'M'));
                let mut closed = false;
                while let Some(q) = chars.next() {
                    current.push(q);
                    line += usize::from(q == '\n');
                    if q == '*' && chars.peek() == Some(&'/') {
                        current.extend(chars.next());
                        closed = true;
                        break;
                    }
                }
                if !closed {
                    return Err(StatementError::Open {
                        line: opened,
                        what: "a comment",
                    });
                }
            }
            _ => {
                has_words |= !c.is_whitespace();
                current.push(c);
            }
        }
    }
    if has_words {
        statements.push(current.trim().to_owned());
    }
    if statements.is_empty() {
        Err(StatementError::Empty)
    } else {
        Ok(statements)
    }
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Two dashes begin a comment only before white space or at the end: `5--3` is a sum.
fn dashes_begin_comment(chars: &Chars<'_>) -> bool {
    let mut ahead = chars.clone();
    ahead.next();
    ahead.next().is_none_or(char::is_whitespace)
}

fn to_line_end(chars: &mut Chars<'_>, current: &mut String, first: char) {
    current.push(first);
    // The line's end itself is left to the caller, who counts lines.
    while let Some(c) = chars.next_if(|c| *c != '\n') {
        current.push(c);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn splits_outside_of_quotes_and_comments() {
        let text = "CREATE TABLE a (b VARCHAR(9) DEFAULT ';' COMMENT 'it''s; \\'x');\n-- no; comment\n;# none;\nSELECT 5--3; \
                    /* a;b */ SELECT `;` ;\n/*!50000 SET x = 1 */;";
        let parts = split_statements(text).unwrap();
        assert_eq!(
            parts,
            [
                "CREATE TABLE a (b VARCHAR(9) DEFAULT ';' COMMENT 'it''s; \\'x')",
                "# none;\nSELECT 5--3",
                "/* a;b */ SELECT `;`",
                "/*!50000 SET x = 1 */",
            ]
        );
    }

    #[test]
    fn what_is_open_is_named_with_its_line() {
        let open = |line, what| Err(StatementError::Open { line, what });
        assert_eq!(split_statements("a\n'b\nc"), open(2, "a quote"));
        assert_eq!(split_statements("a;\n\n/* b"), open(3, "a comment"));
        assert_eq!(split_statements(" -- x\n;"), Err(StatementError::Empty));
    }

    proptest! {
        #[test]
        fn never_panics_and_keeps_the_words(text in "[a-z;'\"`#/* \\n\\\\-]{0,60}") {
            if let Ok(parts) = split_statements(&text) {
                for part in parts {
                    prop_assert!(text.contains(&part));
                    // At the end of a text, two dashes are a comment, before a semicolon they are not.
                    if !part.contains("--") {
                        prop_assert_eq!(split_statements(&part).unwrap(), vec![part]);
                    }
                }
            }
        }
    }
}
