//! Images of somebody else's become one file, or nothing, whatever they try.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking and says what it skips"
)]

mod make;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use make::{Layout, Tar, Tried, gzip, header, try_bounded, try_file, try_import};
use sentinal_archive::{Header, Kind};
use sentinal_image::{Bounds, Digest, RunAs, Superblock};
use serde_json::json;

/// An image, looked into by the kernel, or by the tools of EROFS where it cannot be mounted.
struct Inside {
    folder: tempfile::TempDir,
    is_mounted: bool,
}

impl Inside {
    fn of(tried: &Tried) -> Option<Self> {
        let imported = tried.imported.as_ref().unwrap();
        assert_eq!(Digest::of_file(&tried.image()).unwrap(), imported.digest);
        assert_eq!(Superblock::read(&tried.image()).unwrap().size_bytes, imported.size_bytes);
        let folder = tempfile::tempdir().unwrap();
        let mount =
            Command::new("mount").args(["-t", "erofs", "-o", "ro,loop"]).arg(tried.image()).arg(folder.path()).output();
        if mount.is_ok_and(|mount| mount.status.success()) {
            return Some(Self { folder, is_mounted: true });
        }
        let extract = format!("--extract={}", folder.path().display());
        match Command::new("fsck.erofs").args([&extract, "--overwrite"]).arg(tried.image()).output() {
            Ok(done) if done.status.success() => Some(Self { folder, is_mounted: false }),
            Ok(failed) => panic!("fsck.erofs: {}", String::from_utf8_lossy(&failed.stdout)),
            Err(error) => {
                eprintln!("skipped: neither can EROFS be mounted here nor is there fsck.erofs: {error}");
                None
            }
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn has(&self, path: &str) -> bool {
        fs::symlink_metadata(self.path(path)).is_ok()
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        if self.is_mounted {
            let _ = Command::new("umount").arg(self.folder.path()).status();
        }
    }
}

fn base() -> Tar {
    Tar::default()
        .folder("etc")
        .file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nwww:x:33:33::/var/www:/bin/sh")
        .folder("bin")
        .file("bin/sh", b"#!")
        .symlink("sbin", "bin")
}

#[test]
fn layers_add_up_as_they_should() {
    let lower =
        base().folder("a").file("a/1", b"one").file("a/2", b"two").folder("b").file("b/1", b"one").file("c", b"c");
    let upper = Tar::default()
        .file("a/.wh.1", b"")
        .file("a/3", b"three")
        .file("b/2", b"two")
        .file("b/.wh..wh..opq", b"")
        .file("sbin/init", b"init")
        .hardlink("d", "c")
        .folder("c.d");
    let layout = Layout::of(&[lower.bytes(), upper.bytes()], json!({}), gzip);
    let Some(inside) = Inside::of(&try_import(&layout.tar())) else { return };
    let there = ["a/2", "a/3", "b/2", "bin/init", "d"].map(|path| inside.has(path));
    let gone = ["a/1", "b/1", "a/.wh.1", "b/.wh..wh..opq"].map(|path| inside.has(path));
    assert_eq!((there, gone), ([true; 5], [false; 4]));
    assert_eq!((inside.read("c"), inside.read("d")), ("c".to_owned(), "c".to_owned()));
    assert_eq!(fs::read_link(inside.path("sbin")).unwrap(), Path::new("bin"));
}

#[test]
fn owners_and_times_stay_and_rights_that_are_lent_do_not() {
    let su = Header { mode: 0o6755, uid: 33, gid: 12, size: 2, ..header(Kind::File, "bin/su", "") };
    let Some(inside) = Inside::of(&try_import(&base().add(&su, b"su").bytes())) else { return };
    let found = fs::metadata(inside.path("bin/su")).unwrap();
    assert_eq!((found.mode() & 0o7777, found.mtime()), (0o755, 1_600_000_000));
    if inside.is_mounted {
        assert_eq!((found.uid(), found.gid()), (33, 12));
    }
}

#[test]
fn many_and_large_things_come_out_as_they_went_in() {
    let mut tar = base().folder("many");
    let mut expected = BTreeMap::new();
    for number in 0..3000_u32 {
        let name = format!("{number}-{}", "n".repeat(usize::try_from(number % 200).unwrap()));
        let content = vec![u8::try_from(number % 251).unwrap(); usize::try_from(number % 97 * 170).unwrap()];
        tar = tar.file(&format!("many/{name}"), &content);
        expected.insert(name, content);
    }
    for length in [1, 4000, 4032, 4033, 4095] {
        tar = tar.symlink(&format!("link-{length}"), &"l/".repeat(length).chars().take(length).collect::<String>());
    }
    let tried = try_import(&gzip(&tar.bytes()));
    let Some(inside) = Inside::of(&tried) else { return };
    let found = fs::read_dir(inside.path("many")).unwrap().map(|entry| {
        let entry = entry.unwrap();
        (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
    });
    assert!(found.collect::<BTreeMap<_, _>>() == expected);
    for length in [1, 4000, 4032, 4033, 4095] {
        assert_eq!(fs::read_link(inside.path(&format!("link-{length}"))).unwrap().as_os_str().len(), length);
    }
    // A lookup is another way into a folder than a list.
    assert!(expected.keys().all(|name| inside.has(&format!("many/{name}"))));
    let again = try_import(&fs::read(tried.folder.path().join("in")).unwrap());
    assert_eq!(again.imported.unwrap().digest, tried.imported.as_ref().unwrap().digest);
    if let Ok(checked) = Command::new("fsck.erofs").arg(tried.image()).output() {
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    }
}

#[test]
fn what_a_sandbox_needs_is_there_whatever_the_image_has() {
    let hostile = base()
        .symlink("proc", "/etc")
        .symlink("tmp", "../../tmp")
        .symlink(".sentinal", "/")
        .symlink("run", "run")
        .file("dev", b"no folder")
        .folder("home")
        .symlink("etc/hosts", "/proc/self/environ");
    let Some(inside) = Inside::of(&try_import(&hostile.bytes())) else { return };
    for (path, mode) in [
        ("proc", 0o755),
        ("sys", 0o755),
        ("dev/pts", 0o755),
        ("dev/shm", 0o755),
        ("run", 0o755),
        ("tmp", 0o1777),
        (".sentinal/host", 0o700),
    ] {
        let found = fs::symlink_metadata(inside.path(path)).unwrap();
        assert!(found.is_dir() && found.mode() & 0o7777 == mode, "{path} {:o}", found.mode());
    }
    assert!(fs::symlink_metadata(inside.path(".sentinal/agent")).unwrap().is_file());
    assert!(
        inside.read("etc/passwd").contains("www:x:33:33::/var/www:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n")
    );
    assert!(inside.read("etc/group").contains("user:x:1000:"));
    assert!(inside.has("home/user"));
}

#[test]
fn a_configuration_becomes_what_executions_begin_with() {
    let config = json!({ "Env": ["A=b=c", "PATH=/x"], "WorkingDir": "/app", "User": "www:staff", "Entrypoint": ["x"], "Cmd": null });
    let layout = Layout::of(&[base().bytes()], config, <[u8]>::to_vec);
    let tried = try_import(&layout.tar());
    let found = tried.imported.as_ref().unwrap().config.clone();
    assert_eq!(
        (found.run_as, &found.working_dir[..], &found.entrypoint[..]),
        (RunAs::Image, "/app", &["x".to_owned()][..])
    );
    let Some(inside) = Inside::of(&tried) else { return };
    assert_eq!(inside.read("usr/share/sentinal/execution"), "user=www\0folder=/app\0env=A=b=c\0env=PATH=/x\0");
    let nobody = Layout::of(&[base().bytes()], json!({ "User": "nobody-here" }), <[u8]>::to_vec);
    assert_eq!(try_import(&nobody.tar()).imported.unwrap().config.run_as, RunAs::Ordinary);
}

#[test]
fn no_path_leads_out() {
    for path in ["../evil", "a/../../evil", "..", "etc/../../evil", "/../evil"] {
        try_import(&base().file(path, b"x").bytes()).refused("climbs with");
    }
    try_import(&base().hardlink("x", "../../etc/shadow").bytes()).refused("climbs with");
    try_import(&base().hardlink("x", "/etc/shadow").bytes()).refused("no file of the image");
    try_import(&base().hardlink("x", "etc").bytes()).refused("no file of the image");
    try_import(&base().file("../.wh.x", b"").bytes()).refused("climbs with");
    try_import(&base().file("etc/.wh...", b"").bytes()).refused("hides what is no name");
    try_import(&base().file("bin/sh/x", b"").bytes()).refused("which is no folder");
    try_import(&base().symlink("l", "l").file("l/x", b"").bytes()).refused("links in a circle");
    let mark = "evil-of-an-import";
    let outside = base().symlink("out", "/tmp").symlink("up", "../../../../../../../tmp");
    let tried = try_import(&outside.file(&format!("out/{mark}"), b"x").file(&format!("up/{mark}-2"), b"x").bytes());
    assert!(!Path::new("/tmp").join(mark).exists() && !Path::new("/tmp").join(format!("{mark}-2")).exists());
    let Some(inside) = Inside::of(&tried) else { return };
    assert!(inside.has(&format!("tmp/{mark}")) && inside.has(&format!("tmp/{mark}-2")));
}

#[test]
fn devices_are_left_out_and_sparse_files_refused() {
    let tried = try_import(&base().file("dev/null", b"").of_kind(b'3').file("pipe", b"").of_kind(b'6').bytes());
    assert_eq!(tried.imported.as_ref().unwrap().skipped, 2);
    try_import(&base().file("s", b"").of_kind(b'S').bytes()).refused("a sparse file");
    let Some(inside) = Inside::of(&tried) else { return };
    assert!(!inside.has("dev/null") && !inside.has("pipe"));
}

#[test]
fn what_is_too_much_is_refused_before_it_is_held() {
    let bounds = Bounds { unpacked_bytes: 1 << 20, entries: 20, names_bytes: 4000, layers: 2 };
    let huge = Header { size: 1 << 40, ..header(Kind::File, "huge", "") };
    try_bounded(&base().add(&huge, b"").bytes(), Bounds { unpacked_bytes: 1 << 20, ..bounds }).refused("ends before");
    let claimed = Layout::of(&[base().add(&huge, b"").bytes()], json!({}), gzip);
    try_bounded(&claimed.tar(), bounds).refused("at most 1048576 bytes");
    let many = (0..30).fold(base(), |tar, number| tar.file(&format!("{number}"), b""));
    try_bounded(&Layout::of(&[many.bytes()], json!({}), gzip).tar(), bounds).refused("at most 20 entries");
    let long = (0..10).fold(base(), |tar, number| tar.symlink(&format!("{number}"), &"l".repeat(900)));
    try_bounded(&Layout::of(&[long.bytes()], json!({}), gzip).tar(), bounds).refused("at most 4000 bytes");
    let layers = vec![base().bytes(); 3];
    try_bounded(&Layout::of(&layers, json!({}), gzip).tar(), bounds).refused("at most 2 layers");
    try_import(&base().file(&"d/".repeat(200), b"").bytes()).refused("nested deeper");
    try_import(&base().file(&"n".repeat(256), b"").bytes()).refused("name that is too long");
}

#[test]
fn what_is_not_what_it_is_said_to_be_is_refused() {
    let good = || Layout::of(&[base().bytes()], json!({}), gzip);
    for (part, words) in [(0, "digest is"), (1, "digest is"), (2, "digest is")] {
        let mut layout = good();
        let last = layout.blobs[part].1.len() - 9;
        layout.blobs[part].1[last] ^= 1;
        try_import(&layout.tar()).refused(words);
        let mut layout = good();
        layout.blobs[part].1.push(0);
        try_import(&layout.tar()).refused("were promised");
        let mut layout = good();
        layout.blobs.remove(part);
        try_import(&layout.tar()).refused("missing in it");
    }
    let mut other = Layout::of(&[base().bytes()], json!({}), gzip);
    let swapped = other.blob("layer", gzip(&base().file("x", b"").bytes()));
    let mut manifest: serde_json::Value = serde_json::from_slice(&other.blobs[2].1).unwrap();
    manifest["layers"] = json!([swapped]);
    let manifest = other.blob("manifest", manifest.to_string().into_bytes());
    other.index["manifests"] = json!([manifest]);
    try_import(&other.tar()).refused("unpacked, is not what it should be");
}

#[test]
fn the_manifest_for_this_kind_of_machine_is_chosen() {
    let mut layout = Layout::of(&[base().bytes()], json!({}), gzip);
    let mut ours = layout.index["manifests"][0].clone();
    ours["platform"] = json!({ "os": "linux", "architecture": "amd64" });
    let other = json!({ "digest": Digest::of(b"x").to_string(), "size": 1, "platform": { "os": "windows", "architecture": "amd64" } });
    let attested = json!({ "digest": Digest::of(b"y").to_string(), "size": 1, "platform": { "os": "unknown", "architecture": "unknown" } });
    let index = json!({ "manifests": [other, ours, attested] });
    let index = layout.blob("index", index.to_string().into_bytes());
    layout.index = json!({ "manifests": [index] });
    try_import(&layout.tar()).imported.unwrap();
    layout.index = json!({ "manifests": [other] });
    try_import(&layout.tar()).refused("not made for linux/amd64");
    layout.index = json!({ "manifests": [ours, { "digest": Digest::of(b"z").to_string(), "size": 1 }] });
    try_import(&layout.tar()).refused("holds 2 images");
}

#[test]
fn a_layout_is_read_from_a_folder_too_and_docker_s_own_format() {
    let layout = Layout::of(&[base().bytes()], json!({}), gzip);
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("layout");
    layout.write(&input);
    let from_folder = try_file(folder, input, Bounds::default()).imported.unwrap();
    assert_eq!(from_folder.digest, try_import(&layout.tar()).imported.unwrap().digest);

    let layer = base().bytes();
    let config =
        json!({ "architecture": "amd64", "os": "linux", "rootfs": { "diff_ids": [Digest::of(&layer).to_string()] } })
            .to_string();
    let name = format!("{}.json", Digest::of(config.as_bytes()).hex());
    let manifest = json!([{ "Config": name, "RepoTags": ["a:b"], "Layers": ["0/layer.tar"] }]).to_string();
    let saved = |layer: &[u8]| {
        Tar::default()
            .file(&name, config.as_bytes())
            .file("0/layer.tar", layer)
            .file("manifest.json", manifest.as_bytes())
    };
    assert_eq!(try_import(&saved(&layer).bytes()).imported.unwrap().digest, from_folder.digest);
    try_import(&saved(&base().file("x", b"").bytes()).bytes()).refused("is not what it should be");

    // A layer that another image has, too, is a link to it.
    let linked = |target: &str| {
        let tar = Tar::default().file(&name, config.as_bytes()).symlink("0/layer.tar", target);
        let tar = tar.symlink("1/layer.tar", "../common/./layer.tar").file("common/layer.tar", &layer);
        tar.file("manifest.json", manifest.as_bytes()).bytes()
    };
    for target in ["../common/layer.tar", "../1/layer.tar"] {
        assert_eq!(try_import(&linked(target)).imported.unwrap().digest, from_folder.digest, "{target}");
    }
    for target in ["../../common/layer.tar", "/common/layer.tar", "/etc/passwd", "layer.tar", "../2/layer.tar", ""] {
        try_import(&linked(target)).refused("missing in it");
    }
}

#[test]
fn what_is_no_image_is_refused_with_words() {
    try_import(b"").refused("nothing in it");
    try_import(&[b'x'; 2000]).refused("no tar stream");
    try_import(&base().bytes()[..700]).refused("ends");
    try_import(&gzip(&base().bytes())[..100]).refused("cannot be read");
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most
    }
}

#[test]
fn whatever_was_done_to_an_archive_it_is_an_image_or_refused() {
    let small = Bounds { unpacked_bytes: 1 << 20, entries: 1000, names_bytes: 1 << 20, layers: 4 };
    let upper = Tar::default().file("a/.wh.b", b"").symlink("a/c", "../../b").hardlink("a/d", "bin/sh");
    let plain = base().symlink("x", "/a/b").file("x/y", b"y").hardlink("z", "bin/sh").bytes();
    let layout = Layout::of(&[plain.clone(), upper.bytes()], json!({ "User": "www" }), gzip).tar();
    let (mut dice, mut made) = (Dice(7), 0);
    for archive in [&plain, &gzip(&plain), &layout] {
        for _ in 0..150 {
            let mut archive = archive.clone();
            for _ in 0..=dice.below(4) {
                let at = dice.below(archive.len());
                archive[at] = u8::try_from(dice.below(256)).unwrap();
            }
            archive.truncate(archive.len().saturating_sub(dice.below(3) * dice.below(600)));
            let tried = try_bounded(&archive, small);
            if tried.imported.is_ok() {
                made += 1;
                Superblock::read(&tried.image()).unwrap();
            }
        }
    }
    assert!(0 < made, "not one was an image");
}
