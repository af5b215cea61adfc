//! How a text is to be read.

use crate::Flavor;

/// What comments are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comments {
    /// The text is what a server shows: versioned comments count as text, others do not occur.
    Shown,
    /// The text is what a client wrote: versioned comments count if that server executed them,
    /// others mean nothing.
    Written {
        /// The server's family.
        flavor: Flavor,
        /// Its version as in versioned comments: 50651, 80036, 101106.
        version: u32,
    },
}

/// What quotes and comments mean in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// Whether double quotes enclose names.
    pub(crate) ansi_quotes: bool,
    /// Whether backslashes escape in texts.
    pub(crate) backslash_escapes: bool,
    /// What comments are.
    pub(crate) comments: Comments,
}

impl Dialect {
    /// What `SHOW CREATE` prints.
    pub(crate) fn shown() -> Self {
        Self {
            ansi_quotes: false,
            backslash_escapes: true,
            comments: Comments::Shown,
        }
    }

    /// Whether a versioned comment is executed: `inner` is what follows its `!`. Gives how many
    /// digits its version has.
    pub(crate) fn executes(self, is_mariadb: bool, inner: &str) -> Option<usize> {
        let digits = inner.bytes().take_while(u8::is_ascii_digit).count();
        let Comments::Written { flavor, version } = self.comments else {
            return Some(digits);
        };
        // Five digits, or six; what follows belongs to the text.
        let digits = if digits < 5 { 0 } else { digits.min(6) };
        if is_mariadb && flavor != Flavor::MariaDb {
            return None;
        }
        let wanted: u32 = match inner.get(..digits) {
            Some("") | None => return Some(0),
            Some(number) => number.parse().ok()?,
        };
        // MariaDB leaves what MySQL 5.7 and later brought to MySQL.
        let is_foreign = flavor == Flavor::MariaDb && !is_mariadb && (50_700..=99_999).contains(&wanted);
        (wanted <= version && !is_foreign).then_some(digits)
    }
}
