use std::{fs, path::Path};

use clap::{Command, CommandFactory as _};

use super::{
    page,
    settings::{Bounds, WITHOUT_KEY, find},
    *,
};
use crate::cli::ServeOptions;

const BEGIN: &str = "<!-- keys: UPDATE_GENERATED=1 cargo test -p sentinal reference -->\n";
const END: &str = "<!-- end of keys -->";

fn root() -> Command {
    Cli::command()
}

/// The path and what a server's options are with a file of this text.
fn with(text: &str, more: &[&str]) -> (std::path::PathBuf, Result<ServeOptions, String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sentinal.toml");
    fs::write(&path, text).unwrap();
    let mut arguments: Vec<OsString> = vec!["sentinal".into(), "serve".into(), "--config".into(), (&path).into()];
    arguments.extend(more.iter().map(Into::into));
    let options = match command_line(arguments) {
        Ok(Cli { command: crate::cli::Command::Serve(options) }) => Ok(options),
        Ok(_) => unreachable!(),
        Err(Unusable::CommandLine(error)) => Err(error.to_string()),
        Err(Unusable::File(problems)) => Err(problem::all(&problems).to_string()),
    };
    (path, options)
}

fn check(text: &str, refusals: &[&str]) {
    let (path, options) = with(text, &[]);
    let expected: Vec<String> = refusals.iter().map(|refusal| format!("{}:{refusal}", path.display())).collect();
    assert_eq!(options.unwrap_err(), expected.join("\n"), "{text}");
}

#[test]
fn every_option_of_the_server_has_a_key_and_every_key_an_option() {
    let root = root();
    for command in ["serve", "node"] {
        for arg in root.find_subcommand(command).unwrap().get_arguments() {
            let id = arg.get_id().as_str();
            let is_known = SETTINGS.iter().any(|setting| setting.option == id)
                || WITHOUT_KEY.iter().any(|(option, _)| *option == id)
                || (command == "node" && ["exit_when_idle", "worker"].contains(&id));
            assert!(is_known, "the option {id} of `{command}` has no key");
        }
    }
    for setting in SETTINGS {
        let arg = setting.arg(&root).unwrap_or_else(|| panic!("no command has the option of {}", setting.key));
        assert!(arg.get_help().is_some(), "{}", setting.key);
    }
}

#[test]
fn what_a_range_says_is_what_its_option_takes() {
    for setting in SETTINGS.iter().filter(|setting| setting.bounds != Bounds::None) {
        let root = root();
        let arg = find(&root, setting.option).unwrap();
        let (least, most) = setting.bounds.ends().unwrap();
        assert_eq!([apply::refusal(arg, &least), apply::refusal(arg, &most)], [None, None], "{}", setting.key);
        let outside = match &setting.bounds {
            Bounds::Number(range) | Bounds::Bytes(range) => {
                [(range.start() - 1).to_string(), (range.end() + 1).to_string()]
            }
            Bounds::Span(range) => [format!("{}s", range.start() - 1), format!("{}s", range.end() + 1)],
            Bounds::Share => ["-0.01".to_owned(), "1.01".to_owned()],
            Bounds::None => unreachable!(),
        };
        for value in outside {
            assert!(apply::refusal(arg, &value).is_some(), "{} takes {value}", setting.key);
        }
    }
}

