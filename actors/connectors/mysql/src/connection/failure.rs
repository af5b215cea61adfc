//! From the driver's errors to public codes.

use std::io;

use mysql_async::{DriverError, Error, IoError, ServerError, TlsError};
use oms_core::{ErrorCode, Failure, codes};

use super::Side;

/// What an error means, before it is known on which side it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Unreachable,
    AccessDenied,
    TlsRequired,
    CertificateRefused,
    WrongProtocol,
    PrivilegeMissing,
    Transient,
    DiskFull,
    TableMissing,
    NotRepresentable,
    StatementFailed,
}

impl Meaning {
    pub(crate) fn code(self, side: Side) -> ErrorCode {
        use Side::{Destination, Source};
        match (self, side) {
            (Self::Unreachable, Source) => codes::src::UNREACHABLE,
            (Self::Unreachable, Destination) => codes::dst::UNREACHABLE,
            (Self::AccessDenied, Source) => codes::src::ACCESS_DENIED,
            (Self::AccessDenied, Destination) => codes::dst::ACCESS_DENIED,
            (Self::TlsRequired, Source) => codes::src::TLS_REQUIRED,
            (Self::TlsRequired, Destination) => codes::dst::TLS_REQUIRED,
            (Self::CertificateRefused, Source) => codes::src::CERTIFICATE_REFUSED,
            (Self::CertificateRefused, Destination) => codes::dst::CERTIFICATE_REFUSED,
            (Self::WrongProtocol, Source) => codes::src::WRONG_PROTOCOL,
            (Self::WrongProtocol, Destination) => codes::dst::WRONG_PROTOCOL,
            (Self::PrivilegeMissing, Source) => codes::src::PRIVILEGE_MISSING,
            (Self::PrivilegeMissing, Destination) => codes::dst::PRIVILEGE_MISSING,
            // A source without room for a temporary table has it again when the query is gone.
            (Self::Transient | Self::DiskFull, Source) => codes::src::TRANSIENT,
            (Self::Transient, Destination) => codes::dst::TRANSIENT,
            (Self::DiskFull, Destination) => codes::dst::DISK_FULL,
            (Self::TableMissing, Source) => codes::src::TABLE_MISSING,
            (Self::TableMissing, Destination) => codes::dst::TABLE_MISSING,
            (Self::NotRepresentable, Destination) => codes::dst::VALUE_NOT_REPRESENTABLE,
            (Self::NotRepresentable | Self::StatementFailed, Source) => codes::src::STATEMENT_FAILED,
            (Self::StatementFailed, Destination) => codes::dst::STATEMENT_FAILED,
        }
    }
}

/// Translates an error of the driver or the server into a public failure of that side.
///
/// The detail holds the server's error number and, unless the server quotes row values in this kind
/// of message, its text.
pub fn failure(error: Error, side: Side) -> Failure {
    match error {
        Error::Server(server) => {
            let meaning = server_meaning(&server);
            Failure::new(meaning.code(side), server_detail(&server))
        }
        other => {
            let meaning = client_meaning(&other);
            Failure::new(meaning.code(side), client_detail(&other))
        }
    }
}

/// Messages that quote row values: only their number and a neutral text may be shown.
fn quotes_values(code: u16) -> Option<&'static str> {
    Some(match code {
        1062 | 1586 | 1859 => "duplicate entry for a unique key",
        1292 | 1366 | 1367 | 1411 => "incorrect value for a column",
        3140..=3158 => "invalid JSON text for a column",
        1690 => "a value is out of range",
        1525 => "incorrect value",
        _ => return None,
    })
}

fn server_detail(e: &ServerError) -> String {
    match quotes_values(e.code) {
        None => format!("error {} ({}): {}", e.code, e.state, e.message),
        Some(neutral) => {
            // The quoted value is left out; what follows the last " for " names the key or column.
            let object = e.message.rsplit_once(" for ").map(|(_, object)| object);
            match object {
                Some(object) => format!("error {} ({}): {neutral}, {object}", e.code, e.state),
                None => format!("error {} ({}): {neutral}", e.code, e.state),
            }
        }
    }
}

