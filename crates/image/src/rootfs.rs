//! From unpacked packages to a root folder: what installation scripts would have done, and what a sandbox needs.
//!
//! No script of a package runs. The result holds no trace of the machine it was made on.

mod accounts;
mod inside;
mod prune;
mod tree;

use std::{fs, path::Path};

pub(crate) use inside::{compile, try_out};
use tree::Tree;

use crate::ImageError;

/// Where the unpacking leaves the names of the package files, one a line, relative to the root folder.
pub(crate) const PACKAGE_FILES: &str = ".package-files";

/// Turns unpacked packages into the root folder of a sandbox and answers what was unpacked.
pub(crate) fn finish(root: &Path) -> Result<Vec<String>, ImageError> {
    let tree = Tree::open(root)?;
    let packages = packages(&tree)?;
    prune::prune(&tree)?;
    accounts::write(&tree)?;
    system_files(&tree)?;
    certificates(&tree)?;
    links(&tree)?;
    mount_points(&tree)?;
    tree.write("usr/share/sentinal/packages", &lines(&packages), 0o644)?;
    tree.normalize()?;
    Ok(packages)
}

/// `bash_5.2.15-2+b13_amd64` for each package, in order.
fn packages(tree: &Tree) -> Result<Vec<String>, ImageError> {
    let files = tree.read(PACKAGE_FILES)?;
    tree.remove(PACKAGE_FILES)?;
    let names = files.lines().filter_map(|file| file.strip_suffix(".deb"));
    let mut packages: Vec<_> = names.map(|name| name.replace("%3a", ":")).collect();
    packages.sort_unstable();
    Ok(packages)
}

/// The files in `/etc` that packages only bring as templates, and the names of the sandbox itself.
fn system_files(tree: &Tree) -> Result<(), ImageError> {
    tree.write("etc/hostname", "sandbox\n", 0o644)?;
    tree.write("etc/hosts", "127.0.0.1\tlocalhost sandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n", 0o644)?;
    // A sandbox has no network unless an engine writes its resolver here.
    tree.write("etc/resolv.conf", "", 0o644)?;
    tree.write("etc/timezone", "Etc/UTC\n", 0o644)?;
    tree.write("etc/default/locale", "LANG=C.UTF-8\n", 0o644)?;
    tree.write("etc/environment", "LANG=C.UTF-8\n", 0o644)?;
    tree.write("etc/fstab", "", 0o644)?;
    tree.copy("usr/share/libc-bin/nsswitch.conf", "etc/nsswitch.conf")?;
    tree.copy("usr/share/base-files/profile", "etc/profile")?;
    tree.copy("usr/share/base-files/dot.bashrc", "root/.bashrc")?;
    tree.copy("usr/share/base-files/dot.profile", "root/.profile")
}

/// All certificate authorities of the package, in the one file that programs look for.
fn certificates(tree: &Tree) -> Result<(), ImageError> {
    let mut bundle = String::new();
    for certificate in tree.files_below("usr/share/ca-certificates", "crt")? {
        let text = fs::read_to_string(&certificate).map_err(ImageError::io("read", &certificate))?;
        bundle.push_str(text.trim_end());
        bundle.push('\n');
    }
    tree.write("etc/ssl/certs/ca-certificates.crt", &bundle, 0o644)
}

/// What `update-alternatives` and the like would have made: link and target.
const LINKS: &[(&str, &str)] = &[
    ("usr/bin/sh", "dash"),
    ("usr/bin/awk", "mawk"),
    ("usr/bin/nawk", "mawk"),
    ("usr/bin/which", "which.debianutils"),
    ("usr/bin/pager", "more"),
    ("usr/bin/python", "python3"),
    ("usr/bin/js", "node"),
    ("etc/localtime", "/usr/share/zoneinfo/Etc/UTC"),
    ("etc/mtab", "../proc/self/mounts"),
    ("var/run", "/run"),
    ("var/lock", "/run/lock"),
];

fn links(tree: &Tree) -> Result<(), ImageError> {
    LINKS.iter().try_for_each(|(link, target)| tree.link(link, target))
}

/// What engines mount over, and what a sandbox may write to. The agent and the way to the server have their
/// place in the image because the root is read-only when they are mounted.
fn mount_points(tree: &Tree) -> Result<(), ImageError> {
    tree.remove("dev")?;
    for folder in ["proc", "sys", "dev", "dev/pts", "dev/shm", "dev/mqueue", "run", "run/lock", "mnt", "opt", "srv"] {
        tree.folder(folder, 0o755)?;
    }
    for folder in ["tmp", "var/tmp"] {
        tree.folder(folder, 0o1777)?;
    }
    tree.folder(".sentinal", 0o755)?;
    tree.write(".sentinal/agent", "", 0o555)?;
    tree.folder(".sentinal/host", 0o700)
}

fn lines(items: &[String]) -> String {
    items.iter().flat_map(|item| [item, "\n"]).collect()
}

#[cfg(test)]
mod tests;
