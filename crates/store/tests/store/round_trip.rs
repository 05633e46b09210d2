//! Any record comes back as it was.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;
use sentinal_model::{
    Command, ContextId, Cpu, Disk, End, Ended, EngineChoice, EngineName, ExecutionOutcome, Failure, Generation,
    GuestPath, Labels, Memory, Millis, NodeId, Phase, Placement, Results, Spec, TenantId, TerminalSize, Usage, limits,
};
use sentinal_store::{
    Build, ExecutionRecord, ExecutionState, MemoryStore, NewEvent, Output, OutputPlace, SandboxRecord, Store, Write,
};

use crate::records;

const AMOUNT: std::ops::RangeInclusive<u64> = 0..=i64::MAX as u64;

fn engine() -> impl Strategy<Value = EngineName> {
    prop::sample::select(EngineName::ALL.to_vec())
}

fn end() -> impl Strategy<Value = End> {
    let failure = prop::sample::select(Failure::ALL.to_vec()).prop_map(End::Failed);
    prop_oneof![Just(End::Destroyed), Just(End::Expired), failure]
}

fn placement() -> impl Strategy<Value = Placement> {
    let parts = (".{1,20}", engine(), any::<String>());
    parts.prop_map(|(node, engine, reason)| Placement { node: NodeId::from_stored(&node), engine, reason })
}

fn phase() -> impl Strategy<Value = Phase> {
    prop_oneof![
        Just(Phase::Pending),
        placement().prop_map(Phase::Booting),
        placement().prop_map(Phase::Running),
        placement().prop_map(Phase::Paused),
        (placement(), end()).prop_map(|(placement, end)| Phase::Stopping(placement, end)),
        end().prop_map(Phase::Finished),
    ]
}

fn spec() -> impl Strategy<Value = Spec> {
    let engine = prop_oneof![Just(EngineChoice::Auto), engine().prop_map(EngineChoice::Named)];
    let amounts = (
        limits::CPU_MILLI_MIN..=limits::CPU_MILLI_MAX,
        limits::MEMORY_BYTES_MIN..=limits::MEMORY_BYTES_MAX,
        limits::DISK_BYTES_MIN..=limits::DISK_BYTES_MAX,
        0..=86_400_000_000_u64,
        prop::option::of(0..=86_400_000_000_u64),
    );
    let labels = prop::collection::btree_map("[a-zé]{1,9}", "[^\\p{Cc}]{0,20}", 0..5);
    (engine, amounts, "[a-z0-9][a-z0-9/:_-]{0,30}", labels).prop_map(|(engine, amounts, image, labels)| Spec {
        engine,
        cpu: Cpu::try_from_cores(f64::from(amounts.0) / 1000.0).unwrap(),
        memory: Memory::try_from_bytes(amounts.1).unwrap(),
        disk: Disk::try_from_bytes(amounts.2).unwrap(),
        ttl: Duration::from_micros(amounts.3),
        idle_timeout: amounts.4.map(Duration::from_micros),
        image: image.parse().unwrap(),
        labels: Labels::try_from(labels.into_iter().collect::<BTreeMap<_, _>>()).unwrap(),
    })
}

fn sandbox() -> impl Strategy<Value = SandboxRecord> {
    let words = (any::<String>(), any::<[u8; 32]>(), any::<bool>());
    let words = (words, prop::option::of(any::<[String; 3]>()));
    let times = (any::<i64>(), any::<i64>(), any::<i64>(), 0..=u64::from(u32::MAX));
    (AMOUNT, phase(), spec(), placement(), words, times).prop_map(|(generation, phase, spec, then, words, times)| {
        let (words, build) = words;
        let pooled = build.map(|[image, agent, engine]| Build { image, agent, engine });
        // Placed now, placed once, or never.
        let was = phase.placement().cloned().or_else(|| phase.is_finished().then_some(then));
        SandboxRecord {
            generation: Generation(generation),
            spec,
            node: was.as_ref().map(|was| was.node.clone()),
            engine: was.as_ref().map(|was| was.engine),
            engine_reason: was.map_or_else(String::new, |was| was.reason),
            message: words.0,
            token: words.1,
            one_shot: words.2,
            tenant: if pooled.is_some() { TenantId::nobody() } else { TenantId::default_tenant() },
            pooled,
            key: None,
            created_at: Millis(times.0),
            expires_at: Millis(times.1),
            paused_at: matches!(phase, Phase::Paused(_)).then_some(Millis(times.2)),
            paused_for: Duration::from_millis(times.3),
            finished_at: phase.is_finished().then_some(Millis(times.2)),
            phase,
            ..records::sandbox(generation)
        }
    })
}

