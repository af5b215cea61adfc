//! Match rules: objects by patterns.

use std::fmt;

use super::pattern::Pattern;

/// `database.pattern`, or `database.pattern=database.table` with the names at the destination.
///
/// Only the table's part at the source may hold wildcards. A part in backquotes is a literal name (`` `` `` is one
/// backquote in it); outside of backquotes a backslash takes the next character literally, which a name needs that
/// holds a dot, `=`, a backquote, a backslash or a wildcard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// As the user wrote it.
    pub(crate) text: String,
    /// The database at the source.
    pub(crate) database: String,
    /// Which of its tables and views.
    pub(crate) pattern: Pattern,
    /// Database and table at the destination; none: the same names.
    pub(crate) target: Option<(String, String)>,
}

/// Two rules in one text would be taken for one strange name.
const ONE_LINE: &str = "a rule is one line; quote a name that holds a line break";

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuleError {
    /// The character, from 1.
    pub(crate) column: usize,
    pub(crate) what: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "character {}: {}", self.column, self.what)
    }
}

impl Rule {
    /// Reads a rule.
    pub(crate) fn parse(text: &str) -> Result<Self, RuleError> {
        let chars: Vec<char> = text.chars().collect();
        let mut reader = Reader { chars: &chars, at: 0 };
        let edge = |c: Option<&char>| c.is_some_and(|c| c.is_whitespace());
        if edge(chars.first()) || edge(chars.last()) {
            let column = if edge(chars.first()) { 1 } else { chars.len() };
            return Err(RuleError {
                column,
                what: "white space before or behind the rule".to_owned(),
            });
        }
        let database = reader.name("the database")?;
        reader.expect(
            '.',
            "a rule is database.pattern or database.pattern=database.table",
        )?;
        let pattern = reader.pattern()?;
        let target = if reader.at < chars.len() {
            reader.expect(
                '=',
                "`=` or the end of the rule is expected; quote a name that holds a dot",
            )?;
            let database = reader.name("the database at the destination")?;
            reader.expect('.', "the destination is database.table")?;
            let table = reader.name("the table at the destination")?;
            if reader.at < chars.len() {
                return Err(reader.error("the rule should end here; quote a name that holds a dot or `=`"));
            }
            Some((database, table))
        } else {
            None
        };
        Ok(Self {
            text: text.to_owned(),
            database,
            pattern,
            target,
        })
    }

    /// The name of the one object that the rule names, if it has no wildcard.
    pub(crate) fn exact(&self) -> Option<String> {
        self.pattern.name()
    }

    /// Database and table at the destination of an object that matches.
    pub(crate) fn destination(&self, name: &str) -> (String, String) {
        self.target
            .clone()
            .unwrap_or_else(|| (self.database.clone(), name.to_owned()))
    }
}

struct Reader<'a> {
    chars: &'a [char],
    at: usize,
}