#[test]
fn a_file_comes_after_the_command_line_and_before_the_default() {
    let text = "[server]\nlisten = \"127.0.0.1:9\"\nplain_http_trusted_network = true\n\
                [gateway]\njson_body_max = \"2Mi\"\n[results]\nretention = 3600\n[scheduler]\ncpu_overcommit = 0x20\n\
                [[pool]]\nengine = \"gvisor\"\nsize = 2\ncpu = 0.5\n[image]\nregistries = [\"a:1\", \"b:2\"]\n";
    let (_, options) = with(text, &["--listen", "127.0.0.1:10", "--plain-http-trusted-network=false"]);
    let options = options.unwrap();
    assert_eq!(options.listen.port(), 10);
    assert!(!options.plain_http_trusted_network);
    assert_eq!((options.limits.json_body_max.0, options.limits.retention.0), (2 << 20, 3600));
    assert_eq!((options.cpu_overcommit, options.memory_overcommit), (32, 4));
    assert_eq!(options.pools, ["engine=gvisor,size=2,cpu=0.5".parse().unwrap()]);
    assert_eq!(options.registries, ["a:1", "b:2"]);
    let (_, options) = with(text, &[]);
    assert!(options.unwrap().plain_http_trusted_network);
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_what_is_right() {
    check("[server]\nlisen = \"x\"\n", &["2:1: server.lisen: there is no such key; did you mean server.listen?"]);
    check("[sever]\n", &["1:2: sever: there is no such section; did you mean [server]?"]);
    check("data_dir = \"x\"\n", &["1:1: data_dir: there is no such section; did you mean server.data_dir?"]);
    check("[log]\nretention = 1\n", &["2:1: log.retention: there is no such key; did you mean results.retention?"]);
    check(
        "[scheduler]\n  cpu_overcommit = \"16\"\nsandboxes_max = 0\n",
        &[
            "2:20: scheduler.cpu_overcommit: must be a whole number; this is of the type string",
            "3:17: scheduler.sandboxes_max: \"0\": must be a whole number from 1 to 2000",
        ],
    );
    check("[server]\nlisten = \"localhost\"\n", &["2:10: server.listen: \"localhost\": invalid socket address syntax"]);
    check(
        "[[pool]]\nengine = \"gvisor\"\nsize = 300\n",
        &["3:8: pool.size: 300 is out of range: it must be between 1 and 256"],
    );
    check("[[pool]]\nengin = \"gvisor\"\n", &["2:1: pool.engin: there is no such key; did you mean pool.engine?"]);
    check("[[pool]]\nengine = \"gvisor\"\n", &["1:1: pool: size is missing"]);
    check("pool = 5\n", &["1:1: pool: write each pool as a table of its own: [[pool]]"]);
    let (path, options) = with("[server]\nlisten = \n", &[]);
    assert!(options.unwrap_err().starts_with(&format!("{}:2:", path.display())));
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let arguments = ["sentinal", "serve", "--config", "/nowhere/sentinal.toml"].map(OsString::from).to_vec();
    let Err(Unusable::File(problems)) = command_line(arguments) else { panic!("it is not there") };
    assert!(problems[0].to_string().starts_with("/nowhere/sentinal.toml: cannot be read:"), "{}", problems[0]);
}

#[test]
fn the_example_with_every_key_as_it_stands_is_what_a_server_has_anyway() {
    let unset = |line: &&str| !line.ends_with(" = \"\"");
    let lines = page::example();
    let lines = lines.split("\n# Sandboxes that").next().unwrap();
    let text: Vec<&str> = lines.lines().filter(unset).map(|line| setting(line).unwrap_or(line)).collect();
    let (_, options) = with(&text.join("\n"), &[]);
    let (_, plain) = with("", &[]);
    let shown = |options: ServeOptions| format!("{:?}", ServeOptions { config: plain_config(), ..options });
    assert_eq!(shown(options.unwrap()), shown(plain.unwrap()));
}

/// What a line that is commented out says, if it is a setting.
fn setting(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("# ")?;
    let (name, _) = rest.split_once(" = ")?;
    name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_').then_some(rest)
}

fn plain_config() -> crate::cli::ConfigOption {
    crate::cli::ConfigOption { config: None }
}

#[test]
fn the_reference_and_the_example_are_what_the_options_say() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let page = fs::read_to_string(docs.join("configuration.md")).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let fresh = [
        ("configuration.md", format!("{before}{BEGIN}\n{}\n{END}{after}", page::tables())),
        ("sentinal.example.toml", page::example()),
    ];
    for (name, text) in fresh {
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            fs::write(docs.join(name), &text).unwrap();
        }
        assert_eq!(fs::read_to_string(docs.join(name)).unwrap_or_default(), text, "docs/{name} is stale");
    }
}
