//! What stands behind the question mark.

use axum::extract::FromRequestParts;
use http::request::Parts;
use sentinal_api::Query;
use sentinal_model::Error;

use crate::{
    App,
    answer::{Rejection, Reply},
};

/// A query of this type.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: TryFrom<Query, Error = Error>> FromRequestParts<App> for Asked<T> {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Reply<Self> {
        Ok(Self(Query::parse(parts.uri.query().unwrap_or_default())?.try_into()?))
    }
}
