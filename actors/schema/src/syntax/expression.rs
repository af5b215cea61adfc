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

/// With every reference to a column replaced by an expression, in parentheses. `None` of the
/// function keeps the reference.
pub(crate) fn replace_columns(expression: &str, replace: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(expression.len());
    let mut from = 0;
    for token in tokens(expression) {
        if let TokenKind::Quoted(name) = &token.kind
            && let Some(text) = replace(name)
        {
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
            TokenKind::Word(w) => parts.push(w.to_lowercase()),
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
