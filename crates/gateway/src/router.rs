//! Which path leads to which handler.

use axum::{
    Router, middleware,
    routing::{any, delete, get, post},
};
use sentinal_model::{Code, Error};
use sentinal_telemetry::Route;

use crate::{
    App,
    answer::{Reply, finish},
    docs,
    handler::{
        archive, context, control, download, engine, events, execute, execution, files, folder, health, image,
        image_build, key, link, logs, metrics, output, port, sandbox, terminal, tunnel, upload, usage, watch, webhook,
    },
    openapi,
};

/// The whole API as a service; [`crate::serve`] puts it on a socket.
pub fn router(app: App) -> Router {
    let at = Route::template;
    Router::new()
        .route(at(Route::Sandboxes), post(sandbox::create).get(sandbox::list))
        .route(at(Route::Sandbox), get(sandbox::read).patch(sandbox::update).delete(sandbox::destroy))
        .route(at(Route::SandboxStats), get(sandbox::stats))
        .route(at(Route::SandboxPause), post(sandbox::pause))
        .route(at(Route::SandboxResume), post(sandbox::resume))
        .route(at(Route::Files), get(files::read).put(files::write).delete(files::remove))
        .route(at(Route::FileArchive), get(archive::read).put(archive::write))
        .route(at(Route::FileStat), get(folder::stat))
        .route(at(Route::FileList), get(folder::list))
        .route(at(Route::FileWatch), get(watch::watch))
        .route(at(Route::FileMkdir), post(folder::make))
        .route(at(Route::FileMove), post(folder::rename))
        .route(at(Route::Upload), post(upload::upload))
        .route(at(Route::Download), get(download::download))
        .route(at(Route::Execute), post(execute::execute))
        .route(at(Route::Executions), get(execution::list))
        .route(at(Route::Execution), get(execution::read))
        .route(at(Route::ExecutionOutput), get(output::output))
        .route(at(Route::ExecutionSignal), post(control::signal))
        .route(at(Route::ExecutionStdin), post(control::stdin))
        .route(at(Route::ExecutionResize), post(terminal::resize))
        .route(at(Route::Contexts), post(context::create).get(context::list))
        .route(at(Route::Context), delete(context::remove))
        .route(at(Route::Terminal), get(terminal::open))
        .route(at(Route::Tunnel), get(tunnel::open))
        .route(at(Route::Link), post(link::create))
        .route(at(Route::PortItself), any(port::itself))
        .route(at(Route::PortRoot), any(port::proxy))
        .route(at(Route::Port), any(port::proxy))
        .route(at(Route::Engines), get(engine::list))
        .route(at(Route::Images), get(image::list))
        .route(at(Route::Image), get(image::read).delete(image::remove))
        .route(at(Route::ImageImport), post(image::import))
        .route(at(Route::ImagePull), post(image::pull))
        .route(at(Route::ImageBuild), post(image_build::build))
        .route(at(Route::ImagePrune), post(image::prune))
        .route(at(Route::ImageJobs), get(image::jobs))
        .route(at(Route::ImageJob), get(image::job).delete(image::cancel))
        .route(at(Route::ImageJobLog), get(image_build::log))
        .route(at(Route::Keys), post(key::create).get(key::list))
        .route(at(Route::OwnKey), get(key::own))
        .route(at(Route::Key), get(key::read).delete(key::revoke))
        .route(at(Route::Usage), get(usage::usage))
        .route(at(Route::Quota), get(usage::quota))
        .route(at(Route::Webhooks), post(webhook::create).get(webhook::list))
        .route(at(Route::Webhook), get(webhook::read).patch(webhook::update).delete(webhook::remove))
        .route(at(Route::WebhookTest), post(webhook::test))
        .route(at(Route::WebhookDeliveries), get(webhook::deliveries))
        .route(at(Route::Logs), get(logs::logs))
        .route(at(Route::Events), get(events::events))
        .route(at(Route::Health), get(health::health))
        .route(at(Route::Livez), get(health::livez))
        .route(at(Route::Readyz), get(health::readyz))
        .route(at(Route::Metrics), get(metrics::metrics))
        .route(at(Route::Openapi), get(openapi::serve))
        .route(at(Route::Docs), get(docs::serve))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn_with_state(app.clone(), finish))
        .with_state(app)
}

async fn no_such_path() -> Reply<()> {
    Err(Error::not_found("there is nothing at this path; /docs shows all paths, /openapi.json lists them").into())
}

async fn no_such_method() -> Reply<()> {
    Err(Error::new(Code::MethodNotAllowed, "this path takes other methods; the Allow header lists them").into())
}
