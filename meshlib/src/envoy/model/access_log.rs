//! Access loggers.

use super::{extension, own_extension};
use crate::{
    envoy::{
        names::{Category, Kind},
        reader::{FromConfig, Harmless, NonEmpty, Read, Reader, Unsupported, Value},
        yaml::ScalarValue,
    },
    proxy::config::{AccessLogConfig, AccessLoggerConfig},
};

impl FromConfig for AccessLoggerConfig {
    const MESSAGE: &'static str = "access_log";
    const UNSUPPORTED: &'static [Unsupported] = &[("logging some requests only", &["filter"])];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        if let Some(own) = own_extension::read(reader, &reader.diagnostics().extensions().access_logs) {
            return own;
        }
        let found = extension::read(reader, Category::AccessLog)?;
        let file = match found.kind {
            Kind::StdoutAccessLog => stream(found.config, "/dev/stdout"),
            Kind::StderrAccessLog => stream(found.config, "/dev/stderr"),
            _ => found.config.read::<File>().map(|file| file.0),
        };
        file.map(Self::File)
    }
}

/// `FileAccessLog`.
struct File(AccessLogConfig);

impl FromConfig for File {
    const MESSAGE: &'static str = "file_access_log";
    const UNSUPPORTED: &'static [Unsupported] = &[("JSON lines", &["json_format", "typed_json_format"])];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        reader.deprecated("format", "`log_format` with `text_format_source`");
        let path = reader.required::<NonEmpty>("path");
        let format = reader.optional::<String>("format");
        let log_format = reader.optional::<LogFormat>("log_format");
        let one = reader.at_most_one_of(&["format", "json_format", "typed_json_format", "log_format"]);
        let mut config = AccessLogConfig::file(path?.0);
        config.format = format?.or(log_format?.and_then(|format| format.0)).filter(|format| !format.is_empty());
        one.map(|()| Self(config))
    }
}

fn stream(config: Value<'_>, path: &str) -> Read<AccessLogConfig> {
    config.message("stream_access_log", |reader| {
        let mut log = AccessLogConfig::file(path);
        log.format = reader.optional::<LogFormat>("log_format")?.and_then(|format| format.0);
        Ok(log)
    })
}

/// `SubstitutionFormatString`: a format, unless it is the default.
pub(super) struct LogFormat(Option<String>);

impl FromConfig for LogFormat {
    const MESSAGE: &'static str = "log_format";
    const HARMLESS: &'static [Harmless] = &[("content_type", "it is about local replies; log lines have no type")];
    const UNSUPPORTED: &'static [Unsupported] =
        &[("JSON lines", &["json_format", "json_format_options"]), ("formatters that are extensions", &["formatters"])];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        reader.deprecated("text_format", "`text_format_source` with `inline_string`");
        let text = reader.optional::<String>("text_format");
        let source = reader.get("text_format_source").map(inline).transpose();
        let omit = reader.only("omit_empty_values", false);
        if !reader.is_set("json_format") {
            reader.exactly_one_of(&["text_format", "text_format_source"])?;
        }
        let format = text?.or(source?).filter(|format| !format.is_empty());
        omit.map(|()| Self(format))
    }
}

fn inline(source: Value<'_>) -> Read<String> {
    source.message("text_format_source", |reader| {
        // A format is configuration: from a file of its own it would not be read again with the rest.
        for name in ["filename", "inline_bytes", "environment_variable"] {
            if let Some(value) = reader.get(name) {
                let message = format!("this version supports a format only as `inline_string`, not as `{name}`");
                return Err(value.error(crate::envoy::diagnostic::Code::Unsupported, message, "not supported"));
            }
        }
        match reader.get("inline_string") {
            Some(value) if value.scalar() == Some(ScalarValue::String("")) => Err(value.invalid("a format")),
            Some(value) => value.read(),
            None => reader.required("inline_string"),
        }
    })
}
