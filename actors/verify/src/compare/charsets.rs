//! Characters of any character set as Unicode.

/// Decodes character sets as the servers define them. Implemented by whoever has the tables (the
/// destination's connector converts with the same ones when it writes).
pub trait Charsets: Send + Sync {
    /// Whether [`Charsets::decode`] knows the character set, by the server's name of it.
    fn is_known(&self, charset: &str) -> bool;

    /// The characters; `None` when the bytes are no text of this character set. Nothing is ever
    /// replaced.
    fn decode(&self, charset: &str, bytes: &[u8]) -> Option<String>;
}

/// Knows the UTF-8 family and ASCII only.
#[derive(Clone, Copy, Debug, Default)]
pub struct Utf8Charsets;

impl Charsets for Utf8Charsets {
    fn is_known(&self, charset: &str) -> bool {
        super::column_rule::is_utf8_family(charset)
    }

    fn decode(&self, charset: &str, bytes: &[u8]) -> Option<String> {
        if !self.is_known(charset) {
            return None;
        }
        std::str::from_utf8(bytes).ok().map(str::to_owned)
    }
}
