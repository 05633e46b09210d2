//! What happens while clients work, at moments of its own choosing.

use std::sync::Arc;

use tokio::time::sleep;

use crate::{life::Role, machine::Harm, plan::Kind, processes::Site};

const HOUR_MS: i64 = 3_600_000;

/// Makes as much trouble as the plan says.
pub(crate) async fn trouble(site: Arc<Site>) {
    let world = &site.world;
    for _ in 0..world.plan.events {
        sleep(world.millis(50..5000)).await;
        match world.pick(0..100) {
            0..25 if world.plan.has(Kind::Kills) => site.kill(Role::Server),
            25..45 if world.plan.has(Kind::Kills) => site.kill(Role::Node),
            45..55 if world.plan.has(Kind::Kills) => {
                site.kill(Role::Server);
                site.kill(Role::Node);
            }
            55..80 if world.plan.has(Kind::Harm) => harm(&site),
            80..92 if world.plan.has(Kind::Jumps) => jump(&site),
            92..100 if world.plan.has(Kind::HostRestarts) => site.restart_host(),
            _ => {}
        }
    }
}

/// Something happens to an instance.
fn harm(site: &Site) {
    let instances = site.machine.all();
    if instances.is_empty() {
        return;
    }
    let (id, _) = instances[site.world.pick(0..instances.len())];
    let harm = match site.world.pick(0..10) {
        0..5 => Harm::Exited,
        5..8 => Harm::Oom,
        _ => Harm::Lost,
    };
    site.machine.harm(id, harm);
}

fn jump(site: &Site) {
    let milliseconds = match site.world.pick(0..10) {
        0..4 => site.world.pick(-30_000..30_000),
        4..9 => site.world.pick(-HOUR_MS..HOUR_MS),
        _ => site.world.pick(-30 * HOUR_MS..30 * HOUR_MS),
    };
    site.world.tell(format_args!("clock: jumps {milliseconds} ms"));
    site.world.jump(milliseconds);
}
