//! Telling a server that works long on a statement from one that cannot be reached.

use std::{io, time::Duration};

use mysql_async::{Error, IoError};
use oms_core::{Failure, codes};
use tokio::time::{sleep, timeout};

use crate::connection::{self, Endpoint, Side};

/// How long a statement may be without an answer before it is looked whether the server can be reached, and
/// between two looks.
const LOOK_AFTER: Duration = Duration::from_secs(4);
/// How long a look may take.
const LOOK: Duration = Duration::from_secs(3);
/// So many looks in a row must fail.
const LOOKS: u32 = 2;

/// Returns when the server cannot be reached: a login gets no answer, twice in a row. A server that does answer may take
/// as long for a statement as it needs, so this is for waiting beside one. Cancel safe.
///
/// A connection whose packets are dropped on the way breaks by itself only after many minutes: what is not
/// acknowledged is sent again and again, and TCP's own limit for that cannot be set through the driver.
pub(super) async fn lost(endpoint: &Endpoint) -> Error {
    let mut failed = 0;
    loop {
        sleep(LOOK_AFTER).await;
        let login = async {
            let conn = connection::connect(endpoint, Side::Destination).await?;
            // What was asked is known; how the farewell ends changes nothing.
            let _ = conn.disconnect().await;
            Ok::<_, Failure>(())
        };
        match timeout(LOOK, login).await {
            Ok(Ok(())) => failed = 0,
            Ok(Err(failure)) if is_answer(&failure) => failed = 0,
            Ok(Err(_)) | Err(_) => failed += 1,
        }
        if failed >= LOOKS {
            let words = "no answer, also not to a login";
            return Error::Io(IoError::Io(io::Error::new(io::ErrorKind::TimedOut, words)));
        }
    }
}

/// Whether a failed login shows that somebody is there. Any answer will do, also that there are too many connections.
fn is_answer(failure: &Failure) -> bool {
    failure.code() != codes::dst::UNREACHABLE
}

#[cfg(test)]
mod tests {
    use mysql_async::{DriverError, ServerError};

    use super::*;

    #[test]
    fn a_server_that_refuses_is_there() {
        let answers = |error| is_answer(&connection::failure(error, Side::Destination));
        for code in [1040, 1045, 1226, 3118] {
            let refusal = ServerError {
                code,
                message: String::new(),
                state: "HY000".to_owned(),
            };
            assert!(answers(Error::Server(refusal)), "{code}");
        }
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        assert!(!answers(Error::Io(IoError::Io(reset))));
        assert!(!answers(Error::Driver(DriverError::ConnectionClosed)));
    }
}
