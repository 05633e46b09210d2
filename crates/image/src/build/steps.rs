//! The steps of a build, each a child process or a change of files in the scratch folder.

use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::{
    ImageError, ImageRef, ImageStore, Progress, ProgressSink, Step,
    apt::{self, Inputs},
    limits::{PACK_DEADLINE, PACKAGES_DEADLINE, QUESTION_DEADLINE},
    manifest::Label,
    process::{Tool, quiet},
    recipe, rootfs,
};

const MMDEBSTRAP: Tool = Tool { name: "mmdebstrap", package: "mmdebstrap" };
const MKFS: Tool = Tool { name: "mkfs.erofs", package: "erofs-utils" };

/// Refuses early, before anything is downloaded.
pub(super) async fn check_machine() -> Result<(), ImageError> {
    if !rustix::process::geteuid().is_root() {
        return Err(ImageError::NotRoot);
    }
    for tool in [MMDEBSTRAP, MKFS] {
        let mut command = tool.command();
        command.arg("--help");
        // What it says and how it ends do not matter, only that it is there.
        let ran = tool.run(command, QUESTION_DEADLINE, &mut quiet).await;
        if let Err(error @ ImageError::MissingTool { .. }) = ran {
            return Err(error);
        }
    }
    Ok(())
}

/// From sources to an image in the store.
pub(super) async fn make(
    store: &ImageStore,
    inputs: Inputs,
    mut label: Label,
    progress: &dyn ProgressSink,
) -> Result<ImageRef, ImageError> {
    let at = |step, fraction, message: &str| progress.report(Progress { step, fraction, message });
    let scratch = store.scratch()?;
    at(Step::Sources, 0.01, "looking for Debian's package sources");
    let sources = inputs.into_file(scratch.path()).await?;
    let settings = write_settings(scratch.path()).await?;
    at(Step::Packages, 0.05, "reading the package indexes");
    let root = scratch.path().join("root");
    unpack(&Unpack { sources, settings, root: root.clone(), scratch: scratch.path().to_owned() }, progress).await?;
    at(Step::Root, 0.75, "writing system files");
    label.packages = blocking(&root, rootfs::finish).await?;
    at(Step::Compile, 0.78, "compiling Python's library");
    rootfs::compile(&root).await?;
    at(Step::Compile, 0.88, "trying the programs out");
    rootfs::try_out(&root).await?;
    at(Step::Pack, 0.9, "packing");
    let file = scratch.path().join("image.erofs");
    pack(&root, &file).await?;
    at(Step::Install, 0.95, "moving into the store");
    let install = {
        let store = store.clone();
        move |file: &Path| store.install(file, label)
    };
    let image = blocking(&file, install).await?;
    // Thousands of files: not on the thread that others wait for.
    let leave = scratch.path().to_owned();
    blocking(&leave, |_| {
        drop(scratch);
        Ok(())
    })
    .await?;
    at(Step::Install, 1.0, "done");
    Ok(image)
}

/// What one run of the unpacking needs.
struct Unpack {
    sources: PathBuf,
    settings: PathBuf,
    root: PathBuf,
    scratch: PathBuf,
}

/// `/bin` and its like are links from the start, so that what packages put there lands in `/usr`.
const MERGE_USR: &str =
    r#"for name in bin sbin lib lib64; do mkdir -p "$1/usr/$name" && ln -s "usr/$name" "$1/$name"; done"#;

async fn unpack(unpack: &Unpack, progress: &dyn ProgressSink) -> Result<(), ImageError> {
    let list_packages = format!(r#"ls "$1/var/cache/apt/archives" > "$1/{}""#, rootfs::PACKAGE_FILES);
    let mut command = MMDEBSTRAP.command();
    command.env("SOURCE_DATE_EPOCH", recipe::EPOCH_SECONDS.to_string());
    command.env("TMPDIR", &unpack.scratch);
    command.args(["--variant=extract", "--mode=root", "--format=directory"]);
    command.arg(format!("--include={}", recipe::PACKAGES.join(",")));
    command.arg(format!("--aptopt={}", unpack.settings.display()));
    command.arg(format!("--setup-hook={MERGE_USR}"));
    command.arg(format!("--extract-hook={list_packages}"));
    command.arg(recipe::SUITE).arg(&unpack.root).arg(&unpack.sources);
    let mut heard = |line: &str| {
        if let Some(progress_of_line) = stage(line) {
            progress.report(progress_of_line);
        }
    };
    MMDEBSTRAP.run(command, PACKAGES_DEADLINE, &mut heard).await?;
    Ok(())
}

/// How far the unpacking is, from what it says.
fn stage(line: &str) -> Option<Progress<'static>> {
    let stages = [
        ("downloading packages", 0.25, "downloading packages"),
        ("extracting archives", 0.5, "unpacking packages"),
        ("cleaning package lists", 0.72, "removing downloads"),
    ];
    let (_, fraction, message) = stages.into_iter().find(|(said, ..)| line.contains(said))?;
    Some(Progress { step: Step::Packages, fraction, message })
}

/// The machine's way to its sources, readable for root alone.
async fn write_settings(scratch: &Path) -> Result<PathBuf, ImageError> {
    let path = scratch.join("apt.conf");
    let settings = apt::settings().await?;
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let written = file.and_then(|mut file| file.write_all(settings.as_bytes()));
    written.map_err(ImageError::io("write", &path))?;
    Ok(path)
}

/// One plain file: uncompressed and with each file's data in blocks of its own, because gVisor maps them.
async fn pack(root: &Path, file: &Path) -> Result<(), ImageError> {
    let mut command = MKFS.command();
    command.args(["--quiet", "-x-1", "-E", "noinline_data", "-U", recipe::FILE_SYSTEM_ID]);
    command.arg(format!("-T{}", recipe::EPOCH_SECONDS)).arg(file).arg(root);
    MKFS.run(command, PACK_DEADLINE, &mut quiet).await?;
    Ok(())
}

/// Runs `work` where it may block.
async fn blocking<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> Result<T, ImageError> + Send + 'static,
) -> Result<T, ImageError> {
    let owned = path.to_owned();
    let done = tokio::task::spawn_blocking(move || work(&owned)).await;
    done.map_err(|error| ImageError::io("work on", path)(error.into()))?
}
