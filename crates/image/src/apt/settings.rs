//! How this machine reaches its package sources (proxies, timeouts, certificates), for a tool that would
//! otherwise start from nothing.

use crate::{ImageError, limits::QUESTION_DEADLINE, process::Tool, process::quiet};

const APT_CONFIG: Tool = Tool { name: "apt-config", package: "apt" };

/// Whatever the machine allows itself: what goes into an image is signed.
pub(super) const SIGNATURES_COUNT: [&str; 3] = [
    "Acquire::AllowInsecureRepositories=false",
    "Acquire::AllowWeakRepositories=false",
    "Acquire::AllowDowngradeToInsecureRepositories=false",
];

/// Settings of the machine that are about its own indexes, or that weaken signatures.
const LEFT_OUT: [&str; 7] = [
    "Acquire::IndexTargets",
    "Acquire::Changelogs",
    "Acquire::Languages",
    "Acquire::CompressionTypes",
    "Acquire::GzipIndexes",
    "Acquire::Allow",
    "Acquire::cdrom",
];

/// The machine's settings as a configuration file. It may hold a proxy's password: keep it private, and out
/// of the image.
pub(crate) async fn settings() -> Result<String, ImageError> {
    let mut command = APT_CONFIG.command();
    command.args(["dump", "Acquire"]);
    let dump = APT_CONFIG.run(command, QUESTION_DEADLINE, &mut quiet).await?;
    Ok(carried_over(&String::from_utf8_lossy(&dump)))
}

fn carried_over(dump: &str) -> String {
    let is_setting = |line: &&str| line.starts_with("Acquire::") && line.ends_with("\";") && !line.ends_with(" \"\";");
    let is_ours = |line: &&str| !LEFT_OUT.iter().any(|prefix| line.starts_with(prefix));
    // Before the machine's own, so that the machine may say otherwise.
    let mut text = "Acquire::Retries \"3\";\nAcquire::Languages \"none\";\n".to_owned();
    for line in dump.lines().filter(is_setting).filter(is_ours) {
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_come_along_and_weak_signatures_do_not() {
        let dump = "Acquire \"\";\nAcquire::http \"\";\nAcquire::http::Proxy \"http://proxy.example:3142\";\n\
                    Acquire::AllowInsecureRepositories \"1\";\nAcquire::Languages:: \"de\";\n\
                    Acquire::Check-Valid-Until \"false\";\nAcquire::broken \"a\nb\";\n";
        let expected = "Acquire::Retries \"3\";\nAcquire::Languages \"none\";\n\
                        Acquire::http::Proxy \"http://proxy.example:3142\";\nAcquire::Check-Valid-Until \"false\";\n";
        assert_eq!(carried_over(dump), expected);
    }
}
