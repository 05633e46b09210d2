//! What happens in a folder, through the agent.

use futures::{Stream, StreamExt as _, stream};
use sentinal_agent_protocol::v1;
use sentinal_model::{FileChange, FileEvent, FolderWatch, limits};
use tokio::time::timeout;

use crate::{
    agent::{Agent, answer_within},
    error::AgentError,
    file::user,
};

impl Agent {
    /// What happens in a folder from now on, until the folder is gone; an error when the connection is. Dropping it ends
    /// the watch.
    pub async fn watch(
        &self,
        watch: &FolderWatch,
    ) -> Result<impl Stream<Item = Result<FileEvent, AgentError>> + Send + 'static + use<>, AgentError> {
        let mut client = self.connection(limits::AGENT_ANSWER_DEADLINE).await?.client();
        let path = watch.at.path.as_str().to_owned();
        let request = v1::WatchRequest { path, user: user(&watch.at), recursive: watch.recursive };
        let mut messages = answer_within(limits::AGENT_FOLDER_DEADLINE, client.watch(request)).await?;
        // The first says that the watch has begun.
        timeout(limits::AGENT_ANSWER_DEADLINE, messages.message()).await.map_err(|_| AgentError::Deadline)??;
        let told = stream::try_unfold((messages, false), |(mut messages, is_over)| async move {
            if is_over {
                return Ok(None);
            }
            let message = messages.message().await?.ok_or(AgentError::Disconnected)?;
            Ok(Some((message.events, (messages, message.end))))
        });
        Ok(told.flat_map(|told: Result<_, AgentError>| {
            let events = match told {
                Ok(events) => events.into_iter().filter_map(checked).map(Ok).collect(),
                Err(error) => vec![Err(error)],
            };
            stream::iter(events)
        }))
    }
}

/// What the event means; `None` for one that this version does not know.
fn checked(event: v1::FileEvent) -> Option<FileEvent> {
    let change = event.change();
    let v1::FileEvent { path, from, is_folder, .. } = event;
    let change = match change {
        v1::FileChange::Created => FileChange::Created,
        v1::FileChange::Modified => FileChange::Modified,
        v1::FileChange::Removed => FileChange::Removed,
        v1::FileChange::Moved => FileChange::Moved { from },
        v1::FileChange::Overflow => FileChange::Overflow,
        v1::FileChange::Unspecified => return None,
    };
    Some(FileEvent { change, path, is_folder })
}
