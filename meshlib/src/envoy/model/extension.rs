//! An extension in a file: `name`, and `config` or `typed_config`.

use crate::envoy::{
    diagnostic::{Code, Diagnostic, Spanned},
    names::{self, Category, Extension, Kind, TYPE_PREFIX},
    reader::{Read, Reader, Value, suggest},
    yaml::ScalarValue,
};

/// An extension that was recognised.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    pub(super) kind: Kind,
    /// Its configuration; a message without fields where the file has none.
    pub(super) config: Value<'a>,
}

/// Reads `name`, `config` and `typed_config`, in whatever spelling.
pub(super) fn read<'a>(reader: &mut Reader<'a>, category: Category) -> Read<Found<'a>> {
    let name = reader.optional::<Spanned<String>>("name");
    let config = reader.get("config");
    let typed = reader.get("typed_config");
    reader.at_most_one_of(&["config", "typed_config"])?;
    let name = name?;
    match typed {
        Some(typed) => by_type(name.as_ref(), typed, category),
        None => by_name(reader, name, config, category),
    }
}

/// As since 2020: the type tells what it is.
fn by_type<'a>(name: Option<&Spanned<String>>, typed: Value<'a>, category: Category) -> Read<Found<'a>> {
    let url = type_url(typed)?;
    let unsupported = name.filter(|name| names::is_unsupported(category, &name.value));
    let known = names::by_type(&url.value).filter(|found| found.category == category);
    let found = match (known, unsupported) {
        (Some(found), _) => found,
        (None, Some(name)) => return Err(refuse_unsupported(name, typed, category)),
        (None, None) => return Err(unknown_type(&url, name, typed, category)),
    };
    let current = found.type_url();
    if url.value.rsplit('/').next() != found.types.first().copied() {
        let message = format!("this type URL is outdated: write {current}");
        typed.diagnostics().warn(Diagnostic::warning(Code::Deprecated, message).at(url.span, ""));
    }
    if let Some(name) = name {
        check_name(found, name, &url, typed, category)?;
    }
    Ok(Found { kind: found.kind, config: typed.typed() })
}

/// Envoy does not look at the name when there is a type. A name that means something else is a mistake all the same.
fn check_name(
    found: &Extension,
    name: &Spanned<String>,
    url: &Spanned<String>,
    value: Value<'_>,
    category: Category,
) -> Read<()> {
    if found.names.contains(&name.value.as_str()) {
        warn_old_name(found, name, value);
        return Ok(());
    }
    let other = names::by_name(category, &name.value);
    if other.is_none() && !names::is_unsupported(category, &name.value) {
        return Ok(());
    }
    let message = format!("the name `{}` and the type of the configuration contradict each other", name.value);
    let error = Diagnostic::error(Code::NameTypeMismatch, message)
        .at(url.span, format!("this is the type of `{}`", found.name()))
        .and(name.span, "this names another extension");
    Err(value.diagnostics().error(error))
}

/// As until 2020: the name tells what it is.
fn by_name<'a>(
    reader: &mut Reader<'a>,
    name: Option<Spanned<String>>,
    config: Option<Value<'a>>,
    category: Category,
) -> Read<Found<'a>> {
    let noun = category.noun();
    let Some(name) = name else {
        let message = format!("this {noun} has neither a `typed_config` nor a `name`");
        return Err(reader.value().error(Code::MissingField, message, ""));
    };
    let Some(found) = names::by_name(category, &name.value) else {
        if names::is_unsupported(category, &name.value) {
            return Err(refuse_unsupported(&name, reader.value(), category));
        }
        let own = reader.diagnostics().extensions().of(category).into_iter().map(|(name, _)| name);
        let all = names::all(category).map(|name: &'static str| -> &str { name });
        let suggestion = suggest(&name.value, own.chain(all));
        let label = suggestion.map_or_else(String::new, |name| format!("did you mean `{name}`?"));
        let error = Diagnostic::error(Code::UnknownExtension, format!("unknown {noun} `{}`", name.value));
        let error = with_registration(error.at(name.span, label), category, Some(&name.value));
        return Err(reader.diagnostics().error(error));
    };
    warn_old_name(found, &name, reader.value());
    if config.is_some() {
        reader.deprecated("config", &typed_config(found));
    }
    // Envoy of 2019 took a filter without configuration, under the names of then. Today's refuses it, except for kinds
    // of clusters, which may do without.
    let today = name.value == found.name() && reader.key_span("config").is_none();
    if config.is_none() && today && !matches!(category, Category::Cluster | Category::LoadBalancing) {
        let message = format!("`{}` needs a `typed_config`", name.value);
        let error = Diagnostic::error(Code::MissingField, message).at(name.span, "its type is not given");
        return Err(reader.diagnostics().error(error.help(format!("add {}", typed_config(found)))));
    }
    let left_out = Value::left_out(name.span, found.name(), reader.diagnostics());
    Ok(Found { kind: found.kind, config: config.unwrap_or(left_out) })
}

