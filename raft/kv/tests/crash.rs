//! Processes that die, files that are torn, and what the kernel was really asked to do.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oms_kv::testing::Numbers;
use oms_kv::{Durability, KvEngine, KvResult, ScanLimit, SledEngine, TypedKv, WriteBatch};
use oms_types::codes::cluster as codes;

const FOLDER: &str = "OMS_KV_TEST_FOLDER";
const FIRST: &str = "OMS_KV_TEST_FIRST";
const THREADS: &str = "OMS_KV_TEST_THREADS";
const WRITES: &str = "OMS_KV_TEST_WRITES";

fn value_of(key: u64) -> Vec<u8> {
    let size = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 49) as usize % 9000;
    key.to_be_bytes().iter().copied().cycle().take(size).collect()
}

fn put(engine: &SledEngine, key: u64, durability: Durability) -> KvResult<()> {
    let mut batch = WriteBatch::new();
    batch.put::<Numbers>(&key, &value_of(key));
    engine.write(&batch, durability)
}

/// Writes numbered records and says so after each durable write returned.
#[test]
#[ignore = "runs only as the child process of the tests in this file"]
fn writer_process() {
    let number = |name: &str| {
        std::env::var(name)
            .unwrap_or_else(|_| panic!("{name} is not set"))
            .parse::<u64>()
            .unwrap()
    };
    let engine = SledEngine::open(std::env::var(FOLDER).unwrap()).unwrap();
    let (first, threads, writes) = (number(FIRST), number(THREADS), number(WRITES));
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let engine = &engine;
            scope.spawn(move || {
                for round in 0..writes {
                    let key = first + round * threads + thread;
                    put(engine, key, Durability::Durable).unwrap();
                    let mut out = std::io::stdout().lock();
                    out.write_all(format!("acknowledged {key}\n").as_bytes()).unwrap();
                    out.flush().unwrap();
                }
            });
        }
    });
}

fn writer(mut command: Command, folder: &Path, first: u64, threads: u64, writes: u64) -> Command {
    command
        .args([
            "--exact",
            "writer_process",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(FOLDER, folder)
        .env(FIRST, first.to_string())
        .env(THREADS, threads.to_string())
        .env(WRITES, writes.to_string())
        .stdout(Stdio::piped());
    command
}

/// The number in an acknowledgement; the line may follow the test harness's own words.
fn acknowledged(line: &str) -> Option<u64> {
    line.split_once("acknowledged ")?.1.trim().parse().ok()
}

fn read_until(child: &mut Child, wanted: usize) -> (Vec<u64>, BufReader<std::process::ChildStdout>) {
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut seen = Vec::new();
    let mut line = String::new();
    while seen.len() < wanted {
        line.clear();
        assert_ne!(
            out.read_line(&mut line).unwrap(),
            0,
            "the writer ended after {} writes",
            seen.len()
        );
        seen.extend(acknowledged(&line));
    }
    (seen, out)
}

#[test]
fn every_acknowledged_write_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged_ever = Vec::new();
    for round in 0..10u64 {
        let seed = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .subsec_nanos() as usize;
        let kill_after = 1 + seed % 300;
        let first = round * 1_000_000;
        let mut child = writer(
            Command::new(std::env::current_exe().unwrap()),
            folder.path(),
            first,
            4,
            200_000,
        )
        .spawn()
        .unwrap();
        let (mut seen, mut rest) = read_until(&mut child, kill_after);
        child.kill().unwrap();
        child.wait().unwrap();
        // What was said before the end but not read yet counts as well. A cut-off last line does not.
        let mut line = String::new();
        while rest.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
            seen.extend(acknowledged(&line));
            line.clear();
        }
        acknowledged_ever.extend(seen);

        let engine = SledEngine::open(folder.path()).unwrap();
        for key in &acknowledged_ever {
            let stored = engine.read::<Numbers>(key).unwrap();
            assert!(
                stored == Some(value_of(*key)),
                "round {round}, killed after {kill_after}: {key} is lost"
            );
        }
    }
    assert!(acknowledged_ever.len() >= 10);
}

