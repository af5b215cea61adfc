//! Telling a server that works long on a statement from one that cannot be reached.

use std::{io, time::Duration};

use mysql_async::{Error, IoError};
use tokio::time::{sleep, timeout};

use crate::connection::{self, Endpoint, Side};

/// How long a statement may be without an answer before it is looked whether the server can be reached, and
/// between two looks.
const LOOK_AFTER: Duration = Duration::from_secs(4);
/// How long a look may take.
const LOOK: Duration = Duration::from_secs(3);
/// So many looks in a row must fail.
const LOOKS: u32 = 2;

/// Returns when the server cannot be reached: nobody can log in, twice in a row. A server that does answer may take
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
            Ok::<_, oms_core::Failure>(())
        };
        match timeout(LOOK, login).await {
            Ok(Ok(())) => failed = 0,
            // A refusal is an answer.
            Ok(Err(failure)) if !failure.is_transient() => failed = 0,
            Ok(Err(_)) | Err(_) => failed += 1,
        }
        if failed >= LOOKS {
            let words = "no answer, and nobody can log in";
            return Error::Io(IoError::Io(io::Error::new(io::ErrorKind::TimedOut, words)));
        }
    }
}
