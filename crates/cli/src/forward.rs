//! `sentinal port-forward`: ports of a sandbox as ports of this machine.

use std::{net::Ipv4Addr, str::FromStr, sync::Arc};

use anyhow::{Context as _, Result};
use bytes::BytesMut;
use clap::Args;
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Semaphore,
    task::JoinSet,
};

use crate::{
    client::{Received, Receiver, Sender},
    execute::Signals,
    failure::Failure,
    session::Session,
    show,
};

/// Connections of one port at once.
const CONNECTIONS_MAX: usize = 64;
/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;

/// Which ports.
#[derive(Debug, Args)]
pub struct ForwardOptions {
    /// The sandbox's id, or the beginning of it
    sandbox: String,
    /// The port of the sandbox, and the one of this machine if it is to be another; 0 is any that is free
    #[arg(required = true, value_name = "[LOCAL:]REMOTE")]
    ports: Vec<Ports>,
}

/// A port here, and one there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ports {
    local: u16,
    remote: u16,
}

impl FromStr for Ports {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (local, remote) = text.split_once(':').unwrap_or((text, text));
        match (local.parse(), remote.parse()) {
            (Ok(local), Ok(remote)) if remote != 0 => Ok(Self { local, remote }),
            _ => Err(Failure::usage(format!("{text:?} is no port; write 8000 or 9000:8000"))),
        }
    }
}

/// `sentinal port-forward`: until Ctrl-C.
pub(crate) async fn forward(session: Session, options: ForwardOptions) -> Result<u8> {
    let mut signals = Signals::new()?;
    let sandbox: Arc<str> = session.sandbox_id(&options.sandbox).await?.into();
    let session = Arc::new(session);
    let mut listening = JoinSet::new();
    for ports in options.ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, ports.local)).await;
        let listener = listener.with_context(|| format!("listen on port {} of this machine", ports.local))?;
        let address = listener.local_addr()?;
        let told = json!({"local": address.to_string(), "remote": ports.remote});
        session.answer(&told, &format!("{address} -> port {} of {sandbox}", ports.remote))?;
        listening.spawn(listen(listener, Arc::clone(&session), Arc::clone(&sandbox), ports.remote));
    }
    tokio::select! {
        // Ctrl-C is how this ends.
        _ = signals.next() => Ok(0),
        Some(failed) = listening.join_next() => failed?.map(|()| 0),
    }
}

async fn listen(listener: TcpListener, session: Arc<Session>, sandbox: Arc<str>, port: u16) -> Result<()> {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let turn = Arc::clone(&room).acquire_owned().await?;
        let (stream, _) = listener.accept().await.context("take a connection")?;
        let (session, sandbox) = (Arc::clone(&session), Arc::clone(&sandbox));
        connections.spawn(async move {
            if let Err(error) = carry(&session, &sandbox, (stream, port)).await {
                show::note(&format!("a connection to port {port} ended: {error:#}"));
            }
            drop(turn);
        });
        while connections.try_join_next().is_some() {}
    }
}

/// One connection, both ways. It is over when the sandbox's side has nothing more to say.
async fn carry(session: &Session, sandbox: &str, (stream, port): (TcpStream, u16)) -> Result<()> {
    let port = port.to_string();
    let request = session.client.request(Method::GET, &["sandbox", sandbox, "tunnel", &port]);
    let (sender, receiver) = session.client.socket(request).await?.split();
    let (reader, writer) = stream.into_split();
    tokio::select! {
        done = inward(receiver, writer) => done,
        Err(error) = outward(reader, sender) => Err(error),
    }
}

async fn inward(mut receiver: Receiver, mut writer: OwnedWriteHalf) -> Result<()> {
    while let Some(received) = receiver.next().await? {
        if let Received::Bytes(bytes) = received {
            writer.write_all(&bytes).await.context("the program here has gone")?;
        }
    }
    Ok(writer.shutdown().await?)
}

/// Sends what is said here, and that it was all. Keeps the way open then: the answer may still be coming.
async fn outward(mut reader: OwnedReadHalf, mut sender: Sender) -> Result<()> {
    loop {
        let mut bytes = BytesMut::with_capacity(READ_BYTES);
        if reader.read_buf(&mut bytes).await.context("the program here has gone")? == 0 {
            sender.text("end".to_owned()).await?;
            return std::future::pending().await;
        }
        sender.bytes(bytes.freeze()).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_named_once_or_twice() {
        assert_eq!("8000".parse::<Ports>().unwrap(), Ports { local: 8000, remote: 8000 });
        assert_eq!("0:80".parse::<Ports>().unwrap(), Ports { local: 0, remote: 80 });
        for text in ["", "0", "80:0", "a", "1:2:3", "70000", ":80", "80:"] {
            assert!(text.parse::<Ports>().is_err(), "{text}");
        }
    }
}
