//! Ids in paths: one that cannot exist is not found.

use std::{collections::HashMap, str::FromStr};

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use sentinal_model::Error;

use crate::{
    App,
    answer::{Rejection, Reply},
};

/// The `{id}` of the path.
pub(crate) struct Id<T>(pub(crate) T);

impl<T: FromStr> FromRequestParts<App> for Id<T> {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Reply<Self> {
        let path = Path::<HashMap<String, String>>::from_request_parts(parts, app).await;
        let id = path.ok().and_then(|Path(mut path)| path.remove("id")).and_then(|id| id.parse().ok());
        id.map(Self)
            .ok_or_else(|| Error::not_found("nothing has that id; ids are as a create or a list answers them").into())
    }
}
