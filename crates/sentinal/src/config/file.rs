//! Reading a file: from its text to options and their values, with the place of each.

use std::{
    fs,
    io::{self, Read as _},
    ops::Range,
    path::PathBuf,
};

use clap::Command;
use sentinal_model::{Pool, similar};
use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::{
    DEFAULT_PLACE, SETTINGS,
    apply::refusal,
    kind::Kind,
    problem::{Problem, position},
    settings::{POOL, POOL_KEYS, POOL_OPTION, Setting},
};

/// More is no configuration.
const BYTES_MAX: u64 = 1 << 20;

/// A file that is there.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    text: String,
}

/// What a file says about one option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) option: &'static str,
    pub(super) values: Vec<String>,
    /// Where, as file and line.
    pub(super) at: String,
}

type Key<'i> = Spanned<DeString<'i>>;
type Value<'i> = Spanned<DeValue<'i>>;

impl File {
    /// The file that was named, or the one at the default place if there is one.
    pub(super) fn find(named: Option<PathBuf>) -> Result<Option<Self>, Problem> {
        let is_named = named.is_some();
        let path = named.unwrap_or_else(|| DEFAULT_PLACE.into());
        match read(&path) {
            Ok(text) => Ok(Some(Self { path, text })),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_named => Ok(None),
            Err(error) => Err(Problem { file: path, at: None, key: None, message: format!("cannot be read: {error}") }),
        }
    }

    /// All that it says, or all that is wrong with it.
    pub(super) fn settings(&self, root: &Command) -> Result<Vec<Given>, Vec<Problem>> {
        let table = DeTable::parse(&self.text).map_err(|error| {
            let at = error.span().unwrap_or_default();
            vec![self.problem(&at, None, error.message().to_owned())]
        })?;
        let mut reader = Reader { file: self, root, given: Vec::new(), problems: Vec::new() };
        for (key, value) in table.get_ref() {
            reader.section(key, value);
        }
        let Reader { given, mut problems, .. } = reader;
        problems.sort_by_key(|problem| problem.at);
        if problems.is_empty() { Ok(given) } else { Err(problems) }
    }

    fn problem(&self, at: &Range<usize>, key: Option<String>, message: String) -> Problem {
        Problem { file: self.path.clone(), at: Some(position(&self.text, at.start)), key, message }
    }

    fn place(&self, at: &Range<usize>) -> String {
        format!("{}:{}", self.path.display(), position(&self.text, at.start).0)
    }
}

fn read(path: &PathBuf) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(BYTES_MAX + 1).read_to_string(&mut text)?;
    if BYTES_MAX < u64::try_from(text.len()).unwrap_or(u64::MAX) {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {BYTES_MAX} bytes")));
    }
    Ok(text)
}

