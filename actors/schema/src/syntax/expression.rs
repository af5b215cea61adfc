//! Expressions: kept as text, changed token by token.

use super::token::{Token, TokenKind, tokenize};

fn tokens(expression: &str) -> Vec<Token> {
    // An expression that came out of a definition has been tokenized before; one that did not is
    // left as it is.
    tokenize(expression).unwrap_or_default()
}

/// Without the parentheses that enclose all of it.
pub(crate) fn unwrap_parentheses(expression: &str) -> String {
    let mut current = expression.trim();
    loop {
        let list = tokens(current);
        let mut depth = 0usize;
        let mut encloses = matches!(list.first().map(|t| &t.kind), Some(TokenKind::Symbol("(")));
        let last = list.len().saturating_sub(2);
        for (i, token) in list.iter().enumerate() {
            match token.kind {
                TokenKind::Symbol("(") => depth += 1,
                TokenKind::Symbol(")") => {
                    depth = depth.saturating_sub(1);
                    encloses &= depth > 0 || i == last;
                }
                _ => {}
            }
        }
        if !encloses || list.len() < 4 {
            return current.to_owned();
        }
        current = current.get(1..current.len() - 1).unwrap_or("").trim();
    }
}

/// Without `_charset` in front of texts. `None` if a text has an introducer that changes what it
/// means: `_binary`, or characters outside of ASCII in another character set than UTF-8.
pub(crate) fn strip_introducers(expression: &str) -> Option<String> {
    let list = tokens(expression);
    let mut out = String::with_capacity(expression.len());
    let mut from = 0;
    for (i, token) in list.iter().enumerate() {
        let TokenKind::Word(word) = &token.kind else {
            continue;
        };
        let Some(next) = list.get(i + 1) else { continue };
        if !word.starts_with('_') {
            continue;
        }
        let charset = word.get(1..).unwrap_or("").to_ascii_lowercase();
        match &next.kind {
            TokenKind::Text(text) => {
                let same = text.is_ascii() || charset.starts_with("utf8");
                if charset == "binary" || !same {
                    return None;
                }
                out.push_str(expression.get(from..token.start)?);
                from = token.end;
            }
            TokenKind::Bits(_) => return None,
            _ => {}
        }
    }
    out.push_str(expression.get(from..)?);
    Some(out)
}

/// Words behind which an operand begins.
const BEFORE_OPERANDS: &[&str] = &[
    "and", "or", "not", "xor", "div", "mod", "case", "when", "then", "else", "like", "rlike", "regexp",
    "between", "in", "interval", "binary", "from", "for", "escape",
];

/// Whether the word at this place can be a column: servers show columns in backticks, people need not write them. A word
/// that follows an operand is none (`interval 1 day`, `cast(a as date)`), nor is a unit in front of operands.
fn is_operand(list: &[Token], at: usize) -> bool {
    let kind = |i: Option<usize>| i.and_then(|i| list.get(i)).map(|t| &t.kind);
    let word = |i: Option<usize>| match kind(i) {
        Some(TokenKind::Word(word)) => Some(word.to_ascii_lowercase()),
        _ => None,
    };
    let next_is = |symbol: &'static str| kind(Some(at + 1)) == Some(&TokenKind::Symbol(symbol));
    if next_is("(") || word(Some(at + 1)).as_deref() == Some("from") {
        return false;
    }
    let before = at.checked_sub(1);
    match kind(before) {
        None => true,
        Some(TokenKind::Symbol(")")) => false,
        Some(TokenKind::Symbol("(")) => !matches!(
            word(at.checked_sub(2)).as_deref(),
            Some("timestampdiff" | "timestampadd" | "get_format")
        ),
        Some(TokenKind::Symbol(_)) => true,
        Some(TokenKind::Word(_)) => word(before).is_some_and(|w| BEFORE_OPERANDS.contains(&w.as_str())),
        Some(_) => false,
    }
}

/// With every reference to a column replaced by an expression, in parentheses. `None` of the
/// function keeps the reference.
pub(crate) fn replace_columns(expression: &str, replace: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(expression.len());
    let mut from = 0;
    let list = tokens(expression);
    for (i, token) in list.iter().enumerate() {
        let name = match &token.kind {
            TokenKind::Quoted(name) => name,
            TokenKind::Word(word) if is_operand(&list, i) => word,
            _ => continue,
        };
        if let Some(text) = replace(name) {
            out.push_str(expression.get(from..token.start).unwrap_or(""));
            out.push_str(&text);
            from = token.end;
        }
    }
    out.push_str(expression.get(from..).unwrap_or(""));
    out
}

/// With columns renamed, in backticks or without. A word in front of a parenthesis is a function.
pub(crate) fn rename_columns(expression: &str, new_name: &dyn Fn(&str) -> Option<String>) -> String {
    let list = tokens(expression);
    let mut out = String::with_capacity(expression.len());
    let mut from = 0;
    for (i, token) in list.iter().enumerate() {
        let is_call = matches!(list.get(i + 1).map(|t| &t.kind), Some(TokenKind::Symbol("(")));
        let name = match &token.kind {
            TokenKind::Quoted(name) => name,
            TokenKind::Word(word) if !is_call => word,
            _ => continue,
        };
        if let Some(new) = new_name(name) {
            out.push_str(expression.get(from..token.start).unwrap_or(""));
            out.push_str(&super::identifier(&new));
            from = token.end;
        }
    }
    out.push_str(expression.get(from..).unwrap_or(""));
    out
}

