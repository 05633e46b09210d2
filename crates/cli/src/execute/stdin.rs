//! Standard input on its way to a program: as fast as the program reads, and never more than one piece of it here.

use std::io::{self, IsTerminal as _};

use anyhow::Result;
use bytes::{Bytes, BytesMut};
use reqwest::Method;
use sentinal_model::Code;
use tokio::io::AsyncReadExt as _;

use super::{ASK_AGAIN, AWAY_MAX};
use crate::{client::Client, failure};

/// Bytes of one piece.
const PIECE_BYTES: usize = 256 * 1024;

/// Where a program's standard input comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stdin {
    /// It has none.
    Nothing,
    /// From this process's.
    Ours,
}

impl Stdin {
    /// This process's, unless that is a terminal and nobody said `-i`.
    pub(crate) fn choose(interactive: bool, none: bool) -> Self {
        let ours = interactive || !io::stdin().is_terminal();
        if ours && !none { Self::Ours } else { Self::Nothing }
    }

    pub(super) fn is_given(self) -> bool {
        self == Self::Ours
    }

    /// Sends all of it, and its end. That the program no longer reads is no failure.
    pub(super) async fn send(self, client: &Client, execution: &str) -> Result<()> {
        if self == Self::Nothing {
            return Ok(());
        }
        let (mut stdin, mut offset) = (tokio::io::stdin(), 0);
        loop {
            let mut piece = BytesMut::with_capacity(PIECE_BYTES);
            let is_end = stdin.read_buf(&mut piece).await? == 0;
            let length = piece.len();
            match deliver(client, execution, (offset, piece.freeze(), is_end)).await {
                Ok(()) if is_end => return Ok(()),
                Ok(()) => offset += u64::try_from(length).unwrap_or_default(),
                Err(error) if is_over(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

/// The offset makes it harmless to send a piece again.
async fn deliver(client: &Client, execution: &str, (offset, piece, is_end): (u64, Bytes, bool)) -> Result<()> {
    let since = tokio::time::Instant::now();
    let query = [("offset", offset.to_string()), ("end", is_end.to_string())];
    loop {
        let request = client.request(Method::POST, &["execution", execution, "stdin"]).query(&query);
        let request = request.header("content-type", "application/octet-stream").body(piece.clone());
        match client.send(request).await {
            Ok(_) => return Ok(()),
            Err(error) if failure::is_passing(&error) && since.elapsed() < AWAY_MAX => {
                tokio::time::sleep(ASK_AGAIN).await;
            }
            Err(error) => return Err(error),
        }
    }
}

fn is_over(error: &anyhow::Error) -> bool {
    failure::is_code(error, Code::Conflict) || failure::is_code(error, Code::NotFound)
}
