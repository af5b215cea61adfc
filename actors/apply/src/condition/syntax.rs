//! What a condition says, before anything is known about its columns.

/// An expression and the number of the character at which it, or its operator, begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) at: usize,
    pub(super) kind: NodeKind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum NodeKind {
    Null,
    Truth(bool),
    Integer(String),
    Decimal(String),
    Text(String),
    Bytes(Vec<u8>),
    Column(String),
    Not(Box<Node>),
    /// `-`.
    Minus(Box<Node>),
    /// `+`.
    Plus(Box<Node>),
    /// `~`.
    Invert(Box<Node>),
    /// At least two.
    And(Vec<Node>),
    /// At least two.
    Or(Vec<Node>),
    Xor(Box<Node>, Box<Node>),
    Compare(Comparison, Box<Node>, Box<Node>),
    Arithmetic(Operator, Box<Node>, Box<Node>),
    IsNull(Box<Node>, Negated),
    IsTruth(Box<Node>, bool, Negated),
    Between(Box<Node>, Box<Node>, Box<Node>, Negated),
    In(Box<Node>, Vec<Node>, Negated),
    Call(String, Vec<Node>),
    Cast(Box<Node>, Target),
}

/// Whether NOT was written.
pub(super) type Negated = bool;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    pub(super) fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// Operators over integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    BitAnd,
    BitOr,
    BitXor,
    ShiftLeft,
    ShiftRight,
}

/// What CAST makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// CHAR, cut to so many characters.
    Char(Option<usize>),
    Decimal(u8, u8),
    Signed,
    Unsigned,
    Date,
    Time,
    DateTime,
}
