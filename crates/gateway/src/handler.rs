//! One file per thing that can be asked for. A handler parses, gets a permit, asks, and answers.

pub(crate) mod archive;
pub(crate) mod context;
pub(crate) mod control;
pub(crate) mod download;
pub(crate) mod engine;
pub(crate) mod events;
pub(crate) mod execute;
pub(crate) mod execution;
pub(crate) mod files;
pub(crate) mod folder;
pub(crate) mod health;
pub(crate) mod image;
pub(crate) mod image_build;
pub(crate) mod key;
pub(crate) mod link;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod output;
pub(crate) mod port;
pub(crate) mod sandbox;
mod source;
pub(crate) mod terminal;
pub(crate) mod tunnel;
pub(crate) mod upload;
pub(crate) mod usage;
pub(crate) mod watch;
pub(crate) mod webhook;
