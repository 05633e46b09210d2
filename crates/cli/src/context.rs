//! `sentinal context`: several servers by name, in a file that is its owner's alone.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, IsTerminal as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    failure::Failure,
    server::{is_loopback, parse_url},
    show::{self, Table},
};

/// What `sentinal context` does.
#[derive(Debug, Args)]
pub struct ContextOptions {
    #[command(subcommand)]
    command: ContextCommand,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum ContextCommand {
    /// Keep a server's address and key under a name, and use it from now on
    Add {
        /// What to call it
        name: String,
        /// The server's address
        #[arg(long, value_name = "URL")]
        url: String,
        /// A file with the API key, or `-` to read it from standard input
        #[arg(long, value_name = "FILE")]
        api_key_file: Option<PathBuf>,
    },
    /// Use another server from now on
    Use {
        /// One of `sentinal context ls`
        name: String,
    },
    /// List the servers; a star marks the current one
    Ls,
    /// Forget a server
    Rm {
        /// One of `sentinal context ls`
        name: String,
    },
}

/// A server that has a name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NamedContext {
    pub(crate) url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) api_key: Option<String>,
}

/// The file of contexts.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Contexts {
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    #[serde(default)]
    contexts: BTreeMap<String, NamedContext>,
}

/// `sentinal context`.
pub(crate) fn run(options: ContextOptions) -> Result<u8> {
    let mut contexts = Contexts::load()?;
    match options.command {
        ContextCommand::Add { name, url, api_key_file } => contexts.add(name, &url, api_key_file.as_deref())?,
        ContextCommand::Use { name } => contexts.switch(name)?,
        ContextCommand::Ls => contexts.print(options.json)?,
        ContextCommand::Rm { name } => contexts.remove(&name)?,
    }
    Ok(0)
}

impl Contexts {
    /// What is in the file; nothing if there is none.
    pub(crate) fn load() -> Result<Self> {
        let Some(path) = path() else { return Ok(Self::default()) };
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            text => text.with_context(|| format!("read {}", path.display()))?,
        };
        toml::from_str(&text).with_context(|| format!("{} is broken; correct or remove it", path.display()))
    }

    /// The named context, or the current one.
    pub(crate) fn chosen(&self, name: Option<String>) -> Result<Option<NamedContext>> {
        let Some(name) = name.or_else(|| self.current.clone()) else { return Ok(None) };
        self.known(&name).map(|context| Some(context.clone()))
    }

    fn known(&self, name: &str) -> Result<&NamedContext> {
        self.contexts.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.contexts.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "there is none yet".to_owned() } else { known.join(", ") };
            Failure::usage(format!("there is no context {name:?}; known: {known}"))
        })
    }

    fn add(&mut self, name: String, url: &str, key_file: Option<&Path>) -> Result<()> {
        let url = parse_url(url)?;
        if url.scheme() == "http" && !is_loopback(&url) {
            show::note("this address is plain HTTP: the key will travel unencrypted");
        }
        let api_key = key_file.map(read_key).transpose()?;
        self.contexts.insert(name.clone(), NamedContext { url: url.to_string(), api_key });
        self.current = Some(name);
        self.save()
    }

    fn switch(&mut self, name: String) -> Result<()> {
        self.known(&name)?;
        self.current = Some(name);
        self.save()
    }

    fn remove(&mut self, name: &str) -> Result<()> {
        self.known(name)?;
        self.contexts.remove(name);
        self.current.take_if(|current| current == name);
        self.save()
    }

    /// Without the keys: what is printed is read by others, too.
    fn print(&self, json: bool) -> Result<()> {
        let is_current = |name: &String| self.current.as_ref() == Some(name);
        if json {
            let row = |(name, context): (&String, &NamedContext)| json!({"name": name, "url": context.url, "has_key": context.api_key.is_some(), "current": is_current(name)});
            return show::json(&json!({"items": self.contexts.iter().map(row).collect::<Vec<_>>()}));
        }
        let mut table = Table::new(&["", "NAME", "URL", "KEY"]);
        for (name, context) in &self.contexts {
            let star = if is_current(name) { "*" } else { "" };
            let key = if context.api_key.is_some() { "kept" } else { "none" };
            table.row([star, name, &context.url, key].map(str::to_owned));
        }
        table.print()
    }

    /// Whole or not at all, and nobody else's to read at any moment.
    fn save(&self) -> Result<()> {
        let path = path().context("there is no home folder to keep contexts in; set HOME")?;
        let folder = path.parent().context("the file of contexts is in no folder")?;
        let write = || -> io::Result<()> {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            let fresh = path.with_extension(format!("toml.{}", std::process::id()));
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
            file.write_all(toml::to_string(self).map_err(io::Error::other)?.as_bytes())?;
            file.sync_all()?;
            fs::rename(&fresh, &path)
        };
        write().with_context(|| format!("write {}", path.display()))
    }
}

fn read_key(file: &Path) -> Result<String> {
    let text = if file == Path::new("-") {
        if io::stdin().is_terminal() {
            show::note("paste the key and press enter");
        }
        let mut text = String::new();
        io::stdin().read_line(&mut text).context("read the key")?;
        text
    } else {
        fs::read_to_string(file).with_context(|| format!("read the key from {}", file.display()))?
    };
    let key = text.trim().to_owned();
    if key.is_empty() { Err(Failure::usage("the key is empty")) } else { Ok(key) }
}

/// `contexts.toml` where this user's programs keep their settings.
fn path() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let settings = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(settings.join("sentinal/contexts.toml"))
}