impl Reader<'_> {
    fn error(&self, what: impl Into<String>) -> RuleError {
        RuleError {
            column: self.at + 1,
            what: what.into(),
        }
    }

    fn expect(&mut self, wanted: char, what: &str) -> Result<(), RuleError> {
        if self.chars.get(self.at) != Some(&wanted) {
            return Err(self.error(what));
        }
        self.at += 1;
        Ok(())
    }

    /// A name in backquotes, if one begins here.
    fn quoted(&mut self) -> Result<Option<String>, RuleError> {
        if self.chars.get(self.at) != Some(&'`') {
            return Ok(None);
        }
        let begin = self.at;
        self.at += 1;
        let mut name = String::new();
        loop {
            match (self.chars.get(self.at), self.chars.get(self.at + 1)) {
                (Some('`'), Some('`')) => {
                    name.push('`');
                    self.at += 2;
                }
                (Some('`'), _) => {
                    self.at += 1;
                    break;
                }
                (Some(c), _) => {
                    name.push(*c);
                    self.at += 1;
                }
                (None, _) => {
                    self.at = begin;
                    return Err(self.error("the closing backquote is missing"));
                }
            }
        }
        if name.is_empty() {
            self.at = begin;
            return Err(self.error("the name is empty"));
        }
        Ok(Some(name))
    }

    fn name(&mut self, what: &str) -> Result<String, RuleError> {
        if let Some(name) = self.quoted()? {
            return Ok(name);
        }
        let mut name = String::new();
        while let Some(&c) = self.chars.get(self.at) {
            match c {
                '.' | '=' => break,
                '\n' | '\r' => return Err(self.error(ONE_LINE)),
                '*' | '?' | '[' => {
                    return Err(self.error(format!(
                        "{what} must be a literal name: only the table's part at the source may hold wildcards"
                    )));
                }
                '`' => return Err(self.error("a backquote inside a name: quote the whole name")),
                '\\' => {
                    self.at += 1;
                    match self.chars.get(self.at) {
                        Some(c) => name.push(*c),
                        None => return Err(self.error("nothing follows the backslash")),
                    }
                }
                c => name.push(c),
            }
            self.at += 1;
        }
        if name.is_empty() {
            return Err(self.error(format!("{what} is missing")));
        }
        Ok(name)
    }

    fn pattern(&mut self) -> Result<Pattern, RuleError> {
        if let Some(name) = self.quoted()? {
            return Ok(Pattern::exact(&name));
        }
        let begin = self.at;
        let mut in_set = false;
        while let Some(&c) = self.chars.get(self.at) {
            match c {
                '\\' => self.at += 1,
                // Only a closed set hides what separates the parts; the pattern itself says what is not closed.
                '[' if !in_set => in_set = self.chars.get(self.at..).is_some_and(|rest| rest.contains(&']')),
                ']' => in_set = false,
                '.' | '=' if !in_set => break,
                '\n' | '\r' => return Err(self.error(ONE_LINE)),
                '`' if !in_set => return Err(self.error("a backquote inside a name: quote the whole name")),
                _ => {}
            }
            self.at += 1;
        }
        self.at = self.at.min(self.chars.len());
        let text = self.chars.get(begin..self.at).unwrap_or_default();
        if text.is_empty() {
            return Err(self.error("the table's pattern is missing"));
        }
        Pattern::parse(text).map_err(|e| RuleError {
            column: begin + e.at + 1,
            what: e.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, Option<String>, Option<(String, String)>) {
        let rule = Rule::parse(text).unwrap();
        (rule.database.clone(), rule.exact(), rule.target)
    }

    #[test]
    fn parts_of_rules() {
        let to = |d: &str, t: &str| Some((d.to_owned(), t.to_owned()));
        assert_eq!(
            parsed("shop.orders"),
            ("shop".into(), Some("orders".into()), None)
        );
        assert_eq!(parsed("shop.*"), ("shop".into(), None, None));
        assert_eq!(
            parsed("a.order[0-9]=b.orders"),
            ("a".into(), None, to("b", "orders"))
        );
        assert_eq!(
            parsed("`my.db`.`a``*=b`=`x.y`.`[z]`"),
            ("my.db".into(), Some("a`*=b".into()), to("x.y", "[z]"))
        );
        assert_eq!(
            parsed("商店.订单 表"),
            ("商店".into(), Some("订单 表".into()), None)
        );
        assert_eq!(
            parsed(r"a\.b.c\=d=e.f\.g"),
            ("a.b".into(), Some("c=d".into()), to("e", "f.g"))
        );
        assert!(Rule::parse("a.x[.=]y").unwrap().pattern.matches("x.y"));
        assert!(!Rule::parse("a.X*").unwrap().pattern.matches("xy"), "case counts");
    }

    #[test]
    fn mistakes_say_where() {
        for (text, column) in [
            ("", 1),
            ("shop", 5),
            ("shop.", 6),
            (".a", 1),
            ("sh*p.a", 3),
            ("a.b=c", 6),
            ("a.b=c.*", 7),
            ("a.b.c", 4),
            ("a.b=c.d.e", 8),
            (" a.b", 1),
            ("a.b ", 4),
            ("a.b\nc.d", 4),
            ("`a.b", 1),
            ("``.b", 1),
            ("a.x`y", 4),
            ("a.[z-a]", 4),
            ("a.x[yz", 7),
            ("a.b\\", 4),
        ] {
            let error = Rule::parse(text).unwrap_err();
            assert_eq!(error.column, column, "{text:?}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_two_names_can_be_written(database in "\\PC{1,8}", table in "\\PC{1,8}", to in "\\PC{1,8}") {
            let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
            let rule = Rule::parse(&format!("{}.{}={}.{}", quoted(&database), quoted(&table), quoted(&to), quoted(&table)));
            let rule = rule.unwrap();
            proptest::prop_assert_eq!(&rule.database, &database);
            proptest::prop_assert!(rule.pattern.matches(&table));
            proptest::prop_assert_eq!(rule.target, Some((to, table)));
        }

        #[test]
        fn no_text_makes_the_reader_fail(text in "[ab.=*?`!\\\\\\[\\]\\- ]{0,16}") {
            let _ = Rule::parse(&text);
        }
    }
}
