//! A cluster in which everything goes wrong, many times over.
//!
//! A seed gives nodes, regions, clocks, faults and users. At every tick the rules of the metadata and of the
//! destinations are checked; then everything is healed, and all projects must catch up within a bound.
//!
//! `SIMULATION_SEEDS=N` runs more of them, `SIMULATION_FIRST=N` begins there.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod database;
mod nemesis;
mod node;
mod random;
mod rules;
mod worker;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use database::{Guards, Violation};
use node::Node;
use oms_meta::{FEATURE_LEVEL, MetaState};
use oms_proto::{
    meta::{
        AdmitNode, ChangeProject, Command, CreateDataSource, CreateProject, CreateToken, DataSourceRecord,
        NodeRecord, ProjectChange, ProjectRecord, QualifiedName, RegisterNode, SelectedObject, TokenRecord,
        command::Body,
    },
    v1::{DataSource, Project, ProjectSpec, Steps, Token},
};
use random::Random;
use world::{Tally, World};

/// Length of a tick.
pub(crate) const TICK_MS: u64 = 100;
/// Ticks in which things go wrong.
const CHAOS: u64 = 400;
/// Ticks within which everything must have caught up after that.
const BOUND: u64 = 900;

fn apply(state: &mut MetaState, body: Body) {
    let reply = state.apply(&Command {
        version: oms_meta::VERSION,
        now_ms: 1_000,
        body: Some(body),
    });
    assert_eq!(reply.refusal, None);
}