fn output() -> impl Strategy<Value = Output> {
    let place =
        prop_oneof![Just(OutputPlace::File), prop::collection::vec(any::<u8>(), 0..200).prop_map(OutputPlace::Row)];
    (AMOUNT, AMOUNT, place).prop_map(|(bytes_total, bytes_stored, place)| Output { bytes_total, bytes_stored, place })
}

fn state() -> impl Strategy<Value = ExecutionState> {
    let outcome = prop_oneof![
        any::<i32>().prop_map(ExecutionOutcome::Exited),
        any::<i32>().prop_map(ExecutionOutcome::Signaled),
        Just(ExecutionOutcome::Timeout),
        Just(ExecutionOutcome::Oom),
        Just(ExecutionOutcome::Killed),
    ];
    let ended = (outcome, AMOUNT, AMOUNT, AMOUNT).prop_map(|(outcome, duration_us, cpu_us, memory_peak_bytes)| Ended {
        outcome,
        duration_us,
        usage: Usage { cpu_us, memory_peak_bytes },
    });
    let results = (prop::collection::vec(any::<String>(), 0..3), any::<bool>())
        .prop_map(|(items, is_truncated)| Results { items, is_truncated });
    let finished =
        (ended, any::<i64>(), output(), output(), results).prop_map(|(ended, at, stdout, stderr, results)| {
            ExecutionState::Finished { ended, finished_at: Millis(at), stdout, stderr, results }
        });
    prop_oneof![1 => Just(ExecutionState::Running), 3 => finished]
}

fn command() -> impl Strategy<Value = Command> {
    let argv = prop::collection::vec(any::<String>(), 1..5);
    let env = prop::collection::vec(any::<(String, String)>(), 0..4);
    let cwd = prop::option::of("/([a-zä]{1,9}(/[a-z]{1,9}){0,3})?");
    let terminal = prop::option::of((1..=u16::MAX, 1..=u16::MAX));
    let context = prop::option::of(any::<[u8; 16]>().prop_map(ContextId::from_bytes));
    let rest = (prop::option::of(".{1,9}"), any::<u32>(), terminal, context);
    (argv, env, cwd, rest).prop_map(|(argv, env, cwd, (user, timeout_us, terminal, context))| Command {
        argv,
        env,
        cwd: cwd.map(|path| GuestPath::of_folder(&path).unwrap()),
        user,
        stdin: Vec::new(),
        stdin_open: false,
        timeout: Duration::from_micros(timeout_us.into()),
        terminal: terminal.map(|(columns, rows)| TerminalSize { columns, rows }),
        context,
    })
}

fn check<Out>(run: impl Future<Output = Out>) -> Out {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run)
}

proptest! {
    #[test]
    fn a_sandbox_comes_back_as_it_was(record in sandbox()) {
        check(async {
            let store = MemoryStore::new();
            store.write(vec![records::write(&record)]).await.unwrap();
            assert_eq!(store.sandbox(record.id).await.unwrap(), Some(record));
        });
    }

    #[test]
    fn an_execution_comes_back_as_it_was(command in command(), state in state(), is_whole: bool, at in any::<i32>()) {
        check(async {
            let store = MemoryStore::new();
            let started = records::execution(1, &records::running(1));
            let record = ExecutionRecord { command, is_whole, state, created_at: Millis(at.into()), ..started };
            store.write(vec![records::write(&records::running(1)), records::write_execution(&record)]).await.unwrap();
            assert_eq!(store.execution(record.id).await.unwrap(), Some(record));
        });
    }
}

/// The same through `SQLite`, all in one store: opening one for each would take minutes.
#[test]
fn any_record_comes_back_from_a_disk() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::default();
    check(async {
        let folder = tempfile::tempdir().unwrap();
        let store = sentinal_store::SqliteStore::open(&folder.path().join("store.db")).await.unwrap();
        for number in 0..100 {
            let drawn = (sandbox(), command(), state(), any::<String>()).new_tree(&mut runner).unwrap().current();
            let sandbox = SandboxRecord { id: records::sandbox_id(number), ..drawn.0 };
            let started = records::execution(number, &sandbox);
            let execution = ExecutionRecord { command: drawn.1, state: drawn.2, ..started };
            let event = NewEvent { message: drawn.3, ..records::event(Some(sandbox.id), 1) };
            let batch =
                vec![records::write(&sandbox), records::write_execution(&execution), Write::Event(event.clone())];
            store.write(batch).await.unwrap();
            assert_eq!(store.execution(execution.id).await.unwrap(), Some(execution));
            let events = store.events(&event.tenant, Some(sandbox.id), 0, 10).await.unwrap();
            assert_eq!(events.into_iter().map(|row| row.event).collect::<Vec<_>>(), [event]);
            assert_eq!(store.sandbox(sandbox.id).await.unwrap(), Some(sandbox));
        }
        store.close().await;
    });
}
