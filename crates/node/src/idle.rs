//! When a node that was started for one server has nothing left to do.

use std::time::Duration;

use sentinal_node_protocol::InstanceState;
use tokio::time::{Instant, sleep};

use crate::{door::Door, host::Host};

/// How often it is looked.
const INTERVAL: Duration = Duration::from_secs(1);

/// Returns once there was neither client nor instance for `patience`. What has ended and waits for its halt
/// is on the disk and can be listed by the next node.
pub(crate) async fn idle_for(patience: Duration, door: &Door, host: &Host) {
    let mut busy_at = Instant::now();
    while busy_at.elapsed() < patience {
        sleep(INTERVAL).await;
        let exists = |state| !matches!(state, InstanceState::Ended(_));
        if 0 < door.clients() || host.list().iter().any(|instance| exists(instance.state)) {
            busy_at = Instant::now();
        }
    }
}
