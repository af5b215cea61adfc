//! A cluster in which everything goes wrong, many times over.
//!
//! A seed gives nodes, regions, clocks, faults and users. At every tick the rules of the metadata and of the
//! destinations are checked; then everything is healed, and all projects must catch up within a bound.
//!
//! `SIMULATION_SEEDS=N` runs more of them, `SIMULATION_FIRST=N` begins there.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod breach;
mod database;
mod log;
mod nemesis;
mod node;
mod random;
mod rules;
mod setup;
mod worker;
mod world;

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

use breach::Breach;
use database::Violation;
use world::{Tally, World};

/// Length of a tick.
pub(crate) const TICK_MS: u64 = 100;
/// Ticks in which things go wrong.
const CHAOS: u64 = 400;
/// Ticks within which everything must have caught up after that.
const BOUND: u64 = 900;

/// Runs one seed to its end.
fn run(seed: u64, breach: Option<Breach>) -> Result<Tally, Violation> {
    let mut world = setup::world(seed, breach);
    let at = |world: &World, v: Violation| format!("seed {seed}, tick {}: {v}", world.tick);
    for _ in 0..CHAOS {
        world.disturb().map_err(|v| at(&world, v))?;
        world.squeeze().map_err(|v| at(&world, v))?;
        world.advance().map_err(|v| at(&world, v))?;
    }
    world.heal();
    for tick in 0..BOUND {
        if tick.is_multiple_of(50) {
            world.let_go_on().map_err(|v| at(&world, v))?;
        }
        world.advance().map_err(|v| at(&world, v))?;
        if world.caught_up() && world.members_are_well().is_ok() {
            break;
        }
    }
    if !world.caught_up() {
        return Err(at(&world, format!("it does not catch up: {}", world.stuck())));
    }
    if let Err(v) = world.members_are_well() {
        return Err(at(&world, format!("{v}; {}", world.stuck())));
    }
    Ok(world.sum())
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .map_or(default, |text| text.parse().unwrap())
}

/// Runs seeds on all processors until that many runs broke a rule in these words; the sum of what happened, and what was
/// broken.
fn run_all(
    seeds: std::ops::Range<u64>,
    breach: Option<Breach>,
    enough: (usize, &str),
) -> (Tally, Vec<Violation>) {
    let next = AtomicU64::new(seeds.start);
    let all = Mutex::new((Tally::default(), Vec::<Violation>::new()));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= seeds.end {
            return;
        }
        let outcome = run(seed, breach);
        let mut all = all.lock().unwrap();
        match outcome {
            Ok(tally) => all.0 = all.0.plus(tally),
            Err(violation) => all.1.push(violation),
        }
        if all.1.iter().filter(|v| v.contains(enough.1)).count() >= enough.0 {
            return;
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let (sum, mut violations) = all.into_inner().unwrap();
    violations.sort();
    (sum, violations)
}

#[test]
fn whatever_happens_every_effect_is_there_once() {
    let first = setting("SIMULATION_FIRST", 1);
    let count = setting("SIMULATION_SEEDS", 1_000);
    let begun = std::time::Instant::now();
    let (sum, violations) = run_all(first..first + count, None, (100, ""));
    println!("{count} seeds in {:.1} s: {sum:?}", begun.elapsed().as_secs_f32());
    assert!(
        violations.is_empty(),
        "{} violations:\n{}",
        violations.len(),
        violations[..violations.len().min(10)].join("\n")
    );
    // What did not happen was not tested.
    for (what, n, least) in [
        ("failovers", sum.failovers, count),
        ("moves", sum.moves, count),
        ("refusals", sum.refused, count),
        ("overlaps", sum.overlaps, count / 3),
        ("leaders", sum.leaders, count),
        ("changes of voters", sum.voters, count),
        ("claims with gaps", sum.gaps, count),
        ("verifications", sum.verified, count),
        ("damaged rows", sum.damaged, count / 2),
        ("nodes lost for good", sum.gone, count / 4),
        ("places of verifications given away", sum.made_room, count / 20),
        (
            "changes of voters that another leader finished",
            sum.halfway,
            count / 100,
        ),
    ] {
        assert!(n >= least, "only {n} {what} in {count} seeds");
    }
}

#[test]
fn a_seed_gives_the_same_run_again() {
    let runs = [run(7, None), run(7, None)];
    assert_eq!(format!("{:?}", runs[0]), format!("{:?}", runs[1]));
}

/// Without each of these rules the simulation fails, and says what was broken.
#[test]
fn every_rule_that_is_left_out_is_noticed() {
    for (breach, words) in [
        (Breach::Fence, "had claimed"),
        (Breach::FenceUnwatched, "was applied twice"),
        (Breach::OldLanes, "was applied twice"),
        (Breach::WatermarkAlone, "was applied twice"),
        (Breach::ForgetfulLane, "no lane says so"),
        (Breach::HastyNote, "begins behind"),
        (Breach::ChunkBeforeCandidates, "did not find it"),
        (Breach::DrainBeforeFound, "did not find it"),
        (Breach::FormerJournal, "told no result"),
        (Breach::OneStep, "committed"),
        (Breach::BlindVoters, "no majority of them is there"),
        (Breach::EarlyEnd, "no majority of the voters is left"),
        (Breach::HalfwayUnseen, "never finished"),
        (Breach::ShortLogs, "committed"),
        (Breach::NoRoom, "waits for a verification"),
    ] {
        let begun = std::time::Instant::now();
        let (_, violations) = run_all(1..2_001, Some(breach), (1, words));
        let seen = violations.iter().filter(|v| v.contains(words)).count();
        println!(
            "{breach:?}: {seen} of {} in {:.1} s",
            violations.len(),
            begun.elapsed().as_secs_f32()
        );
        assert!(
            seen > 0,
            "{breach:?}: {seen} of {}: {:?}",
            violations.len(),
            violations.first()
        );
    }
}
