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

use crate::{Behavior, Completion, Context, Progress, RetryPolicy, RunState, Trouble};

/// Errors that were retried, for observers.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    inner: Mutex<Streak>,
}

#[derive(Debug, Default)]
struct Streak {
    count: u64,
    last: Option<String>,
    /// The errors that still last: when they began, when the newest came, and which it was.
    trouble: Option<(Instant, Instant, ErrorCode)>,
    /// When the present run began, and from where; none between two runs.
    run: Option<(Instant, Progress)>,
}

impl Streak {
    /// Whether the run that began then shows that the component works again.
    fn recovered(&self, progress: &Progress, healthy_after: Duration) -> bool {
        self.run.as_ref().is_some_and(|(began, then)| {
            let moved = progress.rows != then.rows
                || progress.bytes != then.bytes
                || progress.objects != then.objects
                || progress.position != then.position
                || progress.applied != then.applied;
            moved || began.elapsed() >= healthy_after
        })
    }
}

impl Retries {
    fn begin_run(&self, now: Instant, progress: Progress) {
        self.inner.lock().run = Some((now, progress));
    }

    /// The run has ended with an error.
    fn note(&self, error: &Failure, now: Instant, progress: &Progress, healthy_after: Duration) {
        let mut inner = self.inner.lock();
        if inner.recovered(progress, healthy_after) {
            inner.trouble = None;
        }
        inner.count += 1;
        inner.last = Some(error.to_string());
        let noticed_late = now.checked_sub(error.lasting()).unwrap_or(now);
        let since = inner.trouble.map_or(noticed_late, |(since, ..)| since);
        inner.trouble = Some((since, now, error.code()));
        inner.run = None;
    }

    /// How many there were, the last one, and how long they have lasted unless it works again. A single
    /// error has not lasted unless it says so: only its repetition shows that.
    pub(crate) fn read(
        &self,
        progress: &Progress,
        healthy_after: Duration,
    ) -> (u64, Option<String>, Option<Trouble>) {
        let inner = self.inner.lock();
        let trouble = inner
            .trouble
            .filter(|_| !inner.recovered(progress, healthy_after));
        let trouble = trouble.map(|(since, newest, code)| Trouble {
            lasting: newest.duration_since(since),
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
        retries.begin_run(began, context.progress.read().0);
        let ended = AssertUnwindSafe(behavior.run(context)).catch_unwind().await;
        if began.elapsed() >= policy.healthy_after {
            errors = 0;
            crashes = 0;
            since = None;
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
        if failure.is_fenced() {
            // An earlier life of this very owner may have claimed late, behind this one. Only the metadata knows
            // whether there is a newer owner.
            let current = tokio::select! {
                accepted = report(context, &RunState::Running, "") => accepted,
                () = context.cancel.cancelled() => false,
            };
            if !current {
                return failed(failure.code(), failure.text());
            }
            errors += 1;
        } else if crashed {
            crashes += 1;
            if crashes >= policy.crashes {
                return failed(
                    failure.code(),
                    format!("{} times in a row: {}", crashes, failure.text()),
                );
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
        let progress = context.progress.read().0;
        retries.note(&failure, Instant::now(), &progress, policy.healthy_after);
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
