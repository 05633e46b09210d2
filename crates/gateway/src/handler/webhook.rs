//! Webhooks: create, list, read, update, remove, test, deliveries.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header};
use sentinal_api::{self as v1, DeliveriesQuery, Delivery, List, Webhook, WebhookTest, WebhooksQuery};
use sentinal_auth::{CreateWebhook, ReadWebhook, RemoveWebhook, TestWebhook, UpdateWebhook};
use sentinal_controller::{CreatedWebhook, NewWebhook, Page};
use sentinal_model::WebhookId;

use crate::{
    App,
    answer::Reply,
    openapi::{IdempotencyKey, Problems},
    present,
    request::{Allowed, Asked, Id, Keyed, Valid, replayed},
};

/// Create a webhook
///
/// Events that happen from now on are sent to its address as they are read from `/api/v1/events`, one by one and in order,
/// at least once, signed as Standard Webhooks have it. The answer shows the secret, which is shown nowhere else.
#[utoipa::path(post, operation_id = "createWebhook", path = "/api/v1/webhook", tag = "webhook", params(IdempotencyKey),
    request_body = v1::CreateWebhook,
    responses((status = 201, description = "Created; Location names it", body = v1::CreatedWebhook), Problems))]
pub(crate) async fn create(
    State(app): State<App>,
    Allowed(permit): Allowed<CreateWebhook>,
    Keyed { body, once }: Keyed<v1::CreateWebhook>,
) -> Reply<Response> {
    let new = NewWebhook { spec: body.try_into()?, once };
    let CreatedWebhook { record, is_replay } = app.controller.create_webhook(&permit, new).await?;
    let location = [(header::LOCATION, format!("/api/v1/webhook/{}", record.id))];
    let created = present::created_webhook(record);
    Ok((StatusCode::CREATED, location, replayed(is_replay), Json(created)).into_response())
}

/// List webhooks
///
/// Newest first.
#[utoipa::path(get, operation_id = "listWebhooks", path = "/api/v1/webhook", tag = "webhook",
    params(("limit" = Option<u32>, Query, description = "At most so many, 1 to 1000; 100 unless told"),
        ("cursor" = Option<String>, Query, description = "What `next` of the page before said")),
    responses((status = 200, description = "A page", body = List<Webhook>), Problems))]
pub(crate) async fn list(
    State(app): State<App>,
    Allowed(permit): Allowed<ReadWebhook>,
    Asked(WebhooksQuery(query)): Asked<WebhooksQuery>,
) -> Reply<Json<List<Webhook>>> {
    let page = Page { after: query.cursor, rows_max: query.limit + 1 };
    let records = app.controller.webhooks(&permit, page).await?;
    Ok(Json(List::page(records, query.limit, |record| record.id.to_string(), present::webhook)))
}

/// Read a webhook
///
/// How far it is, and whether its receiver takes what it is sent.
#[utoipa::path(get, operation_id = "readWebhook", path = "/api/v1/webhook/{id}", tag = "webhook",
    params(("id" = String, Path, description = "The webhook's id")),
    responses((status = 200, description = "As it is", body = Webhook), Problems))]
pub(crate) async fn read(
    State(app): State<App>,
    Allowed(permit): Allowed<ReadWebhook>,
    Id(id): Id<WebhookId>,
) -> Reply<Json<Webhook>> {
    Ok(Json(present::webhook(app.controller.webhook(&permit, id).await?)))
}

/// Change a webhook
///
/// What could not be delivered is tried again at once. One that is enabled again goes on where it was, with what is still
/// kept.
#[utoipa::path(patch, operation_id = "updateWebhook", path = "/api/v1/webhook/{id}", tag = "webhook",
    params(("id" = String, Path, description = "The webhook's id")), request_body = v1::UpdateWebhook,
    responses((status = 200, description = "As it is now", body = Webhook), Problems))]
pub(crate) async fn update(
    State(app): State<App>,
    Allowed(permit): Allowed<UpdateWebhook>,
    Id(id): Id<WebhookId>,
    Valid(body): Valid<v1::UpdateWebhook>,
) -> Reply<Json<Webhook>> {
    Ok(Json(present::webhook(app.controller.update_webhook(&permit, id, body.try_into()?).await?)))
}

/// Remove a webhook
///
/// Nothing is sent any more, except what is under way.
#[utoipa::path(delete, operation_id = "removeWebhook", path = "/api/v1/webhook/{id}", tag = "webhook",
    params(("id" = String, Path, description = "The webhook's id")),
    responses((status = 204, description = "It is gone"), Problems))]
pub(crate) async fn remove(
    State(app): State<App>,
    Allowed(permit): Allowed<RemoveWebhook>,
    Id(id): Id<WebhookId>,
) -> Reply<StatusCode> {
    app.controller.remove_webhook(&permit, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Test a webhook
///
/// Sends an event of the type `webhook.test` once, also to one that is disabled, and answers what came back.
#[utoipa::path(post, operation_id = "testWebhook", path = "/api/v1/webhook/{id}/test", tag = "webhook",
    params(("id" = String, Path, description = "The webhook's id")),
    responses((status = 200, description = "What came back", body = WebhookTest), Problems))]
pub(crate) async fn test(
    State(app): State<App>,
    Allowed(permit): Allowed<TestWebhook>,
    Id(id): Id<WebhookId>,
) -> Reply<Json<WebhookTest>> {
    Ok(Json(present::webhook_test(app.controller.test_webhook(&permit, id).await?)))
}

/// List the deliveries of a webhook
///
/// The last hundred attempts, newest first.
#[utoipa::path(get, operation_id = "listDeliveries", path = "/api/v1/webhook/{id}/delivery", tag = "webhook",
    params(("id" = String, Path, description = "The webhook's id"),
        ("limit" = Option<u32>, Query, description = "At most so many, 1 to 1000; 100 unless told"),
        ("cursor" = Option<String>, Query, description = "What `next` of the page before said")),
    responses((status = 200, description = "A page", body = List<Delivery>), Problems))]
pub(crate) async fn deliveries(
    State(app): State<App>,
    Allowed(permit): Allowed<ReadWebhook>,
    Id(id): Id<WebhookId>,
    Asked(DeliveriesQuery(query)): Asked<DeliveriesQuery>,
) -> Reply<Json<List<Delivery>>> {
    let page = Page { after: query.cursor, rows_max: query.limit + 1 };
    let records = app.controller.deliveries(&permit, id, page).await?;
    Ok(Json(List::page(records, query.limit, |record| record.number.to_string(), present::delivery)))
}
