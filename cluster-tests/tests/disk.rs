//! Full disks and damaged files: the node stops before any damage and says what is wrong, and continues when
//! there is room again.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use oms_cluster_tests::{LOAD_TABLES, Load, LoadOptions, Scenario, ServerKind};
use oms_proto::v1::{
    Component, ComponentState, LabelProjectRequest, ListComponentsRequest, Project, ProjectRequest,
    ProjectState, ResumeProjectRequest, StepKind, StepState,
};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tokio::time::{Instant, sleep};

const PATIENCE: Duration = Duration::from_secs(120);

fn load_options() -> LoadOptions {
    LoadOptions {
        rate: 100,
        ..LoadOptions::default()
    }
}

/// A small file system in memory, taken away when dropped.
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    fn mount(path: PathBuf, megabytes: u32) -> Self {
        fs::create_dir_all(&path).unwrap();
        let size = std::ffi::CString::new(format!("size={megabytes}m")).unwrap();
        mount("tmpfs", &path, "tmpfs", MountFlags::empty(), size.as_c_str()).unwrap();
        Self { path }
    }

    /// Takes every byte that is free.
    fn fill(&self) {
        let mut ballast = fs::File::create(self.ballast()).unwrap();
        for size in [1 << 20, 4096] {
            let block = vec![0u8; size];
            while ballast.write_all(&block).is_ok() {}
        }
    }

    fn empty(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The node may still hold files open when a test fails.
        let _ = unmount(&self.path, UnmountFlags::DETACH);
    }
}

async fn begin(scenario: &Scenario) {
    Load::prepare(&scenario.source, &load_options(), 2_000)
        .await
        .unwrap();
    scenario.launch(scenario.spec(&["load"])).await.unwrap();
    let states = [StepState::Monitoring];
    let waited = scenario
        .project
        .wait_step(&scenario.node, StepKind::IncrTransfer, &states);
    waited.await.unwrap();
}

async fn commits(load: &Load, more: u64) {
    let target = load.counters().commits + more;
    while load.counters().commits < target {
        sleep(Duration::from_millis(10)).await;
    }
}

async fn ends_equal(scenario: &Scenario) {
    let project = scenario.project.get(&scenario.node).await.unwrap();
    assert_eq!(project.state(), ProjectState::Running, "{:?}", project.error);
    scenario.project.wait_caught_up(&scenario.node).await.unwrap();
    let result = scenario.project.verify(&scenario.node).await.unwrap();
    assert!(result.consistent, "{result:?}");
    scenario.assert_equal("load", &LOAD_TABLES).await.unwrap();
}

async fn store(scenario: &Scenario) -> Component {
    let all = components(scenario).await;
    all.into_iter().find(|c| c.kind == "store").unwrap()
}

async fn components(scenario: &Scenario) -> Vec<Component> {
    let request = ListComponentsRequest {
        project: scenario.project.name.clone(),
    };
    let mut client = scenario.node.components().await.unwrap();
    client
        .list_components(request)
        .await
        .unwrap()
        .into_inner()
        .components
}

/// The last segment of the only project's change log.
fn last_segment(data: &Path) -> PathBuf {
    let project = fs::read_dir(data.join("store")).unwrap().next().unwrap().unwrap();
    let mut segments: Vec<_> = fs::read_dir(project.path())
        .unwrap()
        .map(|f| f.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "seg"))
        .collect();
    segments.sort();
    segments.pop().unwrap()
}

fn cut(path: &Path, bytes: u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    file.set_len(length.saturating_sub(bytes)).unwrap();
}

