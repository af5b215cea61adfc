//! From tokens to a tree.

use super::{
    Mistake,
    syntax::{Comparison, Node, NodeKind, Operator, Target},
    token::{Token, TokenKind, tokenize},
};

/// Most levels of nesting.
const DEPTH: usize = 64;
/// Most operators of one kind in a row, besides AND and OR, of which there may be any number.
const CHAIN: usize = 200;
/// Most bytes of a condition.
const LENGTH: usize = 64 << 10;

/// Reads a condition or an expression.
pub(super) fn parse(text: &str) -> Result<Node, Mistake> {
    if text.len() > LENGTH {
        return Err(Mistake::new(1, format!("longer than {LENGTH} bytes")));
    }
    let tokens = tokenize(text)?;
    let mut parser = Parser {
        tokens: &tokens,
        next: 0,
        depth: 0,
    };
    let node = parser.or()?;
    match parser.peek() {
        Some(TokenKind::End) | None => Ok(node),
        Some(_) => Err(parser.unexpected("the end, or an operator")),
    }
}

/// What makes a node of its operand.
type Unary = fn(Box<Node>) -> NodeKind;

struct Parser<'t> {
    tokens: &'t [Token],
    next: usize,
    depth: usize,
}

fn node(at: usize, kind: NodeKind) -> Node {
    Node { at, kind }
}

fn binary(make: impl Fn(Box<Node>, Box<Node>) -> NodeKind, at: usize, left: Node, right: Node) -> Node {
    node(at, make(Box::new(left), Box::new(right)))
}

/// The only part, or all of them together.
fn single(at: usize, mut parts: Vec<Node>, make: impl Fn(Vec<Node>) -> NodeKind) -> Node {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            parts.extend(last);
            node(at, make(parts))
        }
    }
}

