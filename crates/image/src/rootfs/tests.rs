use std::os::unix::fs::{PermissionsExt, symlink};

use tempfile::TempDir;

use super::*;

fn tree() -> (TempDir, TempDir, Tree) {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let tree = Tree::open(folder.path()).unwrap();
    (folder, outside, tree)
}

#[test]
fn a_write_replaces_a_link_instead_of_following_it() {
    let (folder, outside, tree) = tree();
    let victim = outside.path().join("victim");
    fs::write(&victim, "intact").unwrap();
    symlink(&victim, folder.path().join("resolv.conf")).unwrap();
    tree.write("resolv.conf", "new", 0o640).unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "intact");
    let written = folder.path().join("resolv.conf");
    assert_eq!(fs::read_to_string(&written).unwrap(), "new");
    assert_eq!(fs::metadata(written).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn no_change_reaches_out_of_the_root() {
    let (folder, outside, tree) = tree();
    fs::write(outside.path().join("victim"), "intact").unwrap();
    symlink(outside.path(), folder.path().join("etc")).unwrap();
    let refused = |result: Result<(), ImageError>| assert!(matches!(result, Err(ImageError::Escapes { .. })));
    refused(tree.write("etc/hosts", "", 0o644));
    refused(tree.write("etc/deep/er/hosts", "", 0o644));
    refused(tree.remove("etc/victim"));
    refused(tree.link("etc/x", "y"));
    refused(tree.folder("etc/x", 0o755));
    refused(tree.folder("../x", 0o755));
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn removing_twice_is_removing_once() {
    let (_folder, _outside, tree) = tree();
    tree.write("usr/share/man/x", "", 0o644).unwrap();
    tree.remove("usr/share/man").unwrap();
    tree.remove("usr/share/man").unwrap();
    assert_eq!(tree.children("usr/share").unwrap(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn no_file_keeps_a_bit_that_changes_its_user() {
    let (folder, _outside, tree) = tree();
    tree.write("usr/bin/su", "", 0o755).unwrap();
    let su = folder.path().join("usr/bin/su");
    fs::set_permissions(&su, fs::Permissions::from_mode(0o4755)).unwrap();
    tree.folder("tmp", 0o1777).unwrap();
    tree.normalize().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&su), 0o755);
    assert_eq!(mode(&folder.path().join("tmp")), 0o1777);
    let modified = fs::metadata(su).unwrap().modified().unwrap();
    let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(since.as_secs(), crate::recipe::EPOCH_SECONDS.unsigned_abs());
}

#[test]
fn certificates_become_one_file_in_order() {
    let (folder, _outside, tree) = tree();
    tree.write("usr/share/ca-certificates/mozilla/b.crt", "B\n\n", 0o644).unwrap();
    tree.write("usr/share/ca-certificates/mozilla/a.crt", "A", 0o644).unwrap();
    tree.write("usr/share/ca-certificates/mozilla/README", "no", 0o644).unwrap();
    certificates(&tree).unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("etc/ssl/certs/ca-certificates.crt")).unwrap(), "A\nB\n");
}

#[test]
fn package_names_are_read_from_their_files() {
    let (_folder, _outside, tree) = tree();
    tree.write(PACKAGE_FILES, "lock\ntar_1.34_amd64.deb\npartial\nprocps_2%3a4.0.2-3_amd64.deb\n", 0o644).unwrap();
    assert_eq!(packages(&tree).unwrap(), ["procps_2:4.0.2-3_amd64", "tar_1.34_amd64"]);
}
