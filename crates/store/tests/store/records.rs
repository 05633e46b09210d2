//! Records to write.

use std::{collections::BTreeMap, time::Duration};

use sentinal_model::{
    Command, Cpu, Disk, End, Ended, EngineChoice, EngineName, ExecutionId, ExecutionOutcome, Generation, ImageName,
    KeyId, Labels, Memory, Millis, NodeId, Phase, Placement, Results, SandboxId, Spec, TenantId, Usage,
};
use sentinal_store::{
    Build, ExecutionRecord, ExecutionState, KeyRecord, NewEvent, Output, OutputPlace, SandboxRecord, Write,
};

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::from_stored(name)
}

/// A pending sandbox of the tenant `default` whose id is made of `number`: a greater one is newer.
pub(crate) fn sandbox(number: u64) -> SandboxRecord {
    SandboxRecord {
        id: sandbox_id(number),
        tenant: TenantId::default_tenant(),
        generation: Generation::FIRST,
        phase: Phase::Pending,
        spec: spec(),
        node: None,
        engine: None,
        engine_reason: String::new(),
        message: String::new(),
        token: [7; 32],
        one_shot: false,
        pooled: None,
        key: Some(KeyId::from_bytes([7; 16])),
        created_at: Millis(1000),
        expires_at: Millis(301_000),
        paused_at: None,
        paused_for: Duration::ZERO,
        finished_at: None,
    }
}

pub(crate) fn running(number: u64) -> SandboxRecord {
    let placement =
        Placement { node: NodeId::local(), engine: EngineName::Gvisor, reason: "the only one left".to_owned() };
    SandboxRecord {
        node: Some(placement.node.clone()),
        engine: Some(placement.engine),
        engine_reason: placement.reason.clone(),
        generation: Generation(2),
        phase: Phase::Running(placement),
        ..sandbox(number)
    }
}

/// A running sandbox that waits to be claimed.
pub(crate) fn pooled(number: u64) -> SandboxRecord {
    let build = Build { image: "sha256:1".to_owned(), agent: "sha256:2".to_owned(), engine: "runsc 1".to_owned() };
    SandboxRecord { tenant: TenantId::nobody(), pooled: Some(build), ..running(number) }
}

pub(crate) fn finished(number: u64, at: i64) -> SandboxRecord {
    SandboxRecord {
        phase: Phase::Finished(End::Destroyed),
        generation: Generation(3),
        finished_at: Some(Millis(at)),
        ..running(number)
    }
}

pub(crate) fn execution(number: u64, sandbox: &SandboxRecord) -> ExecutionRecord {
    ExecutionRecord {
        id: ExecutionId::from_bytes(bytes(number)),
        sandbox: sandbox.id,
        tenant: sandbox.tenant.clone(),
        command: Command {
            argv: vec!["/bin/sh".to_owned(), "-c".to_owned(), "echo hello".to_owned()],
            env: vec![("LANG".to_owned(), "C".to_owned())],
            cwd: Some("/tmp".parse().unwrap()),
            user: None,
            stdin: Vec::new(),
            stdin_open: false,
            timeout: Duration::from_millis(1500),
            terminal: None,
            context: None,
        },
        is_whole: true,
        state: ExecutionState::Running,
        key: Some(KeyId::from_bytes([8; 16])),
        created_at: Millis(2000),
    }
}

pub(crate) fn ended(running: &ExecutionRecord, exit_code: i32, stdout: OutputPlace) -> ExecutionRecord {
    let ended = Ended {
        outcome: ExecutionOutcome::Exited(exit_code),
        duration_us: 12_300,
        usage: Usage { cpu_us: 9100, memory_peak_bytes: 14_680_064 },
    };
    let stdout = Output { bytes_total: 6, bytes_stored: 6, place: stdout };
    let state = ExecutionState::Finished {
        ended,
        finished_at: Millis(3000),
        stdout,
        stderr: Output::default(),
        results: Results::default(),
    };
    ExecutionRecord { state, ..running.clone() }
}

pub(crate) fn key(number: u64) -> KeyRecord {
    KeyRecord {
        id: KeyId::from_bytes(bytes(number)),
        tenant: TenantId::default_tenant(),
        name: "laptop".to_owned(),
        role: "admin".to_owned(),
        secret_hash: [9; 32],
        created_at: Millis(1000),
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
    }
}

pub(crate) fn event(sandbox: Option<SandboxId>, at: i64) -> NewEvent {
    NewEvent {
        tenant: TenantId::default_tenant(),
        at: Millis(at),
        name: "Sandbox Created".to_owned(),
        kind: "audit".to_owned(),
        sandbox,
        execution: None,
        message: "by key_1".to_owned(),
    }
}

pub(crate) fn write(record: &SandboxRecord) -> Write {
    Write::Sandbox(Box::new(record.clone()))
}

pub(crate) fn write_execution(record: &ExecutionRecord) -> Write {
    Write::Execution(Box::new(record.clone()))
}

pub(crate) fn sandbox_id(number: u64) -> SandboxId {
    SandboxId::from_bytes(bytes(number))
}

fn bytes(number: u64) -> [u8; 16] {
    u128::from(number).to_be_bytes()
}

fn spec() -> Spec {
    Spec {
        engine: EngineChoice::Auto,
        cpu: Cpu::try_from_cores(0.5).unwrap(),
        memory: Memory::try_from_bytes(1 << 29).unwrap(),
        disk: Disk::try_from_bytes(1 << 30).unwrap(),
        image: ImageName::default(),
        ttl: Duration::from_secs(300),
        idle_timeout: Some(Duration::from_millis(1500)),
        labels: Labels::try_from(BTreeMap::from([("team".to_owned(), "blue".to_owned())])).unwrap(),
    }
}
