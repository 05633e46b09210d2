//! A pull or build as it is written down. Who may see it is in there, what the registry was shown is not.

use std::{fs, io, path::Path};

use sentinal_controller::{ImageJob, ImageJobKind, ImageJobState, ImageProgress, ImageStage};
use sentinal_model::{Millis, TenantId};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Row {
    id: String,
    tenant: String,
    name: String,
    /// Of a pull.
    #[serde(default)]
    reference: Option<String>,
    /// Of a build, once there is one.
    #[serde(default)]
    sandbox: Option<String>,
    state: State,
    stage: String,
    #[serde(default)]
    steps_done: u64,
    #[serde(default)]
    steps_total: u64,
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
    let (reference, sandbox) = match &job.kind {
        ImageJobKind::Pull { reference } => (Some(reference.clone()), None),
        ImageJobKind::Build { sandbox } => (None, sandbox.map(|sandbox| sandbox.to_string())),
    };
    let row = Row {
        id: job.id.to_string(),
        tenant: job.tenant.to_string(),
        name: job.name.to_string(),
        reference,
        sandbox,
        state,
        stage: job.progress.stage.as_str().to_owned(),
        steps_done: job.progress.steps_done,
        steps_total: job.progress.steps_total,
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
    let kind = match (row.reference, row.sandbox) {
        (Some(reference), _) => ImageJobKind::Pull { reference },
        (None, None) => ImageJobKind::Build { sandbox: None },
        (None, Some(sandbox)) => ImageJobKind::Build { sandbox: Some(sandbox.parse().ok()?) },
    };
    let progress = ImageProgress {
        stage: ImageStage::ALL.into_iter().find(|stage| stage.as_str() == row.stage)?,
        steps_done: row.steps_done,
        steps_total: row.steps_total,
        bytes_done: row.bytes_done,
        bytes_total: row.bytes_total,
        layers_done: row.layers_done,
        layers_total: row.layers_total,
    };
    Some(ImageJob {
        id: row.id.parse().ok()?,
        tenant: TenantId::from_stored(&row.tenant),
        name: row.name.parse().ok()?,
        kind,
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
            kind: ImageJobKind::Pull { reference: "registry.example.com/a/b:1".to_owned() },
            state: ImageJobState::Failed { code: "not_found".to_owned(), message: "no".to_owned() },
            progress: ImageProgress { stage: ImageStage::Downloading, bytes_done: 1, ..ImageProgress::default() },
            created_at: Millis(5),
            finished_at: Some(Millis(6)),
        };
        fs::write(folder.path().join("a.json"), to_json(&written)).unwrap();
        fs::write(folder.path().join("b.json.new"), "{").unwrap();
        assert_eq!(read_all(folder.path()).unwrap(), std::slice::from_ref(&written));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let sandbox = Some("sbx_0190f5c8e4b07c3e9f6a8d2b4c5e6f70".parse().unwrap());
        let progress = ImageProgress { stage: ImageStage::Collecting, steps_total: 3, ..ImageProgress::default() };
        let written = ImageJob { kind: ImageJobKind::Build { sandbox }, progress, ..written };
        fs::write(folder.path().join("a.json"), to_json(&written)).unwrap();
        assert_eq!(read_all(folder.path()).unwrap(), [written]);
    }
}
