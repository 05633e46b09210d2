//! What a client does next.

use sentinal_model::SandboxId;

use super::Client;

impl Client {
    /// Does so many things.
    pub(crate) async fn work(mut self, steps: u32) {
        for _ in 0..steps {
            tokio::time::sleep(self.site.world.millis(0..1500)).await;
            self.step().await;
        }
    }

    async fn step(&mut self) {
        let dice = self.site.world.pick(0..100);
        let Some(sandbox) = self.any() else { return self.create_or_once(dice).await };
        match dice {
            0..15 => self.create().await,
            15..40 => self.execute(sandbox).await,
            40..50 => self.start(sandbox).await,
            50..60 => self.upload(sandbox).await,
            60..65 => self.download(sandbox).await,
            65..75 => self.once().await,
            75..88 => self.destroy(sandbox).await,
            88..91 => drop(self.look(sandbox).await),
            91..97 => self.pause(sandbox).await,
            _ => {
                self.list().await;
                self.look_into_the_pool().await;
            }
        }
    }

    async fn create_or_once(&mut self, dice: u32) {
        if dice < 75 { self.create().await } else { self.once().await }
    }

    fn any(&self) -> Option<SandboxId> {
        let count = self.sandboxes.len();
        (0 < count).then(|| self.sandboxes[self.site.world.pick(0..count)])
    }
}
