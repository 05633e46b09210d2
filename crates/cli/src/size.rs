//! How large a sandbox is to be, for every command that makes one.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::Args;
use sentinal_api::CreateSandbox;

use crate::failure::Failure;

/// What a new sandbox is to be.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Sandbox")]
pub(crate) struct SizeOptions {
    /// auto, firecracker, kata, gvisor or native; auto is the strongest that is available
    #[arg(long, short = 'E', value_name = "ENGINE")]
    pub(crate) engine: Option<String>,
    /// Cores, such as 0.5 or 2 [default: 1]
    #[arg(long, value_name = "CORES")]
    cpu: Option<f64>,
    /// Memory, such as 512Mi or 2Gi [default: 512Mi]
    #[arg(long, short = 'm', value_name = "SIZE")]
    memory: Option<String>,
    /// What it may write, such as 1Gi [default: 1Gi]
    #[arg(long, value_name = "SIZE")]
    disk: Option<String>,
    /// The image [default: default]
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
    /// A mark of your own; may be given more than once
    #[arg(long = "label", short = 'l', value_name = "KEY=VALUE")]
    labels: Vec<String>,
}

impl SizeOptions {
    /// The request that asks for it.
    pub(crate) fn create(&self) -> Result<CreateSandbox> {
        Ok(CreateSandbox {
            engine: self.engine.clone(),
            cpu: self.cpu,
            memory: self.memory.clone().map(Into::into),
            disk: self.disk.clone().map(Into::into),
            image: self.image.clone(),
            labels: Some(pairs("--label", &self.labels)?).filter(|labels| !labels.is_empty()),
            ..CreateSandbox::default()
        })
    }
}

/// `KEY=VALUE`, each key once.
pub(crate) fn pairs(flag: &str, given: &[String]) -> Result<BTreeMap<String, String>> {
    let mut pairs = BTreeMap::new();
    for text in given {
        let Some((key, value)) = text.split_once('=') else {
            return Err(Failure::usage(format!("{flag} {text}: write it like {flag} KEY=VALUE")));
        };
        if pairs.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(Failure::usage(format!("{flag} {key}: given twice; give it once")));
        }
    }
    Ok(pairs)
}
