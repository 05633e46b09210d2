//! The default image, made for real: needs root, `mmdebstrap`, `mkfs.erofs` and a way to Debian's packages.
//!
//! The image is kept in a shared folder, so that only the first run takes its half minute.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking and says what it skips"
)]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use sentinal_image::{BuildOptions, ImageRef, ImageStore, Outcome, TerminalProgress, build_default};
use sentinal_model::{Clock, SystemClock};

const STORE: &str = "/var/cache/sentinal/images";

/// Says why a test does nothing, or builds.
fn default_image() -> Option<(ImageStore, ImageRef)> {
    for tool in ["mmdebstrap", "mkfs.erofs", "apt-get"] {
        if Command::new(tool).arg("--version").output().is_err() {
            eprintln!("skipped: {tool} is not installed");
            return None;
        }
    }
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: not root");
        return None;
    }
    let store = ImageStore::open(STORE).unwrap();
    let options = BuildOptions::new(SystemClock.now());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let built = runtime.block_on(build_default(&store, &options, &TerminalProgress::new()));
    let built = built.unwrap_or_else(|error| panic!("{error}: {:?}", error.detail()));
    let again = runtime.block_on(build_default(&store, &options, &TerminalProgress::new())).unwrap();
    assert_eq!((again.outcome, &again.image), (Outcome::UpToDate, &built.image));
    Some((store, built.image))
}

/// An image mounted read-only; unmounted when dropped.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn new(image: &ImageRef) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "erofs", "-o", "ro,loop,nodev,nosuid"])
            .args([&image.path, folder.path()])
            .output()
            .unwrap();
        if mounted.status.success() {
            return Some(Self(folder));
        }
        eprintln!("skipped: no loop mount of EROFS here: {}", String::from_utf8_lossy(&mounted.stderr));
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs a shell script inside as uid 1000.
    fn run(&self, script: &str) -> Output {
        let mut command = Command::new("chroot");
        command.arg("--userspec=1000:1000").arg(self.path()).args(["/bin/bash", "-c", script]);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin").env("LANG", "C.UTF-8").output().unwrap()
    }

    fn check(&self, script: &str, expected: &str) {
        let output = self.run(script);
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert_eq!(stdout.trim(), expected, "{script}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn programs_of_the_default_image_run_as_an_ordinary_user() {
    let Some((store, image)) = default_image() else { return };
    store.verify(&image).unwrap();
    let Some(root) = Mounted::new(&image) else { return };
    root.check("id -un; id -u", "user\n1000");
    root.check("python3 -c 'print(6 * 7)'", "42");
    root.check("python -c 'import json.decoder; print(json.decoder.__cached__.endswith(\".pyc\"))'", "True");
    root.check("python3 -v -c pass 2>&1 | grep -c \"code object from .*py'$\"", "0");
    root.check("node -e 'console.log([3, 1, 2].sort().join())'", "1,2,3");
    root.check("node -e 'console.log(new Intl.NumberFormat(\"de\").format(1234.5))'", "1.234,5");
    root.check("perl -v | grep -c 'This is perl 5'", "1");
    root.check("echo 'a b' | awk '{ print $2 }'", "b");
    root.check("locale -a | grep -c -i '^C.utf'", "1");
    root.check("find / -xdev -perm /6000 -type f 2>/dev/null | wc -l", "0");
    root.check("python3 -c 'import ssl; print(len(ssl.create_default_context().get_ca_certs()) > 100)'", "True");
}

#[test]
fn the_default_image_has_the_places_that_engines_mount_over() {
    let Some((_, image)) = default_image() else { return };
    let Some(root) = Mounted::new(&image) else { return };
    let places = [
        ("/", "755 0 0 directory"),
        ("/proc", "755 0 0 directory"),
        ("/sys", "755 0 0 directory"),
        ("/dev/pts", "755 0 0 directory"),
        ("/run", "755 0 0 directory"),
        ("/tmp", "1777 0 0 directory"),
        ("/.sentinal", "755 0 0 directory"),
        ("/.sentinal/agent", "555 0 0 regular empty file"),
        ("/.sentinal/host", "700 0 0 directory"),
        ("/home/user", "755 1000 1000 directory"),
        ("/bin", "777 0 0 symbolic link"),
    ];
    for (place, expected) in places {
        root.check(&format!("stat -c '%a %u %g %F' {place}"), expected);
    }
}

#[test]
fn the_default_image_says_nothing_about_the_machine_that_made_it() {
    let Some((_, image)) = default_image() else { return };
    let Some(root) = Mounted::new(&image) else { return };
    root.check("cat /etc/hostname", "sandbox");
    root.check("cat /etc/resolv.conf", "");
    let traces: Vec<PathBuf> = ["etc/apt", "var/lib/apt", "var/cache/apt", "etc/dpkg/dpkg.cfg.d", ".package-files"]
        .iter()
        .map(|path| root.path().join(path))
        .filter(|path| path.exists())
        .collect();
    assert_eq!(traces, Vec::<PathBuf>::new());
    root.check("find / -xdev -newermt 2023-11-15 2>/dev/null | head -3", "");
}
