//! Images as callers see them and ask for them.

use std::fmt;

use sentinal_model::{Error, ImageJobId, ImageName, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    field::named,
    query::{PageQuery, Query, missing},
};

const REFERENCE_CHARS_MAX: usize = 512;
const CREDENTIAL_CHARS_MAX: usize = 16 * 1024;

/// An image that sandboxes can be made of.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Image {
    /// What a sandbox names it by.
    #[schema(example = "team/python:3.12")]
    pub name: String,
    /// What it contains. Two names with the same digest are one image.
    #[schema(example = "sha256:5606d7dda758edf162d9e902128efbfd57b95831b329af495e65f974f9af0588")]
    pub digest: String,
    /// What it takes on the disk, once for all sandboxes.
    #[schema(example = 197_197_824)]
    pub size_bytes: u64,
}

/// All that is known of an image.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ImageDetails {
    /// The image itself.
    #[serde(flatten)]
    pub image: Image,
    /// When it was made here.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// Where it came from; null for what was built here.
    #[schema(example = "registry.example.com/team/python:3.12")]
    pub source: Option<String>,
    /// How its programs want to be started.
    pub config: ImageConfig,
}

/// How the programs of an image want to be started, as its author wrote it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"env": ["PATH=/usr/local/bin:/usr/bin:/bin"], "working_dir": "/app", "user": "node", "runs_as_user": true,
    "entrypoint": [], "cmd": ["node"]}))]
pub struct ImageConfig {
    /// `NAME=value`: what executions have, before what a request adds or replaces.
    pub env: Vec<String>,
    /// Where executions begin that name no folder; null is their user's home.
    pub working_dir: Option<String>,
    /// Whom the image names; null if nobody.
    pub user: Option<String>,
    /// Whether executions run as that user when they name none. Otherwise it is the ordinary user, uid 1000.
    pub runs_as_user: bool,
    /// Recorded; an execution names its own command.
    pub entrypoint: Vec<String>,
    /// Recorded.
    pub cmd: Vec<String>,
}

/// An image that is being pulled or built, or was.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ImageJob {
    /// Its id.
    #[schema(example = "job_0190f5c8e4b07c3e9f6a8d2b4c5e6f70")]
    pub id: String,
    /// `pull` or `build`.
    #[schema(example = "pull")]
    pub kind: String,
    /// `running`, `finished`, `failed` or `cancelled`.
    #[schema(example = "running")]
    pub state: String,
    /// What is pulled; null for a build.
    #[schema(example = "registry.example.com/team/python:3.12")]
    pub reference: Option<String>,
    /// What the image is called when it is there.
    #[schema(example = "team/python:3.12")]
    pub name: String,
    /// What is being done, or was: for a pull `resolving`, `downloading` and `unpacking`, for a build `preparing`, `building`
    /// and `collecting`; for both `publishing` at the end.
    #[schema(example = "downloading")]
    pub stage: String,
    /// Steps of a build that are done.
    pub steps_done: u64,
    /// Steps of a build; zero for a pull.
    pub steps_total: u64,
    /// Of all layers, downloaded, in bytes.
    pub bytes_done: u64,
    /// Of all layers, in bytes; zero until it is known.
    pub bytes_total: u64,
    /// Layers that are downloaded, or while they are unpacked: unpacked.
    pub layers_done: u64,
    /// Layers; zero until it is known.
    pub layers_total: u64,
    /// What the image contains; null until it is there.
    pub digest: Option<String>,
    /// Why there is none; null unless it failed.
    pub error: Option<ImageJobError>,
    /// When it was asked for.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it ended; null while it runs.
    #[schema(format = DateTime)]
    pub finished_at: Option<String>,
}

/// Why a pull or a build failed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ImageJobError {
    /// From the same set as those of problems.
    #[schema(example = "not_found")]
    pub code: String,
    /// What is wrong, and what to do.
    pub detail: String,
}

/// Images that are gone.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"digests": ["sha256:5606d7dda758edf162d9e902128efbfd57b95831b329af495e65f974f9af0588"], "bytes": 197_197_824}))]
pub struct RemovedImages {
    /// Of each. None if a name is gone whose image has another one.
    pub digests: Vec<String>,
    /// What they took on the disk.
    pub bytes: u64,
}