/// The disk of the change log fills up under load. The Store says so and waits; when there is room it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn disk_of_the_change_log_is_full() {
    let scenario = Scenario::start(ServerKind::MariaDb, ServerKind::SeekDb)
        .await
        .unwrap();
    // The node keeps 64 MB in reserve.
    let disk = SmallDisk::mount(scenario.node.data().join("store"), 256);
    begin(&scenario).await;
    let load = Load::start(&scenario.source, &load_options()).await.unwrap();
    commits(&load, 50).await;
    disk.fill();
    let deadline = Instant::now() + PATIENCE;
    let full = loop {
        let found = store(&scenario).await;
        if found.last_retry.contains("OMS-STORE-0001") {
            break found;
        }
        assert!(Instant::now() < deadline, "{found:?}");
        sleep(Duration::from_millis(50)).await;
    };
    println!("{} retries: {}", full.retries, full.last_retry);
    assert_eq!(full.state(), ComponentState::Running, "{full:?}");
    commits(&load, 100).await;
    let project = scenario.project.get(&scenario.node).await.unwrap();
    assert_eq!(project.state(), ProjectState::Running, "{:?}", project.error);
    disk.empty();
    commits(&load, 50).await;
    load.stop().await.unwrap();
    ends_equal(&scenario).await;
}

/// The disk of the whole node fills up, metadata included. The node ends with the cause; started again without
/// room it refuses; with room it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn disk_of_the_node_is_full() {
    let mut scenario = Scenario::start(ServerKind::MariaDb, ServerKind::SeekDb)
        .await
        .unwrap();
    scenario.node.stop().unwrap();
    let data = scenario.node.data().to_owned();
    let aside = data.with_extension("aside");
    fs::rename(&data, &aside).unwrap();
    let disk = SmallDisk::mount(data.clone(), 256);
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(aside.join("."))
        .arg(&data)
        .status();
    assert!(copied.unwrap().success());
    scenario.node.restart().await.unwrap();
    begin(&scenario).await;
    let load = Load::start(&scenario.source, &load_options()).await.unwrap();
    commits(&load, 50).await;
    disk.fill();
    // Reading goes on. Metadata is written until it needs room that is not there.
    let began = Instant::now();
    let mut writes = 0;
    while scenario.node.is_running().unwrap() {
        assert!(
            began.elapsed() < PATIENCE,
            "{writes} writes fitted on a full disk"
        );
        let text = format!("{writes:020}");
        let request = LabelProjectRequest {
            project: scenario.project.name.clone(),
            add: vec![text.clone()],
            remove: Vec::new(),
        };
        let Ok(mut client) = scenario.node.projects().await else {
            continue;
        };
        let added = client.label_project(request.clone()).await;
        let request = LabelProjectRequest {
            add: Vec::new(),
            remove: vec![text],
            ..request
        };
        let removed = client.label_project(request).await;
        if let Some(refused) = added.err().or(removed.err()) {
            println!("after {writes} writes: {}", refused.message());
            break;
        }
        writes += 1;
    }
    let exit = scenario.node.wait_exit(PATIENCE).await.unwrap();
    println!("ended with {exit} after {:?}", began.elapsed());
    assert_eq!(exit.code(), Some(1));
    let log = scenario.node.log();
    assert!(
        log.contains("OMS-CLUSTER-0012") && log.contains("No space left"),
        "{log}"
    );
    // Nothing starts half: without room it ends again, and says why.
    let refused = scenario.node.restart().await.unwrap_err().to_string();
    println!("{refused}");
    assert!(refused.contains("OMS-CLUSTER-0006"), "{refused}");
    disk.empty();
    scenario.node.restart().await.unwrap();
    commits(&load, 20).await;
    load.stop().await.unwrap();
    ends_equal(&scenario).await;
    // Before its disk goes.
    scenario.node.kill().unwrap();
}

async fn resume(scenario: &Scenario) {
    let request = ResumeProjectRequest {
        project: scenario.project.name.clone(),
    };
    let mut client = scenario.node.projects().await.unwrap();
    client.resume_project(request).await.unwrap();
}

