//! The memory limit of the cgroup this process runs in, on version 1 and version 2.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::Memory;

/// Version 1 writes "no limit" as a number near the end of the range.
const UNLIMITED_FROM: u64 = 1 << 60;

/// Which files say what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Files {
    limit: &'static str,
    usage: &'static str,
    inactive: &'static str,
}

const V1: Files =
    Files { limit: "memory.limit_in_bytes", usage: "memory.usage_in_bytes", inactive: "total_inactive_file" };
const V2: Files = Files { limit: "memory.max", usage: "memory.current", inactive: "inactive_file" };

/// The tightest limit on the way from our cgroup to the root; `None` where nothing is limited.
pub(super) fn memory_limit() -> Option<Memory> {
    let cgroups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let (root, own, files) = locate(&cgroups, &mounts)?;
    let limits =
        own.ancestors().take_while(|folder| folder.starts_with(&root)).filter_map(|folder| limit(folder, files));
    limits.reduce(|one, other| Memory {
        total: one.total.min(other.total),
        available: one.available.min(other.available),
    })
}

fn limit(folder: &Path, files: Files) -> Option<Memory> {
    let number = |file: &str| fs::read_to_string(folder.join(file)).ok()?.trim().parse::<u64>().ok();
    let total = number(files.limit).filter(|bytes| *bytes < UNLIMITED_FROM)?;
    let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let used = number(files.usage)?.saturating_sub(stat_field(&stat, files.inactive));
    Some(Memory { total, available: total.saturating_sub(used) })
}

fn stat_field(stat: &str, name: &str) -> u64 {
    let line = stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Where the memory controller is mounted, and our folder below that.
fn locate(cgroups: &str, mounts: &str) -> Option<(PathBuf, PathBuf, Files)> {
    let v1 = cgroups.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        controllers.split(',').any(|controller| controller == "memory").then_some(path)
    });
    let v2 = cgroups.lines().find_map(|line| line.strip_prefix("0::"));
    let (path, files) = v1.map(|path| (path, V1)).or_else(|| v2.map(|path| (path, V2)))?;
    let (shown_from, root) = mounts.lines().find_map(|line| mount(line, files))?;
    // A container may see its own cgroup as the root of what is mounted.
    let below = Path::new(path).strip_prefix(shown_from).unwrap_or_else(|_| Path::new(""));
    let root = PathBuf::from(root);
    let own = root.join(below);
    Some((root, own, files))
}

/// `36 35 98:0 /shown-from /mounted-at options ... - cgroup cgroup rw,memory`
fn mount(line: &str, files: Files) -> Option<(&str, &str)> {
    let (front, back) = line.split_once(" - ")?;
    let mut front = front.split(' ').skip(3);
    let (shown_from, mounted_at) = (front.next()?, front.next()?);
    let mut back = back.split(' ');
    let (kind, options) = (back.next()?, back.nth(1)?);
    let fits = if files == V1 {
        kind == "cgroup" && options.split(',').any(|option| option == "memory")
    } else {
        kind == "cgroup2"
    };
    fits.then_some((shown_from, mounted_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1_MOUNT: &str = "30 25 0:26 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory\n";
    const V2_MOUNT: &str = "31 25 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";

    fn check(cgroups: &str, mounts: &str, expected: Option<(&str, Files)>) {
        let found = locate(cgroups, mounts).map(|(_, own, files)| (own, files));
        assert_eq!(found, expected.map(|(own, files)| (PathBuf::from(own), files)), "{cgroups}");
    }

    #[test]
    fn our_folder_is_found_on_both_versions() {
        check("5:cpu,memory:/a/b\n0::/c\n", V1_MOUNT, Some(("/sys/fs/cgroup/memory/a/b", V1)));
        check("0::/user.slice/x\n", V2_MOUNT, Some(("/sys/fs/cgroup/user.slice/x", V2)));
        check("0::/\n", V2_MOUNT, Some(("/sys/fs/cgroup/", V2)));
        check("0::/x\n", "", None);
        check("", V2_MOUNT, None);
    }

    #[test]
    fn a_container_that_sees_only_its_own_part_is_at_its_root() {
        let mounts = V1_MOUNT.replace(" / /sys", " /docker/123 /sys");
        check("5:memory:/docker/123/inner\n", &mounts, Some(("/sys/fs/cgroup/memory/inner", V1)));
        check("5:memory:/elsewhere\n", &mounts, Some(("/sys/fs/cgroup/memory/", V1)));
    }

    #[test]
    fn the_cache_that_can_go_counts_as_available() {
        let folder = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| fs::write(folder.path().join(file), text).unwrap();
        write("memory.max", "max\n");
        assert_eq!(limit(folder.path(), V2), None);
        write("memory.max", "1000\n");
        write("memory.current", "700\n");
        write("memory.stat", "anon 5\ninactive_file 300\ninactive_file_x 9\n");
        assert_eq!(limit(folder.path(), V2), Some(Memory { total: 1000, available: 600 }));
    }
}
