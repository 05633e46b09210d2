//! Contexts as callers name them.

use std::collections::BTreeMap;

use sentinal_model::{Error, GuestPath, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    execute::environment,
    field::{named, parse_user, unique_map},
};

/// A context to be started.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
#[schema(example = json!({"language": "python"}))]
pub struct NewContext {
    /// What its code is written in.
    #[schema(value_type = crate::Language)]
    pub language: String,
    /// Where it starts; the user's home unless told.
    pub cwd: Option<String>,
    /// Added to the sandbox's environment.
    #[serde(default, deserialize_with = "unique_map")]
    pub env: Option<BTreeMap<String, String>>,
    /// A user name or number in the sandbox; the ordinary user (uid 1000) unless told.
    pub user: Option<String>,
}

impl TryFrom<NewContext> for sentinal_model::NewContext {
    type Error = Error;

    fn try_from(wire: NewContext) -> Result<Self> {
        Ok(Self {
            language: wire.language.parse()?,
            env: environment(wire.env.unwrap_or_default())?,
            cwd: wire.cwd.map(|path| named("cwd", GuestPath::of_folder(&path))).transpose()?,
            user: wire.user.map(parse_user).transpose()?,
        })
    }
}

/// A context that is open.
#[derive(Debug, Serialize, ToSchema)]
pub struct Context {
    /// Begins with `ctx_`.
    #[schema(example = "ctx_0190f5c8e4b07c3e9f6a8d2b4c5e6f70")]
    pub id: String,
    /// Where it is.
    #[schema(example = "sbx_0190f5c8e4b07c3e9f6a8d2b4c5e6f70")]
    pub sandbox_id: String,
    /// What its code is written in.
    #[schema(value_type = crate::Language, example = "python")]
    pub language: String,
    /// Pieces of code that run or wait in it.
    pub executions: u32,
}
