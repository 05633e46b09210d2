//! `SENTINAL_SIM_SEEDS` says how many seeds, and then they begin with one that nobody has tried before; without it they
//! are always the same. `SENTINAL_SIM_SEED` says with which one to begin.

use std::{
    env,
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, Write as _},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use sentinal_sim::{Case, Sabotage, run};

/// Seeds that are simulated unless somebody asks for another number, and the first of them: what goes wrong was the change.
/// `make soak` takes new ones.
const SEEDS: u64 = 10_000;
const FIRST: u64 = 800_001;
/// Seeds in which a part that is broken on purpose must have been seen to be broken.
const SABOTAGE_SEEDS: u64 = 300;
/// Seeds that are simulated twice.
const TWICE_SEEDS: u64 = 40;

#[test]
fn whatever_happens_in_whatever_order_the_life_of_a_sandbox_goes_right() -> Result<()> {
    let wanted = number("SENTINAL_SIM_SEEDS")?;
    let first = number("SENTINAL_SIM_SEED")?.unwrap_or_else(|| wanted.map_or(FIRST, |_| random())).to_string();
    let seeds = wanted.unwrap_or(SEEDS).to_string();
    say(&format!("simulation: {seeds} seeds from SENTINAL_SIM_SEED={first} on"))?;
    let status = simulation(&["--seeds", &seeds, "--seed", &first]).status().context("no simulation")?;
    ensure!(status.success(), "seeds went wrong; each is told again by the command after it");
    Ok(())
}

#[test]
fn whatever_is_broken_on_purpose_is_seen_to_be_broken() -> Result<()> {
    for sabotage in Sabotage::ALL {
        let mut seeds = 1..=SABOTAGE_SEEDS;
        let wrong = |seed| run(Case { seed, sabotage, ..Case::default() }).ok()?.wrong.map(|wrong| (seed, wrong));
        let seen = seeds.find_map(wrong);
        let (seed, wrong) = seen.with_context(|| format!("{sabotage:?} was not seen in {SABOTAGE_SEEDS} seeds"))?;
        say(&format!("{sabotage:?}: seed {seed}: {wrong}"))?;
    }
    Ok(())
}

#[test]
fn the_same_seed_is_the_same_story() -> Result<()> {
    let first = random();
    for seed in first..first.saturating_add(TWICE_SEEDS) {
        let [here, there] = [story(seed)?, story(seed)?];
        let differs = here.lines().zip(there.lines()).find(|(here, there)| here != there);
        ensure!(here == there, "seed {seed} has two stories: {differs:?}");
    }
    Ok(())
}

fn story(seed: u64) -> Result<String> {
    let output = simulation(&["--seed", &seed.to_string()]).output().context("no simulation")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn simulation(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sentinal-sim"));
    command.args(arguments);
    command
}

fn number(name: &str) -> Result<Option<u64>> {
    let Some(text) = env::var_os(name) else { return Ok(None) };
    let text = text.to_string_lossy();
    text.parse().map(Some).with_context(|| format!("{name} is {text:?}, which is not a number"))
}

/// Small enough to be typed.
fn random() -> u64 {
    RandomState::new().build_hasher().finish() >> 24
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stderr(), "{line}")
}
