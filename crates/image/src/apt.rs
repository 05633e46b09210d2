//! Which of this machine's package sources are Debian's own, and how the machine reaches them.
//!
//! A machine's `/etc/apt` may list anybody's packages; the image is made of Debian's alone. The package tool
//! itself reads its configuration (all its formats and folders), and what it lists under the right release
//! name is then put to the test: only a source signed with Debian's archive key stays. Names prove nothing,
//! since other publishers call their releases `bookworm` too.

mod settings;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

pub(crate) use settings::settings;

use crate::{
    ImageError,
    limits::{QUESTION_DEADLINE, SOURCES_BYTES_MAX, SOURCES_DEADLINE, STDERR_TAIL_BYTES},
    process::{Tool, quiet},
    recipe::SUITE,
};

pub(crate) const APT_GET: Tool = Tool { name: "apt-get", package: "apt" };

/// The only signatures that count.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Releases a Debian machine may name; each stands for the same part of [`SUITE`].
const RELEASES: [&str; 8] = ["bookworm", "trixie", "forky", "stable", "oldstable", "testing", "sid", "unstable"];

/// Where packages come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SourceChoice {
    /// Debian's own among this machine's sources.
    #[default]
    Machine,
    /// This file, in either format of apt, taken as it is: for mirrors that sign with a key of their own.
    File(PathBuf),
}

/// The sources a build starts from, before any of them was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Inputs {
    /// May or may not be Debian's: one line each.
    Candidates { lines: String },
    /// Given by the operator.
    File { path: PathBuf, content: String },
}

impl Inputs {
    /// Reads what `choice` names. Asks nobody outside this machine.
    pub(crate) async fn gather(choice: &SourceChoice) -> Result<Self, ImageError> {
        match choice {
            SourceChoice::Machine => Ok(Self::Candidates { lines: source_lines(&machine_targets().await?) }),
            SourceChoice::File(path) => Self::read(path),
        }
    }

    fn read(path: &Path) -> Result<Self, ImageError> {
        let size = fs::metadata(path).map_err(ImageError::io("look at the sources in", path))?.len();
        if size > SOURCES_BYTES_MAX {
            let too_large = std::io::Error::from(std::io::ErrorKind::FileTooLarge);
            return Err(ImageError::io("read the sources in", path)(too_large));
        }
        let path = path.canonicalize().map_err(ImageError::io("find", path))?;
        let content = fs::read_to_string(&path).map_err(ImageError::io("read the sources in", &path))?;
        Ok(Self::File { path, content })
    }

    /// What makes these sources differ from others.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Candidates { lines } => lines,
            Self::File { content, .. } => content,
        }
    }

    /// A file with the sources to build from. Candidates are asked for their signature; `scratch` gets the answers.
    pub(crate) async fn into_file(self, scratch: &Path) -> Result<PathBuf, ImageError> {
        match self {
            Self::Candidates { lines } => signed_by_debian(&lines, scratch).await,
            Self::File { path, .. } => Ok(path),
        }
    }
}

/// One index of one source, as `apt-get indextargets` prints it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    /// The part of [`SUITE`] it offers, such as `bookworm-updates`.
    release: String,
    uri: String,
    /// Where the package tool puts the release's signed index, without the last part of the name.
    index_prefix: String,
}

const TARGET_FORMAT: &str = "$(TARGET_OF)\t$(COMPONENT)\t$(RELEASE)\t$(REPO_URI)\t$(FILENAME)\t$(METAKEY)";

impl Target {
    /// A line of [`TARGET_FORMAT`]; `None` for what cannot be a part of Debian's main component.
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<_> = line.split('\t').collect();
        let ["deb", "main", release, uri, file, index] = fields[..] else { return None };
        let fetchable = ["http:", "https:", "file:", "copy:", "mirror+", "mirror:"];
        if !fetchable.iter().any(|scheme| uri.starts_with(scheme)) || uri.contains(char::is_whitespace) {
            return None;
        }
        let index_prefix = file.strip_suffix(&index.replace('/', "_"))?.to_owned();
        Some(Self { release: part_of_suite(release)?, uri: uri.to_owned(), index_prefix })
    }

    /// Whether the release's index was fetched and its signature was good: otherwise the tool does not keep it.
    fn is_signed(&self) -> bool {
        ["InRelease", "Release"].iter().any(|name| Path::new(&format!("{}{name}", self.index_prefix)).exists())
    }
}

