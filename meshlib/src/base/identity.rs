//! What makes two parts of an application's own the same configuration.
//!
//! What a function does cannot be compared. A part that was made of a value, as one that a file names, is the same if
//! its name and that value are; any other is the same as its clones only.
//!
//! ```
//! use meshlib::base::Identity;
//!
//! let tenant = |header: &str| Identity::configured("acme.filters.tenant", header.to_owned());
//! assert_eq!(tenant("x-tenant"), tenant("x-tenant"));
//! assert_ne!(tenant("x-tenant"), tenant("x-team"));
//!
//! let unique = Identity::unique("acme.filters.tenant");
//! assert_eq!(unique, unique.clone());
//! assert_ne!(unique, Identity::unique("acme.filters.tenant"));
//! ```

use std::{any::Any, fmt, sync::Arc};

/// A name, and the value that the part was made of, if there is one.
#[derive(Clone)]
pub struct Identity {
    name: Arc<str>,
    of: Arc<dyn Comparable>,
    unique: bool,
}

impl Identity {
    /// Equal to its clones and to nothing else.
    pub fn unique(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), of: Arc::new(()), unique: true }
    }

    /// Equal to whatever has this name and an equal value.
    pub fn configured<C>(name: impl Into<Arc<str>>, config: C) -> Self
    where
        C: PartialEq + fmt::Debug + Send + Sync + 'static,
    {
        Self { name: name.into(), of: Arc::new(config), unique: false }
    }

    /// The name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        let same = || match (self.unique, other.unique) {
            (false, false) => self.of.equals(other.of.as_any()),
            (true, true) => Arc::ptr_eq(&self.of, &other.of),
            _ => false,
        };
        self.name == other.name && same()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.name, f)?;
        if self.unique { Ok(()) } else { write!(f, " of {:?}", self.of) }
    }
}

trait Comparable: fmt::Debug + Send + Sync {
    fn equals(&self, other: &dyn Any) -> bool;
    fn as_any(&self) -> &dyn Any;
}

impl<C: PartialEq + fmt::Debug + Send + Sync + 'static> Comparable for C {
    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<C>().is_some_and(|other| self == other)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_type_and_value_count() {
        let of = |value: u32| Identity::configured("a", value);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert_ne!(of(1), Identity::configured("b", 1_u32));
        assert_ne!(of(1), Identity::configured("a", 1_u64));
        assert_ne!(of(1), Identity::unique("a"));
        assert_eq!(format!("{:?} {:?}", of(1), Identity::unique("a")), "\"a\" of 1 \"a\"");
    }
}
