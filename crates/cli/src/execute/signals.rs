//! Ctrl-C and its like: first they are the program's, then ours.

use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::Method;
use sentinal_api::{SendSignal, SignalName};
use serde_json::Value;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    client::{Answer, Client},
    show,
};

/// The signals that ask this process to end.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    /// From now on they no longer end this process.
    pub(crate) fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("listen for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// The number of the next one.
    pub(crate) async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
            _ = self.hang_up.recv() => SignalKind::hangup().as_raw_value(),
        }
    }

    /// Passes the first one on to the program. Returns with the second, or when the program has had its time.
    pub(crate) async fn relay(&mut self, client: &Client, execution: &str, patience: Option<Duration>) -> i32 {
        let first = self.next().await;
        let body = SendSignal { signal: SignalName::Number(first) };
        let path = ["execution", execution, "signal"];
        let sent: Result<Answer<Value>> = tokio::select! {
            sent = client.submit(Method::POST, &path, &body) => sent,
            second = self.next() => return second,
        };
        if let Err(error) = sent {
            show::note(&format!("the program could not be told: {error:#}"));
        }
        let lost = async {
            match patience {
                Some(patience) => tokio::time::sleep(patience).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = lost => first,
            second = self.next() => second,
        }
    }
}

/// The exit status of what a signal has ended.
pub(crate) fn number_code(signal: i32) -> u8 {
    u8::try_from(signal.clamp(0, 127)).unwrap_or_default().saturating_add(128)
}
