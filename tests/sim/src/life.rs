//! The life of a process, from a start to a crash. What a dead process still has under way never returns: whatever it
//! would have done next, it does not do.

use std::{fmt, future::pending};

use tokio_util::sync::CancellationToken;

/// Which process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
    Node,
}

/// One run of a process.
#[derive(Clone)]
pub(crate) struct Life {
    role: Role,
    number: u32,
    dead: CancellationToken,
}

impl Life {
    pub(crate) fn new(role: Role, number: u32) -> Self {
        Self { role, number, dead: CancellationToken::new() }
    }

    pub(crate) fn kill(&self) {
        self.dead.cancel();
    }

    pub(crate) fn is_over(&self) -> bool {
        self.dead.is_cancelled()
    }

    /// Returns at once while the process lives, and never afterwards.
    pub(crate) async fn alive(&self) {
        if self.is_over() {
            pending::<()>().await;
        }
    }

    /// Resolves when the process is dead.
    pub(crate) async fn over(&self) {
        self.dead.cancelled().await;
    }

    /// Runs something of this process; `None` when the process died first.
    pub(crate) async fn run<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.dead.cancelled() => None,
            done = work => Some(done),
        }
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.role {
            Role::Server => "server",
            Role::Node => "node",
        };
        write!(f, "{role} {}", self.number)
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
