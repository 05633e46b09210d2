//! Removes what is older than the retention time, and output that belongs to nobody.

use std::{path::Path, sync::Arc, time::Duration};

use sentinal_model::{ExecutionId, Millis, Result, Stream, limits};

use crate::{context::Context, spool};

/// How often old records are looked for.
const EVERY: Duration = Duration::from_secs(60);

/// Sandboxes removed each time: more than a server can make in between.
const BATCH_ROWS: u32 = 10_000;

/// Keeps removing as long as the server runs.
pub(crate) async fn retain(context: Arc<Context>) {
    remove_unknown_files(&context).await;
    loop {
        if let Err(error) = remove_old(&context).await {
            tracing::warn!(?error, "old records not removed");
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn remove_old(context: &Context) -> Result<()> {
    let retention = i64::try_from(limits::RETENTION.as_millis()).unwrap_or(i64::MAX);
    let before = Millis(context.now().0.saturating_sub(retention));
    for id in context.store().remove_finished(before, BATCH_ROWS).await? {
        for stream in Stream::ALL {
            let path = spool::path(&context.parts.settings.output_folder, id, stream);
            let _ = tokio::fs::remove_file(path).await;
        }
    }
    Ok(())
}

/// Output whose execution the store does not know: left when a crash came between a removal and its files.
async fn remove_unknown_files(context: &Context) {
    let Ok(mut files) = tokio::fs::read_dir(&context.parts.settings.output_folder).await else { return };
    while let Ok(Some(file)) = files.next_entry().await {
        let path = file.path();
        let Some(id) = execution_of(&path) else { continue };
        if let Ok(None) = context.store().execution(id).await
            && context.live.get(id).is_none()
        {
            let _ = tokio::fs::remove_file(&path).await;
        }
    }
}

fn execution_of(path: &Path) -> Option<ExecutionId> {
    path.file_stem()?.to_str()?.parse().ok()
}
