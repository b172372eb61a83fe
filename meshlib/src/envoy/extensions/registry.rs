//! Extensions of one category, by name.

use std::{fmt, sync::Arc};

use super::ExtensionConfig;
use crate::envoy::reader::{FromConfig, Read, Value};

type ReadValue<T> = dyn Fn(&str, Value<'_>) -> Read<T> + Send + Sync;

/// One extension: its name, the type of its configuration, and how that becomes a part.
pub(in crate::envoy) struct Registered<T> {
    pub(in crate::envoy) name: String,
    pub(in crate::envoy) message: &'static str,
    read: Box<ReadValue<T>>,
}

impl<T> Registered<T> {
    /// Reads its configuration.
    pub(in crate::envoy) fn read(&self, config: Value<'_>) -> Read<T> {
        (self.read)(&self.name, config)
    }
}

/// The extensions of one category.
pub(in crate::envoy) struct Registry<T>(Vec<Arc<Registered<T>>>);

impl<T> Registry<T> {
    pub(super) fn register<C: ExtensionConfig>(
        &mut self,
        name: &str,
        make: impl Fn(&str, C) -> T + Send + Sync + 'static,
    ) {
        self.0.retain(|registered| registered.name != name);
        let read = move |name: &str, config: Value<'_>| config.read::<C>().map(|config| make(name, config));
        self.0.push(Arc::new(Registered { name: name.to_owned(), message: C::MESSAGE, read: Box::new(read) }));
    }

    pub(in crate::envoy) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The extension of this name; else the one whose configuration has this type, for the type counts since 2020. A
    /// type that several have does not tell which of them is meant, and the one of those without configuration never.
    pub(in crate::envoy) fn find(&self, name: Option<&str>, message: Option<&str>) -> Option<&Registered<T>> {
        let named = self.0.iter().find(|registered| Some(registered.name.as_str()) == name);
        let typed = || {
            let telling = message.filter(|message| *message != <()>::MESSAGE)?;
            let mut of_type = self.0.iter().filter(|registered| registered.message == telling);
            let first = of_type.next()?;
            of_type.next().is_none().then_some(first)
        };
        named.or_else(typed).map(|registered| &**registered)
    }

    /// Each with the type of its configuration.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.0.iter().map(|registered| (registered.name.as_str(), registered.message))
    }
}

impl<T> Clone for Registry<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Registry<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> fmt::Debug for Registry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all().map(|(name, _)| name)).finish()
    }
}