/// The part of [`SUITE`] that corresponds to a release of this machine: `trixie-security` gives
/// `bookworm-security`.
fn part_of_suite(release: &str) -> Option<String> {
    let (base, part) = ["-updates", "-security"]
        .iter()
        .find_map(|part| release.strip_suffix(part).map(|base| (base, *part)))
        .unwrap_or((release, ""));
    RELEASES.contains(&base).then(|| format!("{SUITE}{part}"))
}

async fn machine_targets() -> Result<BTreeSet<Target>, ImageError> {
    targets(&[]).await
}

/// What the package tool would fetch under the given options.
async fn targets(options: &[String]) -> Result<BTreeSet<Target>, ImageError> {
    let mut command = APT_GET.command();
    command.args(options).args([
        "indextargets",
        "--no-release-info",
        "--format",
        TARGET_FORMAT,
        "Created-By: Packages",
    ]);
    let stdout = APT_GET.run(command, QUESTION_DEADLINE, &mut quiet).await?;
    Ok(String::from_utf8_lossy(&stdout).lines().filter_map(Target::parse).collect())
}

/// The targets as a list of sources that all must be signed with [`KEYRING`].
fn source_lines<'a>(targets: impl IntoIterator<Item = &'a Target>) -> String {
    let lines: BTreeSet<_> = targets
        .into_iter()
        .map(|target| format!("deb [signed-by={KEYRING}] {} {} main\n", target.uri, target.release))
        .collect();
    lines.into_iter().collect()
}

/// Fetches the signed index of each candidate (and nothing else) and writes down those whose signature is good.
async fn signed_by_debian(candidates: &str, scratch: &Path) -> Result<PathBuf, ImageError> {
    let (file, lists) = (scratch.join("candidates.list"), scratch.join("lists"));
    fs::write(&file, candidates).map_err(ImageError::io("write", &file))?;
    fs::create_dir_all(lists.join("partial")).map_err(ImageError::io("create", &lists))?;
    let options = private_options(&file, &lists);
    let stderr_tail = update(&options).await?;
    let found = targets(&options).await?;
    let signed: Vec<_> = found.iter().filter(|target| target.is_signed()).collect();
    for release in required(&found) {
        if signed.iter().all(|target| target.release != release) {
            return Err(ImageError::NoSource { release, stderr_tail });
        }
    }
    let file = scratch.join("sources.list");
    fs::write(&file, source_lines(signed)).map_err(ImageError::io("write", &file))?;
    Ok(file)
}

/// The release itself, and every other part of it that this machine names: a security update that cannot be
/// had at the moment must not be missing in silence.
fn required(found: &BTreeSet<Target>) -> BTreeSet<String> {
    let parts = found.iter().map(|target| target.release.clone());
    parts.chain([SUITE.to_owned()]).collect()
}

/// Runs an update and answers what it complained about. Its failure is not ours, and its success means nothing:
/// a foreign source makes it fail, and a source that does not answer does not.
async fn update(options: &[String]) -> Result<String, ImageError> {
    let mut command = APT_GET.command();
    command.args(options).args(["-o", "Acquire::IndexTargets::deb::Packages::DefaultEnabled=false", "update"]);
    let mut complaints = String::new();
    let mut heard = |line: &str| {
        if complaints.len() + line.len() < STDERR_TAIL_BYTES {
            complaints.push_str(line);
            complaints.push('\n');
        }
    };
    match APT_GET.run(command, SOURCES_DEADLINE, &mut heard).await {
        Err(error) if !matches!(error, ImageError::ToolFailed { .. }) || error.is_disk_full() => Err(error),
        Ok(_) | Err(_) => Ok(complaints),
    }
}

/// Options that make the package tool work on our list alone, in a folder of ours, and trust signatures only.
fn private_options(list: &Path, lists: &Path) -> Vec<String> {
    let own = [
        format!("Dir::Etc::SourceList={}", list.display()),
        "Dir::Etc::SourceParts=-".to_owned(),
        format!("Dir::State::Lists={}", lists.display()),
    ];
    let own = own.into_iter().chain(settings::SIGNATURES_COUNT.map(str::to_owned));
    own.flat_map(|option| ["-o".to_owned(), option]).collect()
}

#[cfg(test)]
mod tests;
