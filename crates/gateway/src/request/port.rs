//! Ports in paths.

use std::{collections::HashMap, num::NonZeroU16};

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use sentinal_model::Error;

use crate::{
    App,
    answer::{Rejection, Reply},
};

/// The `{port}` of the path.
pub(crate) struct Port(pub(crate) u16);

impl FromRequestParts<App> for Port {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Reply<Self> {
        let path = Path::<HashMap<String, String>>::from_request_parts(parts, app).await;
        let port = path.ok().and_then(|Path(mut path)| path.remove("port")).and_then(|port| port.parse().ok());
        port.map(|port: NonZeroU16| Self(port.get()))
            .ok_or_else(|| Error::invalid("port: write a number from 1 to 65535").into())
    }
}
