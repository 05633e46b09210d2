//! SIGKILL at the planned moments, and the start after it.

use std::time::Duration;

use anyhow::Result;
use sentinal_tests::{Role, Server};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    journal::{Journal, Progress},
    plan::{Kill, Target, Trigger},
};

/// A trigger that does not come in time is over: the clients may have nothing of that kind left to do.
const TRIGGER_MAX: Duration = Duration::from_secs(3);

/// Does all `kills` in their order. Both roles have been started again when it ends.
pub(crate) async fn kill_all(server: &Server, journal: &Journal, kills: &[Kill]) -> Result<()> {
    for kill in kills {
        wait_for(kill.trigger, journal.progress()).await;
        server.place().learn_cgroups();
        journal.write(|promises| {
            promises.to_adopt += promises.running();
            *promises.kills.entry(name(kill.target)).or_default() += 1;
        });
        let Target::Roles(roles) = kill.target else {
            Role::kill_worker(server.place().data_dir())?;
            continue;
        };
        for role in roles {
            server.kill(*role).await?;
        }
        sleep(kill.pause).await;
        for role in roles {
            server.launch(*role)?;
        }
    }
    Ok(())
}

async fn wait_for(trigger: Trigger, mut progress: watch::Receiver<Progress>) {
    let now = *progress.borrow();
    let (then, more): (Duration, fn(&Progress, &Progress) -> bool) = match trigger {
        Trigger::After(time) => (time, |_, _| true),
        Trigger::Ack => (Duration::ZERO, |new, old| new.acks > old.acks),
        Trigger::Create(time) => (time, |new, old| new.creates > old.creates),
        Trigger::Delete(time) => (time, |new, old| new.deletes > old.deletes),
    };
    let _ = timeout(TRIGGER_MAX, progress.wait_for(|new| more(new, &now))).await;
    sleep(then).await;
}

fn name(target: Target) -> &'static str {
    match target {
        Target::Roles([Role::Serve]) => "serve",
        Target::Roles([Role::Node]) => "node",
        Target::Roles(_) => "both",
        Target::Worker => "worker",
    }
}
