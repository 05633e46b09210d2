//! `sentinal files`: files of a sandbox, one by one.

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::Method;
use sentinal_api::{FileEntry, FileEventData, FileList, MakeFolder, MoveFile};
use serde_json::{Value, json};

use crate::{
    client::Answer,
    copy::{self, Local, Operand, Remote},
    failure::Failure,
    session::Session,
    show::{self, Table, age, bytes, clean},
};

/// What `sentinal files` does.
#[derive(Debug, Args)]
pub struct FilesOptions {
    #[command(subcommand)]
    command: FilesCommand,
}

#[derive(Debug, Subcommand)]
enum FilesCommand {
    /// List what is in a folder
    Ls {
        /// SANDBOX:PATH; the user's home without a path
        at: String,
        /// How many folders deep, at most 32
        #[arg(long, value_name = "FOLDERS", default_value_t = 1)]
        depth: u32,
        /// The paths alone
        #[arg(long, short)]
        quiet: bool,
    },
    /// Write files to standard output
    Cat {
        /// SANDBOX:PATH
        #[arg(required = true, value_name = "AT")]
        files: Vec<String>,
    },
    /// Make a file of standard input
    Put {
        /// SANDBOX:PATH
        at: String,
    },
    /// Remove files
    Rm {
        /// SANDBOX:PATH
        #[arg(required = true, value_name = "AT")]
        files: Vec<String>,
        /// Folders, too, with all that is in them
        #[arg(long, short)]
        recursive: bool,
    },
    /// Make folders, and those on the way
    Mkdir {
        /// SANDBOX:PATH
        #[arg(required = true, value_name = "AT")]
        folders: Vec<String>,
    },
    /// Give a file or folder another path
    Mv {
        /// SANDBOX:PATH
        at: String,
        /// The new path in the same sandbox
        to: String,
        /// Take the place of a file that is there
        #[arg(long, short = 'f')]
        overwrite: bool,
    },
    /// Show all that is known about a file
    Stat {
        /// SANDBOX:PATH
        at: String,
    },
    /// Tell what happens in a folder, as it happens
    Watch {
        /// SANDBOX:PATH; the user's home without a path
        at: String,
        /// In the folders in it, too
        #[arg(long, short)]
        recursive: bool,
    },
}

/// `sentinal files`.
pub(crate) async fn files(session: &Session, options: FilesOptions) -> Result<u8> {
    match options.command {
        FilesCommand::Ls { at, depth, quiet } => list(session, &remote(session, &at).await?, depth, quiet).await?,
        FilesCommand::Cat { files } => {
            for at in &files {
                copy::get(session, &remote(session, at).await?, &Local::Stream).await?;
            }
        }
        FilesCommand::Put { at } => copy::put(session, &Local::Stream, &remote(session, &at).await?).await?,
        FilesCommand::Rm { files, recursive } => {
            for at in &files {
                remove(session, &remote(session, at).await?, recursive).await?;
            }
        }
        FilesCommand::Mkdir { folders } => {
            for at in &folders {
                make(session, &remote(session, at).await?).await?;
            }
        }
        FilesCommand::Mv { at, to, overwrite } => rename(session, &remote(session, &at).await?, to, overwrite).await?,
        FilesCommand::Stat { at } => stat(session, &remote(session, &at).await?).await?,
        FilesCommand::Watch { at, recursive } => watch(session, &remote(session, &at).await?, recursive).await?,
    }
    Ok(0)
}

/// The place that is meant; a sandbox alone stands for the user's home.
async fn remote(session: &Session, text: &str) -> Result<Remote> {
    let with_path = if text.contains(':') { text.to_owned() } else { format!("{text}:") };
    match Operand::parse(&with_path) {
        Operand::Remote(remote) => Ok(Remote { sandbox: session.sandbox_id(&remote.sandbox).await?, ..remote }),
        Operand::Local(_) => Err(Failure::usage(format!("{text:?} is not in a sandbox; write it as SANDBOX:PATH"))),
    }
}

