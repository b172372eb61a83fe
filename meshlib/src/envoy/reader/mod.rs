//! Reading configuration: typed, complete, and all errors at once.
//!
//! A type that comes from a file implements [`FromConfig`]: it names its message, and asks a [`Reader`] for every
//! field it knows. Fields that nobody asked for are errors, with a suggestion; nothing is ignored silently. The rules
//! are those of protobuf's JSON, as in Envoy's files:
//! - a field may be written `connect_timeout` or `connectTimeout`;
//! - null means that the field is not set;
//! - a repeated field accepts one value in place of a list;
//! - a number may be given as a string, a duration is `"0.5s"`, an enum's value counts without case.
//!
//! An application's own filter reads its configuration in the same way:
//!
//! ```
//! use std::time::Duration;
//! use meshlib::envoy::reader::{self, FromConfig, Read, Reader};
//!
//! #[derive(Debug, PartialEq)]
//! struct Tenant { header: String, wait: Option<Duration>, allowed: Vec<String> }
//!
//! impl FromConfig for Tenant {
//!     const MESSAGE: &'static str = "tenant";
//!
//!     fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
//!         // Ask for every field first, so that all errors are found; then take what was read.
//!         let header = reader.required("header");
//!         let wait = reader.optional("wait");
//!         let allowed = reader.list("allowed");
//!         Ok(Self { header: header?, wait: wait?, allowed: allowed? })
//!     }
//! }
//!
//! let (tenant, _) = reader::read::<Tenant>("tenant.yaml", "header: x-tenant\nwait: 0.5s\nallowed: a").unwrap();
//! assert_eq!(tenant.wait, Some(Duration::from_millis(500)));
//! assert_eq!(tenant.allowed, ["a"]);
//!
//! let errors = reader::read::<Tenant>("tenant.yaml", "haeder: x-tenant\nwait: 500ms").unwrap_err();
//! assert_eq!(errors.len(), 2);
//! ```

mod choice;
mod convert;
mod duration;
mod fields;
mod suggest;
mod value;

use std::sync::Arc;

pub(crate) use self::suggest::suggest;
pub use self::{
    choice::Choices,
    convert::{FromValue, NonEmpty, Percent, Port},
    fields::Reader,
    value::Value,
};
use super::{
    diagnostic::{ConfigErrors, Diagnostics, Reported, Source, Warnings},
    yaml,
};

/// What reading gives: the value, or the proof that an error was reported.
pub type Read<T> = Result<T, Reported>;

/// Fields that have no effect here, and may stand in a file: name and reason.
pub type Harmless = (&'static str, &'static str);

/// Fields of Envoy that are not supported: what they are for, and their names.
pub type Unsupported = (&'static str, &'static [&'static str]);

/// A type that is read from a message: a mapping with known fields.
pub trait FromConfig: Sized {
    /// The message's name, as errors mention it.
    const MESSAGE: &'static str;

    /// Fields that may be there and have no effect, each with the reason why that is right.
    const HARMLESS: &'static [Harmless] = &[];

    /// Fields that are errors with an explanation, unless they are null or `[]`.
    const UNSUPPORTED: &'static [Unsupported] = &[];

    /// Reads the message. It asks for all fields before it returns the first error: what was never asked for, and is
    /// in neither list, is reported as unknown.
    ///
    /// # Errors
    /// A field is missing or wrong; that has been reported.
    fn from_config(reader: &mut Reader<'_>) -> Read<Self>;
}

/// Reads one message from a whole file.
///
/// # Errors
/// All that is wrong with the file.
pub fn read<T: FromConfig>(name: &str, text: &str) -> Result<(T, Warnings), ConfigErrors> {
    let diagnostics = Diagnostics::new(Arc::new(Source::new(name, text)));
    let value = yaml::parse(&diagnostics).and_then(|root| {
        diagnostics.hide_secrets_of(&root);
        T::from_value(Value::new(&root, T::MESSAGE, &diagnostics))
    });
    diagnostics.finish(value)
}