/// Words and names of an expression that may be columns.
pub(crate) fn words(expression: &str) -> Vec<String> {
    let list = tokens(expression);
    let mut words = Vec::new();
    for (i, token) in list.iter().enumerate() {
        let is_call = matches!(list.get(i + 1).map(|t| &t.kind), Some(TokenKind::Symbol("(")));
        match &token.kind {
            TokenKind::Quoted(name) => words.push(name.clone()),
            TokenKind::Word(word) if !is_call => words.push(word.clone()),
            _ => {}
        }
    }
    words
}

/// An expression without what servers write in different ways: blanks, parentheses, backticks,
/// introducers, case. Good for comparing only.
pub(crate) fn comparable(expression: &str) -> String {
    let list = tokens(expression);
    let mut parts = Vec::new();
    for (i, token) in list.iter().enumerate() {
        let before_text = matches!(
            list.get(i + 1).map(|t| &t.kind),
            Some(TokenKind::Text(_) | TokenKind::Bits(_))
        );
        match &token.kind {
            TokenKind::Word(w) if w.starts_with('_') && before_text => {}
            TokenKind::Word(w) => parts.push(match w.to_lowercase().as_str() {
                // Names of one function.
                "now" | "localtime" | "localtimestamp" => "current_timestamp".to_owned(),
                other => other.to_owned(),
            }),
            TokenKind::Quoted(n) => parts.push(n.to_lowercase()),
            TokenKind::Text(t) => parts.push(super::text(t)),
            TokenKind::Number(n) | TokenKind::Bits(n) => parts.push(n.to_lowercase()),
            TokenKind::Symbol("(" | ")") | TokenKind::End => {}
            TokenKind::Symbol("!=") => parts.push("<>".to_owned()),
            TokenKind::Symbol(s) => parts.push((*s).to_owned()),
        }
    }
    parts.join(" ")
}

/// Whether the expression calls the function (name in lower case).
pub(crate) fn has_function(expression: &str, function: &str) -> bool {
    let list = tokens(expression);
    list.iter().zip(list.iter().skip(1)).any(|(a, b)| {
        matches!(&a.kind, TokenKind::Word(w) if w.eq_ignore_ascii_case(function))
            && b.kind == TokenKind::Symbol("(")
    })
}

/// If the whole expression is one call, its name in lower case and its arguments as text.
pub(crate) fn call_name(expression: &str) -> Option<(String, String)> {
    let list = tokens(expression);
    let name = match list.first().map(|t| &t.kind) {
        Some(TokenKind::Word(w)) => w.to_ascii_lowercase(),
        _ => return None,
    };
    let open = list.get(1).filter(|t| t.kind == TokenKind::Symbol("("))?;
    let inner = unwrap_parentheses(expression.get(open.start..)?);
    let plain = expression.get(open.start..)?.trim();
    let all = plain.len() > inner.len() || plain == "()";
    all.then(|| (name, if inner == "()" { String::new() } else { inner }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outer_parentheses_go_and_inner_ones_stay() {
        assert_eq!(unwrap_parentheses("((`a` + 1))"), "`a` + 1");
        assert_eq!(unwrap_parentheses("(a) + (b)"), "(a) + (b)");
        assert_eq!(unwrap_parentheses("')'"), "')'");
        assert_eq!(unwrap_parentheses("()"), "()");
    }

    #[test]
    fn introducers_go_where_they_mean_nothing() {
        assert_eq!(
            strip_introducers("f(_utf8mb4'é',_latin1'x')").as_deref(),
            Some("f('é','x')")
        );
        assert_eq!(strip_introducers("_latin1'é'"), None);
        assert_eq!(strip_introducers("_binary'x'"), None);
    }

    #[test]
    fn columns_without_backticks_are_found_where_an_operand_begins() {
        let marked = |text: &str| replace_columns(text, &|n| (n == "day" || n == "c").then(|| "X".into()));
        for (text, expected) in [
            ("c + 1", "X + 1"),
            ("`c` + c", "X + X"),
            ("f(c, 2) and c", "f(X, 2) and X"),
            ("c(1) + 'c'", "c(1) + 'c'"),
            ("d + interval 1 day", "d + interval 1 day"),
            ("d + interval c day", "d + interval X day"),
            ("cast(c as day)", "cast(X as day)"),
            ("extract(day from c)", "extract(day from X)"),
            ("timestampdiff(day, c, d)", "timestampdiff(day, X, d)"),
            (
                "case when c > 1 then day else 0 end",
                "case when X > 1 then X else 0 end",
            ),
        ] {
            assert_eq!(marked(text), expected);
        }
    }

    #[test]
    fn calls_are_found() {
        assert!(has_function("1 + UUID()", "uuid"));
        assert!(!has_function("'uuid()'", "uuid"));
        assert_eq!(call_name("now(6)"), Some(("now".into(), "6".into())));
        assert_eq!(
            call_name("json_valid(`a`)"),
            Some(("json_valid".into(), "`a`".into()))
        );
        assert_eq!(call_name("now(6) + 1"), None);
        assert_eq!(call_name("f(1) + (2)"), None);
        assert_eq!(
            replace_columns("`a` + `b`", &|n| (n == "b").then(|| "(1)".into())),
            "`a` + (1)"
        );
    }
}