fn typed_config(extension: &Extension) -> String {
    format!("`typed_config` with `\"@type\": {}`", extension.type_url())
}

pub(super) fn type_url(typed: Value<'_>) -> Read<Spanned<String>> {
    for (key, value) in typed.entries()? {
        if key.value == "@type" {
            return match value.scalar() {
                Some(ScalarValue::String(url)) => Ok(Spanned { value: url.to_owned(), span: value.span() }),
                _ => Err(value.error(Code::Type, "`@type` must be a type URL", format!("{TYPE_PREFIX}..."))),
            };
        }
    }
    Err(typed.error(Code::MissingField, "`typed_config` needs an `@type`", "it says which message this is"))
}

fn unknown_type(
    url: &Spanned<String>,
    given: Option<&Spanned<String>>,
    value: Value<'_>,
    category: Category,
) -> crate::envoy::diagnostic::Reported {
    let name = url.value.rsplit('/').next().unwrap_or_default();
    let own = value.diagnostics().extensions().of(category);
    if own.iter().any(|(_, message)| *message == name) {
        return ambiguous_type(url, given, value, category);
    }
    let known = names::EXTENSIONS.iter().filter(|extension| extension.category == category);
    let own = own.into_iter().map(|(_, message)| message).find(|message| is_near(name, message));
    let suggestion = own.or_else(|| suggest(name, known.flat_map(|extension| extension.types).copied()));
    let label = match (names::by_type(&url.value), suggestion) {
        (Some(other), _) => format!("this is the type of {}", other.category.article_and_noun()),
        (None, Some(known)) => format!("did you mean `{TYPE_PREFIX}{known}`?"),
        (None, None) => String::new(),
    };
    let message = format!("`{name}` is not the type of {} that is supported", category.article_and_noun());
    let error = Diagnostic::error(Code::UnknownExtension, message).at(url.span, label);
    value.diagnostics().error(with_registration(error, category, given.map(|name| name.value.as_str())))
}

/// Whether a type was probably meant to be another one: its package, which many may share, does not count.
fn is_near(given: &str, message: &str) -> bool {
    let [given, message] = [given, message].map(|of| of.rsplit('.').next().unwrap_or_default());
    suggest(given, std::iter::once(message)).is_some()
}

/// A type that is registered, and does not tell for which extension.
fn ambiguous_type(
    url: &Spanned<String>,
    given: Option<&Spanned<String>>,
    value: Value<'_>,
    category: Category,
) -> crate::envoy::diagnostic::Reported {
    let own = value.diagnostics().extensions().of(category);
    let message = url.value.rsplit('/').next().unwrap_or_default();
    let text = format!("the type `{message}` does not tell which {} this is", category.noun());
    let error = Diagnostic::error(Code::UnknownExtension, text);
    let named = given.and_then(|name| suggest(&name.value, own.iter().map(|(own, _)| *own)));
    let error = match (given, named) {
        (Some(name), Some(own)) => error.at(name.span, format!("did you mean `{own}`?")),
        _ => {
            let of_type = own.iter().filter(|(_, of)| *of == message);
            let names: Vec<_> = of_type.map(|(own, _)| format!("`{own}`")).collect();
            error.at(given.map_or(url.span, |name| name.span), format!("the name would: {}", names.join(" or ")))
        }
    };
    value.diagnostics().error(error)
}

fn refuse_unsupported(
    name: &Spanned<String>,
    value: Value<'_>,
    category: Category,
) -> crate::envoy::diagnostic::Reported {
    let message = format!("the {} `{}` is not supported by this version", category.noun(), name.value);
    let error = Diagnostic::error(Code::Unsupported, message).at(name.span, "Envoy knows it, meshlib does not");
    value.diagnostics().error(with_registration(error, category, Some(&name.value)))
}

/// Says how an application makes the name known, where it can, and where nothing better is suggested.
fn with_registration(error: Diagnostic, category: Category, name: Option<&str>) -> Diagnostic {
    let explained = error.code != Code::Unsupported && error.primary.as_ref().is_some_and(|at| !at.text.is_empty());
    match category.registration().filter(|_| !explained) {
        Some(method) => {
            let name = name.unwrap_or("..");
            error.help(format!("a program of your own can register it: `Mesh::builder().{method}(\"{name}\", ..)`"))
        }
        None => error,
    }
}

fn warn_old_name(extension: &Extension, name: &Spanned<String>, value: Value<'_>) {
    if name.value != extension.name() {
        let message = format!("`{}` is outdated: write `{}`", name.value, extension.name());
        value.diagnostics().warn(Diagnostic::warning(Code::Deprecated, message).at(name.span, ""));
    }
}

/// Reads an `Any` that stands alone, without a name.
pub(super) fn of_type(typed: Value<'_>, category: Category) -> Read<Found<'_>> {
    by_type(None, typed, category)
}
