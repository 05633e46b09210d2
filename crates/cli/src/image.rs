//! `sentinal image`: what sandboxes begin with, on the server.

mod bring;
mod build;
mod job;
mod list;

use anyhow::Result;
use clap::Subcommand;

use crate::session::With;

use self::{
    bring::{ImportOptions, PullOptions},
    build::BuildOptions,
    job::{CancelOptions, JobsOptions},
    list::{GetOptions, LsOptions, PruneOptions, RmOptions},
};

/// What is done with images of a server.
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// List images
    Ls(With<LsOptions>),
    /// Show all that is known about images
    Get(With<GetOptions>),
    /// Make an image of an archive or a folder
    Import(With<ImportOptions>),
    /// Pull an image from a registry
    Pull(With<PullOptions>),
    /// Build an image in a sandbox, as a Containerfile says
    Build(With<BuildOptions>),
    /// Take names of images away, and images with their last one
    Rm(With<RmOptions>),
    /// Remove images that have no name any more and that no sandbox was made of
    Prune(With<PruneOptions>),
    /// List pulls and builds, or show some
    Jobs(With<JobsOptions>),
    /// End a pull or build
    Cancel(With<CancelOptions>),
}

impl ImageCommand {
    pub(crate) async fn run(self) -> Result<u8> {
        match self {
            Self::Ls(with) => {
                let (session, options) = with.open()?;
                list::ls(&session, &options).await
            }
            Self::Get(with) => {
                let (session, options) = with.open()?;
                list::get(&session, &options).await
            }
            Self::Import(with) => {
                let (session, options) = with.open()?;
                bring::import(&session, &options).await
            }
            Self::Pull(with) => {
                let (session, options) = with.open()?;
                bring::pull(&session, options).await
            }
            Self::Build(with) => {
                let (session, options) = with.open()?;
                build::build(&session, &options).await
            }
            Self::Rm(with) => {
                let (session, options) = with.open()?;
                list::rm(&session, &options).await
            }
            Self::Prune(with) => list::prune(&with.open()?.0).await,
            Self::Jobs(with) => {
                let (session, options) = with.open()?;
                job::jobs(&session, &options).await
            }
            Self::Cancel(with) => {
                let (session, options) = with.open()?;
                job::cancel(&session, &options).await
            }
        }
    }
}
