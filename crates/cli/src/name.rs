//! Which sandbox is meant: by its id, or by the beginning of it.

use anyhow::Result;
use sentinal_api::{List, Sandbox};
use sentinal_model::SandboxId;

use crate::{client::Client, failure::Failure, page};

/// The shortest beginning that is looked for, `sbx_` with it.
const PREFIX_CHARS_MIN: usize = 8;
/// How many are named when several are meant.
const SHOWN_MAX: usize = 5;

/// The id of the sandbox whose id is, or begins with, `name`.
pub(crate) async fn sandbox_id(client: &Client, name: &str) -> Result<String> {
    if name.parse::<SandboxId>().is_ok() {
        return Ok(name.to_owned());
    }
    check(name)?;
    let List { items, .. } = page::all::<Sandbox>(client, &["sandbox"], &[]).await?.body;
    choose(name, &items)
}

fn check(name: &str) -> Result<()> {
    let rest = name.strip_prefix(SandboxId::PREFIX);
    let is_hex =
        rest.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)));
    if is_hex && PREFIX_CHARS_MIN <= name.len() {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{name:?} is no sandbox: write its id, or the beginning of it with at least {PREFIX_CHARS_MIN} characters; \
         `sentinal ls` lists them"
    )))
}

/// Of those that begin so, those that have not ended come first.
fn choose(name: &str, all: &[Sandbox]) -> Result<String> {
    let meant: Vec<&Sandbox> = all.iter().filter(|sandbox| sandbox.id.starts_with(name)).collect();
    let alive: Vec<&Sandbox> = meant.iter().copied().filter(|sandbox| sandbox.finished_at.is_none()).collect();
    let meant = if alive.is_empty() { meant } else { alive };
    match meant.as_slice() {
        [one] => Ok(one.id.clone()),
        [] => Err(Failure::usage(format!("no sandbox has an id that begins with {name}; `sentinal ls -a` lists them"))),
        several => {
            let shown: Vec<&str> = several.iter().take(SHOWN_MAX).map(|sandbox| sandbox.id.as_str()).collect();
            let count = several.len();
            Err(Failure::usage(format!("{count} sandboxes have an id that begins with {name}: {}", shown.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sandbox(id: &str, finished_at: Option<&str>) -> Sandbox {
        let json = serde_json::json!({"id": id, "state": "running", "cpu": 1, "memory": "1Gi", "disk": "1Gi", "image": "default",
            "labels": {}, "created_at": "", "expires_at": "", "finished_at": finished_at});
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_beginning_of_an_id_is_enough_if_it_means_one() {
        let all = [sandbox("sbx_0190aa", None), sandbox("sbx_0190ab", None), sandbox("sbx_0190ac", Some("then"))];
        assert_eq!(choose("sbx_0190aa", &all).unwrap(), "sbx_0190aa");
        assert_eq!(choose("sbx_0190ac", &all).unwrap(), "sbx_0190ac");
        assert_eq!(choose("sbx_0190", &all[1..]).unwrap(), "sbx_0190ab");
        let several = choose("sbx_0190", &all).unwrap_err().to_string();
        assert!(several.contains("2 sandboxes") && several.contains("sbx_0190aa, sbx_0190ab"), "{several}");
        assert!(choose("sbx_0191", &all).is_err());
    }

    #[test]
    fn what_can_be_no_id_is_refused_before_anybody_is_asked() {
        assert!(check("sbx_0190").is_ok());
        for name in ["sbx_019", "0190aaaa", "sbx_xyzw", "exe_0190aaaa", "sbx_0190/..", ""] {
            assert!(check(name).is_err(), "{name}");
        }
    }
}