#[test]
fn the_kernel_is_asked_to_sync_before_each_acknowledgement() {
    let installed = Command::new("strace")
        .arg("-V")
        .output()
        .is_ok_and(|output| output.status.success());
    assert!(
        installed,
        "this test needs strace: install it (apt-get install strace); deploy/test does"
    );
    const COUNT: u64 = 40;
    let folder = tempfile::tempdir().unwrap();
    let trace = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new("strace");
    command
        .args(["-f", "-y", "-s", "64", "-e", "trace=fsync,fdatasync,write", "-o"])
        .arg(trace.path());
    command.arg(std::env::current_exe().unwrap());
    let output = writer(command, folder.path(), 0, 1, COUNT)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "strace could not run the writer: {}",
        String::from_utf8_lossy(&output.stderr)
    );

    let database = format!("<{}>", folder.path().canonicalize().unwrap().join("db").display());
    let mut unfinished: HashMap<&str, bool> = HashMap::new();
    let (mut synced, mut acknowledgements) = (0u64, 0u64);
    let text = fs::read_to_string(trace.path()).unwrap();
    for line in text.lines() {
        let Some((pid, call)) = line.split_once(' ') else {
            continue;
        };
        let call = call.trim_start();
        let is_sync = call.starts_with("fsync(") || call.starts_with("fdatasync(");
        if is_sync && call.contains("<unfinished") {
            unfinished.insert(pid, call.contains(&database));
        } else if (is_sync && call.contains(&database) && call.ends_with("= 0"))
            || (call.contains("sync resumed>")
                && call.ends_with("= 0")
                && unfinished.remove(pid) == Some(true))
        {
            synced += 1;
        } else if call.starts_with("write(") && call.contains("acknowledged ") {
            acknowledgements += 1;
            assert!(
                synced > 0,
                "acknowledgement {acknowledgements} without an fsync of {database} since the last:\n{text}"
            );
            synced = 0;
        }
    }
    assert_eq!(acknowledgements, COUNT, "the trace shows every acknowledgement");
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// Opens in a thread of its own, so that a hang is a failure too.
fn contents(folder: &Path) -> KvResult<BTreeMap<u64, Vec<u8>>> {
    let (sender, receiver) = mpsc::channel();
    let folder = folder.to_path_buf();
    std::thread::spawn(move || {
        let outcome = SledEngine::open(folder)
            .and_then(|engine| engine.read_range::<Numbers>(.., ScanLimit::NONE))
            .map(|records| records.into_iter().collect());
        sender.send(outcome).unwrap();
    });
    receiver
        .recv_timeout(Duration::from_secs(60))
        .expect("opening neither hangs nor panics")
}

struct Victim {
    _folder: tempfile::TempDir,
    path: std::path::PathBuf,
    all: BTreeMap<u64, Vec<u8>>,
}

impl Victim {
    fn with(writes: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let engine = SledEngine::open(&path).unwrap();
        for key in 0..writes {
            put(&engine, key % 150, Durability::Durable).unwrap();
        }
        drop(engine);
        let all = contents(&path).unwrap();
        assert_eq!(all.len() as u64, writes.min(150));
        Self {
            _folder: folder,
            path,
            all,
        }
    }

    /// Damages a copy, opens it, and demands everything or a clear refusal. True when refused.
    fn refuses(&self, what: &str, damage: impl FnOnce(&Path)) -> bool {
        let copy = tempfile::tempdir().unwrap();
        let path = copy.path().join("data");
        copy_folder(&self.path, &path);
        damage(&path);
        match contents(&path) {
            Ok(left) => {
                assert!(
                    left == self.all,
                    "{what}: opened with {} of {} records",
                    left.len(),
                    self.all.len()
                );
                false
            }
            Err(error) => {
                assert_eq!(error.code(), codes::METADATA_CORRUPT, "{what}: {error}");
                assert!(error.to_string().contains("is damaged"), "{error}");
                true
            }
        }
    }
}

fn cut(file: &Path, bytes: u64) {
    let file = fs::OpenOptions::new().write(true).open(file).unwrap();
    let length = file.metadata().unwrap().len();
    file.set_len(length.saturating_sub(bytes)).unwrap();
}

#[test]
fn a_torn_database_file_is_refused_or_complete() {
    let victim = Victim::with(400);
    let length = fs::metadata(victim.path.join("db")).unwrap().len();
    let mut refused = 0;
    let cuts = [
        1,
        7,
        512,
        4096,
        65_536,
        300_000,
        524_288,
        length / 2,
        length - 1000,
        length - 1,
        length,
    ];
    for bytes in cuts {
        refused += u32::from(victim.refuses(&format!("{bytes} of {length} bytes cut"), |path| {
            cut(&path.join("db"), bytes)
        }));
    }
    assert!(
        refused >= 3,
        "cuts that lose data are refused; refused: {refused} of {}",
        cuts.len()
    );
}

