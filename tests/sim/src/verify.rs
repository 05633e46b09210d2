//! In the end: is everything there that was promised, and nothing else?

use std::{sync::Arc, time::Duration};

use sentinal_auth::{CreateSandbox, Execute, ReadExecution};
use sentinal_controller::{Controller, ExecutionState, NewExecution, NewSandbox, SandboxRecord};
use sentinal_model::{Code, ExecutionId, ExecutionOutcome, Phase, SandboxId, State};
use tokio::time::{Instant, sleep};

use crate::{
    client::Client,
    journal::FilePromise,
    permits::permit,
    processes::{Pooling, Site},
    program::Program,
    wish,
};

/// How long it may take until everything has come to rest.
const REST_DEADLINE: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(200);

/// Looks at every promise, ends everything, and looks at what is left.
pub(crate) async fn verify(site: &Arc<Site>) {
    let mut client = Client::new(Arc::clone(site), 0);
    site.world.tell(format_args!("calm"));
    until(site, "server and node are up", || site.node.borrow().is_some() && site.server.borrow().is_some()).await;
    for (sandbox, _) in site.journal.sandboxes() {
        until(site, "a sandbox has settled", || is_settled(site, sandbox)).await;
        if site.ledger.find(&sandbox).is_some_and(|record| matches!(record.phase, Phase::Paused(_))) {
            client.resume(sandbox).await;
        }
    }
    for (sandbox, promise) in site.journal.sandboxes() {
        settled(&client, sandbox, promise.ended).await;
        for file in &promise.files {
            is_there(&client, sandbox, file).await;
        }
    }
    until(site, "every execution has ended", || site.ledger.running().is_empty()).await;
    promised_executions(&client).await;
    for record in site.ledger.unfinished().into_iter().filter(|record| record.pooled.is_none()) {
        site.journal.unwanted(record.id);
        client.destroy(record.id).await;
    }
    let is_pooled = |record: &SandboxRecord| record.pooled.is_some();
    until(site, "every caller's sandbox has ended", || site.ledger.unfinished().iter().all(is_pooled)).await;
    if 0 < site.world.plan.pool {
        a_pool_serves(&mut client).await;
        site.restart_server(Pooling::Never);
    }
    until(site, "every sandbox has ended", || site.ledger.unfinished().is_empty()).await;
    nothing_is_left(site).await;
    there_is_room_again(&mut client).await;
    until(site, "the last sandbox has ended", || site.ledger.unfinished().is_empty()).await;
    if let Err(why) = site.used().await.and_then(|sum| site.ledger.check_usage(sum)) {
        site.world.wrong(format_args!("{why}"));
    }
}

