//! Anything in any order: what must hold whatever the server asks and whenever the node dies.

use std::time::Duration;

use proptest::prelude::*;
use sentinal_engine::{
    EndReason,
    fake::{Behaviour, Verb},
};
use sentinal_node_protocol::Place;
use tokio::task::JoinHandle;

use super::*;
use crate::testing::id;

/// Sandboxes that take part.
const SANDBOXES: u8 = 2;
/// Newer than anything that is asked before the end.
const LAST: Generation = Generation(1000);

#[derive(Debug, Clone, Copy)]
enum Step {
    Place(u8, u64),
    PlaceDifferently(u8, u64),
    Boot(u8, u64),
    Halt(u8, u64),
    End(u8),
    Lose(u8),
    Behave(Verb, Behaviour),
    Pass(Duration),
    /// The node dies and the next one starts.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..SANDBOXES;
    let verb = prop_oneof![Just(Verb::Boot), Just(Verb::Halt), Just(Verb::Ended), Just(Verb::List)];
    let behaviour = prop_oneof![Just(Behaviour::Works), Just(Behaviour::Fails), Just(Behaviour::Hangs)];
    let pass = prop_oneof![Just(0_u64), Just(10), Just(40), Just(400)].prop_map(Duration::from_secs);
    prop_oneof![
        4 => (who.clone(), 1..5_u64).prop_map(|(who, generation)| Step::Place(who, generation)),
        1 => (who.clone(), 1..5_u64).prop_map(|(who, generation)| Step::PlaceDifferently(who, generation)),
        6 => (who.clone(), 1..5_u64).prop_map(|(who, generation)| Step::Boot(who, generation)),
        3 => (who.clone(), 1..5_u64).prop_map(|(who, generation)| Step::Halt(who, generation)),
        1 => who.clone().prop_map(Step::End),
        1 => who.prop_map(Step::Lose),
        2 => (verb, behaviour).prop_map(|(verb, behaviour)| Step::Behave(verb, behaviour)),
        2 => pass.prop_map(Step::Pass),
        1 => Just(Step::Crash),
    ]
}

/// A machine, the node on it, and what it has been asked and has not answered.
struct World {
    machine: Machine,
    host: Arc<Host>,
    asked: Vec<JoinHandle<()>>,
}

impl World {
    async fn take(mut self, step: Step) -> Self {
        match step {
            Step::Place(who, generation) => self.place(testing::place(id(who), Generation(generation))),
            Step::PlaceDifferently(who, generation) => {
                let usual = testing::place(id(who), Generation(generation));
                self.place(Place { cpu: sentinal_model::Cpu::try_from_cores(3.0).unwrap(), ..usual });
            }
            Step::Boot(who, generation) => {
                let booting = Arc::clone(&self.host).boot(testing::boot(id(who), Generation(generation)));
                self.ask(booting);
            }
            Step::Halt(who, generation) => {
                let halting = Arc::clone(&self.host).halt(testing::named(id(who), Generation(generation)));
                self.ask(halting);
            }
            Step::End(who) => {
                if self.machine.engine.state(&id(who)).is_some() {
                    self.machine.engine.end(&id(who), EndReason::Oom);
                }
            }
            Step::Lose(who) => self.machine.engine.lose(&id(who)),
            Step::Behave(verb, behaviour) => self.machine.engine.set(verb, behaviour),
            Step::Pass(time) => {
                self.machine.clock.step(i64::try_from(time.as_millis()).unwrap());
                tokio::time::sleep(time).await;
            }
            Step::Crash => return self.crash().await,
        }
        tokio::task::yield_now().await;
        self
    }

    fn place(&mut self, place: Place) {
        let placing = Arc::clone(&self.host).place(place);
        self.ask(placing);
    }

    fn ask<T: Send + 'static>(&mut self, verb: impl Future<Output = Result<T, NodeError>> + Send + 'static) {
        let host = Arc::clone(&self.host);
        self.asked.push(tokio::spawn(async move {
            // Refused or not: what holds afterwards is what counts.
            let _ = host.finish(verb).await;
        }));
    }

    async fn crash(mut self) -> Self {
        for asked in self.asked.drain(..) {
            asked.abort();
        }
        crash(self.host).await;
        let host = start(&self.machine).await;
        Self { machine: self.machine, host, asked: Vec::new() }
    }
}

async fn nothing_is_left_in_the_end(steps: Vec<Step>) {
    let machine = Machine::new();
    let host = start(&machine).await;
    let mut world = World { machine, host, asked: Vec::new() };
    for step in steps {
        world = world.take(step).await;
    }
    for verb in [Verb::Boot, Verb::Halt, Verb::Ended, Verb::List] {
        world.machine.engine.set(verb, Behaviour::Works);
    }
    for who in 0..SANDBOXES {
        // Something that hangs in the engine holds a halt up until its deadline.
        while world.host.halted(id(who), LAST).await.is_err() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert_older(world.host.placed(id(who), Generation(5)).await, Generation(5), LAST);
    }
    // Late requests are refused or find nothing.
    for asked in world.asked.drain(..) {
        asked.await.unwrap();
    }
    assert!(world.host.list().is_empty(), "{:?}", world.host.list());
    assert!(world.host.folder.all().unwrap().is_empty());
    for who in 0..SANDBOXES {
        assert_eq!(world.machine.engine.state(&id(who)), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn after_the_last_halt_nothing_is_left_whatever_came_before(steps in prop::collection::vec(step(), 0..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(nothing_is_left_in_the_end(steps));
    }
}
