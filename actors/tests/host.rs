//! Retry, crash, stop and fencing of components.
#![allow(clippy::unwrap_used)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use oms_actors::{
    Behavior, Completion, ComponentHost, Context, Facts, Reporter, RetryPolicy, RunState, SystemClock,
};
use oms_core::{ComponentId, Epoch, Failure, codes};
use parking_lot::Mutex;
use tokio::sync::mpsc;

struct Recorder {
    states: Mutex<Vec<RunState>>,
    seen: mpsc::Sender<RunState>,
    /// How many reports are taken before a newer owner exists.
    takes: usize,
}

#[async_trait]
impl Reporter for Recorder {
    async fn state(&self, state: &RunState, _: &str) -> Result<(), Failure> {
        if self.states.lock().len() >= self.takes {
            return Err(Failure::new(codes::apply::FENCED, "the epoch is 2, not 1"));
        }
        self.states.lock().push(state.clone());
        self.seen.send(state.clone()).await.unwrap();
        Ok(())
    }
    async fn facts(&self, _: Facts) -> Result<(), Failure> {
        Ok(())
    }
    async fn removed(&self) -> Result<(), Failure> {
        Ok(())
    }
}

/// Fails as scripted, then waits for the end.
struct Scripted {
    runs: AtomicU32,
    script: fn(u32) -> Option<Failure>,
    crash_until: u32,
}

#[async_trait]
impl Behavior for Scripted {
    async fn run(&self, context: &Context) -> Result<Completion, Failure> {
        let n = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
        assert!(n > self.crash_until, "scripted crash");
        if let Some(failure) = (self.script)(n) {
            return Err(failure);
        }
        context.cancel.cancelled().await;
        Ok(Completion::Stopped)
    }
    async fn remove(&self, _: &Context) -> Result<(), Failure> {
        Ok(())
    }
}

fn id() -> ComponentId {
    "p_1.store".parse().unwrap()
}

async fn start(behavior: Arc<Scripted>) -> (ComponentHost, mpsc::Receiver<RunState>) {
    start_until(behavior, usize::MAX).await
}

async fn start_until(behavior: Arc<Scripted>, takes: usize) -> (ComponentHost, mpsc::Receiver<RunState>) {
    let host = ComponentHost::start(Arc::new(SystemClock), RetryPolicy::default())
        .await
        .unwrap();
    let (seen, states) = mpsc::channel(16);
    let recorder = Arc::new(Recorder {
        states: Mutex::default(),
        seen,
        takes,
    });
    host.run(id(), Epoch(1), behavior, recorder).await.unwrap();
    (host, states)
}

fn scripted(script: fn(u32) -> Option<Failure>, crash_until: u32) -> Arc<Scripted> {
    Arc::new(Scripted {
        runs: AtomicU32::new(0),
        script,
        crash_until,
    })
}

#[tokio::test(start_paused = true)]
async fn transient_errors_are_retried_and_counted() {
    let behavior = scripted(
        |n| (n < 4).then(|| Failure::new(codes::src::UNREACHABLE, "gone")),
        0,
    );
    let (host, mut states) = start(behavior.clone()).await;
    assert_eq!(states.recv().await, Some(RunState::Running));
    while behavior.runs.load(Ordering::SeqCst) < 4 {
        tokio::task::yield_now().await;
        tokio::time::advance(Duration::from_millis(50)).await;
    }
    assert_eq!(host.observe(&id()).await.unwrap().retries, 3);
    host.stop(&id()).await.unwrap();
    assert_eq!(states.recv().await, Some(RunState::Stopped));
}

#[tokio::test(start_paused = true)]
async fn a_crash_restarts_in_place_and_too_many_are_reported() {
    let (_host, mut states) = start(scripted(|_| None, u32::MAX)).await;
    assert_eq!(states.recv().await, Some(RunState::Running));
    let Some(RunState::Failed(code, words)) = states.recv().await else {
        panic!("not failed")
    };
    assert_eq!(code, codes::apply::CRASHED);
    assert!(words.contains("scripted crash"), "{words}");
}

