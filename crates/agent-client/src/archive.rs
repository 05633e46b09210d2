//! Folders as archives, through the agent: they are packed and unpacked inside, and nothing here looks into them.

use bytes::Bytes;
use futures::Stream;
use sentinal_agent_protocol::v1;
use sentinal_model::{ArchiveWrite, ArchiveWritten, FileAt, limits};

use crate::{
    agent::{Agent, answer_within},
    body::{WriteError, answered, messages},
    error::AgentError,
    file::{Length, next, stream_of, user},
};

impl Agent {
    /// A folder as a tar stream.
    pub async fn read_archive(
        &self,
        folder: &FileAt,
    ) -> Result<impl Stream<Item = Result<Bytes, AgentError>> + Send + 'static + use<>, AgentError> {
        let mut client = self.connection(limits::AGENT_ANSWER_DEADLINE).await?.client();
        let request =
            v1::ReadArchiveRequest { path: folder.path.as_str().to_owned(), user: user(folder), as_image: false };
        let mut messages = answer_within(limits::AGENT_FOLDER_DEADLINE, client.read_archive(request)).await?;
        let first = next(&mut messages).await?;
        let length = Length::AtMost(limits::ARCHIVE_STREAM_BYTES_MAX);
        Ok(stream_of(messages, Some(first), length))
    }

    /// All that the sandbox sees as `/` as a tar stream that an image can be made of.
    pub async fn read_root(
        &self,
    ) -> Result<impl Stream<Item = Result<Bytes, AgentError>> + Send + 'static + use<>, AgentError> {
        let mut client = self.connection(limits::AGENT_ANSWER_DEADLINE).await?.client();
        let user = Some(v1::User { name: "0".to_owned() });
        let request = v1::ReadArchiveRequest { path: "/".to_owned(), user, as_image: true };
        let mut messages = answer_within(limits::AGENT_FOLDER_DEADLINE, client.read_archive(request)).await?;
        let first = next(&mut messages).await?;
        Ok(stream_of(messages, Some(first), Length::AtMost(limits::IMAGE_ARCHIVE_BYTES_MAX)))
    }

    /// Unpacks a tar stream into a folder. What was unpacked before something is refused stays.
    pub async fn write_archive<E>(
        &self,
        archive: &ArchiveWrite,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<ArchiveWritten, WriteError<E>> {
        let mut client = self.connection(limits::AGENT_ANSWER_DEADLINE).await.map_err(WriteError::Agent)?.client();
        let (messages, receiver) = messages();
        let start = v1::WriteFileStart {
            path: archive.at.path.as_str().to_owned(),
            mode: 0,
            user: user(&archive.at),
            make_parents: archive.make_parents,
        };
        let written = answered(client.write_archive(receiver), messages.send_file(start, body)).await?;
        Ok(ArchiveWritten { entries: written.entries, bytes: written.bytes })
    }
}
