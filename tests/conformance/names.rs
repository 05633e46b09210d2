//! Names of files: Linux forbids NUL and the slash, and nothing else.

use anyhow::{Result, ensure};
use sentinal_tests::{Fact, Ground, Guest, NewExecution, percent_encoded};
use serde_json::json;

use crate::table::{Row, light};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        light(names_with_every_character_go_in_and_out),
        light(names_with_every_byte_are_a_program_s_to_use),
        light(the_longest_names_and_paths_are_taken_and_longer_ones_refused),
        light(names_that_are_no_text_are_refused_and_do_no_harm),
    ]
}

async fn there_and_back(guest: &Guest, name: &str) -> Result<()> {
    let path = format!("/home/user/names/{name}");
    guest.client().upload(guest.id(), &path, name.to_owned()).await?.expect(200)?;
    let back = guest.client().download(guest.id(), &path).await?.expect(200)?.body;
    ensure!(back == name, "{name:?}: {back:?} came back");
    Ok(())
}

/// All of ASCII but NUL and the slash, each alone in a name and all of them in one; and text of other scripts.
async fn names_with_every_character_go_in_and_out(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let legal: Vec<char> = (1..=127_u8).map(char::from).filter(|character| *character != '/').collect();
    for character in &legal {
        there_and_back(&guest, &format!("a{character}b")).await?;
    }
    there_and_back(&guest, &legal.iter().collect::<String>()).await?;
    for name in
        ["...", "-rf", "~", "*", " ", "grüße", "世界", "שלום", "e\u{301}", "é", "👩‍👩‍👧", "\u{202e}exe.txt", "\u{feff}"]
    {
        there_and_back(&guest, name).await?;
    }
    let count =
        guest.execute(NewExecution::code("python", "import os; print(len(os.listdir(b'names')))")).await?.ok()?;
    ensure!(count.trim().parse::<usize>()? == legal.len() + 1 + 13, "{count}");
    guest.gone().await
}

async fn names_with_every_byte_are_a_program_s_to_use(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let make = "import os\nlegal = [b for b in range(1, 256) if b != 47]\nos.mkdir('n'); os.chdir('n')\n\
        names = {b'x' + bytes([b]) for b in legal} | {bytes(legal)[:127], bytes(legal)[127:]}\n\
        for name in names: open(name, 'wb').write(name)\n\
        assert set(os.listdir(b'.')) == names, 'other names are listed'\n\
        assert all(open(name, 'rb').read() == name for name in names), 'other files are opened'\n\
        for name in names: os.rename(name, name + b'\\xff'); os.unlink(name + b'\\xff')\n\
        print(len(names), os.listdir('.'))";
    let said = guest.execute(NewExecution::code("python", make)).await?.ok()?;
    ensure!(said == "256 []\n", "{said:?}");
    guest.gone().await
}

async fn the_longest_names_and_paths_are_taken_and_longer_ones_refused(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    there_and_back(&guest, &"n".repeat(255)).await?;
    there_and_back(&guest, &"ü".repeat(127)).await?;
    let deep = vec!["d".repeat(200); 18].join("/");
    there_and_back(&guest, &format!("{deep}/file")).await?;
    for (name, why) in [("n".repeat(256), "255"), (vec!["d".repeat(200); 21].join("/"), "4095")] {
        let answer = guest.client().upload(guest.id(), &name, "x").await?;
        let problem = answer.refused(400, "invalid_request")?;
        ensure!(problem.detail.contains(why), "the limit is not named: {problem:?}");
    }
    guest.gone().await
}

/// The API's paths are text. A name that is none is a program's own; the API says so and touches nothing.
async fn names_that_are_no_text_are_refused_and_do_no_harm(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    guest.execute(NewExecution::code("python", r"open(b'\xff\xfe', 'w').write('mine')")).await?.ok()?;
    for escaped in ["%FF%FE", "a%00b", "%C3"] {
        for method in [http::Method::GET, http::Method::POST] {
            let call = if method == http::Method::GET { "download" } else { "upload" };
            let target = format!("/api/v1/{call}?sandbox_id={}&path={}{escaped}", guest.id(), percent_encoded("/tmp/"));
            let answer = guest.client().request(method, &target).bytes("application/octet-stream", "").send().await?;
            answer.refused(400, "invalid_request")?;
        }
    }
    let kept = guest.execute(NewExecution::code("python", r"print(open(b'\xff\xfe').read())")).await?.ok()?;
    ensure!(kept == "mine\n", "{kept:?}");
    guest.gone().await
}