fn project(id: &str) -> ProjectRecord {
    ProjectRecord {
        public: Some(Project {
            id: id.into(),
            spec: Some(ProjectSpec {
                name: id.into(),
                steps: Some(Steps {
                    full: true,
                    incremental: true,
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        }),
        source_id: format!("{id}s"),
        destination_id: format!("{id}d"),
        selection: vec![SelectedObject {
            destination: Some(QualifiedName {
                database: id.into(),
                table: "t".into(),
            }),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// The cluster that a seed describes.
fn world(seed: u64, guards: Guards) -> World {
    let mut random = Random::new(seed);
    let nodes = random.within(3, 5);
    let regions = random.within(1, 3);
    let projects = random.within(1, 3);
    let mut state = MetaState::default();
    let record = |id: u64, witness| NodeRecord {
        address: format!("n{id}:1"),
        folder_id: format!("f{id}"),
        region: format!("r{}", id % regions),
        zone: format!("z{id}"),
        feature_level: FEATURE_LEVEL,
        witness,
        ..Default::default()
    };
    let first = NodeRecord {
        id: 1,
        ..record(1, false)
    };
    apply(&mut state, Body::RegisterNode(RegisterNode { node: Some(first) }));
    let token = TokenRecord {
        public: Some(Token {
            id: "t".into(),
            expires_at_ms: i64::MAX,
            uses_left: 100,
            ..Default::default()
        }),
        sealed_secret: vec![1],
    };
    apply(&mut state, Body::CreateToken(CreateToken { token: Some(token) }));
    for id in 2..=nodes {
        let witness = id == nodes && random.percent(25);
        let node = Some(record(id, witness));
        apply(
            &mut state,
            Body::AdmitNode(AdmitNode {
                token_id: "t".into(),
                node,
            }),
        );
    }
    for p in 0..projects {
        let id = format!("p{p}");
        for side in ["s", "d"] {
            let region = match random.below(4) {
                0 => String::new(),
                r => format!("r{}", r - 1),
            };
            let public = DataSource {
                id: format!("{id}{side}"),
                name: format!("{id}{side}"),
                region,
                ..Default::default()
            };
            let record = Some(DataSourceRecord {
                public: Some(public),
                sealed_password: vec![1],
            });
            apply(&mut state, Body::CreateDataSource(CreateDataSource { record }));
        }
        apply(
            &mut state,
            Body::CreateProject(CreateProject {
                record: Some(project(&id)),
            }),
        );
        let start = ChangeProject {
            id,
            change: ProjectChange::Start as i32,
            ..Default::default()
        };
        apply(&mut state, Body::ChangeProject(start));
    }
    let processes = (1..=nodes)
        .map(|id| {
            let rate = i64::try_from(random.within(950, 1050)).unwrap();
            let skew = match random.below(4) {
                0 => i64::try_from(random.below(1_200_000)).unwrap() - 600_000,
                _ => 0,
            };
            Node::new(id, rate, skew)
        })
        .collect();
    World::new(
        random,
        guards,
        state,
        processes,
        usize::try_from(projects).unwrap(),
    )
}

/// Runs one seed to its end.
fn run(seed: u64, guards: Guards) -> Result<Tally, Violation> {
    let mut world = world(seed, guards);
    let at = |world: &World, v: Violation| format!("seed {seed}, tick {}: {v}", world.tick);
    for _ in 0..CHAOS {
        world.disturb().map_err(|v| at(&world, v))?;
        world.advance().map_err(|v| at(&world, v))?;
    }
    world.heal();
    for tick in 0..BOUND {
        if tick.is_multiple_of(50) {
            world.let_go_on().map_err(|v| at(&world, v))?;
        }
        world.advance().map_err(|v| at(&world, v))?;
        if world.caught_up() {
            break;
        }
    }
    if !world.caught_up() {
        return Err(at(&world, format!("it does not catch up: {}", world.stuck())));
    }
    for (_, destination) in &world.databases {
        world.tally.refused += destination.refused;
        world.tally.transactions += destination.applied.unwrap_or_default();
    }
    Ok(world.tally)
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .map_or(default, |text| text.parse().unwrap())
}

/// Runs seeds on all processors; the sum of what happened, and the first violations.
fn run_all(seeds: std::ops::Range<u64>, guards: Guards) -> (Tally, Vec<Violation>) {
    let next = AtomicU64::new(seeds.start);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let one = || {
        let (mut sum, mut violations) = (Tally::default(), Vec::new());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return (sum, violations);
            }
            match run(seed, guards) {
                Ok(tally) => sum = sum.plus(tally),
                Err(violation) => violations.push(violation),
            }
        }
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        let mut all = (Tally::default(), Vec::new());
        for thread in running {
            let (sum, violations) = thread.join().unwrap();
            all.0 = all.0.plus(sum);
            all.1.extend(violations);
        }
        all.1.sort();
        all
    })
}

const GUARDED: Guards = Guards {
    fence: true,
    watch_epochs: true,
};

#[test]
fn whatever_happens_every_effect_is_there_once() {
    let first = setting("SIMULATION_FIRST", 1);
    let count = setting("SIMULATION_SEEDS", 1_000);
    let begun = std::time::Instant::now();
    let (sum, violations) = run_all(first..first + count, GUARDED);
    println!("{count} seeds in {:.1} s: {sum:?}", begun.elapsed().as_secs_f32());
    assert!(
        violations.is_empty(),
        "{} violations:\n{}",
        violations.len(),
        violations[..violations.len().min(10)].join("\n")
    );
    // What did not happen was not tested.
    for (what, n) in [
        ("failovers", sum.failovers),
        ("moves", sum.moves),
        ("refusals", sum.refused),
        ("overlaps", sum.overlaps),
        ("leaders", sum.leaders),
    ] {
        assert!(n >= count, "only {n} {what} in {count} seeds");
    }
}

#[test]
fn a_seed_gives_the_same_run_again() {
    let runs = [run(7, GUARDED), run(7, GUARDED)];
    assert_eq!(format!("{:?}", runs[0]), format!("{:?}", runs[1]));
}

#[test]
fn without_the_fence_the_rules_are_broken() {
    for watch_epochs in [true, false] {
        let guards = Guards {
            fence: false,
            watch_epochs,
        };
        let (_, violations) = run_all(1..101, guards);
        let words = if watch_epochs {
            "had claimed"
        } else {
            "applied after"
        };
        let seen = violations.iter().filter(|v| v.contains(words)).count();
        assert!(
            seen >= 5,
            "{seen} of {}: {:?}",
            violations.len(),
            violations.first()
        );
    }
}
