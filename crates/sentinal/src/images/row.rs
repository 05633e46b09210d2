//! A pull as it is written down. Who may see it is in there, what the registry was shown is not.

use std::{fs, io, path::Path};

use sentinal_controller::{ImageJob, ImageJobState, PullProgress, PullStage};
use sentinal_model::{Millis, TenantId};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Row {
    id: String,
    tenant: String,
    name: String,
    reference: String,
    state: State,
    stage: String,
    bytes_done: u64,
    bytes_total: u64,
    layers_done: u64,
    layers_total: u64,
    created_ms: i64,
    finished_ms: Option<i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Running,
    Finished { digest: String },
    Failed { code: String, message: String },
    Cancelled,
}

pub(super) fn to_json(job: &ImageJob) -> Vec<u8> {
    let state = match job.state.clone() {
        ImageJobState::Running => State::Running,
        ImageJobState::Finished { digest } => State::Finished { digest },
        ImageJobState::Failed { code, message } => State::Failed { code, message },
        ImageJobState::Cancelled => State::Cancelled,
    };
    let row = Row {
        id: job.id.to_string(),
        tenant: job.tenant.to_string(),
        name: job.name.to_string(),
        reference: job.reference.clone(),
        state,
        stage: job.progress.stage.as_str().to_owned(),
        bytes_done: job.progress.bytes_done,
        bytes_total: job.progress.bytes_total,
        layers_done: job.progress.layers_done,
        layers_total: job.progress.layers_total,
        created_ms: job.created_at.0,
        finished_ms: job.finished_at.map(|at| at.0),
    };
    serde_json::to_vec(&row).unwrap_or_default()
}

/// All that are there. What cannot be read is taken away: it is a record of something that is over.
pub(super) fn read_all(folder: &Path) -> io::Result<Vec<ImageJob>> {
    let mut jobs = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let row = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(job) = row.and_then(job) {
            jobs.push(job);
        } else {
            tracing::warn!(path = %path.display(), "a pull that was written down cannot be read");
            fs::remove_file(&path)?;
        }
    }
    Ok(jobs)
}

fn job(row: Row) -> Option<ImageJob> {
    let state = match row.state {
        State::Running => ImageJobState::Running,
        State::Finished { digest } => ImageJobState::Finished { digest },
        State::Failed { code, message } => ImageJobState::Failed { code, message },
        State::Cancelled => ImageJobState::Cancelled,
    };
    let stages = [PullStage::Resolving, PullStage::Downloading, PullStage::Unpacking, PullStage::Publishing];
    let progress = PullProgress {
        stage: stages.into_iter().find(|stage| stage.as_str() == row.stage)?,
        bytes_done: row.bytes_done,
        bytes_total: row.bytes_total,
        layers_done: row.layers_done,
        layers_total: row.layers_total,
    };
    Some(ImageJob {
        id: row.id.parse().ok()?,
        tenant: TenantId::from_stored(&row.tenant),
        name: row.name.parse().ok()?,
        reference: row.reference,
        state,
        progress,
        created_at: Millis(row.created_ms),
        finished_at: row.finished_ms.map(Millis),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_cannot_be_read_goes() {
        let folder = tempfile::tempdir().unwrap();
        let written = ImageJob {
            id: "job_0190f5c8e4b07c3e9f6a8d2b4c5e6f70".parse().unwrap(),
            tenant: TenantId::default_tenant(),
            name: "a/b:1".parse().unwrap(),
            reference: "registry.example.com/a/b:1".to_owned(),
            state: ImageJobState::Failed { code: "not_found".to_owned(), message: "no".to_owned() },
            progress: PullProgress { stage: PullStage::Downloading, bytes_done: 1, ..PullProgress::default() },
            created_at: Millis(5),
            finished_at: Some(Millis(6)),
        };
        fs::write(folder.path().join("a.json"), to_json(&written)).unwrap();
        fs::write(folder.path().join("b.json.new"), "{").unwrap();
        assert_eq!(read_all(folder.path()).unwrap(), [written]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
