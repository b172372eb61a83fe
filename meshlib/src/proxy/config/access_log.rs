//! Who is told of requests that have ended.

use std::{fmt, path::PathBuf, sync::Arc};

use crate::base::{FinishObserver, Identity};

/// One access log (Envoy's `AccessLog`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AccessLoggerConfig {
    /// Lines in a file.
    File(AccessLogConfig),
    /// A sink of the application's own.
    Custom(CustomAccessLog),
}

impl From<AccessLogConfig> for AccessLoggerConfig {
    fn from(log: AccessLogConfig) -> Self {
        Self::File(log)
    }
}

impl From<CustomAccessLog> for AccessLoggerConfig {
    fn from(log: CustomAccessLog) -> Self {
        Self::Custom(log)
    }
}

/// Where access log lines go, and what they say (Envoy's `FileAccessLog`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AccessLogConfig {
    /// The file. `/dev/stdout` and `/dev/stderr` mean descriptors 1 and 2, whatever they are.
    pub path: PathBuf,
    /// The format string; `None` is Envoy's default format.
    pub format: Option<String>,
}

impl AccessLogConfig {
    /// Envoy's default format into this file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), format: None }
    }

    /// In another format.
    #[must_use]
    pub fn format(mut self, format: impl Into<String>) -> Self {
        self.format = Some(format.into());
        self
    }
}

/// An access log of the application's own: it is shown the whole record of each request, once it is closed.
///
/// One observer is shared by all workers. It is called on the way of the request, and so must not wait. Lines in Envoy's
/// format to somewhere else are an [`AccessLog`](crate::layer::access_log::AccessLog) over a
/// [`LogSink`](crate::base::resources::LogSink), which is an observer too.
#[derive(Clone)]
pub struct CustomAccessLog {
    identity: Identity,
    observer: Arc<dyn FinishObserver>,
}

impl CustomAccessLog {
    /// This observer, under a name for dumps. The log is equal to its clones only.
    pub fn new(name: impl Into<Arc<str>>, observer: impl FinishObserver + 'static) -> Self {
        Self { identity: Identity::unique(name), observer: Arc::new(observer) }
    }

    /// Says what it was made of: two of one name and equal values are equal.
    #[must_use]
    pub fn configured_by<C>(mut self, config: C) -> Self
    where
        C: PartialEq + fmt::Debug + Send + Sync + 'static,
    {
        self.identity = Identity::configured(self.identity.name().clone(), config);
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.identity.name()
    }

    /// Who is told.
    pub fn observer(&self) -> &Arc<dyn FinishObserver> {
        &self.observer
    }
}

impl PartialEq for CustomAccessLog {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

impl fmt::Debug for CustomAccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CustomAccessLog").field(&self.identity).finish()
    }
}