impl Parser<'_> {
    fn peek(&self) -> Option<&TokenKind> {
        self.tokens.get(self.next).map(|t| &t.kind)
    }

    fn at(&self) -> usize {
        let token = self.tokens.get(self.next).or(self.tokens.last());
        token.map_or(1, |t| t.at)
    }

    fn unexpected(&self, wanted: &str) -> Mistake {
        let found = match self.peek() {
            None | Some(TokenKind::End) => "the end".to_owned(),
            Some(TokenKind::Word(word)) => format!("{word:?}"),
            Some(TokenKind::Name(name)) => format!("`{name}`"),
            Some(TokenKind::Text(_)) => "a text".to_owned(),
            Some(TokenKind::Bytes(_)) => "a hexadecimal literal".to_owned(),
            Some(TokenKind::Integer(_) | TokenKind::Decimal(_)) => "a number".to_owned(),
            Some(TokenKind::Symbol("||")) => {
                "\"||\", which means OR on some servers and CONCAT on others: write one of these".to_owned()
            }
            Some(TokenKind::Symbol(symbol)) => format!("{symbol:?}"),
        };
        Mistake::new(self.at(), format!("{wanted} is expected here, not {found}"))
    }

    fn symbol(&mut self, wanted: &str) -> bool {
        let found = matches!(self.peek(), Some(TokenKind::Symbol(s)) if *s == wanted);
        self.next += usize::from(found);
        found
    }

    fn word(&mut self, wanted: &str) -> bool {
        let found = matches!(self.peek(), Some(TokenKind::Word(w)) if w.eq_ignore_ascii_case(wanted));
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &'static str) -> Result<(), Mistake> {
        if self.symbol(symbol) {
            return Ok(());
        }
        Err(self.unexpected(&format!("{symbol:?}")))
    }

    /// Runs a part one level deeper.
    fn deeper<R>(&mut self, part: impl FnOnce(&mut Self) -> Result<R, Mistake>) -> Result<R, Mistake> {
        if self.depth >= DEPTH {
            return Err(Mistake::new(
                self.at(),
                format!("nested more than {DEPTH} levels deep"),
            ));
        }
        self.depth += 1;
        let result = part(self);
        self.depth -= 1;
        result
    }

    /// Counts the operators of a chain.
    fn longer(&self, chain: &mut usize) -> Result<(), Mistake> {
        *chain += 1;
        if *chain > CHAIN {
            let words = format!("more than {CHAIN} operators in a row: put parts between parentheses");
            return Err(Mistake::new(self.at(), words));
        }
        Ok(())
    }

    fn or(&mut self) -> Result<Node, Mistake> {
        self.deeper(|p| {
            let at = p.at();
            let mut parts = vec![p.xor()?];
            while p.word("or") {
                parts.push(p.xor()?);
            }
            Ok(single(at, parts, NodeKind::Or))
        })
    }

    fn xor(&mut self) -> Result<Node, Mistake> {
        let mut left = self.and()?;
        let mut chain = 0;
        loop {
            let at = self.at();
            if !self.word("xor") {
                return Ok(left);
            }
            self.longer(&mut chain)?;
            left = binary(NodeKind::Xor, at, left, self.and()?);
        }
    }

    fn and(&mut self) -> Result<Node, Mistake> {
        let at = self.at();
        let mut parts = vec![self.not()?];
        while self.word("and") || self.symbol("&&") {
            parts.push(self.not()?);
        }
        Ok(single(at, parts, NodeKind::And))
    }

    fn not(&mut self) -> Result<Node, Mistake> {
        let at = self.at();
        if self.word("not") {
            let inner = self.deeper(Self::not)?;
            return Ok(node(at, NodeKind::Not(Box::new(inner))));
        }
        self.predicate()
    }

    fn predicate(&mut self) -> Result<Node, Mistake> {
        let mut left = self.bit_or()?;
        let mut chain = 0;
        loop {
            let at = self.at();
            self.longer(&mut chain)?;
            if self.word("is") {
                left = self.is(at, left)?;
                continue;
            }
            let before = self.next;
            let negated = self.word("not");
            if self.word("between") {
                let low = self.bit_or()?;
                if !self.word("and") {
                    return Err(self.unexpected("AND"));
                }
                let high = self.bit_or()?;
                left = node(
                    at,
                    NodeKind::Between(Box::new(left), Box::new(low), Box::new(high), negated),
                );
                continue;
            }
            if self.word("in") {
                self.expect("(")?;
                let list = self.list()?;
                left = node(at, NodeKind::In(Box::new(left), list, negated));
                continue;
            }
            for other in ["like", "rlike", "regexp", "div", "mod", "sounds", "collate"] {
                if self.word(other) {
                    let name = other.to_uppercase();
                    return Err(Mistake::new(at, format!("{name} is not supported")));
                }
            }
            self.next = before;
            let comparison = match self.peek() {
                Some(TokenKind::Symbol("=")) => Comparison::Equal,
                Some(TokenKind::Symbol("<>" | "!=")) => Comparison::NotEqual,
                Some(TokenKind::Symbol("<")) => Comparison::Less,
                Some(TokenKind::Symbol("<=")) => Comparison::LessOrEqual,
                Some(TokenKind::Symbol(">")) => Comparison::Greater,
                Some(TokenKind::Symbol(">=")) => Comparison::GreaterOrEqual,
                Some(TokenKind::Symbol("<=>")) => {
                    return Err(Mistake::new(
                        at,
                        "<=> is not supported: use = or IS NULL".to_owned(),
                    ));
                }
                _ => return Ok(left),
            };
            self.next += 1;
            let right = self.bit_or()?;
            left = binary(|l, r| NodeKind::Compare(comparison, l, r), at, left, right);
        }
    }

    fn is(&mut self, at: usize, left: Node) -> Result<Node, Mistake> {
        let negated = self.word("not");
        let inner = Box::new(left);
        if self.word("null") {
            return Ok(node(at, NodeKind::IsNull(inner, negated)));
        }
        for (word, truth) in [("true", true), ("false", false)] {
            if self.word(word) {
                return Ok(node(at, NodeKind::IsTruth(inner, truth, negated)));
            }
        }
        Err(self.unexpected("NULL, TRUE or FALSE"))
    }

    /// Expressions up to the closing parenthesis.
    fn list(&mut self) -> Result<Vec<Node>, Mistake> {
        let mut list = vec![self.or()?];
        while self.symbol(",") {
            list.push(self.or()?);
        }
        self.expect(")")?;
        Ok(list)
    }

    /// Operators that bind from left to right.
    fn left(
        &mut self,
        operators: &[(&str, Operator)],
        tighter: impl Fn(&mut Self) -> Result<Node, Mistake>,
    ) -> Result<Node, Mistake> {
        let mut left = tighter(self)?;
        let mut chain = 0;
        'again: loop {
            let at = self.at();
            for (symbol, operator) in operators {
                if self.symbol(symbol) {
                    self.longer(&mut chain)?;
                    let right = tighter(self)?;
                    left = binary(|l, r| NodeKind::Arithmetic(*operator, l, r), at, left, right);
                    continue 'again;
                }
            }
            return Ok(left);
        }
    }

    fn bit_or(&mut self) -> Result<Node, Mistake> {
        self.left(&[("|", Operator::BitOr)], Self::bit_and)
    }

    fn bit_and(&mut self) -> Result<Node, Mistake> {
        self.left(&[("&", Operator::BitAnd)], Self::shift)
    }

    fn shift(&mut self) -> Result<Node, Mistake> {
        let operators = [("<<", Operator::ShiftLeft), (">>", Operator::ShiftRight)];
        self.left(&operators, Self::sum)
    }

    fn sum(&mut self) -> Result<Node, Mistake> {
        self.left(&[("+", Operator::Add), ("-", Operator::Subtract)], Self::product)
    }

    fn product(&mut self) -> Result<Node, Mistake> {
        let operators = [
            ("*", Operator::Multiply),
            ("/", Operator::Divide),
            ("%", Operator::Remainder),
        ];
        self.left(&operators, Self::bit_xor)
    }

    fn bit_xor(&mut self) -> Result<Node, Mistake> {
        self.left(&[("^", Operator::BitXor)], Self::unary)
    }

    fn unary(&mut self) -> Result<Node, Mistake> {
        let at = self.at();
        let makes: [(&str, Unary); 4] = [
            ("-", NodeKind::Minus),
            ("+", NodeKind::Plus),
            ("~", NodeKind::Invert),
            ("!", NodeKind::Not),
        ];
        for (symbol, make) in makes {
            if self.symbol(symbol) {
                let inner = self.deeper(Self::unary)?;
                return Ok(node(at, make(Box::new(inner))));
            }
        }
        self.primary()
    }

    fn primary(&mut self) -> Result<Node, Mistake> {
        let at = self.at();
        let Some(kind) = self.peek().cloned() else {
            return Err(self.unexpected("a value"));
        };
        let kind = match kind {
            TokenKind::Integer(digits) => NodeKind::Integer(digits),
            TokenKind::Decimal(digits) => NodeKind::Decimal(digits),
            TokenKind::Text(text) => NodeKind::Text(text),
            TokenKind::Bytes(bytes) => NodeKind::Bytes(bytes),
            TokenKind::Name(name) => NodeKind::Column(name),
            TokenKind::Symbol("(") => {
                self.next += 1;
                let inner = self.or()?;
                self.expect(")")?;
                return Ok(inner);
            }
            TokenKind::Word(word) => {
                self.next += 1;
                return self.named(at, word);
            }
            _ => return Err(self.unexpected("a value")),
        };
        self.next += 1;
        if matches!(kind, NodeKind::Column(_)) {
            self.only_column()?;
        }
        Ok(node(at, kind))
    }

    fn only_column(&self) -> Result<(), Mistake> {
        match self.peek() {
            Some(TokenKind::Symbol(".")) => Err(Mistake::new(
                self.at(),
                "only columns of the table itself can be named, without the table in front",
            )),
            _ => Ok(()),
        }
    }

    /// What begins with a word: a constant, a function, or a column.
    fn named(&mut self, at: usize, word: String) -> Result<Node, Mistake> {
        let upper = word.to_ascii_uppercase();
        match upper.as_str() {
            "NULL" => return Ok(node(at, NodeKind::Null)),
            "TRUE" => return Ok(node(at, NodeKind::Truth(true))),
            "FALSE" => return Ok(node(at, NodeKind::Truth(false))),
            "AND" | "OR" | "XOR" | "NOT" | "IS" | "IN" | "BETWEEN" | "LIKE" | "CASE" | "SELECT"
            | "EXISTS" | "INTERVAL" | "BINARY" | "DISTINCT" => {
                self.next -= 1;
                let words = "a value";
                let mistake = self.unexpected(words);
                let hint = "; put a column of this name between `";
                return Err(Mistake::new(mistake.at, mistake.what + hint));
            }
            _ => {}
        }
        if !self.symbol("(") {
            self.only_column()?;
            return Ok(node(at, NodeKind::Column(word)));
        }
        if upper == "CAST" {
            let inner = self.or()?;
            if !self.word("as") {
                return Err(self.unexpected("AS"));
            }
            let target = self.target()?;
            self.expect(")")?;
            return Ok(node(at, NodeKind::Cast(Box::new(inner), target)));
        }
        if self.symbol(")") {
            return Ok(node(at, NodeKind::Call(upper, Vec::new())));
        }
        if matches!(self.peek(), Some(TokenKind::Symbol("*"))) {
            return Err(Mistake::new(at, format!("the function {upper} is not supported")));
        }
        let arguments = self.list()?;
        Ok(node(at, NodeKind::Call(upper, arguments)))
    }

    fn target(&mut self) -> Result<Target, Mistake> {
        let at = self.at();
        let Some(TokenKind::Word(word)) = self.peek().cloned() else {
            return Err(self.unexpected("a type"));
        };
        self.next += 1;
        let upper = word.to_ascii_uppercase();
        let wide = |text: &str, most: usize| text.parse::<usize>().ok().filter(|n| *n <= most);
        let mut sizes = Vec::new();
        if self.symbol("(") {
            loop {
                match self.peek().cloned() {
                    Some(TokenKind::Integer(digits)) => {
                        let size = wide(&digits, 16_383)
                            .ok_or_else(|| Mistake::new(self.at(), "the number is too large"))?;
                        sizes.push(size);
                        self.next += 1;
                    }
                    _ => return Err(self.unexpected("a number")),
                }
                if !self.symbol(",") {
                    break;
                }
            }
            self.expect(")")?;
        }
        let wrong_size = || Mistake::new(at, format!("{upper} does not have such a size"));
        let target = match (upper.as_str(), sizes.as_slice()) {
            ("CHAR" | "CHARACTER", []) => Target::Char(None),
            ("CHAR" | "CHARACTER", [size]) => Target::Char(Some(*size)),
            ("DEC" | "DECIMAL" | "NUMERIC", sizes) => {
                let (precision, scale) = match sizes {
                    [] => (10, 0),
                    [precision] => (*precision, 0),
                    [precision, scale] => (*precision, *scale),
                    _ => return Err(wrong_size()),
                };
                if !(1..=65).contains(&precision) || scale > 30 || scale > precision {
                    return Err(wrong_size());
                }
                // Both are below 256.
                Target::Decimal(precision as u8, scale as u8)
            }
            ("SIGNED", []) => Target::Signed,
            ("UNSIGNED", []) => Target::Unsigned,
            ("DATE", []) => Target::Date,
            ("TIME", [] | [6]) => Target::Time,
            ("DATETIME", [] | [6]) => Target::DateTime,
            ("DOUBLE" | "FLOAT" | "REAL", _) => {
                return Err(Mistake::new(
                    at,
                    "floating point numbers are not exact and cannot be used; cast to DECIMAL(p, s)",
                ));
            }
            ("CHAR" | "CHARACTER" | "SIGNED" | "UNSIGNED" | "DATE" | "TIME" | "DATETIME", _) => {
                return Err(wrong_size());
            }
            _ => {
                return Err(Mistake::new(
                    at,
                    format!(
                        "CAST to {upper} is not supported; there are CHAR, DECIMAL, SIGNED, UNSIGNED, DATE, TIME and DATETIME"
                    ),
                ));
            }
        };
        if matches!(target, Target::Signed | Target::Unsigned) {
            self.word("integer");
        }
        Ok(target)
    }
}
