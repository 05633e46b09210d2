//! `ls`, `get`, `rm`, `prune`: images that are there.

use anyhow::Result;
use clap::Args;
use reqwest::Method;
use sentinal_api::{Image, ImageDetails, List, RemovedImages};
use serde_json::{Value, json};

use crate::{
    client::Answer,
    page,
    session::Session,
    show::{self, Table, bytes, clean},
};

/// The fields of an image in the order in which people look for them.
const FIRST: [&str; 5] = ["name", "digest", "size_bytes", "created_at", "source"];
/// Digits of a digest that tell images apart for people.
const DIGEST_CHARS: usize = "sha256:".len() + 12;

/// How images are listed.
#[derive(Debug, Args)]
pub struct LsOptions {
    /// Print the names alone
    #[arg(long, short)]
    quiet: bool,
}

/// Which images.
#[derive(Debug, Args)]
pub struct GetOptions {
    /// Names
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

/// Which names are to go.
#[derive(Debug, Args)]
pub struct RmOptions {
    /// Names
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

/// Nothing to choose.
#[derive(Debug, Args)]
pub struct PruneOptions {}

/// `sentinal image ls`.
pub(crate) async fn ls(session: &Session, options: &LsOptions) -> Result<u8> {
    let found: Answer<List<Image>> = page::all(&session.client, &["image"], &[]).await?;
    match (session.json, options.quiet) {
        (true, _) => show::json(&found.json)?,
        (false, true) => found.body.items.iter().try_for_each(|image| show::line(&clean(&image.name)))?,
        (false, false) => table(&found.body.items).print()?,
    }
    Ok(0)
}

fn table(images: &[Image]) -> Table {
    let mut table = Table::new(&["NAME", "DIGEST", "SIZE"]);
    for Image { name, digest, size_bytes } in images {
        let digest: String = digest.chars().take(DIGEST_CHARS).collect();
        table.row([name.clone(), digest, bytes(*size_bytes)]);
    }
    table
}

/// `sentinal image get`.
pub(crate) async fn get(session: &Session, options: &GetOptions) -> Result<u8> {
    session
        .each(&options.names, async |name| {
            let answer: Answer<ImageDetails> = session.client.get(&["image", name], &[]).await?;
            let text = described(&answer.json);
            Ok((answer.json, text))
        })
        .await
}

/// All that is known of an image, one a line.
fn described(image: &Value) -> String {
    let mut flat = image.clone();
    if let (Some(flat), Some(config)) = (flat.as_object_mut(), image["config"].as_object()) {
        flat.remove("config");
        flat.extend(config.clone());
    }
    show::fields(&flat, &FIRST)
}

/// `sentinal image rm`.
pub(crate) async fn rm(session: &Session, options: &RmOptions) -> Result<u8> {
    session
        .each(&options.names, async |name| {
            let request = session.client.request(Method::DELETE, &["image", name]);
            let answer: Answer<RemovedImages> = session.client.ask(request).await?;
            Ok((answer.json, clean(name)))
        })
        .await
}

/// `sentinal image prune`.
pub(crate) async fn prune(session: &Session) -> Result<u8> {
    let answer: Answer<RemovedImages> = session.client.submit(Method::POST, &["image", "prune"], &json!({})).await?;
    let RemovedImages { digests, bytes: size } = &answer.body;
    session.answer(&answer.json, &removed(digests, *size))?;
    Ok(0)
}

fn removed(digests: &[String], size: u64) -> String {
    match digests.len() {
        0 => "nothing to remove".to_owned(),
        1 => format!("1 image removed, {} freed", bytes(size)),
        count => format!("{count} images removed, {} freed", bytes(size)),
    }
}
