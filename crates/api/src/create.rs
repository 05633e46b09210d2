//! A sandbox as callers ask for it.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use sentinal_model::{Cpu, Disk, EngineChoice, Error, InvalidQuantity, Labels, Memory, Result, Spec, limits};
use serde::{Deserialize, Deserializer, Serialize, de::Visitor};
use utoipa::ToSchema;

use crate::field::{named, seconds, unique_map};

/// A sandbox to be created. Every field may be left out.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
#[schema(example = json!({"engine": "gvisor", "cpu": 2, "memory": "2048Mi"}))]
pub struct CreateSandbox {
    /// Which engine; `auto` unless told.
    #[schema(value_type = Option<crate::EngineChoice>)]
    pub engine: Option<String>,
    /// Cores, between 0.05 and 64; 1 unless told.
    #[schema(minimum = 0.05, maximum = 64)]
    pub cpu: Option<f64>,
    /// Memory as a Kubernetes quantity; `512Mi` unless told.
    #[schema(value_type = Option<String>, example = "2048Mi")]
    pub memory: Option<Quantity>,
    /// What it may write, as a Kubernetes quantity; `1Gi` unless told.
    #[schema(value_type = Option<String>, example = "1Gi")]
    pub disk: Option<Quantity>,
    /// The image's name; `default` unless told.
    pub image: Option<String>,
    /// Seconds it lives, counted from its creation, at most a day; 300 unless told.
    #[schema(minimum = 1, maximum = 86400)]
    pub ttl: Option<f64>,
    /// Seconds it may be idle - no execution runs in it, no file goes in or out - before it is ended; until its ttl
    /// unless told.
    #[schema(minimum = 1, maximum = 86400)]
    pub idle_timeout: Option<f64>,
    /// The caller's own marks.
    #[serde(default, deserialize_with = "unique_map")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Seconds to wait for it to run before answering `pending`; 30 unless told.
    #[schema(minimum = 0, maximum = 120)]
    pub wait: Option<f64>,
}

/// A [`CreateSandbox`] in which everything is valid.
#[derive(Debug)]
pub struct ParsedCreate {
    /// The sandbox.
    pub spec: Spec,
    /// How long to wait for it to run.
    pub wait: Duration,
}

/// A Kubernetes quantity as it was written.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Quantity(String);

impl From<String> for Quantity {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// The fields of a sandbox that a create and a one-shot execute share.
#[derive(Debug)]
pub(crate) struct SpecFields {
    pub engine: Option<String>,
    pub cpu: Option<f64>,
    pub memory: Option<Quantity>,
    pub disk: Option<Quantity>,
    pub image: Option<String>,
    pub ttl: Option<f64>,
    pub labels: Option<BTreeMap<String, String>>,
}

impl TryFrom<CreateSandbox> for ParsedCreate {
    type Error = Error;

    fn try_from(wire: CreateSandbox) -> Result<Self> {
        let CreateSandbox { engine, cpu, memory, disk, image, ttl, idle_timeout, labels, wait } = wire;
        let fields = SpecFields { engine, cpu, memory, disk, image, ttl, labels };
        let spec = Spec { idle_timeout: parse_idle(idle_timeout)?, ..fields.into_spec(limits::TTL_DEFAULT)? };
        Ok(Self { spec, wait: parse_wait(wait)? })
    }
}

impl SpecFields {
    /// The name of a field that was given, if any was.
    pub(crate) fn given(&self) -> Option<&'static str> {
        [
            (self.engine.is_some(), "engine"),
            (self.cpu.is_some(), "cpu"),
            (self.memory.is_some(), "memory"),
            (self.disk.is_some(), "disk"),
            (self.image.is_some(), "image"),
            (self.ttl.is_some(), "ttl"),
            (self.labels.is_some(), "labels"),
        ]
        .into_iter()
        .find_map(|(given, name)| given.then_some(name))
    }

    /// Without any.
    pub(crate) const NONE: Self =
        Self { engine: None, cpu: None, memory: None, disk: None, image: None, ttl: None, labels: None };

    /// The sandbox they describe; it lives `ttl_default` unless told.
    pub(crate) fn into_spec(self, ttl_default: Duration) -> Result<Spec> {
        let cpu = self.cpu.unwrap_or_else(|| f64::from(limits::CPU_MILLI_DEFAULT) / 1000.0);
        let ttl = |value| seconds("ttl", value, limits::TTL_MIN, limits::TTL_MAX);
        Ok(Spec {
            engine: named("engine", self.engine.map_or(Ok(EngineChoice::Auto), |name| name.parse()))?,
            cpu: named("cpu", Cpu::try_from_cores(cpu))?,
            memory: quantity("memory", self.memory, limits::MEMORY_BYTES_DEFAULT, Memory::try_from_bytes)?,
            disk: quantity("disk", self.disk, limits::DISK_BYTES_DEFAULT, Disk::try_from_bytes)?,
            image: self.image.map_or_else(|| Ok(sentinal_model::ImageName::default()), |name| name.parse())?,
            ttl: self.ttl.map_or(Ok(ttl_default), ttl)?,
            idle_timeout: None,
            labels: Labels::try_from(self.labels.unwrap_or_default())?,
        })
    }
}