async fn list(session: &Session, at: &Remote, depth: u32, quiet: bool) -> Result<()> {
    let (depth, path) = (depth.to_string(), ["sandbox", &at.sandbox, "files", "list"]);
    let (mut rows, mut entries, mut cursor) = (Vec::new(), Vec::new(), None::<String>);
    loop {
        let mut query = vec![("path", at.plain()), ("depth", &depth)];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page: Answer<FileList> = session.client.get(&path, &query).await?;
        rows.extend(page.json["items"].as_array().cloned().unwrap_or_default());
        entries.extend(page.body.items);
        cursor = page.body.next;
        if cursor.is_none() {
            break;
        }
    }
    if session.json {
        return show::json(&json!({"items": rows, "next": null}));
    }
    if quiet {
        return entries.iter().try_for_each(|entry: &FileEntry| show::line(&clean(&entry.path)));
    }
    table(&entries).print()
}

fn table(entries: &[FileEntry]) -> Table {
    let mut table = Table::new(&["MODE", "USER", "SIZE", "AGE", "PATH"]);
    for entry in entries {
        let mark = match entry.kind.as_ref() {
            "directory" => "d",
            "symlink" => "l",
            _ => "-",
        };
        let target = entry.target.as_ref().map_or_else(String::new, |target| format!(" -> {target}"));
        table.row([
            format!("{mark}{}", entry.mode),
            entry.user.clone().unwrap_or_else(|| entry.uid.to_string()),
            bytes(entry.size),
            age(&entry.modified_at),
            format!("{}{target}", entry.path),
        ]);
    }
    table
}

async fn remove(session: &Session, at: &Remote, recursive: bool) -> Result<()> {
    let request = session.client.request(Method::DELETE, &["sandbox", &at.sandbox, "files"]);
    let recursive = recursive.to_string();
    session.client.send(request.query(&[("path", at.plain()), ("recursive", &recursive)])).await?;
    Ok(())
}

async fn make(session: &Session, at: &Remote) -> Result<()> {
    let body = MakeFolder { path: at.plain().to_owned(), parents: true, mode: None, user: None };
    told(session, session.client.submit(Method::POST, &["sandbox", &at.sandbox, "files", "mkdir"], &body).await?)
}

async fn rename(session: &Session, from: &Remote, to: String, overwrite: bool) -> Result<()> {
    // `mv SANDBOX:a SANDBOX:b` says the same twice.
    let to = match Operand::parse(&to) {
        Operand::Remote(remote) => remote.path,
        Operand::Local(_) => to,
    };
    let body = MoveFile { from: from.plain().to_owned(), to, overwrite, user: None };
    told(session, session.client.submit(Method::POST, &["sandbox", &from.sandbox, "files", "move"], &body).await?)
}

/// What is silent for people answers programs.
fn told(session: &Session, answer: Answer<Value>) -> Result<()> {
    if session.json { show::json(&answer.json) } else { Ok(()) }
}

async fn stat(session: &Session, at: &Remote) -> Result<()> {
    let path = ["sandbox", &at.sandbox, "files", "stat"];
    let answer: Answer<FileEntry> = session.client.get(&path, &[("path", at.plain())]).await?;
    session.answer(&answer.json, &show::fields(&answer.json, &["path", "type", "size", "mode", "user", "group"]))
}

async fn watch(session: &Session, at: &Remote, recursive: bool) -> Result<()> {
    let request = session.client.request(Method::GET, &["sandbox", &at.sandbox, "files", "watch"]);
    let recursive = recursive.to_string();
    let mut events = session.client.events(request.query(&[("path", at.plain()), ("recursive", &recursive)])).await?;
    while let Some(event) = events.next().await? {
        let mut json: Value = serde_json::from_str(&event.data)?;
        if session.json {
            json["type"] = event.name.into();
            show::json_line(&json)?;
            continue;
        }
        let FileEventData { path, from, .. } = serde_json::from_value(json)?;
        let from = from.map_or_else(String::new, |from| format!(" (from {from})"));
        show::line(&clean(&format!("{:<9} {path}{from}", event.name)))?;
    }
    Ok(())
}
