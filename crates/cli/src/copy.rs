//! `sentinal cp`, and what else carries files: between this machine and a sandbox, both ways.

mod ignore;
mod inward;
mod outward;
mod pack;
mod pipe;
mod place;
mod progress;
mod unpack;

use anyhow::Result;
use clap::Args;
use serde_json::json;

pub(crate) use ignore::Ignore;
pub(crate) use inward::{packed, put, put_bytes, put_file};
pub(crate) use outward::get;
pub(crate) use place::{Local, Operand, Remote};
pub(crate) use progress::Progress;

use crate::{failure::Failure, session::Session, show};

/// From where to where.
#[derive(Debug, Args)]
pub struct CopyOptions {
    /// A path here, SANDBOX:PATH, or - for standard input. A folder is copied with its name into a folder that is there,
    /// and else becomes the target; with /. at its end what is in it is copied
    source: String,
    /// A path here, SANDBOX:PATH, or - for standard output; a folder is a tar stream there, and so is what comes in for
    /// a PATH that ends with /
    target: String,
}

/// `sentinal cp`.
pub(crate) async fn copy(session: &Session, options: &CopyOptions) -> Result<u8> {
    let find = |operand: &str| Operand::parse(operand);
    match (find(&options.source), find(&options.target)) {
        (Operand::Local(local), Operand::Remote(remote)) => {
            put(session, &local, &resolved(session, remote).await?).await?;
        }
        (Operand::Remote(remote), Operand::Local(local)) => {
            get(session, &resolved(session, remote).await?, &local).await?;
        }
        (Operand::Local(_), Operand::Local(_)) => {
            return Err(Failure::usage("neither is in a sandbox; write one of them as SANDBOX:PATH"));
        }
        (Operand::Remote(_), Operand::Remote(_)) => {
            return Err(Failure::usage("both are in sandboxes; copy through a file or folder here"));
        }
    }
    if session.json && options.target != "-" {
        show::json(&json!({"source": options.source, "target": options.target}))?;
    }
    Ok(0)
}

async fn resolved(session: &Session, remote: Remote) -> Result<Remote> {
    Ok(Remote { sandbox: session.sandbox_id(&remote.sandbox).await?, ..remote })
}
