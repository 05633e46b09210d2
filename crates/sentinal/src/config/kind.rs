//! What kind of value an option takes.

use std::any::TypeId;

use clap::{Arg, ArgAction};
use toml::de::DeValue;

use crate::amount::{Bytes, Span};

/// What kind of value an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Texts,
    Truth,
    Whole,
    Share,
    Bytes,
    Span,
}

impl Kind {
    pub(super) fn of(arg: &Arg) -> Self {
        let parser = arg.get_value_parser().type_id();
        if matches!(arg.get_action(), ArgAction::Append) {
            return Self::Texts;
        }
        let kinds = [
            (TypeId::of::<bool>(), Self::Truth),
            (TypeId::of::<u64>(), Self::Whole),
            (TypeId::of::<f64>(), Self::Share),
            (TypeId::of::<Bytes>(), Self::Bytes),
            (TypeId::of::<Span>(), Self::Span),
        ];
        kinds.into_iter().find(|(one, _)| parser == *one).map_or(Self::Text, |(_, kind)| kind)
    }

    /// As the reference and errors say it.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Texts => "a list of texts",
            Self::Truth => "true or false",
            Self::Whole => "a whole number",
            Self::Share => "a number",
            Self::Bytes => "bytes, such as \"16Mi\"",
            Self::Span => "a span of time, such as \"24h\"",
        }
    }

    /// The values as an option would be given them, if they are of this kind.
    pub(super) fn read(self, value: &DeValue<'_>) -> Option<Vec<String>> {
        let one = |text: &str| Some(vec![text.to_owned()]);
        match (self, value) {
            (Self::Text | Self::Bytes | Self::Span, DeValue::String(text)) => one(text),
            (Self::Truth, DeValue::Boolean(truth)) => one(if *truth { "true" } else { "false" }),
            (Self::Whole | Self::Share | Self::Bytes | Self::Span, DeValue::Integer(number)) => {
                one(&i64::from_str_radix(number.as_str(), number.radix()).ok()?.to_string())
            }
            (Self::Share, DeValue::Float(number)) => one(number.as_str()),
            (Self::Texts, DeValue::Array(items)) => {
                items.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
            }
            _ => None,
        }
    }

    /// What stands in an example for a setting without a default.
    pub(super) const fn unset(self) -> &'static str {
        match self {
            Self::Texts => "[]",
            Self::Text | Self::Truth | Self::Whole | Self::Share | Self::Bytes | Self::Span => "\"\"",
        }
    }

    /// A value of an option as a file would say it.
    pub(super) fn write(self, values: &[String]) -> String {
        let quoted = |text: &String| toml::Value::String(text.clone()).to_string();
        match self {
            Self::Texts => format!("[{}]", values.iter().map(quoted).collect::<Vec<_>>().join(", ")),
            Self::Text | Self::Bytes | Self::Span => values.first().map(quoted).unwrap_or_default(),
            Self::Truth | Self::Whole | Self::Share => values.first().cloned().unwrap_or_default(),
        }
    }
}