struct Reader<'a> {
    file: &'a File,
    root: &'a Command,
    given: Vec<Given>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn section(&mut self, key: &Key<'_>, value: &Value<'_>) {
        let name = key.get_ref().as_ref();
        #[expect(clippy::wildcard_enum_match_arm, reason = "whatever else TOML has")]
        match value.get_ref() {
            DeValue::Array(pools) if name == POOL => self.pools(pools.iter()),
            _ if name == POOL => self.wrong(key, POOL, "write each pool as a table of its own: [[pool]]".to_owned()),
            _ if SETTINGS.iter().all(|setting| setting.section() != name) => self.no_section(key),
            DeValue::Table(table) => table.iter().for_each(|(key, value)| self.setting(name, key, value)),
            _ => self.wrong(key, name, format!("is a section: write [{name}] and its keys below")),
        }
    }

    fn setting(&mut self, section: &str, key: &Key<'_>, value: &Value<'_>) {
        let full = format!("{section}.{}", key.get_ref());
        let Some(setting) = SETTINGS.iter().find(|setting| setting.key == full) else {
            return self.no_key(section, key, &full);
        };
        let Some(arg) = setting.arg(self.root) else { return };
        let kind = Kind::of(arg);
        let Some(values) = kind.read(value.get_ref()) else {
            let found = value.get_ref().type_str();
            return self.wrong(value, &full, format!("must be {}; this is of the type {found}", kind.words()));
        };
        match values.iter().find_map(|text| refusal(arg, text)) {
            Some(refusal) => self.wrong(value, &full, refusal),
            None => self.given.push(Given { option: setting.option, values, at: self.file.place(&key.span()) }),
        }
    }

    fn pools<'i>(&mut self, pools: impl Iterator<Item = &'i Value<'i>>) {
        let mut values = Vec::new();
        let mut at = None;
        for pool in pools {
            match pool.get_ref().as_table() {
                Some(table) => values.extend(self.pool(table, pool)),
                None => self.wrong(pool, POOL, "write each pool as a table of its own: [[pool]]".to_owned()),
            }
            at.get_or_insert_with(|| self.file.place(&pool.span()));
        }
        self.given.extend(at.map(|at| Given { option: POOL_OPTION, values, at }));
    }

    /// A pool as its option would be given it.
    fn pool(&mut self, table: &DeTable<'_>, whole: &Value<'_>) -> Option<String> {
        let mut fields = Vec::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            if POOL_KEYS.iter().all(|(known, _)| *known != name) {
                self.no_key(POOL, key, &format!("{POOL}.{name}"));
                return None;
            }
            #[expect(clippy::wildcard_enum_match_arm, reason = "whatever else TOML has")]
            let text = match value.get_ref() {
                DeValue::String(text) => text.to_string(),
                DeValue::Integer(number) => number.to_string(),
                DeValue::Float(number) => number.as_str().to_owned(),
                _ => {
                    self.wrong(value, &format!("{POOL}.{name}"), "must be a text or a number".to_owned());
                    return None;
                }
            };
            fields.push(format!("{name}={text}"));
        }
        let text = fields.join(",");
        let Err(error) = text.parse::<Pool>() else { return Some(text) };
        let (name, problem) = error.problem().split_once(": ").unwrap_or_else(|| ("", error.problem()));
        match table.iter().find(|(key, _)| key.get_ref() == name) {
            Some((_, value)) => self.wrong(value, &format!("{POOL}.{name}"), problem.to_owned()),
            None => self.wrong(whole, POOL, error.problem().to_owned()),
        }
        None
    }

    fn no_section(&mut self, key: &Key<'_>) {
        let name = key.get_ref().as_ref();
        let mut known: Vec<&str> = SETTINGS.iter().map(Setting::section).collect();
        known.dedup();
        known.push(POOL);
        let nearest = similar(name, known.iter().copied());
        let by_name = SETTINGS.iter().find(|setting| setting.name() == name || setting.option == name);
        let advice = match (nearest, by_name) {
            (Some(nearest), _) => format!("did you mean [{nearest}]?"),
            (None, Some(setting)) => format!("did you mean {}?", setting.key),
            (None, None) => format!("sections are {}", known.join(", ")),
        };
        self.wrong(key, name, format!("there is no such section; {advice}"));
    }

    fn no_key(&mut self, section: &str, key: &Key<'_>, full: &str) {
        let name = key.get_ref().as_ref();
        let of_section = SETTINGS.iter().filter(|setting| setting.section() == section).map(Setting::name);
        let mut known: Vec<&str> = of_section.collect();
        if section == POOL {
            known.extend(POOL_KEYS.iter().map(|(name, _)| *name));
        }
        let elsewhere = SETTINGS.iter().find(|setting| setting.name() == name || setting.option == name);
        let advice = match (similar(name, known.iter().copied()), elsewhere) {
            (Some(nearest), _) => format!("did you mean {section}.{nearest}?"),
            (None, Some(setting)) => format!("did you mean {}?", setting.key),
            (None, None) => format!("keys of [{section}] are {}", known.join(", ")),
        };
        self.wrong(key, full, format!("there is no such key; {advice}"));
    }

    fn wrong<T>(&mut self, at: &Spanned<T>, key: &str, message: String) {
        self.problems.push(self.file.problem(&at.span(), Some(key.to_owned()), message));
    }
}
