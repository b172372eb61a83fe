//! Floor 7: Envoy files, of 2019 (v2) and of today (v3), to configuration values.
//!
//! [`load`] and [`load_file`] read and check; the value that they give is for [`Server::start`] or
//! [`Mesh::from_config`]. `Mesh::from_file` does both, and [`Mesh::builder`] adds what is the application's own.
//!
//! [`Server::start`]: crate::proxy::server::Server::start
//! [`Mesh::from_config`]: crate::proxy::mesh::Mesh::from_config
//! [`Mesh::builder`]: crate::proxy::mesh::Mesh::builder
//!
//! ```
//! let file = "
//! static_resources:
//!   clusters:
//!   - name: echo
//!     type: STRICT_DNS
//!     http2_protocol_options: {}
//!     load_assignment:
//!       cluster_name: echo
//!       endpoints:
//!       - lb_endpoints:
//!         - endpoint: {address: {socket_address: {address: echo.default.svc, port_value: 8786}}}
//! ";
//! let loaded = meshlib::envoy::load("envoy.yaml", file).unwrap();
//! assert_eq!(&*loaded.config.clusters[0].name, "echo");
//! assert_eq!(loaded.warnings.len(), 1); // `http2_protocol_options` of a cluster is outdated, and still understood
//! ```
//!
//! A field is used, or is on the list of [`harmless_fields`], or is an error with its place and a suggestion: nothing
//! is ignored silently. All errors of a file come at once, see [`diagnostic`]. An application reads its own
//! configuration through the same [`reader`].

pub mod diagnostic;
pub mod extensions;
mod lower;
pub mod mesh;
mod model;
pub mod names;
pub mod reader;
pub mod yaml;

use std::{path::Path, sync::Arc};

use self::{
    diagnostic::{Code, ConfigErrors, Diagnostic, Diagnostics, Source, Span, Warnings},
    extensions::Extensions,
    reader::Value,
};
use crate::{base::resources::Files, proxy::config::MeshConfig};

/// A file that can be used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// What it configures.
    pub config: MeshConfig,
    /// What deserves a look: outdated spellings for example.
    pub warnings: Warnings,
}

/// Reads the text of an Envoy file, YAML or JSON; `name` is what diagnostics call it.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(name: &str, text: &str) -> Result<Loaded, ConfigErrors> {
    load_with(name, text, &Extensions::new())
}

/// The same for a file that may name these extensions.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load_with(name: &str, text: &str, extensions: &Extensions) -> Result<Loaded, ConfigErrors> {
    let diagnostics = Diagnostics::new(Arc::new(Source::new(name, text))).with_extensions(extensions);
    let config = yaml::parse(&diagnostics).and_then(|root| {
        diagnostics.hide_secrets_of(&root);
        lower::bootstrap(Value::new(&root, "bootstrap", &diagnostics).read(), &diagnostics)
    });
    diagnostics.finish(config).map(|(config, warnings)| Loaded { config, warnings })
}

/// Reads an Envoy file.
///
/// # Errors
/// It cannot be read, is not UTF-8, or something is wrong with it.
pub fn load_file(path: &Path, files: &dyn Files) -> Result<Loaded, ConfigErrors> {
    load_file_with(path, files, &Extensions::new())
}

/// The same for a file that may name these extensions.
///
/// # Errors
/// It cannot be read, is not UTF-8, or something is wrong with it.
pub fn load_file_with(path: &Path, files: &dyn Files, extensions: &Extensions) -> Result<Loaded, ConfigErrors> {
    let name = path.display().to_string();
    let bytes = files.read(path).map_err(|error| {
        let message = format!("{name} cannot be read: {error}");
        ConfigErrors::of_file(&name, Diagnostic::error(Code::File, message))
    })?;
    match String::from_utf8(bytes) {
        Ok(text) => load_with(&name, &text, extensions),
        Err(error) => Err(not_utf8(&name, error.as_bytes(), error.utf8_error().valid_up_to())),
    }
}

fn not_utf8(name: &str, bytes: &[u8], valid: usize) -> ConfigErrors {
    // As far as it is text, so that the place can be shown.
    let text = String::from_utf8_lossy(bytes.get(..valid).unwrap_or_default());
    let diagnostics = Diagnostics::new(Arc::new(Source::new(name, text)));
    let error = Diagnostic::error(Code::Encoding, format!("{name} is not UTF-8"));
    let help = "save the file as UTF-8";
    let reported = diagnostics.error(error.at(Span::new(valid, valid), "this byte cannot be").help(help));
    diagnostics.failed(reported)
}

/// The fields of Envoy that may stand in a file though they have no effect here: message, field, reason.
pub fn harmless_fields() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    model::harmless()
}

#[cfg(test)]
mod tests;
