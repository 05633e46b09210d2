//! What happens in one round, decided by its seed alone.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sentinal_tests::{Column, Role};

use crate::{
    program::{Kind, Program},
    surface::Deed,
};

const CLIENTS: usize = 4;

/// One round.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) clients: Vec<Vec<Step>>,
    pub(crate) kills: Vec<Kill>,
    /// Whether sandboxes wait in pools.
    pub(crate) pools: bool,
}

/// What a sandbox runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Engine(pub(crate) &'static str);

/// What a client does next with its newest sandbox.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A new sandbox; `wait` is how long the answer may wait for it to run.
    Create { wait: f64, engine: Engine },
    /// A file of random bytes.
    Upload { seed: u64, size: usize },
    /// A program, to its end.
    Run(Program),
    /// A program, left to itself.
    Background(Program),
    /// A program whose events are read, also over a broken connection.
    Follow(Program),
    /// A program in a sandbox of its own.
    OneShot(Program, Engine),
    /// What is more than a program's run.
    Deed(Deed),
    /// The end of the sandbox.
    Delete,
}

/// One SIGKILL and the start after it.
#[derive(Debug, Clone)]
pub(crate) struct Kill {
    pub(crate) trigger: Trigger,
    pub(crate) target: Target,
    /// How long it stays dead.
    pub(crate) pause: Duration,
}

/// What dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// All processes of these roles, one role after the other; the test starts them again.
    Roles(&'static [Role]),
    /// The node's worker, which its keeper starts again.
    Worker,
}

/// What a kill waits for, counted from the kill before.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trigger {
    /// Time.
    After(Duration),
    /// Another acknowledgement.
    Ack,
    /// A create on its way, and so long after it: during the boot.
    Create(Duration),
    /// A delete on its way, and so long after it: during the halt.
    Delete(Duration),
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let clients = (0..CLIENTS).map(|_| steps(&mut rng)).collect();
        let kills = (0..rng.random_range(2..=4)).map(|_| kill(&mut rng)).collect();
        Self { clients, kills, pools: rng.random_bool(0.3) }
    }
}

fn steps(rng: &mut StdRng) -> Vec<Step> {
    let mut steps = Vec::new();
    for _ in 0..rng.random_range(1..=2) {
        let wait = if rng.random_bool(0.25) { 0.0 } else { 30.0 };
        steps.push(Step::Create { wait, engine: engine(rng) });
        for _ in 0..rng.random_range(2..=4) {
            steps.push(work(rng));
        }
        if rng.random_bool(0.4) {
            steps.push(Step::Delete);
        }
    }
    steps
}

fn work(rng: &mut StdRng) -> Step {
    if rng.random_bool(0.35) {
        return Step::Deed(deed(rng));
    }
    match rng.random_range(0..100) {
        0..20 => Step::Upload { seed: rng.random(), size: rng.random_range(0..3_000_000) },
        20..35 => Step::Run(Program::random(rng, Kind::Quick)),
        35..40 => Step::Run(Program::random(rng, Kind::Flood)),
        40..55 => Step::Background(Program::random(rng, Kind::Slow)),
        55..62 => Step::Background(Program::random(rng, Kind::Flood)),
        62..68 => Step::Background(Program::random(rng, Kind::Endless)),
        68..74 => Step::Background(Program::random(rng, Kind::Binary)),
        74..84 => Step::Follow(Program::random(rng, Kind::Slow)),
        84..90 => Step::Follow(Program::random(rng, Kind::Flood)),
        90..95 => Step::OneShot(Program::random(rng, Kind::Quick), engine(rng)),
        _ => Step::OneShot(Program::random(rng, Kind::Slow), engine(rng)),
    }
}

fn deed(rng: &mut StdRng) -> Deed {
    match rng.random_range(0..7) {
        0 => Deed::Label(rng.random()),
        1 => Deed::Rest,
        2 => Deed::Type(rng.random_range(1..20)),
        3 => Deed::Signal,
        4 => Deed::Count(rng.random_range(1..10)),
        5 => Deed::Talk(rng.random_range(1..10)),
        _ => Deed::Tree(rng.random()),
    }
}

fn engine(rng: &mut StdRng) -> Engine {
    Engine(Column::ALL[rng.random_range(0..Column::ALL.len())].name())
}

fn kill(rng: &mut StdRng) -> Kill {
    let after = |rng: &mut StdRng, ms_max| Duration::from_millis(rng.random_range(0..ms_max));
    let trigger = match rng.random_range(0..100) {
        0..40 => Trigger::After(after(rng, 2000)),
        40..60 => Trigger::Ack,
        60..85 => Trigger::Create(after(rng, 600)),
        _ => Trigger::Delete(after(rng, 300)),
    };
    let target = match rng.random_range(0..100) {
        0..35 => Target::Roles(&[Role::Serve]),
        35..60 => Target::Roles(&[Role::Node]),
        60..70 => Target::Worker,
        70..85 => Target::Roles(&[Role::Serve, Role::Node]),
        _ => Target::Roles(&[Role::Node, Role::Serve]),
    };
    Kill { trigger, target, pause: after(rng, 500) }
}
