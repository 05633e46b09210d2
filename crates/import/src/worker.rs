//! The process that looks into an image: the server starts it for one image, and believes nothing it says.

use std::{
    ffi::OsString,
    io::Write as _,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
};

use rustix::process::{Signal, set_parent_process_death_signal};
use sentinal_image::{Bounds, Config, Digest, ImportEvent, ImportJob, import};
use sentinal_model::{Code, Error};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{ChildStdout, Command},
    time::timeout,
};

use crate::{
    ImportError,
    limits::{LINE_BYTES_MAX, LINES_MAX, WORK_DEADLINE},
};

/// What makes this very program that process.
#[derive(Debug, Clone)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// What it is told first.
    pub word: OsString,
}

/// One line of what it says.
#[derive(Debug, Serialize, Deserialize)]
enum Said {
    Layers { done: usize, all: usize },
    Made { digest: String, size_bytes: u64, config: Config },
    Refused { too_large: bool, invalid: bool, message: String },
}

/// What it has made.
#[derive(Debug)]
pub(crate) struct Unpacked {
    pub(crate) digest: Digest,
    pub(crate) size_bytes: u64,
    pub(crate) config: Config,
}

/// The other side: what the program does that was started with the word, and then an input and a folder.
pub fn work(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let (Some(input), Some(folder)) = (arguments.next(), arguments.next()) else { return ExitCode::FAILURE };
    // Nobody would take what it makes.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let (input, folder) = (input.into(), folder.into());
    let job = ImportJob { input, folder, bounds: Bounds::default(), is_confined: true };
    let done = import(&job, &mut |ImportEvent::Layers { done, all }| say(&Said::Layers { done, all }));
    match done {
        Ok(made) => {
            say(&Said::Made { digest: made.digest.to_string(), size_bytes: made.size_bytes, config: made.config });
            ExitCode::SUCCESS
        }
        Err(error) => {
            let error = Error::from(error);
            let (too_large, invalid) = (error.code() == Code::TooLarge, error.code() == Code::InvalidRequest);
            say(&Said::Refused { too_large, invalid, message: error.message().to_owned() });
            ExitCode::FAILURE
        }
    }
}

/// What cannot be said is missed by who listens.
fn say(said: &Said) {
    let mut line = serde_json::to_vec(said).unwrap_or_default();
    line.push(b'\n');
    let _ = std::io::stdout().write_all(&line);
}

/// Has an archive or a layout made into an image in `folder`. `layers` hears how many are unpacked, and of how many.
pub(crate) async fn unpack(
    program: &Program,
    input: &Path,
    folder: &Path,
    layers: &(dyn Fn(usize, usize) + Sync),
) -> Result<Unpacked, ImportError> {
    let mut command = Command::new(&program.path);
    command.arg(&program.word).arg(input).arg(folder).env_clear().current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().map_err(ImportError::io("start", &program.path))?;
    let stdout = child.stdout.take().ok_or(ImportError::Worker("it cannot be heard"))?;
    let unpacked = timeout(WORK_DEADLINE, listen(stdout, layers)).await;
    let unpacked = unpacked.map_err(|_| ImportError::Worker("it took too long"))?;
    // It has said all that it had to say, or too much; how it ends does not matter.
    let _ = child.kill().await;
    unpacked
}

async fn listen(stdout: ChildStdout, layers: &(dyn Fn(usize, usize) + Sync)) -> Result<Unpacked, ImportError> {
    let mut stdout = BufReader::new(stdout);
    for _ in 0..LINES_MAX {
        let mut line = Vec::new();
        let read = (&mut stdout).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await;
        if read.map_err(ImportError::io("read from", "the process that unpacks"))? == 0 {
            return Err(ImportError::Worker("it needs more memory or time than an image may"));
        }
        let said = serde_json::from_slice(&line).map_err(|_| ImportError::Worker("it was not understood"))?;
        match said {
            Said::Layers { done, all } => layers(done, all),
            Said::Made { digest, size_bytes, config } => {
                let digest = digest.parse().map_err(|_| ImportError::Worker("it was not understood"))?;
                config.check().map_err(|error| ImportError::Refused(error.into()))?;
                return Ok(Unpacked { digest, size_bytes, config });
            }
            Said::Refused { too_large, invalid, message } => return Err(refused(too_large, invalid, &message)),
        }
    }
    Err(ImportError::Worker("it says too much"))
}

fn refused(too_large: bool, invalid: bool, message: &str) -> ImportError {
    let clean = |c: char| if c.is_control() { '?' } else { c };
    let message: String = message.chars().take(600).map(clean).collect();
    let code = match (too_large, invalid) {
        (true, _) => Code::TooLarge,
        (false, true) => Code::InvalidRequest,
        (false, false) => Code::Internal,
    };
    ImportError::Refused(Error::new(code, message))
}
