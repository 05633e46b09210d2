//! A second sandbox that lives beside the one a test is about: it has a secret, a beating heart and a trap for every
//! signal, and must come through unharmed.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::TryRngCore as _;
use serde_json::json;

use crate::{Column, Guest, NewExecution, Server, eventually};

/// How long a beat may take on a machine that has other things to do.
const BEAT_DEADLINE: Duration = Duration::from_mins(1);
/// Longer than any suite.
const TTL_SECONDS: u32 = 7200;

/// Beats until it is told to stop, and writes down each signal that reached it.
const HEART: &str = r#"
trap '' PIPE
for signal in HUP INT QUIT USR1 USR2 ALRM TERM TSTP TTIN TTOU URG WINCH IO PWR CONT; do
    trap "echo $signal >> signals" $signal
done
beat=0
while [ ! -e stop ]; do
    beat=$((beat + 1))
    echo $beat > beat.new && mv beat.new beat
    sleep 0.2
done
"#;

/// The sandbox that must not notice.
#[derive(Debug)]
pub struct Neighbour {
    guest: Guest,
    heart: String,
    secret: String,
}

impl Neighbour {
    /// A sandbox on this engine, beating.
    pub async fn beside(server: &Server, column: Column) -> Result<Self> {
        let fields = json!({"engine": column.name(), "memory": "256Mi", "disk": "64Mi", "ttl": TTL_SECONDS});
        let guest = Guest::of(server, fields).await.context("a neighbour")?;
        let secret = format!("secret-{:016x}", rand::rngs::OsRng.try_next_u64().context("randomness")?);
        guest.client().upload(guest.id(), "/home/user/secret", secret.clone()).await?.expect(200)?;
        let heart = NewExecution::code("bash", HEART).within(guest.id()).with("timeout", TTL_SECONDS);
        let heart = guest.client().execute_in_background(heart).await?.id;
        let neighbour = Self { guest, heart, secret };
        neighbour.beats_after(0).await?;
        Ok(neighbour)
    }

    /// Its sandbox.
    pub const fn guest(&self) -> &Guest {
        &self.guest
    }

    /// What nobody else may ever read.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// How often its heart has beaten.
    pub async fn beats(&self) -> Result<u64> {
        let said = self.guest.client().download(self.guest.id(), "/home/user/beat").await?.expect(200)?.text();
        said.trim().parse().with_context(|| format!("{said:?} is no beat"))
    }

    /// That it has gone on since `before`, that it is the same heart, and that nobody has touched what is its own.
    pub async fn unharmed(&self, before: u64) -> Result<()> {
        self.look(before).await.context("the neighbour was harmed")
    }

    /// Ends it, and waits until nothing of it is left.
    pub async fn gone(self) -> Result<()> {
        self.guest.gone().await
    }

    async fn look(&self, before: u64) -> Result<()> {
        self.beats_after(before).await?;
        let heart = self.guest.client().execution(&self.heart).await?;
        ensure!(heart.state == "running", "its heart has stopped: {heart:?}");
        let state = self.guest.shell("cat secret; cat signals 2>/dev/null; ls | tr '\\n' ' '").await?;
        let kept = format!("{}beat secret ", self.secret);
        let said = state.stdout.unwrap_or_default().replace("beat.new ", "");
        ensure!(said == kept, "what is its own has changed: {said:?} instead of {kept:?}");
        Ok(())
    }

    async fn beats_after(&self, before: u64) -> Result<()> {
        let beaten = || async {
            let beats = self.beats().await?;
            ensure!(before < beats, "its heart stands still at {beats}");
            Ok(())
        };
        eventually("a heart that beats", BEAT_DEADLINE, beaten).await
    }
}