#[tokio::test(start_paused = true)]
async fn a_crashed_component_stands_still_for_less_than_a_second() {
    let behavior = scripted(|_| None, 4);
    let (host, mut states) = start(behavior.clone()).await;
    assert_eq!(states.recv().await, Some(RunState::Running));
    for crashed in 1..=4 {
        let begun = tokio::time::Instant::now();
        while behavior.runs.load(Ordering::SeqCst) <= crashed {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(begun.elapsed() < Duration::from_secs(1), "after crash {crashed}");
    }
    let observed = host.observe(&id()).await.unwrap();
    assert_eq!(observed.state, RunState::Running);
    assert_eq!(observed.retries, 4);
}

#[tokio::test(start_paused = true)]
async fn trouble_lasts_until_a_run_is_healthy() {
    let behavior = scripted(
        |n| (n < 6).then(|| Failure::new(codes::dst::UNREACHABLE, "gone")),
        0,
    );
    let (host, mut states) = start(behavior.clone()).await;
    assert_eq!(states.recv().await, Some(RunState::Running));
    while behavior.runs.load(Ordering::SeqCst) < 6 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let trouble = host.observe(&id()).await.unwrap().trouble.unwrap();
    assert_eq!(trouble.code, codes::dst::UNREACHABLE);
    // Pauses of 0.2, 0.4, 0.8 and 1.6 s lie between the five errors.
    assert_eq!(trouble.lasting.as_millis() / 100, 30, "{trouble:?}");
    tokio::time::sleep(RetryPolicy::default().healthy_after).await;
    assert_eq!(host.observe(&id()).await.unwrap().trouble, None);
}

/// What was noticed late has lasted, although it comes for the first time.
#[tokio::test(start_paused = true)]
async fn trouble_may_have_lasted_before_it_is_noticed() {
    const SILENCE: Duration = Duration::from_secs(7);
    let behavior = scripted(
        |n| (n < 2).then(|| Failure::new(codes::dst::UNREACHABLE, "gone").lasting_for(SILENCE)),
        0,
    );
    let (host, mut states) = start(behavior.clone()).await;
    assert_eq!(states.recv().await, Some(RunState::Running));
    while behavior.runs.load(Ordering::SeqCst) < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let observed = host.observe(&id()).await.unwrap();
    assert_eq!(observed.retries, 1);
    assert_eq!(observed.trouble.unwrap().lasting, SILENCE);
}

/// Fails once, then works.
struct Flaky(AtomicU32);

#[async_trait]
impl Behavior for Flaky {
    async fn run(&self, context: &Context) -> Result<Completion, Failure> {
        if self.0.fetch_add(1, Ordering::SeqCst) < 2 {
            return Err(Failure::new(codes::src::UNREACHABLE, "gone"));
        }
        context.progress.update(|p| p.rows += 1);
        context.cancel.cancelled().await;
        Ok(Completion::Stopped)
    }
    async fn remove(&self, _: &Context) -> Result<(), Failure> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn progress_ends_a_trouble() {
    let host = ComponentHost::start(Arc::new(SystemClock), RetryPolicy::default())
        .await
        .unwrap();
    let (seen, _keep) = mpsc::channel(16);
    let recorder = Arc::new(Recorder {
        states: Mutex::default(),
        seen,
        takes: usize::MAX,
    });
    let behavior = Arc::new(Flaky(AtomicU32::new(0)));
    host.run(id(), Epoch(1), behavior.clone(), recorder)
        .await
        .unwrap();
    let mut told = false;
    while behavior.0.load(Ordering::SeqCst) < 3 {
        told |= host.observe(&id()).await.unwrap().trouble.is_some();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(told);
    let observed = host.observe(&id()).await.unwrap();
    assert_eq!((observed.retries, observed.trouble), (2, None));
}

/// Does not end when it is told to.
struct Stubborn;

#[async_trait]
impl Behavior for Stubborn {
    async fn run(&self, _: &Context) -> Result<Completion, Failure> {
        std::future::pending().await
    }
    async fn remove(&self, _: &Context) -> Result<(), Failure> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_halt_ends_everything_without_a_word_and_lets_it_run_again() {
    let (host, mut states) = start(scripted(|_| None, 0)).await;
    assert_eq!(states.recv().await, Some(RunState::Running));
    let (seen, mut stubborn_states) = mpsc::channel(16);
    let recorder = Arc::new(Recorder {
        states: Mutex::default(),
        seen,
        takes: usize::MAX,
    });
    let stubborn: ComponentId = "p_1.incr-sync".parse().unwrap();
    host.run(stubborn.clone(), Epoch(1), Arc::new(Stubborn), recorder.clone())
        .await
        .unwrap();
    assert_eq!(stubborn_states.recv().await, Some(RunState::Running));

    let begun = tokio::time::Instant::now();
    host.halt(Duration::from_secs(1)).await;
    assert!(
        begun.elapsed() < Duration::from_millis(1_100),
        "{:?}",
        begun.elapsed()
    );
    assert!(host.list().is_empty());
    assert!(states.try_recv().is_err() && stubborn_states.try_recv().is_err());

    host.run(stubborn.clone(), Epoch(1), scripted(|_| None, 0), recorder)
        .await
        .unwrap();
    assert_eq!(stubborn_states.recv().await, Some(RunState::Running));
    assert_eq!(host.list(), vec![(stubborn, Epoch(1))]);
}

#[tokio::test(start_paused = true)]
async fn a_definite_error_is_reported_at_once() {
    let behavior = scripted(
        |_| Some(Failure::new(codes::src::LOG_DISABLED, "log_bin is off")),
        0,
    );
    let (_host, mut states) = start(behavior.clone()).await;
    assert_eq!(states.recv().await, Some(RunState::Running));
    assert!(
        matches!(states.recv().await, Some(RunState::Failed(code, _)) if code == codes::src::LOG_DISABLED)
    );
    assert_eq!(behavior.runs.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn retries_end_with_the_window() {
    let (_host, mut states) = start(scripted(
        |_| Some(Failure::new(codes::dst::UNREACHABLE, "gone")),
        0,
    ))
    .await;
    assert_eq!(states.recv().await, Some(RunState::Running));
    let Some(RunState::Failed(code, words)) = states.recv().await else {
        panic!("not failed")
    };
    assert_eq!(code, codes::dst::UNREACHABLE);
    assert!(words.contains("gave up"), "{words}");
}

#[tokio::test(start_paused = true)]
async fn a_fenced_component_reports_nothing_more() {
    let behavior = scripted(|_| Some(Failure::new(codes::apply::FENCED, "newer owner")), 0);
    let (host, mut states) = start_until(behavior, 1).await;
    assert_eq!(states.recv().await, Some(RunState::Running));
    while host.observe(&id()).await.unwrap().state == RunState::Running {
        tokio::task::yield_now().await;
    }
    assert!(states.try_recv().is_err());
}

/// A late claim of an earlier life under the same epoch fences the present one, which is still the owner.
#[tokio::test(start_paused = true)]
async fn an_owner_that_its_own_past_fenced_goes_on() {
    let behavior = scripted(
        |n| (n < 3).then(|| Failure::new(codes::apply::FENCED, "claimed again")),
        0,
    );
    let (host, mut states) = start(behavior.clone()).await;
    // The first report, and one after each run that was fenced.
    for _ in 0..3 {
        assert_eq!(states.recv().await, Some(RunState::Running));
    }
    while behavior.runs.load(Ordering::SeqCst) < 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(host.observe(&id()).await.unwrap().state, RunState::Running);
    assert!(states.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn two_epochs_never_overlap_on_a_node() {
    let behavior = scripted(|_| None, 0);
    let (host, mut states) = start(behavior.clone()).await;
    states.recv().await;
    let (seen, _keep) = mpsc::channel(16);
    let recorder = Arc::new(Recorder {
        states: Mutex::default(),
        seen,
        takes: usize::MAX,
    });
    let refused = host.run(id(), Epoch(2), behavior.clone(), recorder.clone()).await;
    assert!(refused.unwrap_err().to_string().contains("epoch 1"));
    host.stop(&id()).await.unwrap();
    host.run(id(), Epoch(2), behavior, recorder).await.unwrap();
    assert_eq!(host.list(), vec![(id(), Epoch(2))]);
}
