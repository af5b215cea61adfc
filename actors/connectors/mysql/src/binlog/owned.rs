//! Transactions that are being committed.

use oms_core::{Failure, MysqlGtidSet, codes};

/// `uuid:5#34:6#35,uuid:tag:1#36`: every identifier, with the thread that owns it.
pub(crate) fn owned(text: &str) -> Result<MysqlGtidSet, Failure> {
    let mut set = MysqlGtidSet::default();
    for member in text.split(',').map(str::trim).filter(|m| !m.is_empty()) {
        let mut parts = member.split(':').map(str::trim);
        let uuid = parts.next().unwrap_or_default().to_ascii_lowercase();
        let mut tag = String::new();
        for part in parts {
            let number = part.split('#').next().unwrap_or_default();
            if number.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
                tag = number.to_ascii_lowercase();
                continue;
            }
            let number = number.parse().map_err(|_| {
                Failure::new(
                    codes::src::STATEMENT_FAILED,
                    "the server's owned GTIDs cannot be read",
                )
            })?;
            set.insert(&uuid, &tag, number);
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "8f55295b-e4c4-11f1-a147-02fc00000001";

    #[test]
    fn owned_identifiers_are_read() {
        let got = owned(&format!("{A}:5#34:6#35,\n{A}:tag:1#36")).unwrap();
        assert_eq!(got, format!("{A}:5-6:tag:1").parse().unwrap());
        assert!(owned("").unwrap().is_empty());
        assert!(owned(&format!("{A}:x5y#3:?")).is_err());
    }
}
