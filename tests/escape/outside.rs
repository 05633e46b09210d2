//! What lies outside of every sandbox, made for being reached and found untouched: a process with a file, sockets and
//! shared memory, a block device; and what of this machine an escape would change.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

const CANARY: &str = include_str!("canary.c");
const DISK_BYTES: usize = 1 << 16;

/// Everything that is made; it goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Outside {
    folder: PathBuf,
    canary: Child,
    device: String,
    known: Value,
    secret: String,
    host: BTreeMap<String, String>,
}

impl Outside {
    pub(crate) fn make() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("snt-outside-").tempdir_in("/var/tmp")?.keep();
        fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let program = compile(&folder)?;
        let secret = format!("canary-secret-{}", random()?);
        let mut canary = Command::new(&program);
        canary.arg(&folder).arg(&secret).env("CANARY_SECRET", &secret).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut canary = canary.spawn().context("start the canary")?;
        let said = canary.stdout.take().context("the canary speaks")?;
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line).context("hear the canary")?;
        let mut known: Value = serde_json::from_str(&line).context("understand the canary")?;
        let (device, numbers) = disk(&folder)?;
        known["disk"] = json!(numbers);
        known["addresses"] = json!(addresses()?);
        Ok(Self { folder, canary, device, known, secret, host: host() })
    }

    /// What an attacker may know. Not the secrets themselves.
    pub(crate) const fn known(&self) -> &Value {
        &self.known
    }

    /// What nobody inside may ever say.
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// The canary's program, for a host that is only played.
    pub(crate) fn program(&self) -> PathBuf {
        self.folder.join("canary")
    }

    /// That nobody has reached anything of it, and that this machine is as it was.
    pub(crate) fn is_untouched(&self) -> Result<()> {
        let touched = fs::read_to_string(self.folder.join("touched")).unwrap_or_default();
        ensure!(touched.is_empty(), "the canary was reached: {touched:?}");
        let kept = fs::read_to_string(self.folder.join("file"))?;
        ensure!(kept == self.secret, "the canary's file was changed: {kept:?}");
        let status = fs::read_to_string(format!("/proc/{}/status", self.canary.id())).context("the canary is gone")?;
        ensure!(status.contains("TracerPid:\t0\n"), "the canary is being traced");
        let now = host();
        let changed = self.host.iter().filter(|(name, value)| now.get(*name) != Some(value));
        let changed: Vec<_> =
            changed.map(|(name, value)| format!("{name}: {value:?} -> {:?}", now.get(name))).collect();
        ensure!(changed.is_empty(), "this machine was changed: {changed:?}");
        Ok(())
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        // The end of its input is the end of the canary, and of what it shares.
        drop(self.canary.stdin.take());
        let _ = self.canary.wait();
        let _ = Command::new("losetup").args(["--detach", &self.device]).status();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn compile(folder: &Path) -> Result<PathBuf> {
    let (source, program) = (folder.join("canary.c"), folder.join("canary"));
    fs::write(&source, CANARY)?;
    let cc = Command::new("cc").args(["-O1", "-Wall", "-Werror", "-o"]).arg(&program).arg(&source).output();
    let cc = cc.context("start cc")?;
    ensure!(cc.status.success(), "cc: {}", String::from_utf8_lossy(&cc.stderr));
    Ok(program)
}

fn random() -> Result<String> {
    let mut bytes = [0; 16];
    rand::TryRngCore::try_fill_bytes(&mut rand::rngs::OsRng, &mut bytes).context("randomness")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A read-only block device full of the marker, and its numbers.
fn disk(folder: &Path) -> Result<(String, [u64; 2])> {
    let file = folder.join("disk");
    let content: Vec<u8> = b"canary-secret-of-the-disk ".iter().copied().cycle().take(DISK_BYTES).collect();
    fs::write(&file, content)?;
    let losetup = Command::new("losetup").args(["--find", "--show", "--read-only"]).arg(&file).output()?;
    ensure!(losetup.status.success(), "losetup: {}", String::from_utf8_lossy(&losetup.stderr));
    let device = String::from_utf8_lossy(&losetup.stdout).trim().to_owned();
    let name = device.rsplit('/').next().unwrap_or_default();
    let numbers = fs::read_to_string(format!("/sys/block/{name}/dev")).context("the device's numbers")?;
    let (major, minor) = numbers.trim().split_once(':').context("two numbers")?;
    Ok((device, [major.parse()?, minor.parse()?]))
}

/// Under which this machine can be reached by itself.
fn addresses() -> Result<Vec<String>> {
    let table = fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let mut found = vec!["127.0.0.1".to_owned(), "::1".to_owned()];
    let mut last = "";
    for line in table.lines() {
        if line.contains("/32 host LOCAL") {
            found.push(last.to_owned());
        }
        last = line.rsplit("-- ").next().unwrap_or_default().trim();
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// What of this machine an attempt would change that succeeds.
fn host() -> BTreeMap<String, String> {
    const FILES: [&str; 14] = [
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/modprobe",
        "/proc/sys/kernel/panic",
        "/proc/sys/kernel/randomize_va_space",
        "/proc/sys/kernel/kptr_restrict",
        "/proc/sys/kernel/yama/ptrace_scope",
        "/proc/sys/vm/overcommit_memory",
        "/proc/sys/vm/mmap_min_addr",
        "/proc/sys/fs/suid_dumpable",
        "/proc/sys/fs/protected_symlinks",
        "/proc/sys/net/ipv4/ip_forward",
        "/sys/kernel/uevent_helper",
        "/proc/swaps",
    ];
    let read = |path: &str| fs::read_to_string(path).map(|text| (path.to_owned(), text)).ok();
    FILES.into_iter().filter_map(read).collect()
}
