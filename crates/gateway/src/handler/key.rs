//! API keys: make, list, read, revoke; and who asks.

use axum::{Json, extract::State};
use http::{HeaderMap, StatusCode, header};
use sentinal_api::{Key, KeysQuery, List, MadeKey, NewKey, OwnKey, ParsedKey};
use sentinal_auth::{self as auth, CreateKey, ReadKey, ReadSelf, RevokeKey};
use sentinal_controller::Page;
use sentinal_model::{Clock as _, KeyId, SystemClock};

use crate::{
    App,
    answer::Reply,
    openapi::Problems,
    present,
    request::{Allowed, Asked, Id, Valid, refuse_key},
};

/// Make a key
///
/// Its secret is in this answer and nowhere else: what is kept is a hash. It is therefore the one create that takes no
/// `Idempotency-Key`: after a lost answer, list the keys, revoke that one, and make another. Nobody makes a key that may
/// do more than their own, or that outlives it.
#[utoipa::path(post, operation_id = "createKey", path = "/api/v1/key", tag = "key", request_body = NewKey,
    responses((status = 201, description = "The key, this once; Location names it", body = MadeKey), Problems))]
pub(crate) async fn create(
    State(app): State<App>,
    Allowed(permit): Allowed<CreateKey>,
    headers: HeaderMap,
    Valid(body): Valid<NewKey>,
) -> Reply<(StatusCode, [(header::HeaderName, String); 1], Json<MadeKey>)> {
    refuse_key(&headers, "a key is shown once and not kept, so that no answer could be given again")?;
    let ParsedKey { name, role, expires_at } = body.parse(SystemClock.now())?;
    let (key, record) = app.controller.create_key(&permit, auth::NewKey { name, role, expires_at }).await?;
    let location = [(header::LOCATION, format!("/api/v1/key/{}", record.id))];
    let made = MadeKey { made: present::key(record), key: key.expose() };
    Ok((StatusCode::CREATED, location, Json(made)))
}

/// List keys
///
/// Newest first, those that have expired or were revoked included; never a secret.
#[utoipa::path(get, operation_id = "listKeys", path = "/api/v1/key", tag = "key",
    params(("limit" = Option<u32>, Query, description = "At most so many, 1 to 1000; 100 unless told"),
        ("cursor" = Option<String>, Query, description = "What `next` of the page before said")),
    responses((status = 200, description = "A page", body = List<Key>), Problems))]
pub(crate) async fn list(
    State(app): State<App>,
    Allowed(permit): Allowed<ReadKey>,
    Asked(KeysQuery(query)): Asked<KeysQuery>,
) -> Reply<Json<List<Key>>> {
    let page = Page { after: query.cursor, rows_max: query.limit + 1 };
    let keys = app.controller.list_keys(&permit, page).await?;
    Ok(Json(List::page(keys, query.limit, |key| key.id.to_string(), present::key)))
}

/// Read a key
///
/// All that is known of it, which is not its secret.
#[utoipa::path(get, operation_id = "readKey", path = "/api/v1/key/{id}", tag = "key",
    params(("id" = String, Path, description = "The key's id")),
    responses((status = 200, description = "As it is", body = Key), Problems))]
pub(crate) async fn read(
    State(app): State<App>,
    Allowed(permit): Allowed<ReadKey>,
    Id(id): Id<KeyId>,
) -> Reply<Json<Key>> {
    Ok(Json(present::key(app.controller.key(&permit, id).await?)))
}

/// Read one's own key
///
/// Which key was shown with this request, what its holder may do, and on whose behalf.
#[utoipa::path(get, operation_id = "readOwnKey", path = "/api/v1/key/self", tag = "key",
    responses((status = 200, description = "The key that was shown", body = OwnKey), Problems))]
pub(crate) async fn own(State(app): State<App>, Allowed(permit): Allowed<ReadSelf>) -> Reply<Json<OwnKey>> {
    let record = app.controller.own_key(&permit).await?;
    Ok(Json(OwnKey { tenant: permit.tenant().to_string(), key: present::key(record) }))
}

/// Revoke a key
///
/// For good, from the moment of this answer: requests with it are refused, and streams, terminals and connections that
/// are open with it end within seconds. What it has started goes on. The last usable key with the role `admin` is a
/// `conflict`. One that is revoked stays as it is.
#[utoipa::path(delete, operation_id = "revokeKey", path = "/api/v1/key/{id}", tag = "key",
    params(("id" = String, Path, description = "The key's id")),
    responses((status = 200, description = "Revoked", body = Key), Problems))]
pub(crate) async fn revoke(
    State(app): State<App>,
    Allowed(permit): Allowed<RevokeKey>,
    Id(id): Id<KeyId>,
) -> Reply<Json<Key>> {
    Ok(Json(present::key(app.controller.revoke_key(&permit, id).await?)))
}