fn parse_idle(idle_timeout: Option<f64>) -> Result<Option<Duration>> {
    let idle = |value| seconds("idle_timeout", value, limits::IDLE_TIMEOUT_MIN, limits::IDLE_TIMEOUT_MAX);
    idle_timeout.map(idle).transpose()
}

/// How long to wait for a sandbox to run.
pub(crate) fn parse_wait(wait: Option<f64>) -> Result<Duration> {
    wait.map_or(Ok(limits::WAIT_DEFAULT), |value| seconds("wait", value, Duration::ZERO, limits::WAIT_MAX))
}

fn quantity<T: FromStr<Err = InvalidQuantity>>(
    field: &str,
    written: Option<Quantity>,
    bytes_default: u64,
    from_bytes: impl FnOnce(u64) -> std::result::Result<T, InvalidQuantity>,
) -> Result<T> {
    let Some(Quantity(text)) = written else { return named(field, from_bytes(bytes_default)) };
    let digits_only = !text.is_empty() && text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().map_err(|error| {
        let hint = if digits_only {
            format!("; without a suffix these are bytes, did you mean {text}Mi?")
        } else {
            String::new()
        };
        Error::invalid(format!("{field}: {error}{hint}"))
    })
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(source: D) -> std::result::Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Quantity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity in quotes such as \"512Mi\"")
            }

            fn visit_str<E>(self, text: &str) -> std::result::Result<Quantity, E> {
                Ok(Quantity(text.to_owned()))
            }
        }

        source.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_json;

    fn parse(body: &str) -> Result<ParsedCreate> {
        parse_json::<CreateSandbox>(body.as_bytes())?.try_into()
    }

    fn check(body: &str, message: &str) {
        assert_eq!(parse(body).unwrap_err().message(), message, "{body}");
    }

    #[test]
    fn the_example_of_the_requirement_is_taken() {
        let parsed = parse(r#"{"engine":"firecracker","cpu":2,"memory":"2048Mi"}"#).unwrap();
        assert_eq!(parsed.spec.engine.to_string(), "firecracker");
        assert_eq!(parsed.spec.cpu.milli(), 2000);
        assert_eq!(parsed.spec.memory.bytes(), 2 << 30);
        assert_eq!(parsed.wait, limits::WAIT_DEFAULT);
    }

    #[test]
    fn nothing_given_is_the_defaults() {
        let parsed = parse("{}").unwrap();
        assert_eq!(parsed.spec.engine, EngineChoice::Auto);
        assert_eq!(parsed.spec.memory.to_string(), "512Mi");
        assert_eq!(parsed.spec.disk.to_string(), "1Gi");
        assert_eq!(parsed.spec.ttl, limits::TTL_DEFAULT);
        assert_eq!(parsed.spec.idle_timeout, None);
        assert_eq!(parsed.spec.image.as_str(), "default");
    }

    #[test]
    fn a_value_out_of_its_range_is_told_the_range() {
        check(r#"{"cpu":0}"#, "cpu: \"0\" is out of range: cpu must be between 0.05 and 64");
        check(r#"{"cpu":1000}"#, "cpu: \"1000\" is out of range: cpu must be between 0.05 and 64");
        check(
            r#"{"memory":"2048"}"#,
            "memory: \"2048\" is out of range: memory must be between 64Mi and 1Ti; without a suffix these are bytes, did you mean 2048Mi?",
        );
        check(r#"{"ttl":0.5}"#, "ttl: 0.5 is out of range: write a number of seconds between 1 and 86400");
        check(
            r#"{"idle_timeout":0.5}"#,
            "idle_timeout: 0.5 is out of range: write a number of seconds between 1 and 86400",
        );
        check(r#"{"wait":-1}"#, "wait: -1 is out of range: write a number of seconds between 0 and 120");
    }

    #[test]
    fn a_quantity_nobody_can_read_is_told_how_to_write_one() {
        for text in ["2GiB", "-1Mi", "1e99Gi", "", "lots"] {
            let message = parse(&format!("{{\"memory\":{text:?}}}")).unwrap_err().message().to_owned();
            assert!(message.starts_with(&format!("memory: {text:?} is not a quantity: write")), "{message}");
        }
    }

    #[test]
    fn a_name_that_stands_for_nothing_is_told_the_ones_that_do() {
        check(
            r#"{"engine":"docker"}"#,
            "engine: engine \"docker\" does not exist; known are auto, firecracker, kata, gvisor, native",
        );
    }
}
