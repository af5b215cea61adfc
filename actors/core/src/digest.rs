//! Digests of rows that a server computes itself.

/// How a column's value enters a digest. Each form is *injective*: two values that a client would read as
/// different never enter alike, on one server or on two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestForm {
    /// The exact digits of an integer, DECIMAL, BIT or YEAR.
    Number,
    /// The bits of a FLOAT or DOUBLE, as a double. Never its text: servers round that.
    Real,
    /// The text of a temporal value, with all digits of its fraction, in UTC.
    Time,
    /// The stored bytes of text or binary strings, without conversion.
    Bytes,
    /// Like [`DigestForm::Bytes`], by the SHA-256 of the bytes: for values that may be long.
    LongBytes,
    /// The number of an ENUM's member, the bits of a SET.
    Member,
    /// The text that the server makes of a value (JSON, UUID), by its SHA-256.
    Characters,
}

/// A column of a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestColumn {
    /// Index into [`crate::TableSchema::columns`].
    pub column: usize,
    /// How its value enters.
    pub form: DigestForm,
    /// Whether NULL is told apart. The same on both sides, whatever the definitions say.
    pub nullable: bool,
}

/// What a server says of a chunk's rows, as they are committed now.
///
/// Two digests over columns of the same forms are equal only if the chunks have equal rows in the same
/// order, as far as SHA-256 has no collision. Equal rows in another order have different digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkDigest {
    /// Rows of the chunk.
    pub rows: u64,
    /// SHA-256 over the rows' SHA-256, in lower-case hexadecimal. Empty for no rows.
    pub digest: String,
}
