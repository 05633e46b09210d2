//! What happens in a folder of a sandbox, as it happens.

use axum::{Extension, extract::State, response::Response};
use futures::{StreamExt as _, TryStreamExt as _};
use sentinal_api::FileEventData;
use sentinal_auth::ReadFile;
use sentinal_model::{FolderWatch, SandboxId};

use crate::{
    App,
    answer::{Reply, RequestId},
    openapi::{Problems, ServerSentEvent},
    request::{Allowed, Asked, Id},
    stream::{Event, event_response},
};

/// Watch a folder
///
/// Events `created`, `modified`, `removed` and `moved` as things happen in it from when the answer begins, and `overflow`
/// when some were lost: then a list tells what there is. It ends when the folder is removed, the sandbox ends, or nobody
/// reads; as long as it goes on the sandbox is in use.
#[utoipa::path(get, operation_id = "watchFolder", path = "/api/v1/sandbox/{id}/files/watch", tag = "file",
    params(("id" = String, Path, description = "The sandbox's id"),
        ("path" = String, Query, description = "Absolute, or relative to the user's home"),
        ("user" = Option<String>, Query, description = "As whom; the ordinary user (uid 1000) unless told"),
        ("recursive" = Option<bool>, Query, description = "Whether to watch the folders in it, too")),
    responses((status = 200, description = "Events", content_type = "text/event-stream", body = ServerSentEvent), Problems))]
pub(crate) async fn watch(
    State(app): State<App>,
    Allowed(permit): Allowed<ReadFile>,
    Id(id): Id<SandboxId>,
    Extension(request_id): Extension<RequestId>,
    Asked(watch): Asked<FolderWatch>,
) -> Reply<Response> {
    let events = app.controller.watch(&permit, id, &watch).await?;
    let folder = watch.at.path;
    let events = events.map_ok(move |event| Event::new(event.change.as_str(), &FileEventData::new(&folder, &event)));
    Ok(event_response(&app, events.boxed(), request_id))
}
