//! An extension that the application registered.

use super::extension::type_url;
use crate::envoy::{
    diagnostic::{Code, Diagnostic, Reported, Spanned},
    extensions::Registry,
    names::TYPE_PREFIX,
    reader::{Read, Reader, Value},
    yaml::ScalarValue,
};

/// Messages that hold any configuration, which is in their field `value`.
const STRUCTS: &[&str] = &["xds.type.v3.TypedStruct", "udpa.type.v1.TypedStruct", "google.protobuf.Struct"];
/// The one of them that says no type.
const UNTYPED: &str = "google.protobuf.Struct";

/// A configuration, and the type that is given for it.
struct Given<'a> {
    message: Option<Spanned<String>>,
    config: Option<Value<'a>>,
}

/// Reads `name`, `config` and `typed_config`, if they are those of an extension in `registry`.
pub(super) fn read<T>(reader: &mut Reader<'_>, registry: &Registry<T>) -> Option<Read<T>> {
    if registry.is_empty() {
        return None;
    }
    let name = reader.get("name").and_then(|name| match name.scalar() {
        Some(ScalarValue::String(text)) => Some(Spanned { value: text, span: name.span() }),
        _ => None,
    });
    // What is no type is said by whoever reads the extension after all; it is said once.
    let given = reader.get("typed_config").map(given);
    let message = given.as_ref().and_then(|given| given.as_ref().ok()?.message.as_ref());
    let found = registry.find(name.as_ref().map(|name| name.value), message.map(|message| message.value.as_str()))?;
    Some(read_as(reader, name, given, found.message, &found.name).and_then(|config| found.read(config)))
}

fn read_as<'a>(
    reader: &mut Reader<'a>,
    name: Option<Spanned<&'a str>>,
    typed: Option<Read<Given<'a>>>,
    message: &'static str,
    extension: &str,
) -> Read<Value<'a>> {
    let config = reader.get("config");
    reader.at_most_one_of(&["config", "typed_config"])?;
    let span = name.map_or(reader.span(), |name| name.span);
    let left_out = Value::left_out(span, message, reader.diagnostics());
    let Some(typed) = typed else {
        reader.deprecated("config", &format!("`typed_config` with `\"@type\": {TYPE_PREFIX}{message}`"));
        return Ok(config.unwrap_or(left_out));
    };
    let typed = typed?;
    if let Some(given) = typed.message.filter(|given| given.value != message) {
        return Err(other_type(reader, &given, message, extension));
    }
    Ok(typed.config.unwrap_or(left_out))
}

fn other_type(reader: &Reader<'_>, given: &Spanned<String>, message: &str, extension: &str) -> Reported {
    let text = format!("the configuration of `{extension}` is a `{message}`, not a `{}`", given.value);
    let error = Diagnostic::error(Code::NameTypeMismatch, text);
    reader.diagnostics().error(error.at(given.span, format!("write `{TYPE_PREFIX}{message}`")))
}

fn given(typed: Value<'_>) -> Read<Given<'_>> {
    let url = type_url(typed)?;
    let message = message_of(&url);
    if !STRUCTS.contains(&message.value.as_str()) {
        return Ok(Given { message: Some(message), config: Some(typed.typed()) });
    }
    typed.typed().message("typed_struct", |reader| {
        let config = reader.get("value");
        if message.value == UNTYPED {
            return Ok(Given { message: None, config });
        }
        let url = reader.required::<Spanned<String>>("type_url")?;
        Ok(Given { message: Some(message_of(&url)), config })
    })
}

/// What stands behind the last `/` of a type URL.
fn message_of(url: &Spanned<String>) -> Spanned<String> {
    Spanned { value: url.value.rsplit('/').next().unwrap_or_default().to_owned(), span: url.span }
}