/// Numbers are those of the MySQL and MariaDB error references; OceanBase uses MySQL's where one
/// fits, and else its own from 4000 on, which overlap with MySQL's newer ones, so that those are
/// recognised by number and text together.
pub(crate) fn server_meaning(e: &ServerError) -> Meaning {
    let text = e.message.to_ascii_lowercase();
    let has = |words: &str| text.contains(words);
    match e.code {
        1045 if has("ssl") || has("secure transport") => Meaning::TlsRequired,
        3159 | 4031 | 1524 | 1525 if has("insecure transport") => Meaning::TlsRequired,
        _ if has("insecure transport are prohibited") => Meaning::TlsRequired,
        1045 | 1130 | 1129 | 1251 | 1524 | 1698 | 1820 | 1862 | 1873 | 3118 | 4151 | 3955 | 3032 => {
            Meaning::AccessDenied
        }
        1142 | 1143 | 1044 | 1227 | 1370 | 1345 | 1410 | 1419 | 1698..=1699 => Meaning::PrivilegeMissing,
        1049 | 1051 | 1146 | 1109 => Meaning::TableMissing,
        1021 | 1114 => Meaning::DiskFull,
        1030 | 1026 | 1034 | 1598 | 3019 if has("28") || has("no space") => Meaning::DiskFull,
        4184 if has("disk") => Meaning::DiskFull,
        1264
        | 1265
        | 1292
        | 1366
        | 1406
        | 1411
        | 1690
        | 3140..=3158
        | 1048
        | 1416
        | 3616
        | 3617
        | 3618
        | 1439 => Meaning::NotRepresentable,
        // Locks and interruptions.
        1205 | 1213 | 1206 | 1317 | 1689 | 1637 | 3024 | 3058 | 3101 | 3572 | 1969 | 1020 => {
            Meaning::Transient
        }
        // Too many connections or threads, out of memory, shutting down.
        1037 | 1040 | 1041 | 1135 | 1203 | 1226 | 1053 | 1077..=1080 | 4040 => Meaning::Transient,
        // Broken connections that the server still could tell about.
        1152..=1161 | 1184 | 1927 | 2006 | 2013 | 4031 if e.code != 1153 => Meaning::Unreachable,
        // Read-only for now: a fail-over or an operator is at work.
        1290 | 1836 | 3100 if has("read-only") || has("read only") || has("read_only") => Meaning::Transient,
        1047 | 1213..=1214 if has("wsrep") => Meaning::Transient,
        // OceanBase.
        4012 | 6212 if has("timeout") => Meaning::Transient,
        4013 | 4030 if has("memory") => Meaning::Transient,
        4023 if has("again") || has("eagain") => Meaning::Transient,
        4038 | 4654 | 4721 | 4722 | 4725 if has("master") || has("leader") || has("location") => {
            Meaning::Transient
        }
        4265 | 5158 | 5627 if has("schema") => Meaning::Transient,
        6001 | 6002 | 6004..=6006 | 6210 | 6211 | 6213 | 6224..=6226 => Meaning::Transient,
        _ => Meaning::StatementFailed,
    }
}

fn client_meaning(e: &Error) -> Meaning {
    match e {
        Error::Io(IoError::Tls(TlsError::Tls(tls))) => tls_meaning(tls),
        Error::Io(IoError::Tls(_)) => Meaning::TlsRequired,
        Error::Io(IoError::Io(io)) => io_meaning(io),
        Error::Driver(driver) => match driver {
            DriverError::ConnectionClosed | DriverError::PoolDisconnected => Meaning::Unreachable,
            DriverError::NoClientSslFlagFromServer => Meaning::TlsRequired,
            DriverError::CleartextPluginDisabled
            | DriverError::UnknownAuthPlugin { .. }
            | DriverError::MysqlOldPasswordDisabled => Meaning::AccessDenied,
            DriverError::PacketOutOfOrder
            | DriverError::UnexpectedPacket { .. }
            | DriverError::BadCompressedPacketHeader
            | DriverError::CantParseServerVersion { .. } => Meaning::WrongProtocol,
            _ => Meaning::StatementFailed,
        },
        Error::Other(_) | Error::Url(_) | Error::Server(_) => Meaning::StatementFailed,
    }
}

fn tls_meaning(e: &rustls::Error) -> Meaning {
    match e {
        rustls::Error::InvalidCertificate(_) => Meaning::CertificateRefused,
        _ => Meaning::TlsRequired,
    }
}

