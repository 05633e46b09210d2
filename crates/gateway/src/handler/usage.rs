//! What was used, and what may be.

use axum::{Json, extract::State};
use sentinal_api::{QuotaReport, UsageAsked, UsageReport};
use sentinal_auth::{ReadQuota, ReadUsage};
use sentinal_controller::UsageQuery;
use sentinal_model::{Clock as _, SystemClock};

use crate::{
    App,
    answer::Reply,
    openapi::Problems,
    present,
    request::{Allowed, Asked},
};

/// Read what was used
///
/// Added up from what the host counts, in whole hours of UTC, for 400 days: it outlives the records of what used it, and
/// a server that is killed. Of what runs now the last minute may be missing.
#[utoipa::path(get, operation_id = "readUsage", path = "/api/v1/usage", tag = "usage",
    params(("since" = Option<String>, Query, description = "From the hour of this moment (RFC 3339); 30 days back unless told, 24 hours with `by=hour`"),
        ("until" = Option<String>, Query, description = "Until the hour of this moment; now unless told"),
        ("by" = Option<sentinal_api::UsageBy>, Query, description = "By what it is added up; `day` unless told")),
    responses((status = 200, description = "The sums", body = UsageReport), Problems))]
pub(crate) async fn usage(
    State(app): State<App>,
    Allowed(permit): Allowed<ReadUsage>,
    Asked(asked): Asked<UsageAsked>,
) -> Reply<Json<UsageReport>> {
    let (since, until) = asked.span(SystemClock.now())?;
    let query = UsageQuery { since, until, by: asked.by };
    let records = app.controller.usage(&permit, query).await?;
    Ok(Json(present::usage(query, records)))
}

/// Read quotas
///
/// How much of each a tenant may have at once, and has now. What would be more is refused with 429 `quota_exceeded`, and
/// its name.
#[utoipa::path(get, operation_id = "readQuota", path = "/api/v1/quota", tag = "usage",
    responses((status = 200, description = "All of them", body = QuotaReport), Problems))]
pub(crate) async fn quota(State(app): State<App>, Allowed(permit): Allowed<ReadQuota>) -> Json<QuotaReport> {
    let items = app.controller.quotas(&permit).into_iter().map(present::quota).collect();
    Json(QuotaReport { tenant: permit.tenant().to_string(), items })
}
