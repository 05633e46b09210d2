//! What the product has left on the host.
//!
//! Everything a sandbox has is named by its id or lies under the data folder, so it can be found without asking
//! the product. Nothing here is told what should be there: the caller says what it expects.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{Place, Role, processes};

/// Parts of a path that carry a sandbox's id and may outlive it.
const KEPT: [&str; 0] = [];
/// Where instances and their sockets could also be.
const RUN_FOLDERS: [&str; 3] = ["/run/sentinal", "/var/run/runsc", "/run/runsc"];

/// What was found, one line each; empty is clean.
#[derive(Debug, Default, Clone)]
pub struct Leaks(Vec<String>);

impl Leaks {
    /// Everything on the host that carries this sandbox's id.
    pub fn of_sandbox(place: &Place, id: &str) -> Self {
        let mut leaks = Self::default();
        leaks.processes_that_name(place, id);
        leaks.cgroups(|name| name.contains(id));
        leaks.mounts(id);
        leaks.loop_devices(id);
        leaks.paths(place, |name| name.contains(id));
        leaks
    }

    /// Everything on the host that belongs to any sandbox of this place, and what its database says is unfinished.
    /// Clean only when every sandbox has been destroyed. `serve` must be up: its database is read beside it.
    pub fn of_place(place: &Place) -> Result<Self> {
        let mut leaks = Self::default();
        let known = query(place, "select id from sandbox")?;
        let dir = place.data_dir().to_string_lossy().into_owned();
        leaks.processes_that_name(place, &dir);
        let parents = place.cgroup_parents();
        leaks.cgroups(|name| parents.contains(name) || known.iter().any(|id| name.contains(id.as_str())));
        leaks.mounts(&format!("{dir}/"));
        leaks.loop_devices(&dir);
        leaks.paths(place, |name| name.contains("sbx_"));
        leaks.output_files(place)?;
        leaks.rows(place)?;
        Ok(leaks)
    }

    /// An error that lists what was found.
    pub fn none(&self) -> Result<()> {
        ensure!(self.0.is_empty(), "left over on the host:\n{self}");
        Ok(())
    }

    fn found(&mut self, what: &str, which: impl fmt::Display) {
        self.0.push(format!("{what} {which}"));
    }

    /// Processes that are not the product's own two, and zombies that those two have not reaped.
    fn processes_that_name(&mut self, place: &Place, text: &str) {
        let all = processes();
        let product =
            |pid| all.iter().any(|p| p.pid == pid && Role::ALL.iter().any(|role| role.is(p, place.data_dir())));
        for process in &all {
            let zombie = process.state == 'Z' && product(process.parent) && text.starts_with('/');
            if zombie || process.names(text) && !product(process.pid) && process.program() != "sqlite3" {
                self.found("process", process);
            }
        }
    }

    fn cgroups(&mut self, ours: impl Fn(&str) -> bool) {
        let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
        while let Some(folder) = folders.pop() {
            let inside = fs::read_dir(&folder).into_iter().flatten().flatten();
            for entry in inside.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
                if ours(&entry.file_name().to_string_lossy()) {
                    self.found("cgroup", entry.path().display());
                }
                folders.push(entry.path());
            }
        }
    }

    /// Mounts in this mount namespace and in that of every process of the product.
    fn mounts(&mut self, text: &str) {
        let mut seen = Vec::new();
        for process in processes()
            .into_iter()
            .filter(|p| p.program().starts_with("sentinal"))
            .map(|p| p.pid.to_string())
            .chain(["self".to_owned()])
        {
            let folder = Path::new("/proc").join(process);
            let Ok(namespace) = fs::read_link(folder.join("ns/mnt")) else { continue };
            if seen.contains(&namespace) {
                continue;
            }
            seen.push(namespace);
            let table = fs::read_to_string(folder.join("mountinfo")).unwrap_or_default();
            table.lines().filter(|line| line.contains(text)).for_each(|line| self.found("mount", line));
        }
    }

    fn loop_devices(&mut self, text: &str) {
        for device in fs::read_dir("/sys/block").into_iter().flatten().flatten() {
            let backing = fs::read_to_string(device.path().join("loop/backing_file")).unwrap_or_default();
            if backing.contains(text) {
                self.found("loop device", format!("{}: {}", device.path().display(), backing.trim()));
            }
        }
    }

    fn paths(&mut self, place: &Place, ours: impl Fn(&str) -> bool) {
        let mut folders: Vec<PathBuf> = RUN_FOLDERS.iter().map(PathBuf::from).collect();
        folders.push(place.data_dir().to_owned());
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                let kept = KEPT.iter().any(|kept| entry.path().to_string_lossy().contains(kept));
                if ours(&name) && !kept && folder.starts_with(place.data_dir()) {
                    self.found("file", entry.path().display());
                } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(entry.path());
                }
            }
        }
    }

    fn output_files(&mut self, place: &Place) -> Result<()> {
        let known = query(place, "select id from execution")?;
        let mut files = Self::default();
        files.paths(place, |name| name.contains("exe_"));
        self.0.extend(files.0.into_iter().filter(|file| !known.iter().any(|id| file.contains(id.as_str()))));
        Ok(())
    }

    fn rows(&mut self, place: &Place) -> Result<()> {
        let sandboxes = query(place, "select id || ' ' || phase from sandbox where phase <> 'finished'")?;
        let executions = query(place, "select id || ' ' || state from execution where state <> 'finished'")?;
        sandboxes.into_iter().chain(executions).for_each(|row| self.found("row", row));
        Ok(())
    }
}

impl fmt::Display for Leaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

/// The first column of what the database answers.
fn query(place: &Place, sql: &str) -> Result<Vec<String>> {
    let output = Command::new("sqlite3")
        .args(["-readonly", "-batch", "-cmd", ".timeout 5000"])
        .arg(place.database())
        .arg(sql)
        .output()
        .context("start sqlite3")?;
    ensure!(output.status.success(), "sqlite3: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}