/// Garbage behind the last record, as a power cut leaves it, is cut off. Missing records that were acknowledged are
/// named, and captured again when the folder was removed as the error says.
#[tokio::test(flavor = "multi_thread")]
async fn change_log_has_a_torn_tail() {
    let mut scenario = Scenario::start(ServerKind::MariaDb, ServerKind::SeekDb)
        .await
        .unwrap();
    begin(&scenario).await;
    for garbage in [&[0xffu8; 1][..], &[0u8; 4_096], &[0x5au8; 70_000]] {
        let load = Load::start(&scenario.source, &load_options()).await.unwrap();
        commits(&load, 30).await;
        scenario.node.kill().unwrap();
        let segment = last_segment(scenario.node.data());
        let mut file = OpenOptions::new().append(true).open(segment).unwrap();
        file.write_all(garbage).unwrap();
        commits(&load, 10).await;
        scenario.node.restart().await.unwrap();
        load.stop().await.unwrap();
        ends_equal(&scenario).await;
    }

    let load = Load::start(&scenario.source, &load_options()).await.unwrap();
    commits(&load, 30).await;
    scenario.node.kill().unwrap();
    let segment = last_segment(scenario.node.data());
    cut(&segment, 100);
    scenario.node.restart().await.unwrap();
    let (code, message) = scenario.project.wait_failed(&scenario.node).await.unwrap();
    println!("{code} {message}");
    assert_eq!(code, "OMS-STORE-0002");
    fs::remove_dir_all(segment.parent().unwrap()).unwrap();
    resume(&scenario).await;
    load.stop().await.unwrap();
    ends_equal(&scenario).await;
}

/// Bytes are cut off the metadata: the node either has everything or refuses to start.
#[tokio::test(flavor = "multi_thread")]
async fn metadata_is_torn() {
    let mut scenario = Scenario::start(ServerKind::MariaDb, ServerKind::SeekDb)
        .await
        .unwrap();
    begin(&scenario).await;
    // Paused, so that the trials do not claim the destination.
    let request = ProjectRequest {
        project: scenario.project.name.clone(),
    };
    let mut client = scenario.node.projects().await.unwrap();
    client.pause_project(request).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        // The Store goes on capturing.
        let states: Vec<_> = components(&scenario).await;
        let states = states.iter().filter(|c| c.kind != "store");
        let states: Vec<_> = states.map(|c| c.state()).collect();
        if !states.contains(&ComponentState::Running) && !states.contains(&ComponentState::Assigned) {
            break;
        }
        assert!(Instant::now() < deadline, "{states:?}");
        sleep(Duration::from_millis(50)).await;
    }
    let before = scenario.project.get(&scenario.node).await.unwrap();
    assert_eq!(before.state(), ProjectState::Suspend);
    scenario.node.kill().unwrap();
    let database = scenario.node.data().join("meta").join("db");
    let whole = fs::read(&database).unwrap();
    let witness = scenario.node.data().join("meta").join("acknowledged");
    let noted = fs::read(&witness).unwrap();
    println!("{} bytes of metadata", whole.len());
    let mut refused = 0;
    for missing in [0, 1, 17, 512, 4_096, 32_768, 200_000, 524_288] {
        let left = whole.len().saturating_sub(missing);
        fs::write(&database, &whole[..left]).unwrap();
        fs::write(&witness, &noted).unwrap();
        match scenario.node.restart().await {
            Ok(()) => {
                let now = scenario.project.get(&scenario.node).await.unwrap();
                // The Store reports anew; nothing goes back.
                assert!(now.version >= before.version, "{missing} bytes were cut");
                let now = Project {
                    version: before.version,
                    updated_at_ms: before.updated_at_ms,
                    ..now
                };
                assert_eq!(now, before, "{missing} bytes were cut");
                println!("{missing} bytes less: nothing is missing");
                scenario.node.kill().unwrap();
            }
            Err(error) => {
                let text = error.to_string();
                assert!(
                    text.contains("OMS-CLUSTER-0002"),
                    "{missing} bytes were cut: {text}"
                );
                println!("{missing} bytes less: refused");
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "no cut reached anything that counts");
    fs::write(&database, &whole).unwrap();
    fs::write(&witness, &noted).unwrap();
    scenario.node.restart().await.unwrap();
    resume(&scenario).await;
    let load = Load::start(&scenario.source, &load_options()).await.unwrap();
    commits(&load, 20).await;
    load.stop().await.unwrap();
    ends_equal(&scenario).await;
}
