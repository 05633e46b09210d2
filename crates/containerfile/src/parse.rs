//! The file as a whole: what stands before FROM, FROM itself, and that nothing else is wrong at first sight.

use std::collections::BTreeMap;

use crate::{
    Containerfile, Refused,
    instruction::{Instruction, Word, check_here, check_options, refusal_of},
    limits::{FILE_BYTES_MAX, INSTRUCTIONS_MAX},
    line::{Written, written},
    word,
};

impl Containerfile {
    /// Reads a file. `args` are what its caller gives for ARGs; one that the file does not have is refused.
    pub fn parse(file: &str, text: &str, args: &BTreeMap<String, String>) -> Result<Self, Refused> {
        let refused = |(line, why)| Refused { file: file.to_owned(), line, why };
        if FILE_BYTES_MAX < text.len() {
            return Err(refused((0, format!("it has more than {FILE_BYTES_MAX} bytes"))));
        }
        let all = written(text).map_err(refused)?;
        if INSTRUCTIONS_MAX < all.len() {
            return Err(refused((0, format!("it has more than {INSTRUCTIONS_MAX} instructions"))));
        }
        let mut parsed = Self {
            file: file.to_owned(),
            base: String::new(),
            base_line: 0,
            args: args.clone(),
            outer: BTreeMap::new(),
            instructions: Vec::new(),
        };
        for Written { line, text } in all {
            parsed.add(line, &text).map_err(|why| refused((line, why)))?;
        }
        if parsed.base.is_empty() {
            return Err(refused((0, "there is no FROM in it".to_owned())));
        }
        parsed.check_args()?;
        Ok(parsed)
    }

    fn add(&mut self, line: usize, text: &str) -> Result<(), String> {
        let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let (name, rest) = (name.to_ascii_uppercase(), rest.trim());
        if rest.is_empty() {
            return Err(format!("{} says nothing", name.chars().take(32).collect::<String>()));
        }
        if !name.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err("it begins with no instruction".to_owned());
        }
        match (name.as_str(), self.base.is_empty()) {
            ("FROM", true) => {
                self.base_line = line;
                return self.begin(rest);
            }
            ("FROM", false) => return Err(format!("a second FROM is not supported: {}", refusal_of("FROM"))),
            ("ARG", true) => return self.outer_arg(rest),
            (_, true) => return Err("only ARG stands before FROM".to_owned()),
            (_, false) => {}
        }
        let word = Word::find(&name)?;
        check_options(word, rest)?;
        check_here(word, rest)?;
        self.instructions.push(Instruction { line, word, rest: rest.to_owned() });
        Ok(())
    }

    /// `FROM image [AS name]`.
    fn begin(&mut self, rest: &str) -> Result<(), String> {
        let words = word::words(rest, &|name| self.outer.get(name).cloned())?;
        let base = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [option, ..] if option.starts_with("--") => {
                return Err(format!("FROM {option} is not supported; leave it out"));
            }
            ["scratch"] | ["scratch", ..] => {
                return Err("FROM scratch is not supported: begin with an image, or import its files".to_owned());
            }
            [base] => base,
            [base, word, _] if word.eq_ignore_ascii_case("as") => base,
            _ => return Err("write it like FROM image".to_owned()),
        };
        if base.is_empty() {
            return Err("FROM names no image: its variable stands for nothing".to_owned());
        }
        base.clone_into(&mut self.base);
        Ok(())
    }

    fn outer_arg(&mut self, rest: &str) -> Result<(), String> {
        for (name, default) in arguments(rest, &|name| self.outer.get(name).cloned())? {
            let value = self.args.get(&name).cloned().or(default);
            self.outer.insert(name, value.unwrap_or_default());
        }
        Ok(())
    }

    /// What was given for something that the file does not have is a mistake, most often in a name.
    fn check_args(&self) -> Result<(), Refused> {
        let inner = self.instructions.iter().filter(|instruction| instruction.word == Word::Arg);
        let names = inner.flat_map(|instruction| instruction.rest.split_whitespace());
        let names: Vec<&str> = names.map(|text| text.split('=').next().unwrap_or(text)).collect();
        match self.args.keys().find(|name| !self.outer.contains_key(*name) && !names.contains(&name.as_str())) {
            Some(name) => {
                Err(self.refused(0, format!("a value was given for {name:?}, and there is no ARG of this name")))
            }
            None => Ok(()),
        }
    }
}

/// `NAME`, `NAME=default`, one or several.
pub(crate) fn arguments(rest: &str, lookup: &word::Lookup<'_>) -> Result<Vec<(String, Option<String>)>, String> {
    let words = word::words(rest, lookup)?;
    let split = |text: String| {
        let (name, default) = match text.split_once('=') {
            Some((name, default)) => (name.to_owned(), Some(default.to_owned())),
            None => (text, None),
        };
        if name.is_empty() || word::name_length(&name) != name.len() {
            return Err("write it like ARG NAME or ARG NAME=value".to_owned());
        }
        Ok((name, default))
    };
    words.into_iter().map(split).collect()
}
