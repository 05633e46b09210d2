//! What the default image is made of.

use crate::{Digest, apt::Inputs};

/// Goes up when the steps of a build change (the lists below speak for themselves), so that images made by older steps are made anew.
const VERSION: u32 = 1;

/// The release of Debian the image is made of, whatever the machine itself runs.
pub(crate) const SUITE: &str = "bookworm";

/// What a caller may rely on, and the small tools that scripts take for granted. The rest comes as dependencies.
pub(crate) const PACKAGES: &[&str] = &[
    "base-files",
    "bash",
    "ca-certificates",
    "coreutils",
    "dash",
    "debianutils",
    "diffutils",
    "findutils",
    "grep",
    "gzip",
    "hostname",
    "libc-bin",
    "mawk",
    "ncurses-base",
    "netbase",
    "nodejs",
    "procps",
    "python3",
    "sed",
    "tar",
    "tzdata",
    "util-linux",
];

/// Every time stamp in the image, in seconds since 1970: the same packages give the same bytes on any day.
pub(crate) const EPOCH_SECONDS: i64 = 1_700_000_000;

/// The file system's own id, fixed for the same reason.
pub(crate) const FILE_SYSTEM_ID: &str = "73656e74-696e-416c-8d61-6765000000de";

/// What no sandbox needs: documentation, translations, the package tools' memory (which also holds this
/// machine's mirrors and proxies), start-up scripts, and the large half of Perl (perl-base stays).
pub(crate) const PRUNED: &[&str] = &[
    "boot",
    "etc/apt",
    "etc/cron.daily",
    "etc/dpkg/dpkg.cfg.d",
    "etc/init.d",
    "etc/logrotate.d",
    "etc/perl",
    "etc/rc0.d",
    "etc/rc1.d",
    "etc/rc2.d",
    "etc/rc3.d",
    "etc/rc4.d",
    "etc/rc5.d",
    "etc/rc6.d",
    "etc/rcS.d",
    "etc/systemd",
    "etc/update-motd.d",
    "usr/lib/systemd",
    "usr/lib/udev",
    "usr/share/applications",
    "usr/share/bash-completion",
    "usr/share/bug",
    "usr/share/debconf",
    "usr/share/doc",
    "usr/share/doc-base",
    "usr/share/gcc",
    "usr/share/gdb",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/menu",
    "usr/share/perl",
    "usr/share/perl5",
    "usr/share/pixmaps",
    "var/cache/apt",
    "var/cache/debconf",
    "var/lib/apt",
    "var/log/apt",
];

/// Names two builds that would make the same image: same recipe, same architecture, same sources. Newer
/// packages at the same sources do not change it; a forced rebuild takes them in.
pub(crate) fn key(inputs: &Inputs) -> Digest {
    let architecture = std::env::consts::ARCH;
    let recipe = format!("recipe {VERSION} {SUITE} {architecture}");
    let parts = [recipe, PACKAGES.join(" "), PRUNED.join(" "), inputs.text().to_owned()];
    Digest::of(parts.join("\n").as_bytes())
}
