//! Builds of images as callers ask for them.

use std::collections::BTreeMap;

use sentinal_model::{Error, ImageName, Result, Spec, limits};

use crate::{
    create::SpecFields,
    field::named,
    query::{Query, missing, offset, parse_flag},
};

/// What a build reads unless told.
const FILE_DEFAULT: &str = "Containerfile";
/// Longest path of a Containerfile, and longest name of an ARG.
const TEXT_BYTES_MAX: usize = 1024;
/// Most ARGs that are given.
const ARGS_MAX: usize = 64;

/// What is to be built, and in what.
#[derive(Debug)]
pub struct BuildQuery {
    /// What the image is to be called.
    pub name: ImageName,
    /// The Containerfile, a path in the context without dots.
    pub file: String,
    /// What is given for its ARGs.
    pub args: BTreeMap<String, String>,
    /// The sandbox that it is built in.
    pub spec: Spec,
}

/// Which part of a build's log.
#[derive(Debug)]
pub struct JobLogQuery {
    /// From this byte on.
    pub offset: u64,
    /// Whether to go on until the end.
    pub follow: bool,
}

impl TryFrom<Query> for BuildQuery {
    type Error = Error;

    fn try_from(mut query: Query) -> Result<Self> {
        let name = query.take("name").ok_or_else(|| missing("name"))?;
        let name = named("name", name.parse())?;
        let file = query.take("file").map_or_else(|| Ok(FILE_DEFAULT.to_owned()), |path| parse_file(&path))?;
        let args = parse_args(query.take_all("arg"))?;
        let cpu = query.take("cpu").map(|text| named("cpu", text.parse::<f64>())).transpose()?;
        let memory = query.take("memory").unwrap_or_else(|| limits::IMAGE_BUILD_MEMORY_BYTES.to_string());
        let disk = query.take("disk").unwrap_or_else(|| limits::IMAGE_BUILD_DISK_BYTES.to_string());
        let (memory, disk) = (Some(memory.into()), Some(disk.into()));
        let fields = SpecFields { engine: query.take("engine"), cpu, memory, disk, ..SpecFields::NONE };
        query.finish(&["name", "file", "arg", "engine", "cpu", "memory", "disk"])?;
        Ok(Self { name, file, args, spec: fields.into_spec(limits::IMAGE_BUILD_DEADLINE)? })
    }
}

fn parse_file(path: &str) -> Result<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.is_empty() || parts.contains(&"..") || TEXT_BYTES_MAX < path.len() || path.contains(char::is_control) {
        return Err(Error::invalid("file: name a file in the context, such as Containerfile"));
    }
    Ok(parts.join("/"))
}

fn parse_args(given: Vec<String>) -> Result<BTreeMap<String, String>> {
    if ARGS_MAX < given.len() {
        return Err(Error::invalid(format!("arg: given {} times; at most {ARGS_MAX} are allowed", given.len())));
    }
    let mut args = BTreeMap::new();
    for text in given {
        let (name, value) = text
            .split_once('=')
            .filter(|(name, _)| !name.is_empty() && name.len() <= TEXT_BYTES_MAX)
            .ok_or_else(|| Error::invalid("arg: write it like arg=NAME=value"))?;
        if value.contains('\0') {
            return Err(Error::invalid("arg: a value must not contain a NUL byte"));
        }
        if args.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(Error::invalid(format!("arg: {name:?} is given twice; give it once")));
        }
    }
    Ok(args)
}

impl TryFrom<Query> for JobLogQuery {
    type Error = Error;

    fn try_from(mut query: Query) -> Result<Self> {
        let parsed = Self {
            offset: query.take("offset").map_or(Ok(0), |text| offset(&text))?,
            follow: parse_flag("follow", query.take("follow"))?,
        };
        query.finish(&["offset", "follow"])?;
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(query: &str) -> Result<BuildQuery> {
        Query::parse(query)?.try_into()
    }

    #[test]
    fn a_build_has_a_sandbox_of_its_own() {
        let build = parsed("name=team/app:1&file=./a//Containerfile.x&arg=A=b%3Dc&arg=B=&engine=native&cpu=2").unwrap();
        assert_eq!((build.name.as_str(), build.file.as_str()), ("team/app:1", "a/Containerfile.x"));
        let args: Vec<_> = build.args.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(args, [("A", "b=c"), ("B", "")]);
        assert_eq!((build.spec.cpu.milli(), build.spec.memory.bytes()), (2000, 1 << 30));
        assert_eq!(parsed("name=a").unwrap().file, "Containerfile");
    }

    #[test]
    fn what_makes_no_build_is_refused_by_name() {
        for (query, field) in [
            ("", "name"),
            ("name=A", "name"),
            ("name=a&file=../x", "file"),
            ("name=a&file=", "file"),
            ("name=a&file=a%0Ab", "file"),
            ("name=a&arg=x", "arg"),
            ("name=a&arg=x=1&arg=x=2", "arg"),
            ("name=a&cpu=x", "cpu"),
            ("name=a&memory=1", "memory"),
            ("name=a&engine=x", "engine"),
            ("name=a&image=x", "image"),
        ] {
            let refused = parsed(query).unwrap_err();
            assert!(refused.message().contains(field), "{query}: {refused}");
        }
    }
}
