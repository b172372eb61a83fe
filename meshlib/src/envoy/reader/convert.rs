//! From one value to one Rust type.

use std::{num::NonZeroU32, sync::Arc};

use super::{Read, Value};
use crate::envoy::{
    diagnostic::{Code, Diagnostic, Spanned},
    yaml::{self, ScalarValue},
};

/// A type that is read from one value: a scalar, or a whole message ([`FromConfig`](super::FromConfig)).
pub trait FromValue: Sized {
    /// Reads it. The value is never null.
    ///
    /// # Errors
    /// It cannot be; the reason is reported.
    fn from_value(value: Value<'_>) -> Read<Self>;
}

impl<T: FromValue> FromValue for Spanned<T> {
    fn from_value(value: Value<'_>) -> Read<Self> {
        Ok(Self { span: value.span(), value: T::from_value(value)? })
    }
}

impl FromValue for String {
    fn from_value(value: Value<'_>) -> Read<Self> {
        match value.scalar() {
            Some(ScalarValue::String(text)) => Ok(text.to_owned()),
            Some(ScalarValue::Null) | None => Err(value.wrong_type("a string")),
            Some(_) => {
                let message = format!("`{}` must be a string, not {}", value.field(), value.describe());
                let error = Diagnostic::error(Code::Type, message).at(value.span(), "expected a string");
                Err(value.diagnostics().error(error.help("put it in quotes")))
            }
        }
    }
}

/// A string that is not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NonEmpty(pub String);

impl FromValue for NonEmpty {
    fn from_value(value: Value<'_>) -> Read<Self> {
        let text = value.read::<String>()?;
        if text.is_empty() {
            let message = format!("`{}` must not be empty", value.field());
            return Err(value.error(Code::InvalidValue, message, ""));
        }
        Ok(Self(text))
    }
}

impl FromValue for Arc<str> {
    fn from_value(value: Value<'_>) -> Read<Self> {
        String::from_value(value).map(Self::from)
    }
}

impl FromValue for bool {
    fn from_value(value: Value<'_>) -> Read<Self> {
        let meant = match value.scalar() {
            Some(ScalarValue::Bool(given)) => return Ok(given),
            // In quotes, as protobuf's JSON takes it.
            Some(ScalarValue::String("true")) => return Ok(true),
            Some(ScalarValue::String("false")) => return Ok(false),
            Some(ScalarValue::String(text)) => match text.to_ascii_lowercase().as_str() {
                "yes" | "y" | "on" | "true" => Some(true),
                "no" | "n" | "off" | "false" => Some(false),
                _ => None,
            },
            _ => None,
        };
        let Some(meant) = meant else { return Err(value.wrong_type("`true` or `false`")) };
        let message = format!("`{}` must be `true` or `false`, not {}", value.field(), value.describe());
        Err(value.error(Code::Type, message, format!("write `{meant}`, without quotes")))
    }
}

/// A number, also one in quotes.
fn number(value: Value<'_>) -> Read<ScalarValue<'_>> {
    match value.scalar() {
        Some(number @ (ScalarValue::Int(_) | ScalarValue::Float(_))) => Ok(number),
        Some(ScalarValue::String(text)) => yaml::number(text).ok_or_else(|| value.wrong_type("a number")),
        _ => Err(value.wrong_type("a number")),
    }
}

fn whole(value: Value<'_>, range: std::ops::RangeInclusive<i64>) -> Read<i64> {
    let must = || format!("a whole number from {} to {}", range.start(), range.end());
    let given = match number(value)? {
        ScalarValue::Int(given) => given,
        // Protobuf's JSON takes `3.0` and `1e3` for whole numbers. Beyond 2^53 they are not exact, nor in any range.
        ScalarValue::Float(given) if given.fract() == 0.0 && given.abs() < 9e15 => given as i64,
        _ => return Err(value.invalid(&must())),
    };
    if range.contains(&given) { Ok(given) } else { Err(value.invalid(&must())) }
}

impl FromValue for u32 {
    fn from_value(value: Value<'_>) -> Read<Self> {
        let given = whole(value, 0..=i64::from(Self::MAX))?;
        Ok(Self::try_from(given).unwrap_or_default())
    }
}

impl FromValue for NonZeroU32 {
    fn from_value(value: Value<'_>) -> Read<Self> {
        let given = whole(value, 1..=i64::from(u32::MAX))?;
        Ok(u32::try_from(given).ok().and_then(Self::new).unwrap_or(Self::MIN))
    }
}

impl FromValue for u64 {
    fn from_value(value: Value<'_>) -> Read<Self> {
        Ok(whole(value, 0..=i64::MAX)?.unsigned_abs())
    }
}

/// A port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port(pub u16);

impl FromValue for Port {
    fn from_value(value: Value<'_>) -> Read<Self> {
        let given = whole(value, 0..=i64::from(u16::MAX))?;
        Ok(Self(u16::try_from(given).unwrap_or_default()))
    }
}

impl FromValue for f64 {
    fn from_value(value: Value<'_>) -> Read<Self> {
        match number(value)? {
            ScalarValue::Int(given) => Ok(given as Self),
            ScalarValue::Float(given) if given.is_finite() => Ok(given),
            _ => Err(value.invalid("a finite number")),
        }
    }
}

/// A percentage, 0 to 100 (Envoy's message `Percent`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percent(pub f64);

impl FromValue for Percent {
    fn from_value(value: Value<'_>) -> Read<Self> {
        if matches!(value.scalar(), Some(ScalarValue::Int(_) | ScalarValue::Float(_))) {
            let message = format!("`{}` is a mapping with the field `value`", value.field());
            return Err(value.error(
                Code::Type,
                message,
                format!("write `{{value: {}}}`", value.quoted().replace('`', "")),
            ));
        }
        value.message("percent", |reader| {
            let Some(percent) = reader.get("value") else { return Ok(Self(0.0)) };
            match percent.read()? {
                given if (0.0..=100.0).contains(&given) => Ok(Self(given)),
                _ => Err(percent.invalid("from 0 to 100")),
            }
        })
    }
}
