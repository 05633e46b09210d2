use proptest::prelude::*;

use super::*;

fn base() -> Config {
    Config { env: vec!["PATH=/bin".to_owned(), "OLD=1".to_owned()], cmd: vec!["base".to_owned()], ..Config::default() }
}

fn planned(text: &str, args: &[(&str, &str)]) -> Result<Plan, Refused> {
    let args = args.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Containerfile::parse("Containerfile", text, &args)?.plan(&base())
}

fn action(text: &str) -> Action {
    planned(&format!("FROM a\n{text}"), &[]).unwrap().steps.pop().unwrap().action
}

fn refused(text: &str, line: usize, words: &str) {
    let refused = planned(text, &[]).unwrap_err();
    assert_eq!(refused.line, line, "{text:?} {refused}");
    assert!(refused.why.contains(words), "{text:?} {refused}");
}

#[test]
fn steps_know_all_that_came_before() {
    let text = "ARG TAG=1\nFROM base:${TAG} AS build\nARG NAME=x\nENV A=\"b c\" PATH=/opt:$PATH\nWORKDIR /srv\nWORKDIR app\n\
        USER app:staff\nCOPY --  /x\nRUN make $A";
    let text = text.replace("COPY --  /x", "COPY src/ out/");
    let plan = planned(&text, &[("NAME", "y")]).unwrap();
    let env = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        plan.steps.last().unwrap().action,
        Action::Run {
            argv: ["/bin/sh", "-c", "make $A"].map(str::to_owned).to_vec(),
            env: vec![env("OLD", "1"), env("A", "b c"), env("PATH", "/opt:/bin"), env("NAME", "y")],
            folder: "/srv/app".to_owned(),
            user: "app".to_owned(),
        }
    );
    assert_eq!(plan.steps[5].action, Action::Copy { sources: vec!["src".to_owned()], to: "/srv/app/out/".to_owned() });
    assert_eq!(plan.config.env, ["OLD=1", "A=b c", "PATH=/opt:/bin"]);
    assert_eq!((plan.config.working_dir.as_str(), plan.config.user.as_str()), ("/srv/app", "app:staff"));
    assert_eq!(plan.config.cmd, ["base"]);
}

#[test]
fn the_base_is_named_by_what_came_before_it() {
    let args = BTreeMap::from([("TAG".to_owned(), "2".to_owned())]);
    let parsed = Containerfile::parse("f", "ARG TAG=1\nFROM team/base:$TAG", &args).unwrap();
    assert_eq!(parsed.base(), "team/base:2");
}

#[test]
fn programs_are_words_or_a_text() {
    let argv = |text: &str| match action(text) {
        Action::Run { argv, user, folder, .. } => {
            assert_eq!((user.as_str(), folder.as_str()), ("0", "/"));
            argv
        }
        other @ (Action::Copy { .. } | Action::Folder { .. } | Action::Nothing | Action::Ignored) => {
            panic!("{other:?}")
        }
    };
    assert_eq!(argv(r#"RUN ["a", "b c"]"#), ["a", "b c"]);
    assert_eq!(argv("RUN echo '$A' && \\\n  true"), ["/bin/sh", "-c", "echo '$A' &&   true"]);
    let config = planned("FROM a\nENTRYPOINT [\"x\"]", &[]).unwrap().config;
    assert_eq!((config.entrypoint, config.cmd), (vec!["x".to_owned()], vec![]));
    let config = planned("FROM a\nCMD y\nENTRYPOINT [\"x\"]", &[]).unwrap().config;
    assert_eq!(config.cmd, ["/bin/sh", "-c", "y"]);
}

#[test]
fn what_is_not_supported_is_refused_with_its_line() {
    refused("RUN a", 1, "only ARG stands before FROM");
    refused("", 0, "no FROM");
    refused("FROM a\n\nFROM b", 3, "one stage");
    refused("FROM scratch", 1, "begin with an image");
    refused("FROM --platform=x a", 1, "not supported");
    refused("FROM $NONE", 1, "stands for nothing");
    for (text, words) in [
        ("ADD a b", "use COPY"),
        ("EXPOSE 80", "can be reached already"),
        ("SHELL [\"a\"]", "names a shell"),
        ("FETCH a", "FROM, ARG, RUN"),
        ("COPY --from=x a b", "one stage"),
        ("COPY --chown=1 a b", "RUN chown"),
        ("RUN --mount=type=cache a", "nothing is mounted"),
        ("RUN cat <<EOF", "here-documents"),
        ("RUN 3<<-EOF cat", "here-documents"),
        ("COPY a", "COPY source /path"),
        ("COPY ../a /b", "leads out of the context"),
        ("COPY a/../../b /b", "leads out of the context"),
        ("COPY [\"a\", \"..\", \"/b/\"]", "leads out of the context"),
        ("COPY a b /c", "end it with a slash"),
        ("COPY */a /c", "last part"),
        ("ENV A", "ENV NAME=value"),
        ("ENV A=1 B", "ENV NAME=value"),
        ("ARG 1=2", "ARG NAME"),
        ("RUN [\"a\"", "list of words"),
        ("RUN []", "no program"),
        ("USER $NONE", "stands for nothing"),
        ("WORKDIR", "says nothing"),
        ("{} x", "no instruction"),
    ] {
        refused(&format!("FROM a\n# {words}\n{text}"), 3, words);
    }
    let unknown = planned("FROM a", &[("X", "1")]).unwrap_err();
    assert!(unknown.to_string().starts_with("Containerfile: a value was given for \"X\""), "{unknown}");
    assert_eq!(action("RUN cat <<<word"), action("RUN cat <<<word"));
    assert_eq!(action("LABEL a=b"), Action::Ignored);
}

#[test]
fn what_grows_with_every_line_is_bounded() {
    let text = format!("FROM a\nENV A=aaaaaaaa\n{}", "ENV A=$A$A\n".repeat(40));
    assert!(planned(&text, &[]).unwrap_err().why.contains("bytes"));
    let many: Vec<String> = (0..250).map(|at| format!("ENV A{at}={}", "x".repeat(1000))).collect();
    assert!(planned(&format!("FROM a\n{}", many.join("\n")), &[]).unwrap_err().why.contains("variables"));
    assert!(planned(&format!("FROM a\n{}", "RUN a\n".repeat(300)), &[]).unwrap_err().why.contains("instructions"));
}

proptest! {
    #[test]
    fn any_file_is_read_without_a_panic(lines in proptest::collection::vec("(FROM|ARG|RUN|COPY|ENV|WORKDIR|USER|CMD|X)? ?[a${}\\[\\]\"'<=/.*\\\\ \\PC]{0,20}", 0..12)) {
        let text = format!("FROM a\n{}", lines.join("\n"));
        if let Ok(plan) = planned(&text, &[]) {
            for step in plan.steps {
                if let Action::Copy { sources, to } = step.action {
                    prop_assert!(to.starts_with('/'));
                    prop_assert!(sources.iter().all(|source| source.split('/').all(|part| part != "..")));
                }
            }
        }
    }
}
