//! Requests to go on as a WebSocket.

use axum::extract::{FromRequestParts, ws::WebSocketUpgrade};
use http::request::Parts;
use sentinal_model::Error;

use super::Holder;
use crate::{
    App,
    answer::{Rejection, Reply},
};

/// A request that is one, and whose.
pub(crate) struct Upgrade(pub(crate) WebSocketUpgrade, pub(crate) Holder);

impl FromRequestParts<App> for Upgrade {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Reply<Self> {
        let holder = Holder::of(&parts.extensions);
        let upgrade = WebSocketUpgrade::from_request_parts(parts, app).await;
        upgrade.map(|upgrade| Self(upgrade, holder)).map_err(|rejection| {
            let why = rejection.body_text();
            Error::invalid(format!("this is a WebSocket; open it as one, over HTTP/1.1 ({why})")).into()
        })
    }
}