/// Which image to pull, and from where.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
#[schema(example = json!({"reference": "registry.example.com/team/python:3.12", "name": "team/python:3.12"}))]
pub struct PullImage {
    /// `HOST/REPOSITORY:TAG` or `HOST/REPOSITORY@sha256:...`. The host is never left out.
    pub reference: String,
    /// What it is to be called; a name that is taken moves to it.
    pub name: String,
    /// For registries that do not serve everybody. Kept in memory until the pull has ended, and nowhere else.
    pub credentials: Option<PullCredentials>,
}

/// A user of a registry.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct PullCredentials {
    /// Who.
    pub username: String,
    /// A password, or a token that is used as one.
    pub password: String,
}

impl fmt::Debug for PullCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A pull that was asked for.
#[derive(Debug)]
pub struct ParsedPull {
    /// What the image is to be called.
    pub name: ImageName,
    /// What is pulled.
    pub reference: String,
    /// User and password.
    pub credentials: Option<PullCredentials>,
}

impl TryFrom<PullImage> for ParsedPull {
    type Error = Error;

    fn try_from(wire: PullImage) -> Result<Self> {
        let PullImage { reference, name, credentials } = wire;
        if REFERENCE_CHARS_MAX < reference.len() {
            return Err(Error::invalid(format!("reference: has more than {REFERENCE_CHARS_MAX} bytes")));
        }
        if let Some(PullCredentials { username, password }) = &credentials {
            let is_sound = !username.is_empty() && !username.contains(':');
            let texts = [username, password];
            if !is_sound
                || texts.iter().any(|text| CREDENTIAL_CHARS_MAX < text.len() || text.contains(char::is_control))
            {
                return Err(Error::invalid("credentials: give a username without a colon, and a password"));
            }
        }
        Ok(Self { name: name.parse()?, reference, credentials })
    }
}

/// Which images.
#[derive(Debug)]
pub struct ImagesQuery(pub PageQuery<ImageName>);

/// Which pulls.
#[derive(Debug)]
pub struct ImageJobsQuery(pub PageQuery<ImageJobId>);

/// What an archive is to become.
#[derive(Debug)]
pub struct ImportQuery {
    /// Its name.
    pub name: ImageName,
}

impl TryFrom<Query> for ImagesQuery {
    type Error = Error;

    fn try_from(mut query: Query) -> Result<Self> {
        let page = PageQuery::take(&mut query)?;
        query.finish(&["limit", "cursor"])?;
        Ok(Self(page))
    }
}

impl TryFrom<Query> for ImageJobsQuery {
    type Error = Error;

    fn try_from(mut query: Query) -> Result<Self> {
        let page = PageQuery::take(&mut query)?;
        query.finish(&["limit", "cursor"])?;
        Ok(Self(page))
    }
}

impl TryFrom<Query> for ImportQuery {
    type Error = Error;

    fn try_from(mut query: Query) -> Result<Self> {
        let name = query.take("name").ok_or_else(|| missing("name"))?;
        query.finish(&["name"])?;
        Ok(Self { name: named("name", name.parse())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, message: &str) {
        let parsed = crate::parse_json::<PullImage>(body.as_bytes()).and_then(ParsedPull::try_from);
        assert_eq!(parsed.unwrap_err().message(), message, "{body}");
    }

    #[test]
    fn a_pull_is_refused_by_name() {
        let name = "image: a name has 1 to 128 of the characters a-z 0-9 . _ - / : and begins with a letter or digit";
        check(r#"{"reference":"a.b/c","name":"C"}"#, name);
        let credentials = "credentials: give a username without a colon, and a password";
        check(r#"{"reference":"a.b/c","name":"c","credentials":{"username":"a:b","password":""}}"#, credentials);
        check(r#"{"reference":"a.b/c","name":"c","credentials":{"username":"a","password":"\n"}}"#, credentials);
        check(
            r#"{"reference":"a.b/c","tag":"c"}"#,
            "unknown field \"tag\"; known fields: reference, name, credentials",
        );
    }

    #[test]
    fn a_password_is_never_printed() {
        let body = br#"{"reference":"a.b/c","name":"c","credentials":{"username":"ann","password":"secret"}}"#;
        let parsed: ParsedPull = crate::parse_json::<PullImage>(body).unwrap().try_into().unwrap();
        assert!(!format!("{parsed:?}").contains("secret"));
    }
}
