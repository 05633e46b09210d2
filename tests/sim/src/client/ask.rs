//! One call of a client and how it may end.

use std::time::Duration;

use sentinal_controller::Controller;
use sentinal_model::{Code, Error, Once, Result, limits};
use tokio::time::{sleep, timeout};

use super::Client;
use crate::processes::ServerUp;

/// How long a client waits for a server.
const SERVER_DEADLINE: Duration = Duration::from_secs(120);

/// How often a request with a key is sent at most.
const SENT_MAX: u32 = 4;

impl Client {
    /// Asks the server of the moment. `None`: nobody answered, since the server died or the client left.
    /// An answer that takes longer than `bound` is wrong.
    pub(crate) async fn ask<T, F>(
        &self,
        what: &'static str,
        bound: Duration,
        call: impl FnOnce(Controller) -> F,
    ) -> Option<Result<T>>
    where
        F: Future<Output = Result<T>>,
    {
        let world = &self.site.world;
        let up = self.server().await?;
        world.tell(format_args!("client {}: {what}", self.number));
        let leaves = if world.fails(world.plan.leave) { world.millis(0..3000) } else { Duration::MAX };
        let answer = tokio::select! {
            biased;
            () = up.life.over() => None,
            answer = timeout(bound, call(up.controller.clone())) => Some(answer),
            () = sleep(leaves) => None,
        };
        match answer {
            Some(Ok(answer)) => {
                self.judge(what, answer.as_ref().err());
                Some(answer)
            }
            Some(Err(_)) => {
                world.wrong(format_args!("client {}: {what} was not answered within {bound:?}", self.number));
                None
            }
            None => {
                self.site.journal.answered("nothing");
                world.tell(format_args!("client {}: {what}: no answer", self.number));
                None
            }
        }
    }

    /// Asks for something to be made, half of the time by a key: then again as long as there is no answer, and perhaps
    /// once more after it, which must make nothing. `id` tells what was made from anything else.
    pub(crate) async fn ask_once<T, F>(
        &self,
        what: &'static str,
        bound: Duration,
        call: impl Fn(Controller, Option<Once>) -> F,
        id: impl Fn(&T) -> String,
    ) -> Option<T>
    where
        F: Future<Output = Result<T>>,
    {
        let world = &self.site.world;
        if world.chance(5000) {
            return Box::pin(self.ask(what, bound, |controller| call(controller, None))).await?.ok();
        }
        let key = u64::from_le_bytes(world.bytes()).to_string();
        let once = Once { key: key.parse().expect("digits are a key"), request: world.bytes() };
        let mut made: Option<T> = None;
        for _ in 0..SENT_MAX {
            let again = |controller| call(controller, Some(once.clone()));
            let asking = Box::pin(self.ask(what, limits::IDEMPOTENCY_WAIT_MAX + bound, again));
            let Some(Ok(now)) = asking.await else { continue };
            if let Some(before) = made.as_ref().map(&id).filter(|before| *before != id(&now)) {
                world.wrong(format_args!("{what} made {before}, and then {} by the same key", id(&now)));
            }
            made.get_or_insert(now);
            if world.chance(5000) {
                break;
            }
        }
        made
    }

    async fn server(&self) -> Option<ServerUp> {
        let mut server = self.site.server.subscribe();
        let alive = |up: &Option<ServerUp>| up.as_ref().is_some_and(|up| !up.life.is_over());
        let Ok(up) = timeout(SERVER_DEADLINE, server.wait_for(alive)).await else {
            self.site.world.wrong(format_args!("no server within {SERVER_DEADLINE:?}"));
            return None;
        };
        up.ok().and_then(|up| up.clone())
    }

    fn judge(&self, what: &str, error: Option<&Error>) {
        let Some(error) = error else { return self.site.journal.answered("yes") };
        self.site.journal.answered(error.code().as_str());
        self.site.world.tell(format_args!("client {}: {what}: {:?}: {}", self.number, error.code(), error.message()));
        if error.code() == Code::Internal {
            self.site.world.wrong(format_args!("{what} was answered with an error of our own: {error:?}"));
        }
    }
}
