//! Removes what is older than the retention time, and output that belongs to nobody.

use std::{sync::Arc, time::Duration};

use sentinal_model::{ExecutionId, Millis, Result, Stream};

use crate::{context::Context, outputs::OutputFile};

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
    let retention = i64::try_from(context.parts.settings.retention.as_millis()).unwrap_or(i64::MAX);
    let before = Millis(context.now().0.saturating_sub(retention));
    let removed = context.store().remove_finished(before, BATCH_ROWS).await?;
    context.stored.removed(&removed.output_bytes);
    for id in removed.with_files {
        remove_files(context, id).await;
    }
    Ok(())
}

async fn remove_files(context: &Context, execution: ExecutionId) {
    for stream in Stream::ALL {
        if let Err(error) = context.outputs().remove(OutputFile { execution, stream }).await {
            tracing::warn!(%execution, %error, "output not removed; the next start tries again");
        }
    }
}

/// Output whose execution the store does not know: left when a crash came between a removal and its files.
async fn remove_unknown_files(context: &Context) {
    let Ok(executions) = context.outputs().executions().await else { return };
    for id in executions {
        if let Ok(None) = context.store().execution(id).await
            && context.live.get(id).is_none()
        {
            remove_files(context, id).await;
        }
    }
}
