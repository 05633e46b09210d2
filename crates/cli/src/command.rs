//! The commands, in the order in which `--help` lists them.

use anyhow::Result;
use clap::Subcommand;

use crate::{
    context::{self, ContextOptions},
    copy::{self, CopyOptions},
    engine::{self, EnginesOptions},
    exec::{self, AttachOptions, ExecOptions},
    files::{self, FilesOptions},
    forward::{self, ForwardOptions},
    key::{self, KeyOptions},
    log::{self, EventsOptions, LogsOptions},
    run::{self, RunOptions},
    sandbox::{self, CreateOptions, ExtendOptions, LsOptions, RmOptions, SandboxesOptions},
    session::With,
    top::{self, TopOptions},
    usage::{self, QuotaOptions, UsageOptions},
    webhook::{self, WebhookOptions},
};

/// What speaks to a server.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a program in a sandbox of its own, as if it ran here
    Run(With<RunOptions>),
    /// Create a sandbox, and print its id
    Create(With<CreateOptions>),
    /// List sandboxes
    Ls(With<LsOptions>),
    /// Show all that is known about sandboxes
    Get(With<SandboxesOptions>),
    /// Destroy sandboxes and all that is in them
    Rm(With<RmOptions>),
    /// Stop everything in sandboxes where it is
    Pause(With<SandboxesOptions>),
    /// Let paused sandboxes go on
    Resume(With<SandboxesOptions>),
    /// Let a sandbox live longer, or shorter
    Extend(With<ExtendOptions>),
    /// Run a program in a sandbox that is there
    Exec(With<ExecOptions>),
    /// See a program on a terminal again that was left with ctrl-p ctrl-q
    Attach(With<AttachOptions>),
    /// Copy files and folders between here and a sandbox
    Cp(With<CopyOptions>),
    /// Work with files of a sandbox
    Files(With<FilesOptions>),
    /// Reach ports of a sandbox through ports of this machine
    PortForward(With<ForwardOptions>),
    /// Show what programs wrote, and what else happened
    Logs(With<LogsOptions>),
    /// Tell what happens, as it happens
    Events(With<EventsOptions>),
    /// Have events delivered to addresses of your own
    Webhook(With<WebhookOptions>),
    /// Show what sandboxes use, live
    Top(With<TopOptions>),
    /// List the engines, and why some cannot be used
    Engines(With<EnginesOptions>),
    /// Show what was used
    Usage(With<UsageOptions>),
    /// Show how much there may be at once, and is now
    Quota(With<QuotaOptions>),
    /// Make, list and revoke API keys
    Key(With<KeyOptions>),
    /// Keep several servers by name
    Context(ContextOptions),
}

impl Command {
    /// Whether its exit status is that of the program it runs, so that its own failures need another.
    pub(crate) const fn is_transparent(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Exec(_) | Self::Attach(_))
    }

    pub(crate) async fn run(self) -> Result<u8> {
        match self {
            Self::Run(with) => with.run(run::run).await,
            Self::Exec(with) => with.run(exec::exec).await,
            Self::Attach(with) => with.look(exec::attach).await,
            Self::PortForward(with) => {
                let (session, options) = with.open()?;
                forward::forward(session, options).await
            }
            Self::Cp(with) => with.look(copy::copy).await,
            Self::Create(with) => with.look(sandbox::create).await,
            Self::Ls(with) => with.look(sandbox::ls).await,
            Self::Get(with) => with.look(sandbox::get).await,
            Self::Rm(with) => with.look(sandbox::rm).await,
            Self::Pause(with) => with.look(sandbox::pause).await,
            Self::Resume(with) => with.look(sandbox::resume).await,
            Self::Extend(with) => with.look(sandbox::extend).await,
            Self::Files(with) => with.run(files::files).await,
            Self::Logs(with) => with.look(log::logs).await,
            Self::Events(with) => with.look(log::events).await,
            Self::Webhook(with) => with.run(webhook::webhook).await,
            Self::Top(with) => with.look(top::top).await,
            Self::Engines(with) => engine::engines(&with.open()?.0).await,
            Self::Usage(with) => with.look(usage::usage).await,
            Self::Quota(with) => usage::quota(&with.open()?.0).await,
            Self::Key(with) => with.run(key::key).await,
            Self::Context(options) => context::run(options),
        }
    }
}
