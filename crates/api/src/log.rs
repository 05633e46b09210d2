//! Lines of the logs.

use sentinal_model::{Error, Millis, Result, SandboxId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    LogKind,
    field::{named, parse_time},
    query::{Query, parse_flag, parse_limit},
};

/// A page of a log, oldest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Logs {
    /// The lines.
    pub items: Vec<LogItem>,
    /// What to send as `cursor` for the lines after these; null when there are none yet.
    pub next: Option<String>,
}

/// One line of a log.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LogItem {
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub time: String,
    /// Which log.
    #[schema(value_type = LogKind, example = "execution")]
    pub kind: String,
    /// Which sandbox.
    pub sandbox_id: Option<String>,
    /// Which execution.
    pub execution_id: Option<String>,
    /// Which stream, for output.
    #[schema(value_type = Option<crate::StreamName>)]
    pub stream: Option<String>,
    /// The line.
    pub message: String,
}

/// Which lines are wanted.
#[derive(Debug, Clone)]
pub struct LogsQuery {
    /// Of this sandbox.
    pub sandbox: Option<SandboxId>,
    /// One of the four kinds.
    pub kind: Option<String>,
    /// Not before this moment.
    pub since: Option<Millis>,
    /// After this cursor.
    pub cursor: Option<String>,
    /// At most so many.
    pub limit: u32,
    /// Whether to go on with lines as they come.
    pub follow: bool,
}

impl TryFrom<Query> for LogsQuery {
    type Error = Error;

    fn try_from(mut query: Query) -> Result<Self> {
        let parsed = Self {
            sandbox: query.take("sandbox_id").map(|id| named("sandbox_id", id.parse())).transpose()?,
            kind: query.take("kind").map(kind).transpose()?,
            since: query.take("since").map(|time| parse_time("since", &time)).transpose()?,
            cursor: query.take("cursor"),
            limit: parse_limit(query.take("limit"))?,
            follow: parse_flag("follow", query.take("follow"))?,
        };
        query.finish(&["sandbox_id", "kind", "since", "cursor", "limit", "follow"])?;
        Ok(parsed)
    }
}

fn kind(name: String) -> Result<String> {
    if LogKind::ALL.contains(&name.as_str()) {
        return Ok(name);
    }
    let name: String = name.chars().take(64).collect();
    Err(Error::invalid(format!("kind: {name:?} does not exist; known are {}", LogKind::ALL.join(", "))))
}
