//! What comes in before a program runs, and what comes out after it.

use std::path::Path;

use anyhow::{Context as _, Result};
use bytes::Bytes;

use super::program::{Chosen, Text};
use crate::{
    copy::{self, Local, Remote},
    failure::Failure,
    session::Session,
};

/// The name of a program that came without one.
const TEXT_NAME: &str = "program";

/// Brings one `LOCAL[:REMOTE]` in.
pub(super) async fn bring_in(session: &Session, place: (&str, Option<&str>), mount: &str) -> Result<()> {
    let (local, remote) = split_inward(mount, |path| Path::new(path).exists());
    let to = remote_at(place, remote.unwrap_or("."));
    copy::put(session, &Local::Path(local.into()), &to).await.with_context(|| format!("--in {mount}"))
}

/// Brings one `REMOTE[:LOCAL]` out.
pub(super) async fn bring_out(session: &Session, place: (&str, Option<&str>), mount: &str) -> Result<()> {
    let (remote, local) = mount.split_once(':').unwrap_or((mount, "."));
    copy::get(session, &remote_at(place, remote), &Local::Path(local.into())).await
}

/// Puts the program where it will run; answers with what runs it.
pub(super) async fn put_program(
    session: &Session,
    place: (&str, Option<&str>),
    chosen: &Chosen,
) -> Result<Vec<String>> {
    let (name, interpreter, args) = match chosen {
        Chosen::Command(argv) => return Ok(argv.clone()),
        Chosen::Text(Text { bytes, interpreter, args }) => {
            copy::put_bytes(session, &remote_at(place, TEXT_NAME), Bytes::from(bytes.clone()), EXECUTABLE).await?;
            (TEXT_NAME, interpreter, args)
        }
        Chosen::File { local, interpreter, args } => {
            let name = local.file_name().and_then(|name| name.to_str());
            let name = name.ok_or_else(|| Failure::usage(format!("the name of {} is not UTF-8", local.display())))?;
            copy::put_file(session, local, &remote_at(place, name), Some(EXECUTABLE)).await?;
            (name, interpreter, args)
        }
    };
    // With a folder, so that no name is taken for an option or looked for elsewhere.
    let program = interpreter.iter().map(|&interpreter| interpreter.to_owned()).chain([format!("./{name}")]);
    Ok(program.chain(args.iter().cloned()).collect())
}

/// Permission bits of a program.
const EXECUTABLE: u32 = 0o755;

/// A path of the sandbox, beside the program unless it is absolute.
fn remote_at((sandbox, workdir): (&str, Option<&str>), path: &str) -> Remote {
    let path = match workdir {
        Some(workdir) if !path.starts_with('/') => format!("{}/{path}", workdir.trim_end_matches('/')),
        _ => path.to_owned(),
    };
    Remote { sandbox: sandbox.to_owned(), path }
}

/// A path of this machine may have a colon of its own: what exists as a whole is meant as a whole.
fn split_inward(mount: &str, exists: impl Fn(&str) -> bool) -> (&str, Option<&str>) {
    match mount.rsplit_once(':') {
        Some((local, remote)) if !exists(mount) => (local, Some(remote)),
        _ => (mount, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_brought_in_may_have_colons() {
        assert_eq!(split_inward("data:/srv/data", |_| false), ("data", Some("/srv/data")));
        assert_eq!(split_inward("a:b", |_| true), ("a:b", None));
        assert_eq!(split_inward("a:b:c", |_| false), ("a:b", Some("c")));
        assert_eq!(split_inward("data", |_| false), ("data", None));
    }

    #[test]
    fn paths_are_beside_the_program() {
        let path = |workdir, path| remote_at(("sbx_1", workdir), path).path;
        assert_eq!(path(None, "a"), "a");
        assert_eq!(path(Some("/srv/"), "a"), "/srv/a");
        assert_eq!(path(Some("/srv"), "/etc/a"), "/etc/a");
    }
}
