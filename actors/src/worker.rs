//! One component's life on this node: run, retry, report.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt as _;
use oms_core::{Disposition, Failure, codes};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::{Behavior, Completion, Context, RetryPolicy, RunState};

/// Errors that were retried, for observers.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    inner: Mutex<(u64, Option<String>)>,
}

impl Retries {
    fn note(&self, error: &Failure) {
        let mut inner = self.inner.lock();
        inner.0 += 1;
        inner.1 = Some(error.to_string());
    }

    pub(crate) fn read(&self) -> (u64, Option<String>) {
        self.inner.lock().clone()
    }
}

/// Runs a behavior to its end and reports each state. Returns the last one; a fenced component
/// reports nothing, because it no longer may.
pub(crate) async fn live(
    behavior: Arc<dyn Behavior>,
    context: Context,
    policy: RetryPolicy,
    retries: Arc<Retries>,
) -> RunState {
    let (state, summary) = run(behavior, &context, policy, &retries).await;
    match &state {
        RunState::Failed(code, _) if code.disposition() == Disposition::Fenced => return state,
        RunState::Failed(code, message) => context.log.error(format!("{code} {message}")),
        RunState::Completed => context.log.info(format!("completed: {summary}")),
        RunState::Stopped => context.log.info("stopped"),
        RunState::Running => {}
    }
    report(&context, &state, &summary).await;
    state
}

async fn run(
    behavior: Arc<dyn Behavior>,
    context: &Context,
    policy: RetryPolicy,
    retries: &Retries,
) -> (RunState, String) {
    let mut errors = 0u32;
    let mut crashes = 0u32;
    let mut since: Option<Instant> = None;
    if !report(context, &RunState::Running, "").await {
        return (
            RunState::Failed(codes::apply::FENCED, "assigned elsewhere".into()),
            String::new(),
        );
    }
    loop {
        if context.cancel.is_cancelled() {
            return (RunState::Stopped, String::new());
        }
        let began = Instant::now();
        let ended = AssertUnwindSafe(behavior.run(context)).catch_unwind().await;
        if began.elapsed() > policy.longest_pause * 2 {
            errors = 0;
            crashes = 0;
            since = None;
        }
        let failure = match ended {
            Ok(Ok(Completion::Done(summary))) => return (RunState::Completed, summary),
            Ok(Ok(Completion::Stopped)) => return (RunState::Stopped, String::new()),
            Ok(Err(failure)) => failure,
            Err(panic) => {
                crashes += 1;
                let failure = Failure::new(
                    codes::apply::INTERNAL,
                    format!("the worker crashed: {}", words(&*panic)),
                );
                if crashes >= policy.crashes {
                    return (RunState::Failed(failure.code(), failure.text()), String::new());
                }
                failure
            }
        };
        let crashed = crashes > 0 && failure.code() == codes::apply::INTERNAL;
        if context.cancel.is_cancelled() && !failure.is_fenced() {
            return (RunState::Stopped, String::new());
        }
        if !failure.is_transient() && !crashed {
            return (RunState::Failed(failure.code(), failure.text()), String::new());
        }
        let first = *since.get_or_insert(began);
        if first.elapsed() >= policy.window {
            return (
                RunState::Failed(
                    failure.code(),
                    format!("gave up after {:?}: {failure}", policy.window),
                ),
                String::new(),
            );
        }
        errors += 1;
        retries.note(&failure);
        let pause = policy.pause(errors);
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
