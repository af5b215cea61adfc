//! Telling a server that works long on something from one that cannot be reached.

use std::{io, time::Duration};

use mysql_async::{Error, IoError};
use oms_core::{Failure, codes};
use tokio::time::{Instant, sleep, timeout};

use super::{Endpoint, Side, connect, failure};

/// How long something may be without an answer before it is looked whether the server can be reached.
const FIRST_LOOK: Duration = Duration::from_millis(1_500);
/// Between two looks, when the last one was answered.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// The same, when it was not.
const LOOK_SOON: Duration = Duration::from_millis(500);
/// How long a look may take.
const LOOK: Duration = Duration::from_millis(2_500);
/// So many looks in a row must fail.
const LOOKS: u32 = 2;

/// Returns when the server cannot be reached: a login gets no answer, twice in a row, which takes 7 seconds, or 7.5
/// if the server was still there at a first look. A server that does answer may take as long as it needs, so this is for
/// waiting beside something that may take long. Cancel safe.
///
/// A connection whose packets are dropped on the way breaks by itself only after many minutes: what is not
/// acknowledged is sent again and again, and TCP's own limit for that cannot be set through the driver.
pub(crate) async fn lost(endpoint: &Endpoint, side: Side) -> Failure {
    let (mut failed, mut pause) = (0, FIRST_LOOK);
    let mut answered = Instant::now();
    loop {
        sleep(pause).await;
        let login = async {
            let conn = connect(endpoint, side).await?;
            // What was asked is known; how the farewell ends changes nothing.
            let _ = conn.disconnect().await;
            Ok::<_, Failure>(())
        };
        let is_there = match timeout(LOOK, login).await {
            Ok(Ok(())) => true,
            Ok(Err(failure)) => is_answer(&failure),
            Err(_) => false,
        };
        if is_there {
            (failed, pause, answered) = (0, LOOK_AGAIN, Instant::now());
            continue;
        }
        (failed, pause) = (failed + 1, LOOK_SOON);
        if failed >= LOOKS {
            let error = io::Error::new(io::ErrorKind::TimedOut, "no answer, also not to a login");
            return failure(Error::Io(IoError::Io(error)), side).lasting_for(answered.elapsed());
        }
    }
}

/// Whether a failed login shows that somebody is there. Any answer will do, also that there are too many connections.
fn is_answer(failure: &Failure) -> bool {
    failure.code() != codes::dst::UNREACHABLE && failure.code() != codes::src::UNREACHABLE
}

#[cfg(test)]
mod tests {
    use mysql_async::{DriverError, ServerError};

    use super::*;

    #[test]
    fn a_server_that_refuses_is_there() {
        for side in [Side::Source, Side::Destination] {
            let answers = |error| is_answer(&failure(error, side));
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
}
