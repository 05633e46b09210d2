//! Links to ports of sandboxes.

use std::{num::NonZeroU16, time::Duration};

use sentinal_model::{Result, limits};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::field::{named, seconds};

/// A link to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
#[schema(example = json!({"port": 8000}))]
pub struct NewLink {
    /// On which something listens, or will.
    #[schema(minimum = 1, maximum = 65535)]
    pub port: u32,
    /// Seconds it lasts; 3,600 unless told.
    #[schema(minimum = 1, maximum = 86400)]
    pub ttl: Option<f64>,
}

impl NewLink {
    /// The port, and how long the link lasts.
    pub fn parse(&self) -> Result<(u16, Duration)> {
        let wanted = u16::try_from(self.port).ok().and_then(NonZeroU16::new).ok_or("write a number from 1 to 65535");
        let port = named("port", wanted)?.get();
        let ttl = self.ttl.map(|value| seconds("ttl", value, limits::TTL_MIN, limits::TTL_MAX)).transpose()?;
        Ok((port, ttl.unwrap_or(limits::LINK_TTL_DEFAULT)))
    }
}

/// An address that opens a port of a sandbox to a browser.
#[derive(Debug, Serialize, ToSchema)]
pub struct Link {
    /// Whoever has it may use it.
    #[schema(example = "http://8000-sbx_0190f5c8e4b07c3e9f6a8d2b4c5e6f70.localhost:8080/?sentinal_link=wqN7…")]
    pub url: String,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub expires_at: String,
}
