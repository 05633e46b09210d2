//! Commands that run inside the new root folder, with the programs of the image itself.
//!
//! They come from signed packages and get no input from this machine: a changed root (`chroot`) keeps them to
//! their own files, and an empty environment keeps the result the same everywhere.

use std::path::Path;

use super::tree::Tree;
use crate::{
    ImageError,
    limits::INSIDE_DEADLINE,
    process::{Tool, quiet},
};

const CHROOT: Tool = Tool { name: "chroot", package: "coreutils" };

/// Compiles Python's library, so that no sandbox has to (a third of Python's start), and writes the cache by
/// which programs find their shared libraries.
pub(crate) async fn compile(root: &Path) -> Result<(), ImageError> {
    let library = python_library(&Tree::open(root)?)?;
    // One process: the order of the work shows in the result.
    let compile = ["/usr/bin/python3", "-m", "compileall", "-q", "-j", "1", "--invalidation-mode", "timestamp"];
    run(root, &[&compile[..], &[&library, "/usr/lib/python3/dist-packages"]].concat()).await?;
    run(root, &["/usr/sbin/ldconfig"]).await?;
    Tree::open(root)?.remove("var/cache/ldconfig/aux-cache")
}

/// What must work in every image. A build whose result cannot do this has failed.
const TRIALS: &[&[&str]] = &[
    &["/bin/sh", "-c", "awk 'BEGIN { exit 0 }' && which ls && which ps && tar --version"],
    &["/bin/bash", "-c", "[[ $(id -u user) == 1000 ]]"],
    &[
        "/usr/bin/python",
        "-c",
        "import ctypes, hashlib, json, sqlite3, ssl; assert ssl.create_default_context().get_ca_certs()",
    ],
    &["/usr/bin/node", "--version"],
];

/// Starts the programs that callers rely on.
pub(crate) async fn try_out(root: &Path) -> Result<(), ImageError> {
    for trial in TRIALS {
        run(root, trial).await?;
    }
    Ok(())
}

async fn run(root: &Path, arguments: &[&str]) -> Result<(), ImageError> {
    let mut command = CHROOT.command();
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin").env("LC_ALL", "C.UTF-8");
    // Sets of text are otherwise stored in an order that changes from run to run.
    command.env("PYTHONHASHSEED", "0").env("PYTHONDONTWRITEBYTECODE", "1");
    command.arg(root).args(arguments);
    CHROOT.run(command, INSIDE_DEADLINE, &mut quiet).await?;
    Ok(())
}

/// `/usr/lib/python3.11`, whichever version it is.
fn python_library(tree: &Tree) -> Result<String, ImageError> {
    let folders = tree.children("usr/lib")?.into_iter().map(|path| tree.relative(&path));
    let library = folders.filter(|path| path.starts_with("usr/lib/python3.")).max();
    let missing = || ImageError::io("find Python's library in", "usr/lib")(std::io::ErrorKind::NotFound.into());
    library.map(|path| format!("/{path}")).ok_or_else(missing)
}