/// What an error of a stream means. A TLS failure inside it arrives as an I/O error that wraps it.
pub(crate) fn io_meaning(e: &io::Error) -> Meaning {
    if let Some(tls) = e
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        return tls_meaning(tls);
    }
    match e.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Meaning::WrongProtocol,
        _ => Meaning::Unreachable,
    }
}

/// The driver's text, except where it would carry packet contents.
fn client_detail(e: &Error) -> String {
    match e {
        Error::Driver(DriverError::FromValue { .. }) => "a value of an unexpected type".into(),
        Error::Driver(DriverError::FromRow { .. }) => "a row of an unexpected form".into(),
        Error::Driver(other) => other.to_string(),
        Error::Io(IoError::Io(io)) => match io.kind() {
            io::ErrorKind::ConnectionRefused => "connection refused".into(),
            io::ErrorKind::TimedOut => "timed out".into(),
            io::ErrorKind::UnexpectedEof => "the connection was closed".into(),
            _ => io.to_string(),
        },
        Error::Io(IoError::Tls(tls)) => format!("TLS: {tls}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(code: u16, message: &str) -> Failure {
        let e = ServerError {
            code,
            state: "HY000".into(),
            message: message.into(),
        };
        failure(Error::Server(e), Side::Destination)
    }

    #[test]
    fn numbers_map_to_codes() {
        let cases = [
            (
                1045,
                "Access denied for user 'a'@'b' (using password: YES)",
                codes::dst::ACCESS_DENIED,
            ),
            (
                3159,
                "Connections using insecure transport are prohibited",
                codes::dst::TLS_REQUIRED,
            ),
            (
                1142,
                "INSERT command denied to user 'a'@'b' for table 't'",
                codes::dst::PRIVILEGE_MISSING,
            ),
            (
                1227,
                "Access denied; you need (at least one of) the SUPER privilege(s)",
                codes::dst::PRIVILEGE_MISSING,
            ),
            (1213, "Deadlock found", codes::dst::TRANSIENT),
            (1114, "The table 't' is full", codes::dst::DISK_FULL),
            (1030, "Got error 28 from storage engine", codes::dst::DISK_FULL),
            (1290, "running with the --read-only option", codes::dst::TRANSIENT),
            (
                1290,
                "running with the --secure-file-priv option",
                codes::dst::STATEMENT_FAILED,
            ),
            (
                4012,
                "Timeout, query has reached the maximum query timeout",
                codes::dst::TRANSIENT,
            ),
            (
                4012,
                "Multiple constraints exist with the name 'c'",
                codes::dst::STATEMENT_FAILED,
            ),
            (6002, "transaction needs rollback", codes::dst::TRANSIENT),
            (
                1153,
                "Got a packet bigger than 'max_allowed_packet' bytes",
                codes::dst::STATEMENT_FAILED,
            ),
            (1146, "Table 'a.b' doesn't exist", codes::dst::TABLE_MISSING),
            (
                1406,
                "Data too long for column 'c' at row 1",
                codes::dst::VALUE_NOT_REPRESENTABLE,
            ),
            (
                1064,
                "You have an error in your SQL syntax",
                codes::dst::STATEMENT_FAILED,
            ),
        ];
        for (number, text, code) in cases {
            assert_eq!(server(number, text).code(), code, "{number} {text}");
        }
    }

    #[test]
    fn row_values_do_not_reach_the_detail() {
        let f = server(1062, "Duplicate entry 'secret for all' for key 't.PRIMARY'");
        assert!(!f.detail().contains("secret"), "{}", f.detail());
        assert!(f.detail().contains("t.PRIMARY"));
        let f = server(
            1366,
            "Incorrect string value: '\\xF0secret' for column `d`.`t`.`c` at row 1",
        );
        assert!(
            !f.detail().contains("secret") && f.detail().contains("`c`"),
            "{}",
            f.detail()
        );
    }

    #[test]
    fn io_errors_are_unreachable() {
        let e = Error::Io(IoError::Io(io::ErrorKind::ConnectionReset.into()));
        assert_eq!(failure(e, Side::Source).code(), codes::src::UNREACHABLE);
    }
}
