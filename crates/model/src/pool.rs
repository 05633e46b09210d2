//! Sandboxes that are kept booted for whoever asks for their like.

use std::{collections::BTreeMap, fmt, str::FromStr};

use crate::{Cpu, Disk, EngineName, ImageName, Memory, Spec, limits};

/// How many sandboxes of which shape are kept ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Which engine.
    pub engine: EngineName,
    /// What they are booted from.
    pub image: ImageName,
    /// Cores of each.
    pub cpu: Cpu,
    /// Memory of each.
    pub memory: Memory,
    /// What each may write.
    pub disk: Disk,
    /// How many; at least one.
    pub size: usize,
}

/// A text that does not say what a pool is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{problem}; write a pool as ENGINE=SIZE, for example gvisor=8, or as \
     engine=gvisor,size=8 with any of image=, cpu=, memory= and disk= after it"
)]
pub struct InvalidPool {
    problem: String,
}

impl InvalidPool {
    /// What is wrong, without how to write a pool on a command line.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl Pool {
    /// Whether its sandboxes are what `spec` asks for, once the engine was chosen.
    pub fn serves(&self, spec: &Spec, engine: EngineName) -> bool {
        engine == self.engine
            && (&spec.image, spec.cpu, spec.memory, spec.disk) == (&self.image, self.cpu, self.memory, self.disk)
    }

    /// Whether both keep sandboxes of one shape.
    pub fn is_like(&self, other: &Self) -> bool {
        Self { size: other.size, ..self.clone() } == *other
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { engine, image, cpu, memory, disk, size } = self;
        write!(f, "engine={engine},image={image},cpu={cpu},memory={memory},disk={disk},size={size}")
    }
}

impl FromStr for Pool {
    type Err = InvalidPool;

    fn from_str(text: &str) -> Result<Self, InvalidPool> {
        let mut fields = Fields::of(text)?;
        let pool = Self {
            engine: fields.parsed("engine", None)?,
            image: fields.parsed("image", Some(ImageName::DEFAULT))?,
            cpu: fields.cpu()?,
            memory: fields.parsed("memory", Some(&default_bytes(limits::MEMORY_BYTES_DEFAULT)))?,
            disk: fields.parsed("disk", Some(&default_bytes(limits::DISK_BYTES_DEFAULT)))?,
            size: fields.size()?,
        };
        fields.nothing_left().map(|()| pool)
    }
}

fn default_bytes(bytes: u64) -> String {
    bytes.to_string()
}

fn invalid(problem: impl Into<String>) -> InvalidPool {
    InvalidPool { problem: problem.into() }
}

/// The fields as they were written, by name.
struct Fields<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Fields<'a> {
    fn of(text: &'a str) -> Result<Self, InvalidPool> {
        let mut fields = BTreeMap::new();
        for field in text.split(',') {
            let (name, value) = field.split_once('=').ok_or_else(|| invalid(format!("{field:?} has no value")))?;
            if fields.insert(name.trim(), value.trim()).is_some() {
                return Err(invalid(format!("{name:?} is there twice")));
            }
        }
        match fields.first_key_value() {
            Some((name, size)) if fields.len() == 1 && name.parse::<EngineName>().is_ok() => {
                Ok(Self(BTreeMap::from([("engine", *name), ("size", *size)])))
            }
            Some(_) | None => Ok(Self(fields)),
        }
    }

    fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, name: &str, default: Option<&str>) -> Result<T, InvalidPool> {
        let text = self.0.remove(name).or(default).ok_or_else(|| invalid(format!("{name} is missing")))?;
        text.parse().map_err(|error| invalid(format!("{name}: {error}")))
    }

    fn cpu(&mut self) -> Result<Cpu, InvalidPool> {
        let cores: f64 = self.parsed("cpu", Some(&(f64::from(limits::CPU_MILLI_DEFAULT) / 1000.0).to_string()))?;
        Cpu::try_from_cores(cores).map_err(|error| invalid(format!("cpu: {error}")))
    }

    fn size(&mut self) -> Result<usize, InvalidPool> {
        let size = self.parsed("size", None)?;
        if (1..=limits::POOL_SIZE_MAX).contains(&size) {
            return Ok(size);
        }
        Err(invalid(format!("size: {size} is out of range: it must be between 1 and {}", limits::POOL_SIZE_MAX)))
    }

    fn nothing_left(self) -> Result<(), InvalidPool> {
        match self.0.into_keys().next() {
            Some(name) => Err(invalid(format!("{name:?} is no field of a pool"))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, pool: &str) {
        assert_eq!(text.parse::<Pool>().unwrap().to_string(), pool, "{text}");
    }

    fn check_refused(text: &str, problem: &str) {
        let refused = text.parse::<Pool>().unwrap_err().to_string();
        assert!(refused.starts_with(problem) && refused.contains("write a pool as"), "{text}: {refused}");
    }

    #[test]
    fn an_engine_and_a_size_are_enough() {
        let pool = "engine=gvisor,image=default,cpu=1,memory=512Mi,disk=1Gi,size=8";
        check("gvisor=8", pool);
        check("size=8,engine=gvisor", pool);
        check(pool, pool);
    }

    #[test]
    fn every_field_may_be_given() {
        check(
            "engine=native, size=2, cpu=0.5, memory=128Mi, disk=64Mi, image=tools/python:3",
            "engine=native,image=tools/python:3,cpu=0.5,memory=128Mi,disk=64Mi,size=2",
        );
    }

    #[test]
    fn what_is_no_pool_is_told_why() {
        check_refused("", "\"\" has no value");
        check_refused("gvisor", "\"gvisor\" has no value");
        check_refused("docker=8", "engine is missing");
        check_refused("engine=docker,size=8", "engine: engine \"docker\" does not exist");
        check_refused("engine=gvisor", "size is missing");
        check_refused("gvisor=0", "size: 0 is out of range: it must be between 1 and 256");
        check_refused("gvisor=257", "size: 257 is out of range");
        check_refused("gvisor=-1", "size: invalid digit");
        check_refused("engine=gvisor,size=8,memory=1", "memory: \"1\" is out of range");
        check_refused("engine=gvisor,size=8,cpu=1000", "cpu: \"1000\" is out of range");
        check_refused("engine=gvisor,size=8,image=../etc", "image: ");
        check_refused("engine=gvisor,size=8,colour=red", "\"colour\" is no field of a pool");
        check_refused("engine=gvisor,size=8,size=9", "\"size\" is there twice");
    }

    #[test]
    fn a_pool_serves_what_has_its_shape_and_nothing_else() {
        let pool: Pool = "gvisor=8".parse().unwrap();
        let spec = Spec {
            engine: crate::EngineChoice::Auto,
            cpu: pool.cpu,
            memory: pool.memory,
            disk: pool.disk,
            image: pool.image.clone(),
            ttl: limits::TTL_MIN,
            idle_timeout: None,
            labels: crate::Labels::default(),
        };
        assert!(pool.serves(&spec, EngineName::Gvisor));
        assert!(!pool.serves(&spec, EngineName::Native));
        let others = [
            Spec { cpu: Cpu::try_from_cores(2.0).unwrap(), ..spec.clone() },
            Spec { memory: "1Gi".parse().unwrap(), ..spec.clone() },
            Spec { disk: "2Gi".parse().unwrap(), ..spec.clone() },
            Spec { image: "other".parse().unwrap(), ..spec },
        ];
        for other in others {
            assert!(!pool.serves(&other, EngineName::Gvisor), "{other:?}");
        }
    }
}