#[test]
fn a_corrupted_database_file_is_refused_or_complete() {
    let victim = Victim::with(200);
    let length = fs::metadata(victim.path.join("db")).unwrap().len();
    let mut refused = 0;
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..80u64 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let (at, run) = (random % length, 1 + (random >> 40) % 64);
        let what = format!("round {round}: {run} bytes at {at} of {length} flipped");
        refused += u32::from(victim.refuses(&what, |path| {
            let mut bytes = fs::read(path.join("db")).unwrap();
            bytes
                .iter_mut()
                .skip(at as usize)
                .take(run as usize)
                .for_each(|byte| *byte ^= 0x5a);
            fs::write(path.join("db"), bytes).unwrap();
        }));
    }
    assert!(
        refused >= 10,
        "corruption of live data is refused; refused: {refused} of 80"
    );
}

#[test]
fn missing_or_foreign_files_are_refused() {
    let victim = Victim::with(50);
    assert!(victim.refuses("db removed", |path| fs::remove_file(path.join("db")).unwrap()));
    assert!(victim.refuses("everything of sled removed", |path| {
        for entry in fs::read_dir(path).unwrap() {
            let file = entry.unwrap().path();
            if file.is_file() && !file.ends_with("acknowledged") {
                fs::remove_file(file).unwrap();
            }
        }
    }));
    assert!(victim.refuses("db emptied", |path| drop(
        fs::File::create(path.join("db")).unwrap()
    )));
    assert!(victim.refuses("db replaced", |path| {
        fs::write(path.join("db"), vec![0xab; 1 << 20]).unwrap()
    }));
    // sled writes this file again by itself; all data is there.
    assert!(!victim.refuses("conf garbled", |path| {
        fs::write(path.join("conf"), b"garbled").unwrap()
    }));
    assert!(victim.refuses("witness garbled", |path| {
        fs::write(path.join("acknowledged"), b"garbled").unwrap()
    }));
    assert!(!victim.refuses("witness gone", |path| {
        fs::remove_file(path.join("acknowledged")).unwrap()
    }));
    assert!(!victim.refuses("nothing done", |_| ()));
}

#[test]
fn an_older_copy_of_the_database_file_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (data, old) = (folder.path().join("data"), folder.path().join("old"));
    let engine = SledEngine::open(&data).unwrap();
    put(&engine, 1, Durability::Durable).unwrap();
    drop(engine);
    copy_folder(&data, &old);
    let engine = SledEngine::open(&data).unwrap();
    put(&engine, 2, Durability::Durable).unwrap();
    drop(engine);
    fs::copy(data.join("acknowledged"), old.join("acknowledged")).unwrap();
    let error = contents(&old).unwrap_err();
    assert!(error.to_string().contains("was acknowledged"), "{error}");
}

#[test]
fn a_folder_in_use_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _first = SledEngine::open(folder.path()).unwrap();
    let options = oms_kv::SledOptions {
        lock_wait: Duration::from_millis(50),
        ..Default::default()
    };
    let error = SledEngine::open_with(folder.path(), &options).err().unwrap();
    assert_eq!(error.code(), codes::DATA_DIR_IN_USE, "{error}");
}

#[test]
fn a_folder_of_another_program_or_a_later_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let foreign = sled::open(folder.path()).unwrap();
    foreign.insert(b"some", b"thing").unwrap();
    foreign.flush().unwrap();
    drop(foreign);
    assert_eq!(
        SledEngine::open(folder.path()).err().unwrap().code(),
        codes::METADATA_CORRUPT
    );

    let folder = tempfile::tempdir().unwrap();
    drop(SledEngine::open(folder.path()).unwrap());
    let raw = sled::open(folder.path()).unwrap();
    raw.insert([0, b'h'], oms_kv::DataHeader { format: 99 }.to_bytes())
        .unwrap();
    raw.flush().unwrap();
    drop(raw);
    let error = SledEngine::open(folder.path()).err().unwrap();
    assert_eq!(error.code(), codes::UNSUPPORTED_FORMAT);
    assert!(error.to_string().contains("format 99"), "{error}");
}
