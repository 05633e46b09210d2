//! Ids in paths: one that cannot exist is not found.

use std::{collections::HashMap, str::FromStr};

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use sentinal_model::{ContextId, Error, ImageName, Result};

use crate::{
    App,
    answer::{Rejection, Reply},
};

/// The `{name}` of the path: that of an image.
pub(crate) struct ImageNamed(pub(crate) ImageName);

impl FromRequestParts<App> for ImageNamed {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Reply<Self> {
        let path = Path::<HashMap<String, String>>::from_request_parts(parts, app).await;
        let name = path.ok().and_then(|Path(mut path)| path.remove("name")).and_then(|name| name.parse().ok());
        name.map(Self).ok_or_else(|| Error::not_found("no image has that name; write a / in it as %2F").into())
    }
}

/// The `{id}` of the path.
pub(crate) struct Id<T>(pub(crate) T);

/// The `{context_id}` of the path.
pub(crate) struct OfContext(pub(crate) ContextId);

impl<T: FromStr> FromRequestParts<App> for Id<T> {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Reply<Self> {
        Ok(Self(named("id", parts, app).await?))
    }
}

impl FromRequestParts<App> for OfContext {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Reply<Self> {
        Ok(Self(named("context_id", parts, app).await?))
    }
}

async fn named<T: FromStr>(name: &str, parts: &mut Parts, app: &App) -> Result<T> {
    let path = Path::<HashMap<String, String>>::from_request_parts(parts, app).await;
    let id = path.ok().and_then(|Path(mut path)| path.remove(name)).and_then(|id| id.parse().ok());
    id.ok_or_else(|| Error::not_found("nothing has that id; ids are as a create or a list answers them"))
}
