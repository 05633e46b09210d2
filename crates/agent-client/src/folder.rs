//! Folders and what files are, through the agent. All of it is what the sandbox says: bounded, and no more than told.

use sentinal_agent_protocol::v1;
use sentinal_model::{
    FileKind, FileLook, FileMove, FileRemoval, FileStat, FolderEntry, FolderList, FolderPage, Millis, NewFolder, limits,
};
use tokio::time::timeout;
use tonic::Streaming;

use crate::{
    agent::{Agent, answer, answer_within},
    error::{AgentError, clean},
    file::user,
};

impl Agent {
    /// What a file is.
    pub async fn stat(&self, look: &FileLook) -> Result<FileStat, AgentError> {
        let mut client = self.connection(limits::AGENT_ANSWER_DEADLINE).await?.client();
        let path = look.at.path.as_str().to_owned();
        let request = v1::StatRequest { path, user: user(&look.at), follow: look.follow };
        answer(client.stat(request)).await.and_then(|answer| told(answer.stat))
    }

    /// A part of what is in a folder.
    pub async fn list_folder(&self, list: &FolderList) -> Result<FolderPage, AgentError> {
        let mut client = self.connection(limits::AGENT_ANSWER_DEADLINE).await?.client();
        let request = v1::ListFolderRequest {
            path: list.at.path.as_str().to_owned(),
            user: user(&list.at),
            depth: list.depth,
            after: list.after.clone(),
            entries_max: list.entries_max,
        };
        let messages = answer_within(limits::AGENT_FOLDER_DEADLINE, client.list_folder(request)).await?;
        collect(messages, usize::try_from(list.entries_max).unwrap_or(usize::MAX)).await
    }

    /// Makes a folder.
    pub async fn make_folder(&self, folder: &NewFolder) -> Result<FileStat, AgentError> {
        let mut client = self.connection(limits::AGENT_ANSWER_DEADLINE).await?.client();
        let request = v1::MakeFolderRequest {
            path: folder.at.path.as_str().to_owned(),
            user: user(&folder.at),
            make_parents: folder.make_parents,
            mode: folder.mode.unwrap_or(0),
        };
        answer(client.make_folder(request)).await.and_then(|answer| told(answer.stat))
    }

    /// Gives a file or folder another path.
    pub async fn move_file(&self, change: &FileMove) -> Result<FileStat, AgentError> {
        let mut client = self.connection(limits::AGENT_ANSWER_DEADLINE).await?.client();
        let request = v1::MoveRequest {
            from: change.from.path.as_str().to_owned(),
            to: change.to.as_str().to_owned(),
            user: user(&change.from),
            overwrite: change.overwrite,
        };
        answer(client.r#move(request)).await.and_then(|answer| told(answer.stat))
    }

    /// Removes a file or folder.
    pub async fn remove_file(&self, removal: &FileRemoval) -> Result<(), AgentError> {
        let mut client = self.connection(limits::AGENT_ANSWER_DEADLINE).await?.client();
        let path = removal.at.path.as_str().to_owned();
        let request = v1::RemoveRequest { path, user: user(&removal.at), recursive: removal.recursive };
        answer_within(limits::AGENT_FOLDER_DEADLINE, client.remove(request)).await.map(drop)
    }
}

/// All messages of a list. One that has more than was asked for is not believed.
async fn collect(
    mut messages: Streaming<v1::ListFolderResponse>,
    entries_max: usize,
) -> Result<FolderPage, AgentError> {
    let (mut entries, mut bytes_left) = (Vec::new(), limits::LIST_BYTES_MAX);
    loop {
        let message = match timeout(limits::AGENT_FOLDER_DEADLINE, messages.message()).await {
            Ok(message) => message?.ok_or(AgentError::Disconnected)?,
            Err(_) => return Err(AgentError::Deadline),
        };
        for entry in message.entries {
            let target = entry.stat.as_ref().map_or(0, |stat| stat.target.len());
            bytes_left = bytes_left.checked_sub(entry.path.len() + target).ok_or(AgentError::Disconnected)?;
            if entries_max <= entries.len() {
                return Err(AgentError::Disconnected);
            }
            entries.push(FolderEntry { path: entry.path, stat: told(entry.stat)?, unreadable: entry.unreadable });
        }
        if let Some(more) = message.more {
            // There is no going on without something to go on from.
            return Ok(FolderPage { more: more && !entries.is_empty(), entries });
        }
    }
}

fn told(stat: Option<v1::FileStat>) -> Result<FileStat, AgentError> {
    let stat = stat.ok_or(AgentError::Disconnected)?;
    let kind = match stat.r#type() {
        v1::FileType::File => FileKind::File,
        v1::FileType::Directory => FileKind::Directory,
        v1::FileType::Symlink => FileKind::Symlink,
        v1::FileType::Fifo => FileKind::Fifo,
        v1::FileType::Socket => FileKind::Socket,
        v1::FileType::Device => FileKind::Device,
        v1::FileType::Unspecified => FileKind::Unknown,
    };
    let name = |name: &str| Some(clean(name)).filter(|name| !name.is_empty());
    Ok(FileStat {
        kind,
        size: stat.size,
        mode: stat.mode & 0o7777,
        uid: stat.uid,
        gid: stat.gid,
        user: name(&stat.user),
        group: name(&stat.group),
        modified: Millis(stat.modified_ms),
        target: (kind == FileKind::Symlink).then_some(stat.target),
    })
}
