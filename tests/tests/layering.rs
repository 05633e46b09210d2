//! Who may know whom, and where `unsafe` may be: read from the tree itself, so that it cannot come apart unnoticed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Every edge that is allowed between crates of this workspace, in flow order, and what a crate must never know.
const ALLOWED: [(&str, &[&str], &str); 26] = [
    ("model", &[], "it is the vocabulary: no IO, and nothing below it"),
    ("telemetry", &["model"], "everybody logs, so it may know nobody"),
    ("api", &["model"], "the wire's words turn into the model's, and into nothing else"),
    ("auth", &["store", "model"], "who may do what does not depend on what is done"),
    (
        "gateway",
        &["controller", "auth", "api", "model", "telemetry"],
        "it never reaches past the controller: no store, node or engine",
    ),
    (
        "controller",
        &["scheduler", "agent-client", "store", "node-protocol", "auth", "model", "telemetry"],
        "it never speaks HTTP and never touches an engine or the host",
    ),
    ("store", &["model"], "it keeps records and decides nothing"),
    ("scheduler", &["model"], "it is a pure function"),
    ("node-protocol", &["model"], "both sides of the socket have to be able to know it"),
    (
        "node",
        &["engine", "engine-gvisor", "engine-native", "image", "node-protocol", "agent-protocol", "model", "telemetry"],
        "what is privileged must not know the store, keys or HTTP",
    ),
    ("engine", &["model"], "the trait knows no engine"),
    ("engine-gvisor", &["engine", "launcher", "model"], "engines never know each other, nor the node"),
    ("engine-native", &["engine", "launcher", "model"], "engines never know each other, nor the node"),
    ("launcher", &[], "one thread and no memory of anything: it is told what to do, and does it"),
    ("archive", &[], "it is compiled into the agent, and reads what strangers wrote"),
    ("image", &["archive", "agent-protocol", "model"], "images are names and files"),
    ("outbound", &["model"], "it is the one way out, for whoever has something to ask or to send"),
    (
        "import",
        &["image", "outbound", "model"],
        "it makes images for the server, and knows neither node nor controller",
    ),
    ("agent-protocol", &[], "it is compiled into the agent, which is to stay small"),
    ("agent", &["agent-protocol", "archive"], "it runs inside the sandbox: small, and it knows nothing of the server"),
    ("agent-client", &["agent-protocol", "model"], "it carries, and does not decide"),
    ("cli", &["api", "model"], "it is a caller like any other: the API's words, and nothing of the server"),
    (
        "sentinal",
        &[
            "cli",
            "gateway",
            "controller",
            "store",
            "node-protocol",
            "node",
            "image",
            "import",
            "outbound",
            "auth",
            "agent-client",
            "scheduler",
            "telemetry",
            "model",
        ],
        "it wires, and leaves the engines to the node",
    ),
    ("tests", &["model"], "the product is tested from outside"),
    (
        "sim",
        &[
            "controller",
            "store",
            "scheduler",
            "node",
            "node-protocol",
            "engine",
            "agent-client",
            "agent-protocol",
            "auth",
            "telemetry",
            "model",
        ],
        "it simulates what is below the gateway, with engines and agents of its own",
    ),
    ("bench", &["model"], "the product is measured from outside"),
];

/// A crate's name without the product's.
fn short(name: &str) -> &str {
    name.strip_prefix("sentinal-").unwrap_or(name)
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new("."))
}

fn metadata() -> Result<Metadata> {
    let mut command = MetadataCommand::new();
    command.current_dir(workspace()).no_deps().other_options(["--offline".to_owned()]);
    command.exec().context("cargo metadata")
}

/// The edges inside the workspace; what only a crate's own tests use is its own matter, unless it makes a loop.
fn edges(metadata: &Metadata) -> BTreeMap<String, BTreeSet<String>> {
    let packages = metadata.workspace_packages();
    let ours: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let edges_of = |package: &&cargo_metadata::Package| {
        let kept = package.dependencies.iter().filter(|edge| edge.kind != DependencyKind::Development);
        let kept = kept.filter(|edge| ours.contains(edge.name.as_str()));
        (short(&package.name).to_owned(), kept.map(|edge| short(&edge.name).to_owned()).collect())
    };
    packages.iter().map(edges_of).collect()
}

#[test]
fn a_crate_knows_only_whom_the_design_lets_it_know() -> Result<()> {
    let mut wrong = Vec::new();
    for (name, known) in edges(&metadata()?) {
        let Some((_, allowed, why)) = ALLOWED.iter().find(|row| row.0 == name) else { continue };
        for other in known.iter().filter(|other| !allowed.contains(&other.as_str())) {
            wrong.push(format!("{name} depends on {other}, but {why}"));
        }
    }
    ensure!(wrong.is_empty(), "{}\nMove the code, or change DESIGN.md and this table on purpose.", wrong.join("\n"));
    Ok(())
}

#[test]
fn nobody_depends_on_the_binary_or_on_what_proves_it() -> Result<()> {
    for (name, known) in edges(&metadata()?) {
        for top in ["sentinal", "tests", "sim", "bench"] {
            ensure!(!known.contains(top), "{name} depends on {top}, which is the end of the flow");
        }
    }
    Ok(())
}

#[test]
fn the_workspace_has_the_crates_that_the_table_names() -> Result<()> {
    let there: BTreeSet<String> = edges(&metadata()?).into_keys().collect();
    let named: BTreeSet<String> = ALLOWED.iter().map(|row| row.0.to_owned()).collect();
    let (new, gone): (Vec<_>, Vec<_>) = (there.difference(&named).collect(), named.difference(&there).collect());
    ensure!(new.is_empty(), "crates without a row in the table of who may know whom: {new:?}");
    ensure!(gone.is_empty(), "rows without a crate: {gone:?}");
    Ok(())
}

#[test]
fn unsafe_code_is_in_files_named_sys_alone() -> Result<()> {
    let mut wrong = Vec::new();
    for file in rust_files(workspace())? {
        let is_sys = file.file_name().is_some_and(|name| name == "sys.rs");
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        if !is_sys && text.lines().any(has_unsafe) {
            wrong.push(file.display().to_string());
        }
    }
    ensure!(wrong.is_empty(), "`unsafe` outside a file named sys.rs, where it would be reviewed: {wrong:?}");
    Ok(())
}

/// How unsafe code begins, and how a file lets itself have some.
const UNSAFE: [&str; 8] = [
    "unsafe {",
    "unsafe fn ",
    "unsafe impl ",
    "unsafe extern ",
    "unsafe trait ",
    "allow(unsafe_code",
    "expect(unsafe_code",
    "#[unsafe(",
];

/// Whether a line has unsafe code. Comments, and texts that begin with these words, do not count.
fn has_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    UNSAFE.iter().any(|word| code.contains(word) && !code.contains(&format!("\"{word}")))
}

fn rust_files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if path.is_dir() && name != "target" && name != "generated" && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    ensure!(files.len() > 50, "only {} files of Rust were found below {}", files.len(), root.display());
    Ok(files)
}
