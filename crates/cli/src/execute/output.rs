//! What a program writes, passed on as it comes: each byte once, whatever happens to the connection.

use anyhow::{Context as _, Result};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::Method;
use sentinal_api::{Encoding, Execution, OutputChunk};
use sentinal_model::limits;
use tokio::io::{AsyncWrite, AsyncWriteExt as _, Stderr, Stdout};

use crate::{
    client::{Answer, Client, Events},
    failure::{Failure, NobodyReads},
    show,
};

/// The output of one execution.
#[derive(Debug)]
pub(super) struct Output<'a> {
    client: &'a Client,
    execution: &'a str,
    stdout: Passed<Stdout>,
    stderr: Passed<Stderr>,
    is_shown: bool,
}

/// How far one stream has been passed on.
#[derive(Debug)]
struct Passed<W> {
    name: &'static str,
    offset: u64,
    to: W,
}

impl<'a> Output<'a> {
    /// Nothing is passed on unless it is shown: the answer at the end has it.
    pub(super) fn new(client: &'a Client, execution: &'a str, is_shown: bool) -> Self {
        let stdout = Passed { name: "stdout", offset: 0, to: tokio::io::stdout() };
        let stderr = Passed { name: "stderr", offset: 0, to: tokio::io::stderr() };
        Self { client, execution, stdout, stderr, is_shown }
    }

    /// Passes on what the events bring; `None` if they stop before the program does.
    pub(super) async fn take(&mut self, events: &mut Events) -> Result<Option<Answer<Execution>>> {
        while let Some(event) = events.next().await? {
            match event.name.as_str() {
                "stdout" => self.stdout.chunk(&event.data, self.is_shown).await?,
                "stderr" => self.stderr.chunk(&event.data, self.is_shown).await?,
                "result" => {
                    let json: serde_json::Value = serde_json::from_str(&event.data)?;
                    let body = serde_json::from_value(json.clone())?;
                    self.warn_of_cuts();
                    return Ok(Some(Answer { json, body }));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Passes on what is stored beyond what was passed on, until the program has ended.
    pub(super) async fn rest(&mut self) -> Result<()> {
        if self.is_shown {
            let (client, id) = (self.client, self.execution);
            tokio::try_join!(self.stdout.rest(client, id), self.stderr.rest(client, id))?;
            self.warn_of_cuts();
        }
        Ok(())
    }

    fn warn_of_cuts(&self) {
        for (name, offset) in [(self.stdout.name, self.stdout.offset), (self.stderr.name, self.stderr.offset)] {
            if limits::OUTPUT_STORED_BYTES_MAX <= offset {
                show::note(&format!("{name}: what came after {} is lost", show::bytes(offset)));
            }
        }
    }
}

impl<W: AsyncWrite + Unpin> Passed<W> {
    async fn chunk(&mut self, data: &str, is_shown: bool) -> Result<()> {
        let chunk: OutputChunk = serde_json::from_str(data).context("read a piece of the output")?;
        let bytes = match chunk.encoding {
            Encoding::Utf8 => chunk.data.into_bytes(),
            Encoding::Base64 => BASE64_STANDARD.decode(chunk.data).context("read a piece of the output")?,
        };
        if is_shown { self.pass(&bytes).await } else { Ok(()) }
    }

    async fn rest(&mut self, client: &Client, execution: &str) -> Result<()> {
        let offset = self.offset.to_string();
        let query = [("stream", self.name), ("offset", &offset), ("follow", "true")];
        let request = client.request(Method::GET, &["execution", execution, "output"]).query(&query);
        let mut response = client.send(request).await?;
        while let Some(piece) = response.chunk().await.map_err(Failure::Broken)? {
            self.pass(&piece).await?;
        }
        Ok(())
    }

    async fn pass(&mut self, bytes: &[u8]) -> Result<()> {
        let written = async {
            self.to.write_all(bytes).await?;
            self.to.flush().await
        };
        match written.await {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Err(NobodyReads.into()),
            written => written.context("write the output")?,
        }
        self.offset += u64::try_from(bytes.len()).unwrap_or_default();
        Ok(())
    }
}
