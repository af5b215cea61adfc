//! One component's life on this node: run, retry, report.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::FutureExt as _;
use oms_core::{Disposition, ErrorCode, Failure, codes};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::{Behavior, Completion, Context, RetryPolicy, RunState, Trouble};

/// Errors that were retried, for observers.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    inner: Mutex<Streak>,
}

#[derive(Debug, Default)]
struct Streak {
    count: u64,
    last: Option<String>,
    /// When the errors that still last began, and the newest of them.
    trouble: Option<(Instant, ErrorCode)>,
    /// When the present run began; none between two runs.
    run: Option<Instant>,
}

impl Retries {
    fn begin_run(&self, now: Instant) {
        self.inner.lock().run = Some(now);
    }

    /// A run that was long enough to call it healthy has ended.
    fn recovered(&self) {
        self.inner.lock().trouble = None;
    }

    fn note(&self, error: &Failure, now: Instant) {
        let mut inner = self.inner.lock();
        inner.count += 1;
        inner.last = Some(error.to_string());
        let since = inner.trouble.map_or(now, |(since, _)| since);
        inner.trouble = Some((since, error.code()));
        inner.run = None;
    }

    /// How many there were, the last one, and how long they have lasted unless the present run is healthy.
    pub(crate) fn read(&self, healthy_after: Duration) -> (u64, Option<String>, Option<Trouble>) {
        let inner = self.inner.lock();
        let healthy = inner.run.is_some_and(|began| began.elapsed() >= healthy_after);
        let trouble = inner.trouble.filter(|_| !healthy).map(|(since, code)| Trouble {
            lasting: since.elapsed(),
            code,
        });
        (inner.count, inner.last.clone(), trouble)
    }
}

/// Runs a behavior to its end and reports each state, unless it is told to end `silently`. Returns the last
/// one; a fenced component reports nothing, because it no longer may.
pub(crate) async fn live(
    behavior: Arc<dyn Behavior>,
    context: Context,
    policy: RetryPolicy,
    retries: Arc<Retries>,
    silent: Arc<AtomicBool>,
) -> RunState {
    let (state, summary) = run(behavior, &context, policy, &retries).await;
    match &state {
        RunState::Failed(code, message) if code.disposition() == Disposition::Fenced => {
            context.log.warn(format!("ended as fenced: {code} {message}"));
            return state;
        }
        RunState::Failed(code, message) => context.log.error(format!("{code} {message}")),
        RunState::Completed => context.log.info(format!("completed: {summary}")),
        RunState::Stopped => context.log.info("stopped"),
        RunState::Running => {}
    }
    // Who ends silently still holds its assignment: it says nothing and goes on later, or elsewhere.
    if !(state == RunState::Stopped && silent.load(Ordering::Acquire)) {
        report(&context, &state, &summary).await;
    }
    state
}

async fn run(
    behavior: Arc<dyn Behavior>,
    context: &Context,
    policy: RetryPolicy,
    retries: &Retries,
) -> (RunState, String) {
    let stopped = || (RunState::Stopped, String::new());
    let failed = |code, text: String| (RunState::Failed(code, text), String::new());
    let mut errors = 0u32;
    let mut crashes = 0u32;
    let mut since: Option<Instant> = None;
    let accepted = tokio::select! {
        accepted = report(context, &RunState::Running, "") => accepted,
        () = context.cancel.cancelled() => return stopped(),
    };
    if !accepted {
        return failed(codes::apply::FENCED, "assigned elsewhere".to_owned());
    }
    loop {
        if context.cancel.is_cancelled() {
            return stopped();
        }
        let began = Instant::now();
        retries.begin_run(began);
        let ended = AssertUnwindSafe(behavior.run(context)).catch_unwind().await;
        if began.elapsed() >= policy.healthy_after {
            errors = 0;
            crashes = 0;
            since = None;
            retries.recovered();
        }
        let (failure, crashed) = match ended {
            Ok(Ok(Completion::Done(summary))) => return (RunState::Completed, summary),
            Ok(Ok(Completion::Stopped)) => return stopped(),
            Ok(Err(failure)) => (failure, false),
            Err(panic) => {
                let text = format!("the worker crashed: {}", words(&*panic));
                (Failure::new(codes::apply::CRASHED, text), true)
            }
        };
        if context.cancel.is_cancelled() && !failure.is_fenced() {
            return stopped();
        }
        if crashed {
            crashes += 1;
            if crashes >= policy.crashes {
                return failed(failure.code(), format!("{} times in a row: {}", crashes, failure.text()));
            }
        } else if !failure.is_transient() {
            return failed(failure.code(), failure.text());
        } else {
            errors += 1;
        }
        let first = *since.get_or_insert(began);
        if first.elapsed() >= policy.window {
            return failed(
                failure.code(),
                format!("gave up after {:?}: {failure}", policy.window),
            );
        }
        retries.note(&failure, Instant::now());
        let pause = match crashed {
            true => policy.pause_after_crash(crashes),
            false => policy.pause(errors),
        };
        context
            .log
            .warn(format!("{failure}; trying again in {} ms", pause.as_millis()));
        tokio::select! {
            () = sleep(pause) => {}
            () = context.cancel.cancelled() => {}
        }
    }
}

/// Reports a state until the metadata has taken it; false when a newer owner exists.
async fn report(context: &Context, state: &RunState, summary: &str) -> bool {
    let policy = RetryPolicy::default();
    let mut errors = 0u32;
    loop {
        match context.reporter.state(state, summary).await {
            Ok(()) => return true,
            Err(failure) if !failure.is_transient() => {
                tracing::warn!(component = %context.id, epoch = %context.epoch, "not reported: {failure}");
                return false;
            }
            Err(failure) => {
                errors = errors.saturating_add(1);
                tracing::warn!(component = %context.id, "not reported yet: {failure}");
                sleep(policy.pause(errors)).await;
            }
        }
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