/// Waits for something that must come by itself.
async fn until(site: &Site, what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + REST_DEADLINE;
    while !is_so() && !site.world.is_wrong() {
        if until < Instant::now() {
            let (running, unfinished) = (site.ledger.running(), site.ledger.unfinished());
            let left = (site.machine.all(), site.folders(), site.network.listening(), site.outputs.executions());
            let shown: Vec<_> = unfinished.iter().map(|record| (record.id, record.phase.clone())).collect();
            site.world.wrong(format_args!("not within {REST_DEADLINE:?}: {what}; {running:?} {shown:?} {left:?}"));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// A file that was acknowledged can be had as long as its sandbox runs.
async fn is_there(client: &Client, sandbox: SandboxId, file: &FilePromise) {
    let site = &client.site;
    let runs = || site.ledger.find(&sandbox).is_some_and(|record| record.phase.state() == State::Running);
    let began = Instant::now();
    while !client.downloaded(sandbox, file).await && runs() {
        if PATIENCE < began.elapsed() {
            site.world.wrong(format_args!("{sandbox} runs, and its file {} is gone", file.path));
            return;
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Whether nothing is about to happen to a sandbox.
fn is_settled(site: &Site, id: SandboxId) -> bool {
    let phase = site.ledger.find(&id).map(|record| record.phase);
    matches!(phase, None | Some(Phase::Running(_) | Phase::Paused(_) | Phase::Finished(_)))
}

/// A sandbox that nobody ended and nothing happened to runs, and can be used.
async fn settled(client: &Client, id: SandboxId, ended: bool) {
    let site = &client.site;
    until(site, "a sandbox has settled", || is_settled(site, id)).await;
    let Some(record) = client.look(id).await else { return };
    if ended && !record.phase.is_finished() {
        site.world.wrong(format_args!("{id} has ended, and is {:?} again", record.phase));
    }
    let runs = || site.ledger.find(&id).is_some_and(|record| record.phase.state() == State::Running);
    let began = Instant::now();
    while runs() && !can_be_used(client, id).await {
        // One whose end is about to be written down is not to be used any more.
        if PATIENCE < began.elapsed() {
            return site.world.wrong(format_args!("{id} runs and cannot be used"));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Whether a program runs in it as it should.
async fn can_be_used(client: &Client, id: SandboxId) -> bool {
    let new =
        NewExecution { command: Program::trivial().command(Duration::from_secs(30)), wait: Duration::ZERO, once: None };
    let (execute, read) = (permit::<Execute>(), permit::<ReadExecution>());
    let run = |controller: Controller| async move {
        let execution = controller.execute(&execute, id, new).await?;
        controller.finished(&read, execution.id).await
    };
    match client.ask("use", PATIENCE, run).await {
        Some(Ok(record)) => matches!(
            record.state,
            ExecutionState::Finished { ended, .. } if ended.outcome == ExecutionOutcome::Exited(0)
        ),
        Some(Err(_)) | None => false,
    }
}

/// What was told of executions is still so, and every byte is there.
async fn promised_executions(client: &Client) {
    let site = &client.site;
    for (id, promise) in site.journal.executions() {
        let Some(record) = site.ledger.find_execution(&id) else { continue };
        let permit = permit::<ReadExecution>();
        let ask = |controller: Controller| async move { controller.execution(&permit, id).await };
        match client.ask("execution", PATIENCE, ask).await {
            // Asked a moment before its end was told to everybody.
            Some(Ok(told)) if told.state == ExecutionState::Running => {}
            Some(Ok(told)) if told != record => {
                site.world.wrong(format_args!("{id} is {told:?}, and the store has {record:?}"));
            }
            Some(Err(error)) if error.code() == Code::NotFound && !site.ledger.was_removed(&record.sandbox) => {
                site.world.wrong(format_args!("{id} was acknowledged, and nobody knows of it"));
            }
            Some(Ok(_) | Err(_)) | None => {}
        }
        if promise.finished.is_some_and(|finished| finished != record) {
            site.world.wrong(format_args!("{id} has ended otherwise than was told"));
        }
        client.read(&record).await;
    }
}

/// A pool that is configured is full after a while, and a caller gets one of those that wait.
async fn a_pool_serves(client: &mut Client) {
    let site = Arc::clone(&client.site);
    site.restart_server(Pooling::Always);
    let waits = |record: &SandboxRecord| record.pooled.is_some() && matches!(record.phase, Phase::Running(_));
    let waiting = || site.ledger.unfinished().into_iter().filter(waits).map(|record| record.id).collect::<Vec<_>>();
    until(&site, "the pool is full", || waiting().len() == site.world.plan.pool).await;
    let began = Instant::now();
    loop {
        let before = waiting();
        let id = client.create_like_pooled().await;
        if let Some(id) = id {
            client.destroy(id).await;
        }
        if id.is_some_and(|id| before.contains(&id)) || site.world.is_wrong() {
            return;
        }
        if PATIENCE < began.elapsed() {
            return site.world.wrong(format_args!("{before:?} wait, and a caller got {id:?}"));
        }
        // The server that has just been started may not know yet that they answer.
        sleep(LOOK_EVERY).await;
    }
}

async fn nothing_is_left(site: &Site) {
    until(site, "no instance is left", || site.machine.all().is_empty()).await;
    until(site, "no agent is listened for", || site.network.listening() == 0).await;
    until(site, "no folder is left on the node", || site.folders().is_empty()).await;
    let known: Vec<ExecutionId> = site.ledger.executions().iter().map(|record| record.id).collect();
    // Those of records whose time was over go with the next start.
    let removed_only = || site.outputs.executions().iter().all(|id| known.contains(id));
    if !removed_only() {
        site.kill(crate::life::Role::Server);
        until(site, "output of nobody is removed", removed_only).await;
    }
}

/// All that was promised to sandboxes is free again.
async fn there_is_room_again(client: &mut Client) {
    let spec = wish::sandbox(16, 3072, Duration::from_secs(60));
    let began = Instant::now();
    loop {
        let (permit, spec) = (permit::<CreateSandbox>(), spec.clone());
        let new = NewSandbox { spec, wait: Duration::from_secs(30), once: None };
        let create = |controller: Controller| async move { controller.create(&permit, new).await };
        match client.ask("create the largest", PATIENCE, create).await {
            Some(Ok(created)) => return client.destroy(created.record.id).await,
            // The engine's next probe may be a minute away.
            Some(Err(_)) | None if began.elapsed() < PATIENCE => sleep(Duration::from_secs(1)).await,
            answer => {
                client.site.world.wrong(format_args!("nothing is left, and there is no room: {answer:?}"));
                return;
            }
        }
    }
}
